"""Commands that go wrong at each of their points in turn, and what the same command makes of it.

Each trial is a child of a process that has imported everything, so it costs what the work costs.
"""

import errno
import os
import random
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fundusseg import cli
from tests.batch import contents, require_whole_files, temporaries
from tests.faults.points import KILL, REMOVED, Points
from tests.faults.stand_ins import in_turn, without_network

PATIENCE_S = 120
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, REMOVED)
STOPS = {signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGUSR1: 75, signal.SIGINT: 130}


@dataclass(frozen=True)
class Ended:
    """code: the exit code, or minus the signal; None if it hung. rss_mib: its largest size.

    seconds: by the clock. busy_s: of the processor.
    """

    code: int | None
    error: str
    names: list[str]
    rss_mib: float
    seconds: float
    busy_s: float

    @property
    def is_one_line(self) -> bool:
        """Whether it said one line, an error."""
        return self.error.count("\n") == 1 and self.error.startswith("fundusseg: error: ")


def forked(work: Callable[[], int], log: Path) -> int:
    """Start `work`, which returns an exit code, in a child whose stderr goes to a file; its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)  # as of a process that has just begun
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)
        code = work()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(pid: int, log: Path, limit_s: float, number: int = 0) -> Ended:
    """What came of a child, to which a signal is sent after `limit_s`; 0: it hangs by then."""
    begin, is_over = time.monotonic(), _ends_within(pid, limit_s)
    if not is_over and number:
        os.kill(pid, number)
        is_over = _ends_within(pid, PATIENCE_S)
    if not is_over:
        os.kill(pid, KILL)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    is_hung = not is_over or code == -signal.SIGALRM
    text = log.read_text(errors="backslashreplace")
    seconds = time.monotonic() - begin
    busy_s = usage.ru_utime + usage.ru_stime
    return Ended(None if is_hung else code, text, [], usage.ru_maxrss / 1024, seconds, busy_s)


def _ends_within(pid: int, limit_s: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], limit_s)[0])
    finally:
        os.close(descriptor)


def child(work: Callable[[], int], folder: Path, patience_s: float = PATIENCE_S) -> Ended:
    """Run `work` in a child to its end; its stderr passes through `folder`."""
    log = folder / "stderr"
    return ended(forked(work, log), log, patience_s)


@dataclass(frozen=True)
class Command:
    """A command line, tried in a folder of its own.

    Args:
        words: as they are given; `root` / "out" is where its outputs go.
        begin: what stands in root / "out" before; None: nothing.
        user: whose rights it has; None: those of this process.
    """

    words: tuple
    root: Path
    begin: Path | None = None
    user: int | None = None

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def out(self) -> Path:
        return self.root / "out"

    def reset(self, state: Path | None = None) -> None:
        """Bring the folder to where the command begins, or to a state that it left."""
        shutil.rmtree(self.out, ignore_errors=True)
        state = state or self.begin
        if state is None:
            self.out.mkdir(parents=True)
        else:
            shutil.copytree(state, self.out)
        self.give_away()

    def give_away(self) -> None:
        """Make the folder, and all that is in it, the user's."""
        if self.user is not None:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, self.user, self.user)

    def start(self, *more, points: Points | None = None, log: Path | None = None) -> int:
        """Begin it in a child, with more words; its pid. Its stderr goes to `log`."""
        listing = self.root / "points"

        def work() -> int:
            in_turn()
            without_network()
            if self.user is not None:
                os.setgroups([])
                os.setgid(self.user)
                os.setuid(self.user)
            if points is not None:
                points.install()
            code = cli.main([str(word) for word in (*self.words, *more)])
            if points is not None:
                listing.write_text("\n".join(points.names))
            return code

        listing.unlink(missing_ok=True)
        return forked(work, log or self.root / "stderr")

    def run(self, *more, last: int = 0, fault: int = KILL) -> Ended:
        """Run it in a child that goes wrong at a point."""
        pid = self.start(*more, points=Points(self.out, last, fault))
        of_child = ended(pid, self.root / "stderr", PATIENCE_S)
        listing = self.root / "points"
        names = listing.read_text().splitlines() if listing.exists() else []
        return replace(of_child, names=names)


