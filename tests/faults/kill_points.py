"""Runs a command line that is killed at the n-th point at which it has changed its output folder.

A point stands after each call that makes, appends to, renames or removes a file in the folder,
and before each flush to disk: there, what is written may not be named yet.

    python tests/faults/kill_points.py FOLDER POINT WORD...

POINT 0 kills nothing. A command line that ends prints its points, a call and a name a line.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path


class KillPoints:
    """The points of this process in `folder`; it is killed at number `last` (0: at none)."""

    def __init__(self, folder: str, last: int) -> None:
        self.folder = os.path.realpath(folder)
        self.last = last
        self.names: list[str] = []
        self.lock = threading.Lock()

    def install(self) -> None:
        """Put a point at each of the system calls that change files, for all of this process."""
        open_file = os.open

        def opened(path, flags, mode=0o777, *, dir_fd=None) -> int:
            descriptor = open_file(path, flags, mode, dir_fd=dir_fd)
            if flags & os.O_CREAT:
                self.reached("open", path)
            return descriptor

        os.open = opened
        os.fsync = self._before(os.fsync)
        os.write = self._after(os.write)
        for name in ("unlink", "remove", "mkdir", "rmdir"):
            setattr(os, name, self._after(getattr(os, name)))
        for name in ("replace", "rename", "link", "symlink"):
            setattr(os, name, self._after(getattr(os, name), named=1))

    def _before(self, call: Callable) -> Callable:
        def called(*arguments, **options):
            self.reached(call.__name__, arguments[0])
            return call(*arguments, **options)

        return called

    def _after(self, call: Callable, named: int = 0) -> Callable:
        """`named`: which of the call's arguments is the file that is changed."""

        def called(*arguments, **options):
            result = call(*arguments, **options)
            self.reached(call.__name__, arguments[named])
            return result

        return called

    def reached(self, call: str, file) -> None:
        """Count a call if its file, a path or a descriptor, lies in the folder."""
        path = f"/proc/self/fd/{file}" if isinstance(file, int) else os.fspath(file)
        path = os.path.realpath(path) if isinstance(file, int) else os.path.abspath(path)
        if path != self.folder and not path.startswith(self.folder + os.sep):
            return
        with self.lock:
            self.names.append(f"{call} {os.path.basename(path)}")
            if len(self.names) == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, point: str, words: list[str]) -> int:
    """Run a command line; returns its exit code."""
    points = KillPoints(folder, int(point))
    points.install()
    from fundusseg import cli

    code = cli.main(words)
    print(*points.names, sep="\n")
    return code


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
