"""Commands at once on one output folder, and file systems that cannot lock."""

import errno
import fcntl
import random
import time
from collections.abc import Sequence

from tests.batch import temporaries
from tests.faults.trials import PATIENCE_S, Ended, Row, Undisturbed, ended

PARTS = (("--shard", 0, "--num-shards", 2), ("--shard", 1, "--num-shards", 2))
UNLOCKABLE = (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS)


def twice(row: Row, work: Undisturbed, drawn: random.Random) -> None:
    """The same command twice at once: both end well, with the bytes of one."""
    work.command.reset()
    done = _at_once(work, drawn, [(), ()])
    _judge(work, row, done, "twice at once")


def overlapping(row: Row, work: Undisturbed, drawn: random.Random) -> None:
    """Both parts of two, one of them twice, at once; in the end all is as of one run."""
    work.command.reset()
    done = _at_once(work, drawn, [*PARTS, drawn.choice(PARTS)])
    _judge(work, row, done, "parts at once", is_whole=False)


def forced(row: Row, work: Undisturbed, drawn: random.Random) -> None:
    """--force beside one that goes on with what was half done."""
    work.command.reset()
    work.command.run(last=drawn.randrange(1, len(work.points)))
    done = _at_once(work, drawn, [(), ("--force",)])
    _judge(work, row, done, "--force beside it", is_whole=False)


def unlockable(row: Row, work: Undisturbed, drawn: random.Random) -> None:
    """On a file system without flock."""
    work.command.reset()
    number = drawn.choice(UNLOCKABLE)

    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, errno.errorcode[number])

    flock, fcntl.flock = fcntl.flock, refused
    try:
        done = work.command.run()
    finally:
        fcntl.flock = flock
    if work.command.words[0] == "train":
        row.tried += 1
        if done.code != 1 or not done.is_one_line or "flock" not in done.error:
            row.amiss("wrong", f"without flock: exit {done.code}, {done.error[-300:]!r}")
    else:
        _judge(work, row, [done], f"without flock, {errno.errorcode[number]}")


def _at_once(work: Undisturbed, drawn: random.Random, calls: Sequence[tuple]) -> list[Ended]:
    """Start a call for each of these further words, at instants apart; what came of them."""
    logs = [work.command.root / f"stderr-{number}" for number in range(len(calls))]
    pids = []
    for more, log in zip(calls, logs, strict=True):
        pids.append(work.command.start(*more, log=log))
        time.sleep(drawn.uniform(0, work.seconds / 2))
    return [ended(pid, log, PATIENCE_S) for pid, log in zip(pids, logs, strict=True)]


def _judge(
    work: Undisturbed, row: Row, done: list[Ended], where: str, is_whole: bool = True
) -> None:
    """Note what is not as promised; `is_whole`: they must leave the undisturbed bytes."""
    row.tried += 1
    codes = [one.code for one in done]
    said = [one.error[-300:] for one in done]
    is_locked = work.command.words[0] == "train"
    if None in codes:
        row.amiss("hung", f"{where}: {said}")
    elif is_locked and any(one.code == 1 and "is in use" in one.error for one in done):
        pass
    elif any(codes):
        row.amiss("wrong", f"{where}: exit {codes}, {said}")
    elif is_whole and (names := work.differing()):
        row.amiss("lost", f"{where}: other bytes of {names}")
    elif left := temporaries(work.command.out):
        row.amiss("wrong", f"{where}: left {left}")
    work.require_same_in_the_end(row, where)


RACES = {
    "prep h5": (twice, overlapping, forced, unlockable),
    "prep npz": (twice, overlapping, forced, unlockable),
    "infer": (twice, overlapping, forced, unlockable),
    "measure": (twice, forced, unlockable),
    "score": (twice, forced, unlockable),
    "train": (twice, unlockable),
}
