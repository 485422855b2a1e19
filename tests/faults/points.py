"""The points of a process at which it changes files, and what may go wrong at one of them.

A point stands before each system call that makes, writes, flushes, renames or removes a file
below a folder. All of them are reached through `os` and `open`: HDF5, NPZ and pictures are built
in memory. A write that goes wrong has written half of its bytes.

    python tests/faults/points.py FOLDER POINT WORD...

runs a command line that is killed at point number POINT, or at none if it is 0. One that ends
prints its points, a call and a name a line.
"""

import builtins
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

KILL = signal.SIGKILL
REMOVED = -1  # in place of an errno: somebody moves the folder away
_TAKE_SPACE = ("open", "write", "pwrite", "mkdir", "fsync", "link", "symlink")
_STAY = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Points:
    """The points of this process below `folder`.

    Args:
        last: the number, from 1, of the point at which it goes wrong; 0: at none.
        fault: a signal that comes, REMOVED, or the errno of a call that fails. A full disk stays
            full, but removes and renames; a read-only one stays so; EIO comes once.

    Attributes:
        names: a call and a file's name for each point that was reached.
    """

    def __init__(self, folder: Path, last: int = 0, fault: int = KILL) -> None:
        self.folder, self.last, self.fault = os.path.realpath(folder), last, fault
        self.names: list[str] = []
        self._lock = threading.Lock()
        self._rename = os.rename

    def install(self) -> None:
        """Put the points into this process, for good."""
        open_file, open_descriptor, write = io.open, os.open, os.write

        def opened(path, flags, mode=0o777, *, dir_fd=None) -> int:
            if flags & os.O_CREAT:
                self._reached("open", path)
            return open_descriptor(path, flags, mode, dir_fd=dir_fd)

        def written(descriptor: int, data) -> int:
            self._reached("write", descriptor, lambda: write(descriptor, data[: len(data) // 2]))
            return write(descriptor, data)

        class Raw(io.FileIO):
            def write(self, data) -> int:
                return os.write(self.fileno(), data)

        def opened_file(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
            if isinstance(file, int) or not set(mode) & set("wax") or not self._is_below(file):
                return open_file(file, mode, buffering, encoding, errors, newline)
            self._reached("open", file)
            binary = io.BufferedWriter(Raw(file, mode.replace("b", "").replace("t", "")))
            return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

        io.open = builtins.open = opened_file
        os.open, os.write = opened, written
        for name in ("fsync", "ftruncate", "pwrite", "unlink", "remove", "mkdir", "rmdir"):
            setattr(os, name, self._before(getattr(os, name)))
        for name in ("replace", "rename", "link", "symlink"):
            setattr(os, name, self._before(getattr(os, name), named=1))

    def _before(self, call: Callable, named: int = 0) -> Callable:
        """`named`: which of the call's arguments is the file that is changed."""

        def called(*arguments, **options):
            self._reached(call.__name__, arguments[named])
            return call(*arguments, **options)

        return called

    def _is_below(self, file) -> bool:
        return os.path.abspath(os.fsdecode(file)).startswith(self.folder + os.sep)

    def _reached(self, call: str, file, half: Callable[[], object] = lambda: None) -> None:
        """Count a call if its file, a path or a descriptor, lies below; go wrong if it is due."""
        path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else file
        if not self._is_below(path):
            return
        with self._lock:
            self.names.append(f"{call} {os.path.basename(os.fsdecode(path))}")
            number = len(self.names)
        if number == self.last and self.fault == REMOVED:
            self._rename(self.folder, f"{self.folder}-removed")
        elif isinstance(self.fault, signal.Signals):
            if number == self.last:
                if self.fault == KILL:
                    half()
                os.kill(os.getpid(), self.fault)
        elif number == self.last or 0 < self.last < number and self.fault in _STAY:
            if call in _TAKE_SPACE or self.fault in (errno.EROFS, errno.EIO):
                half()
                raise OSError(self.fault, os.strerror(self.fault), os.fsdecode(path))


def main(folder: str, point: str, words: list[str]) -> int:
    """Run a command line; its exit code."""
    points = Points(Path(folder), int(point))
    points.install()
    from fundusseg import cli

    code = cli.main(words)
    print(*points.names, sep="\n")
    return code


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
