"""Files and folders that may not be read or written, tried as a user who has no more rights."""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.command_lines import Commands
from tests.faults.trials import Command, Row, Undisturbed

NOBODY = 65534
_NOTHING, _NO_WRITING = 0o000, 0o555


@dataclass(frozen=True)
class Lock:
    """What may not be used, below the command's folder, and what the command says of it.

    code: its exit code. said: a text on its stderr.
    """

    path: str
    mode: int
    code: int
    said: str


_DENIED = "Permission denied"
LOCKS = {
    "infer": (
        Lock("photographs/a.png", _NOTHING, 3, _DENIED),
        Lock("photographs/b", _NOTHING, 3, _DENIED),
        Lock("photographs", _NOTHING, 1, _DENIED),
        Lock("maps", _NO_WRITING, 1, _DENIED),
        Lock("", _NO_WRITING, 1, _DENIED),
    ),
    "infer of a model": (
        Lock("model/generator.weights.h5", _NOTHING, 1, _DENIED),
        Lock("model/config.json", _NOTHING, 1, _DENIED),
        Lock("model/manifest.json", _NOTHING, 1, _DENIED),
    ),
    "infer again": (
        Lock("maps/.fundusseg/ledger.jsonl", _NOTHING, 1, _DENIED),
        Lock("maps/.fundusseg", _NOTHING, 1, _DENIED),
        Lock("maps/manifest.json", _NOTHING, 1, _DENIED),
    ),
    "prep": (
        Lock("phantoms/train/images", _NOTHING, 1, _DENIED),
        Lock("shards", _NO_WRITING, 1, _DENIED),
    ),
    "train": (
        Lock("shards/shard-00000-of-00002.h5", _NOTHING, 1, _DENIED),
        Lock("shards", _NOTHING, 1, _DENIED),
        Lock("model", _NO_WRITING, 1, _DENIED),
    ),
    "measure": (
        Lock("maps/a.png", _NOTHING, 3, _DENIED),
        Lock("maps/status.tsv", _NOTHING, 1, _DENIED),
        Lock("", _NO_WRITING, 1, _DENIED),
    ),
    "score": (
        Lock("maps/status.tsv", _NOTHING, 1, _DENIED),
        Lock("shards", _NOTHING, 1, _DENIED),
        Lock("report", _NO_WRITING, 1, _DENIED),
    ),
    "check": (Lock("maps/a.png", _NOTHING, 1, ""),),
}


class Denied:
    """A command that is run by nobody, with one thing that it may not use.

    Args:
        is_again: whether what it wrote before stands there.
    """

    def __init__(self, command: Command, is_again: bool = False):
        self.command = replace(command, user=NOBODY) if os.geteuid() == 0 else command
        self.undisturbed = Undisturbed(self.command)
        self.state = None
        if is_again:
            self.state = Path(shutil.copytree(self.command.out, self.command.root / "done"))

    def tried(self, row: Row, lock: Lock, drawn: random.Random) -> None:
        """Lock it, run the command, and run it again when it is open."""
        row.tried += 1
        self.command.reset(self.state)
        path = self.command.out / lock.path
        path.mkdir(exist_ok=True) if not path.exists() else None
        self.command.give_away()
        mode = path.stat().st_mode
        path.chmod(lock.mode)
        done = self.command.run()
        path.chmod(mode)
        where = f"{lock.path} {lock.mode:o}"
        if done.code is None:
            row.amiss("hung", where)
        elif done.code == 2 and "is not readable" in done.error:
            pass  # the command line has said so, before the command began
        elif done.code != lock.code or lock.said not in done.error:
            row.amiss("wrong", f"{where}: exit {done.code}, {done.error[-300:]!r}")
        elif done.code == 1 and lock.said and not done.is_one_line:
            row.amiss("wrong", f"{where}: {done.error[-300:]!r}")
        self.undisturbed.require_same_in_the_end(row, where)


def denials(commands: Commands) -> Iterator[tuple[str, object, tuple]]:
    """All trials, as of `corruptions`."""
    for name, command in commands.denied.items():
        trial = Denied(command, is_again=name == "infer again")
        for lock in LOCKS[name]:
            yield "as an unprivileged user", trial.tried, (lock,)
