"""Processes that are killed in the middle, at the n-th write or at a random instant."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.batch import require_whole_files, started
from tests.faults import points

PATIENCE_S = 300


def wait_until(condition: Callable[[], bool], process) -> None:
    """Wait for a condition; the process may not end before it holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


@dataclass(frozen=True)
class Work:
    """A command line that ran to its end.

    Attributes:
        seconds: from the first file in its output folder to the last.
        points: its kill points, a call and a file's name each; number 1 is the first.
    """

    seconds: float
    points: list[str]


def whole_work(words: tuple, out: Path) -> Work:
    """Run a command line to its end."""
    process = _started(words, out, point=0)
    wait_until(lambda: begun(out), process)
    begin = time.monotonic()
    wait_until((out / "manifest.json").exists, process)
    seconds = time.monotonic() - begin
    output, error = process.communicate()
    assert process.returncode == 0, error
    return Work(seconds, output.decode().splitlines())


def begun(out: Path) -> bool:
    """Whether there is a file in the output folder that is more than a temporary one."""
    return out.is_dir() and any(not path.name.startswith(".tmp-") for path in out.iterdir())


def kill_at_point(words: tuple, out: Path, point: int) -> None:
    """Run a command line that is killed at its n-th point, or sooner; see `_kill`."""

    def run(point: float) -> subprocess.Popen:
        assert point >= 1, "it has no point"
        process = _started(words, out, int(point))
        return process

    _kill(run, out, point)


def kill_at_instant(words: tuple, out: Path, delay_s: float) -> None:
    """Run a command line and kill it `delay_s` after its first file, or sooner; see `_kill`."""
    is_new = not out.exists()

    def run(delay_s: float) -> subprocess.Popen:
        process = started(*words)
        if is_new:
            wait_until(lambda: begun(out), process)
        time.sleep(delay_s)
        process.kill()
        return process

    _kill(run, out, delay_s)


def _kill(run: Callable[[float], subprocess.Popen], out: Path, when: float) -> None:
    """Run a process that is killed.

    One that is done by then is run again from what was there, and killed after half of it.
    """
    before = out.with_name(f"{out.name} before")
    if out.exists():
        shutil.copytree(out, before)
    while True:
        process = run(when)
        _, error = process.communicate()
        if process.returncode == -signal.SIGKILL:
            break
        assert process.returncode == 0, error
        when /= 2
        shutil.rmtree(out)
        if before.exists():
            shutil.copytree(before, out)
    shutil.rmtree(before, ignore_errors=True)
    require_whole_files(out)


def _started(words: tuple, out: Path, point: int) -> subprocess.Popen:
    program = (sys.executable, points.__file__, str(out), str(point))
    return started(*words, program=program)
