"""A command as a whole process: wall seconds, processor seconds, peak memory."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Usage:
    """What the operating system says of a finished process."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def measured(*words: str | Path) -> Usage:
    """Run fundusseg with these words; its messages go to stderr.

    Raises:
        RuntimeError: if it does not end with 0.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [ROOT / "bin" / "fundusseg", *map(str, words), "--quiet"], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"fundusseg {' '.join(map(str, words))}: status {status}")
    return Usage(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def import_seconds(module: str) -> float:
    """Wall seconds of a process that imports one module."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)
    return time.perf_counter() - started
