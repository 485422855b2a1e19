"""Processes that are killed in the middle, at the n-th write or at a random instant."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.batch import require_whole_files, started

PATIENCE_S = 300


def wait_until(condition: Callable[[], bool], process) -> None:
    """Wait for a condition; the process may not end before it holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def work_seconds(words: tuple, out: Path) -> float:
    """Run a command line to its end: the seconds from the first file in `out` to the last."""
    process = started(*words)
    wait_until(lambda: begun(out), process)
    begin = time.monotonic()
    wait_until((out / "manifest.json").exists, process)
    seconds = time.monotonic() - begin
    _, error = process.communicate()
    assert process.returncode == 0, error
    return seconds


def begun(out: Path) -> bool:
    """Whether there is a file in the output folder that is more than a temporary one."""
    return out.is_dir() and any(not path.name.startswith(".tmp-") for path in out.iterdir())


def kill_at_point(words: tuple, out: Path, point: int) -> None:
    """Run a command line that kills itself at its n-th write or rename."""
    process = started(*words, FUNDUSSEG_KILL_AT=str(point))
    _, error = process.communicate()
    assert process.returncode == -signal.SIGKILL, error
    require_whole_files(out)


def kill_at_instant(words: tuple, out: Path, delay_s: float) -> None:
    """Run a command line and kill it `delay_s` after its first file, or sooner.

    One that is done by then is run again from what was there, and killed after half the time.
    """
    before = out.with_name(f"{out.name} before")
    if out.exists():
        shutil.copytree(out, before)
    while True:
        process = started(*words)
        if not before.exists():
            wait_until(lambda: begun(out), process)
        time.sleep(delay_s)
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            break
        delay_s /= 2
        shutil.rmtree(out)
        if before.exists():
            shutil.copytree(before, out)
    shutil.rmtree(before, ignore_errors=True)
    require_whole_files(out)
