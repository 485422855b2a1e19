"""Files that the program wrote, damaged in turn: found and named, or made right, or never read.

A file has a byte flipped, is cut off, or is replaced by that of another run. What the same command
makes of its own damaged files, what the next one makes of what it reads, and what check says.
"""

import random
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.batch import is_hidden
from tests.faults.command_lines import Commands
from tests.faults.hostile import is_hostile_to, make_hostile
from tests.faults.trials import Command, Ended, Row, Undisturbed

HOSTILE = "hostile"
DAMAGES = 20  # flipped bytes, and as many lengths that a file is cut off at
LONGEST_S, LARGEST_MIB = 30, 2048
_OWN = {"prep h5", "prep npz", "infer", "infer h5", "measure", "score", "train"}
_DONE = 0.8  # of the points
_VERIFIES = ("prep", "infer")


@dataclass(frozen=True)
class Damage:
    """What is done to a file; `other` is that of another run, if there is one."""

    file: str
    how: str
    other: Path | None = None

    @property
    def is_hidden(self) -> bool:
        return is_hidden(Path(self.file))

    def apply(self, path: Path, drawn: random.Random) -> str:
        """Damage the file; what was done. Not every file can be damaged so."""
        if self.how == HOSTILE:
            return make_hostile(path, drawn)
        data = path.read_bytes()
        if self.how == "replaced":
            assert self.other is not None
            path.write_bytes(self.other.read_bytes())
            return "replaced"
        place = drawn.randrange(len(data)) if data else 0
        if self.how == "cut":
            path.write_bytes(data[:place])
            return f"cut at {place} of {len(data)}"
        bits = drawn.randrange(1, 256)
        changed = bytes([data[place] ^ bits]) if data else b"?"
        path.write_bytes(data[:place] + changed + data[place + 1 :])
        return f"byte {place} of {len(data)} ^ {bits}"


def damages(state: Path, other: Path | None, below: str = ".") -> Iterator[Damage]:
    """All damages of all files in a state of an output folder."""
    for path in sorted((state / below).rglob("*")):
        file = str(path.relative_to(state))
        if not path.is_file() or path.name.startswith(".tmp-"):
            continue
        hows = ("flipped", "cut", HOSTILE) if is_hostile_to(path) else ("flipped", "cut")
        yield from (Damage(file, how) for how in hows for _ in range(DAMAGES))
        if other is not None and (other / file).is_file():
            yield Damage(file, "replaced", other / file)


