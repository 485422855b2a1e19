"""The processor: its free cores, its name, and whether it multiplies in bfloat16."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def free_cores() -> int:
    """The number of cores that this process may keep busy.

    taskset, cpusets and Slurm say on which it may run, a container's quota for how much of the
    time.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1  # macOS cannot tell
    return max(1, min([cores, *map(int, _quotas())]))


def _quotas() -> Iterator[float]:
    """Cores' worth of time that the control groups above this process grant, versions 2 and 1."""
    for line in _text(_OWN_CGROUPS).splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be the host's, and the group itself the root here.
        for path in (Path(own), *Path(own).parents):
            group = _CGROUPS / controllers / path.relative_to("/")
            if controllers:
                quota, period = (_text(group / f"cpu.cfs_{of}_us") for of in ("quota", "period"))
            else:
                quota, _, period = _text(group / "cpu.max").partition(" ")
            if quota.strip().isdecimal() and period.strip().isdecimal():  # not "max", not -1
                yield int(quota) / int(period)


def processor_name() -> str:
    """The processor's name and whether bfloat16 is its faster precision, for tables of times."""
    lines = _cpuinfo().splitlines()
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine()) + (" (bfloat16)" if is_faster_in_bfloat16() else "")


def is_faster_in_bfloat16() -> bool:
    """Whether the processor multiplies faster in bfloat16 than in float32.

    AMD's with avx512_bf16 do, and Intel's with AMX; Intel's avx512_bf16 alone is the slower way
    (docs/speed.md).
    """
    words = _cpuinfo().split()
    return "amx_bf16" in words or ("avx512_bf16" in words and "AuthenticAMD" in words)


def _cpuinfo() -> str:
    """What Linux tells of the processor; nothing elsewhere."""
    return _text(Path("/proc/cpuinfo"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