@dataclass
class Row:
    """A row of the table: how many were tried of how many, and what went amiss by kind."""

    name: str
    tried: int = 0
    of: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def amiss(self, kind: str, text: str) -> None:
        """Note a fault of kind lost, wrong or hung."""
        self.faults.setdefault(kind, []).append(text)

    def add(self, other: "Row") -> None:
        """Add what another process has tried."""
        self.tried += other.tried
        for kind, texts in other.faults.items():
            self.faults.setdefault(kind, []).extend(texts)


class Undisturbed:
    """A command that ran to its end: its bytes, its points and how long it took."""

    def __init__(self, command: Command):
        self.command = command
        command.reset()
        done = command.run()
        assert done.code == 0, (command.name, done.code, done.error)
        self.bytes, self.points, self.seconds = contents(command.out), done.names, done.seconds
        assert self.bytes, command.name

    def tried(self, row: Row, fault: int, point: int, drawn: random.Random) -> None:
        """Let it go wrong at a point, numbered from 1, and run it again to its end."""
        self.command.reset()
        done = self.command.run(last=point, fault=fault)
        self.judge(row, fault, done, f"at {point} ({self.points[point - 1]})")

    def stopped(self, row: Row, point: int, drawn: random.Random) -> None:
        """Let a signal come at a point that asks it to stop."""
        self.tried(row, drawn.choice(list(STOPS)), point, drawn)

    def signalled(self, row: Row, number: int, drawn: random.Random) -> None:
        """Send it a signal at a random instant, and run it again to its end."""
        self.command.reset()
        after_s = drawn.uniform(0, self.seconds)
        done = ended(self.command.start(), self.command.root / "stderr", after_s, number)
        self.judge(row, number, done, f"after {after_s:.3f} s")

    def judge(
        self,
        row: Row,
        fault: int,
        done: Ended,
        where: str,
        mend: Callable[[], object] | None = None,
    ) -> None:
        """Note what is not as promised, mend what went wrong, and run it again to its end."""
        where = f"{where}, {fault_name(fault)}"
        row.tried += 1
        if done.code is None:
            row.amiss("hung", where)
            return
        if not self._is_as_promised(fault, done):
            row.amiss("wrong", f"{where}: exit {done.code}, {done.error[-300:]!r}")
        try:
            require_whole_files(self.command.out)
        except Exception as error:
            row.amiss("lost", f"{where}: half a file: {error!r}")
        (mend or self._put_back)()
        self.require_same_in_the_end(row, where)

    def _put_back(self) -> None:
        """Make the folder that was removed, as the shell would."""
        self.command.out.mkdir(exist_ok=True)
        shutil.rmtree(self._moved, ignore_errors=True)

    @property
    def _moved(self) -> Path:
        return self.command.out.with_name(f"{self.command.out.name}-removed")

    def require_same_in_the_end(self, row: Row, where: str, *more) -> None:
        """Run it again, with more words: it must end with the undisturbed bytes."""
        again = self.command.run(*more)
        if again.code != 0:
            kind = "hung" if again.code is None else "wrong"
            row.amiss(kind, f"{where}: then exit {again.code}, {again.error[-300:]!r}")
        if names := self.differing():
            row.amiss("lost", f"{where}: then other bytes of {names}")
        elif left := temporaries(self.command.out):
            row.amiss("wrong", f"{where}: then left {left}")

    def differing(self, folder: Path | None = None) -> list[str]:
        """The names of files, of the command's or another folder, that are not the undisturbed."""
        found = contents(folder or self.command.out)
        names = {*found, *self.bytes}
        return sorted(name for name in names if found.get(name) != self.bytes.get(name))

    def _is_as_promised(self, fault: int, done: Ended) -> bool:
        """Killed; or the code and one line; or 0, where it was of no account, with all bytes."""
        if done.code == 0:
            is_taken = fault == REMOVED and self._moved.exists()
            return not self.differing() or (is_taken and not self.differing(self._moved))
        if fault == KILL:
            return done.code == -KILL
        if isinstance(fault, signal.Signals):
            is_early = done.code == -fault  # the program had not begun to listen
            return is_early or (done.code == STOPS[fault] and done.is_one_line)
        return done.code == 1 and done.is_one_line


def fault_name(fault: int) -> str:
    """ENOSPC, SIGTERM, removed."""
    if isinstance(fault, signal.Signals):
        return fault.name
    return errno.errorcode.get(fault, "removed")
