"""A command as a whole process: wall seconds, processor seconds, peak memory."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Usage:
    """What the operating system says of a finished process."""

    wall_s: float
    cpu_s: float
    peak_mib: float


# A process inherits the peak of the one that starts it, so a small one stands between.
_LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
wall_s = time.perf_counter() - started
cpu_s = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall_s, cpu_s, usage.ru_maxrss / 1024]))
"""


def measured(*words: str | Path, cwd: Path = ROOT, stdin: Path = Path(os.devnull)) -> Usage:
    """Run fundusseg with these words; see `usage_of`."""
    return usage_of([ROOT / "bin" / "fundusseg", *map(str, words), "--quiet"], cwd, stdin)


def usage_of(command: list[str | Path], cwd: Path = ROOT, stdin: Path = Path(os.devnull)) -> Usage:
    """Run a command; its messages go to stderr.

    Args:
        cwd: the folder that it runs in. stdin: the file that it reads there.

    Raises:
        RuntimeError: if it does not end with 0.
    """
    launcher = [sys.executable, "-c", _LAUNCHER, *command]
    with stdin.open("rb") as given:
        done = subprocess.run(
            launcher, check=True, cwd=cwd, stdin=given, stdout=subprocess.PIPE, text=True
        )
    code, *figures = json.loads(done.stdout)
    if code != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {code}")
    return Usage(*figures)


def results_of(module: str, runs: list[list[str]], cores: int = 0) -> list[dict]:
    """The JSON that processes of one module print, started all at once.

    Args:
        runs: the words of each process.
        cores: how many cores each may run on; 0: all that are free.
    """
    free = sorted(os.sched_getaffinity(0))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, free[: cores or len(free)]),
        )
        for words in runs
    ]
    outputs = [process.communicate()[0] for process in processes]
    for process, words in zip(processes, runs, strict=True):
        if process.returncode:
            raise RuntimeError(f"{module} {' '.join(words)}: status {process.returncode}")
    return [json.loads(output) for output in outputs]


def steps_alone(paths: list[Path]) -> dict[str, float]:
    """Processor seconds per image of every step of infer, see `tests.bench.steps`."""
    (found,) = results_of("tests.bench.steps", [list(map(str, paths))])
    return found