class Corruption:
    """A command whose own files, or those that it reads, are damaged.

    Args:
        work: the command, undisturbed.
        state: what stands in its folder before.
        may_differ: None if the files are its own. Else it reads them, and these are names of its
            outputs that hold hashes of them, or follow from such.
    """

    def __init__(self, work: Undisturbed, state: Path, may_differ: Collection[str] | None = None):
        self.undisturbed, self.state, self.may_differ = work, state, may_differ
        self.command = work.command

    def tried(self, row: Row, damage: Damage, drawn: random.Random) -> None:
        """Damage a file, run the command, and judge what came of it."""
        self.command.reset(self.state)
        where = f"{damage.file}: {damage.apply(self.command.out / damage.file, drawn)}"
        row.tried += 1
        done = self.command.run()
        if done.code is None or done.busy_s > LONGEST_S:
            row.amiss("hung", where)
        elif done.rss_mib > LARGEST_MIB:
            row.amiss("wrong", f"{where}: took {done.rss_mib:.0f} MiB")
        elif fault := self._fault(damage, done):
            row.amiss("wrong", f"{where}: {fault}; exit {done.code}, {done.error[-400:]!r}")

    def _fault(self, damage: Damage, done: Ended) -> str:
        """What is wrong with the outcome; "" if nothing is."""
        if damage.how == HOSTILE:  # a seal that was made anew hides what was there
            is_refused = done.code == 1 and done.is_one_line
            return "" if done.code in (0, 3) or is_refused else "not as promised"
        if done.code == 1:
            is_found = done.is_one_line and self._is_named(damage, done.error)
            return "" if is_found else "not named in one line"
        if done.code == 3 and self.may_differ is not None:
            return ""  # it costs a photograph or a map, which a row tells
        if done.code != 0:
            return "not as promised"
        differing = self.undisturbed.differing()
        if self.may_differ is not None:
            ignored = {damage.file, *self.may_differ}
            differing = [name for name in differing if not ignored & {name, Path(name).name}]
        elif differing and self.command.words[0] in _VERIFIES:
            return self._fault_of_unseen(damage)
        return f"other bytes of {differing}" if differing else ""

    def _fault_of_unseen(self, damage: Damage) -> str:
        """Other bytes, and exit 0: then check finds them, and the command with --verify mends."""
        folder = self.command.out / Path(damage.file).parts[0]
        found = replace(self.command, words=("check", folder, "--quiet")).run()
        if found.code != 1:
            return f"check ends with {found.code} on {self.undisturbed.differing()}"
        again = self.command.run("--verify")
        if again.code != 0 or self.undisturbed.differing():
            return f"with --verify exit {again.code}, {again.error[-300:]!r}"
        return ""

    def _is_named(self, damage: Damage, error: str) -> bool:
        """By its own name or what it is or, where several files tell the same, by its folder's.

        Of a damaged ledger it is enough to name a file that none is known to have written.
        """
        path = self.command.out / damage.file
        if damage.is_hidden and "did not write it" in error:
            return True
        if path.name.startswith("manifest") and "the manifest" in error:
            return True
        return path.name in error or any(f"{folder}:" in error for folder in path.parents)


class Checked:
    """A finished folder one of whose files is damaged: check must say so."""

    def __init__(self, command: Command):
        self.command = command

    def tried(self, row: Row, damage: Damage, drawn: random.Random) -> None:
        """Damage a file, and check the folder."""
        self.command.reset()
        path = self.command.out / damage.file
        before = path.read_bytes()
        where = f"{damage.file}: {damage.apply(path, drawn)}"
        row.tried += 1
        done = self.command.run()
        if done.code is None:
            row.amiss("hung", where)
        elif damage.how == HOSTILE and done.code == 0:
            pass
        elif done.code != (0 if path.read_bytes() == before else 1):
            row.amiss("wrong", f"{where}: exit {done.code}, {done.error[-300:]!r}")


def half_done(work: Undisturbed) -> Path:
    """A copy of what a command leaves that is killed when most of its work is done."""
    work.command.reset()
    work.command.run(last=int(_DONE * len(work.points)))
    return Path(shutil.copytree(work.command.out, work.command.root / "half done"))


def corruptions(
    commands: Commands, others: Commands, works: Mapping[str, Undisturbed]
) -> Iterator[tuple[str, Callable, tuple]]:
    """All trials: the name of a row of the table, what is tried, and with which damage.

    Args:
        works: those of `commands` that write.
    """
    for name in sorted(_OWN & works.keys()):
        work, finished, other = works[name], commands.left[name], others.left[name]
        for state in (finished, half_done(work)):
            trial, named = Corruption(work, state), f"{name.split()[0]}, damaged outputs"
            yield from ((named, trial.tried, (damage,)) for damage in damages(state, other))
        folder, (path, *_) = commands.root / "check" / name, finished.iterdir()
        check = Command(("check", folder / "out" / path.name, "--quiet"), folder, finished)
        trial, named = Checked(check), "check, damaged outputs"
        found = (damage for damage in damages(finished, other, path.name) if not damage.is_hidden)
        yield from ((named, trial.tried, (damage,)) for damage in found)
    for name, reading in commands.reading.items():
        trial = Corruption(Undisturbed(reading.command), reading.begin, reading.may_differ)
        all_damages = damages(reading.begin, others.reading[name].begin)
        named = f"{name.split()[0]}, damaged inputs"
        yield from ((named, trial.tried, (damage,)) for damage in all_damages)
