"""Commands that go wrong at each of their points in turn, and what the same command makes of it.

Each trial is a child of a process that has imported everything, so it costs what the work costs.
Threads become calls in turn, so that the points come in one order. A quick stand-in draws the
maps: what is tried is the books, and not the network.
"""

import errno
import os
import random
import shutil
import signal
import sys
import time
import types
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from fundusseg import cli, parallel, segmenter
from tests.batch import contents, require_whole_files, temporaries
from tests.faults.points import KILL, Points

PATIENCE_S = 60
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
Trial = tuple["Command", int, int]  # command, fault, number of the point


@dataclass(frozen=True)
class Ended:
    """code: the exit code, or minus the signal; None if it hung. rss_mib: its largest size."""

    code: int | None
    error: str
    names: list[str]
    rss_mib: float
    seconds: float


def child(
    work: Callable[[], int],
    folder: Path,
    kill_after_s: float | None = None,
    patience_s: float = PATIENCE_S,
) -> Ended:
    """Run `work`, which returns an exit code, in a child; its stderr passes through `folder`."""
    begin, log = time.monotonic(), folder / "stderr"
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(descriptor, 2)
            sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)
            code = work()
            sys.stderr.flush()
        finally:
            os._exit(code)
    limit, is_ours = patience_s if kill_after_s is None else kill_after_s, False
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if not is_ours and time.monotonic() - begin > limit:
            os.kill(pid, signal.SIGKILL)
            is_ours = True
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(status)
    hung = (is_ours and kill_after_s is None) or code == -signal.SIGALRM
    text = log.read_text(errors="backslashreplace")
    seconds = time.monotonic() - begin
    return Ended(None if hung else code, text, [], usage.ru_maxrss / 1024, seconds)


class _InTurn:
    """An executor that has done what it is given, before it says that it will."""

    def __init__(self, jobs: int) -> None: ...

    def __enter__(self) -> "_InTurn":
        return self

    def __exit__(self, *error) -> None: ...

    def submit(self, function: Callable, *arguments) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future


def without_network() -> None:
    """Have this process draw maps by the green channel, and never load tensorflow."""
    nets, runtime = types.ModuleType("fundusseg.nets"), types.ModuleType("fundusseg.nets.runtime")
    runtime.OUT_OF_MEMORY = (MemoryError,)
    nets.runtime = runtime
    sys.modules |= {"fundusseg.nets": nets, "fundusseg.nets.runtime": runtime}
    segmenter.Segmenter.batch = 1
    segmenter.Segmenter.scores = lambda self, images, fovs: (
        fovs * (1 - images[..., 1].astype("float32") / 255)
    )


@dataclass(frozen=True)
class Command:
    """A command line, tried in a folder of its own.

    Args:
        words: as they are given; `root` / "out" is where its outputs go.
        begin: what stands in root / "out" before; None: nothing.
        has_network: whether it trains.
    """

    name: str
    words: tuple
    root: Path
    begin: Path | None = None
    has_network: bool = False

    @property
    def out(self) -> Path:
        return self.root / "out"

    def reset(self) -> None:
        """Bring the folder to where the command begins."""
        shutil.rmtree(self.out, ignore_errors=True)
        if self.begin is None:
            self.out.mkdir()
        else:
            shutil.copytree(self.begin, self.out)

    def run(self, last: int = 0, fault: int = KILL, kill_after_s: float | None = None) -> Ended:
        """Run it in a child that goes wrong at a point, or is killed after a time."""
        points, listing = Points(self.out, last, fault), self.root / "points"

        def work() -> int:
            parallel.ThreadPoolExecutor = _InTurn
            if not self.has_network:
                without_network()
            points.install()
            code = cli.main([str(word) for word in self.words])
            listing.write_text("\n".join(points.names))
            return code

        listing.unlink(missing_ok=True)
        ended = child(work, self.root, kill_after_s)
        names = listing.read_text().splitlines() if listing.exists() else []
        return Ended(ended.code, ended.error, names, ended.rss_mib, ended.seconds)


@dataclass
class Row:
    """A row of the table: how many were tried, and what went amiss by kind."""

    name: str
    tried: int = 0
    points: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def amiss(self, kind: str, text: str) -> None:
        """Note a fault of kind lost, wrong or hung."""
        self.faults.setdefault(kind, []).append(text)


class Undisturbed:
    """A command that ran to its end: its bytes, its points and how long it took."""

    def __init__(self, command: Command):
        self.command = command
        command.reset()
        ended = command.run()
        assert ended.code == 0, (command.name, ended.code, ended.error)
        self.bytes, self.points = contents(command.out), ended.names
        self.seconds = ended.seconds
        assert self.bytes and self.points, command.name

    def tried(self, row: Row, fault: int, point: int) -> None:
        """Let it go wrong at a point, numbered from 1, and run it again to its end."""
        self.command.reset()
        ended = self.command.run(point, fault)
        where = f"{self.command.name} at {point} ({self.points[point - 1]})"
        self._judged(row, fault, ended, f"{where}: {errno.errorcode.get(fault, 'killed')}")

    def killed_at_an_instant(self, row: Row, drawn: random.Random) -> None:
        """Kill it at a random instant of the time that it takes, and run it again to its end."""
        self.command.reset()
        after = drawn.uniform(0, self.seconds)
        ended = self.command.run(kill_after_s=after)
        self._judged(row, KILL, ended, f"{self.command.name} after {after:.3f} s")

    def _judged(self, row: Row, fault: int, ended: Ended, where: str) -> None:
        row.tried += 1
        if ended.code is None:
            row.amiss("hung", where)
            return
        if fault != KILL and not self._is_as_promised(ended):
            row.amiss("wrong", f"{where}: exit {ended.code}, {ended.error[-300:]!r}")
        try:
            require_whole_files(self.command.out)
        except Exception as error:
            row.amiss("lost", f"{where}: half a file: {error!r}")
        again = self.command.run()
        if again.code != 0:
            kind = "hung" if again.code is None else "wrong"
            row.amiss(kind, f"{where}: then exit {again.code}, {again.error[-300:]!r}")
        found = contents(self.command.out)
        if found != self.bytes:
            others = {*found, *self.bytes}
            names = sorted(name for name in others if found.get(name) != self.bytes.get(name))
            row.amiss("lost", f"{where}: then other bytes of {names}")
        elif left := temporaries(self.command.out):
            row.amiss("wrong", f"{where}: then left {left}")

    def _is_as_promised(self, ended: Ended) -> bool:
        """Exit 1 and one line; or 0 where the call was of no account, with all bytes right."""
        if ended.code == 0:
            return contents(self.command.out) == self.bytes
        lines = ended.error.splitlines()
        return ended.code == 1 and len(lines) == 1 and lines[0].startswith("fundusseg: error: ")
