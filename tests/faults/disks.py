"""Small file systems: one that fills up for real, and one that is mounted read-only."""

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.trials import Row, Undisturbed

_BLOCK_BYTES = 4096
_ROOM = "64m"


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a file system, which takes root."""
    try:
        with _mounted(folder, _ROOM):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def filled(row: Row, work: Undisturbed, drawn: random.Random) -> None:
    """Run a command on a disk that has room for a part of what it writes, then on one with room."""
    blocks = sum(-(-len(data) // _BLOCK_BYTES) for data in work.bytes.values())
    room = drawn.randrange(1, blocks + 1) * _BLOCK_BYTES
    _try(work, row, errno.ENOSPC, lambda used: f"size={used + room}", f"room for {room} bytes")


def read_only(row: Row, work: Undisturbed, drawn: random.Random) -> None:
    """Run a command on a disk that is mounted read-only, then on one that is not."""
    _try(work, row, errno.EROFS, lambda used: f"size={_ROOM},ro", "read-only")


def _try(
    work: Undisturbed, row: Row, fault: int, options: Callable[[int], str], where: str
) -> None:
    """`options`: of the mount, from the bytes that are used before."""
    out = work.command.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with _mounted(out, _ROOM):
        if work.command.begin is not None:
            shutil.copytree(work.command.begin, out, dirs_exist_ok=True)
        _mount(out, f"remount,{options(shutil.disk_usage(out).used)}")
        done = work.command.run()
        work.judge(row, fault, done, where, lambda: _mount(out, f"remount,rw,size={_ROOM}"))


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[None]:
    _mount(folder, f"size={size}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


def _mount(folder: Path, options: str) -> None:
    words = ("mount", "-t", "tmpfs", "-o", options, "none", os.fspath(folder))
    subprocess.run(words, check=True, capture_output=True)
