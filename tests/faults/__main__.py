"""Everything that can go wrong, tried: python -m tests.faults [--seconds S] [--seed N] [--jobs J]

Without --seconds every point of every command is tried with every fault, and all else (the long
form). With it a random sample is, for about so long; the seed is the day's unless it is given.
Prints a table of what was tried and lost, wrong or hung, each of these with its place. Exit 1 if
there is any.
"""

import argparse
import datetime
import gc
import os
import pickle
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from fundusseg.processor import free_cores
from tests.faults import disks, races
from tests.faults.bad_inputs import bad_inputs, write_corpus
from tests.faults.bad_roles import bad_roles
from tests.faults.command_lines import Commands, Inputs, prepare
from tests.faults.corruptions import corruptions
from tests.faults.points import KILL, REMOVED
from tests.faults.rights import denials
from tests.faults.trials import DISK_FAULTS, STOPS, Row, Undisturbed

INSTANTS = 100  # of SIGKILL, a command
FILLINGS = 10  # sizes of a small disk, a command
ROUNDS = 5  # of each race
FEW = 30  # bad inputs of a sample, in the places that take longer
KINDS = ("lost", "wrong", "hung")
Trial = tuple[str, Callable[..., None], tuple]  # the row's name, what is tried, and with what

_STAYS = "merge"  # whose folder is not moved away, as it holds what it reads


def main() -> int:
    """Try, and print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=datetime.date.today().toordinal())
    parser.add_argument("--jobs", type=int, default=free_cores())
    given = parser.parse_args()
    until = float("inf") if given.seconds is None else time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory_folder()) as folder:
        os.chmod(folder, 0o755)  # for the user that has no rights
        rows = all_rows(Path(folder), given.seed, until, given.jobs)
    print(f"seed {given.seed}, {'a sample' if given.seconds else 'all of it'}\n")
    print(table(rows))
    for row in rows:
        for kind, texts in row.faults.items():
            for text in texts:
                print(f"{kind}: {row.name}: {text}")
    return 1 if any(row.faults for row in rows) else 0


def memory_folder() -> str | None:
    """Where files cost no disk; None where there is no such place."""
    folder = "/dev/shm"
    return folder if os.access(folder, os.W_OK) else None


def all_rows(root: Path, seed: int, until: float, jobs: int) -> list[Row]:
    """The rows of all trials, or of as many as are done until then, of each kind alike."""
    inputs = prepare(root)
    gc.freeze()  # what is shared with the children stays so
    workers = []
    for number in range(jobs):
        if not (pid := os.fork()):
            _work(root / f"worker-{number}", inputs, seed, until, (number, jobs))
        workers.append(pid)
    drawn = random.Random(seed)
    corpus = write_corpus(root / "corpus", drawn)
    rows = bad_inputs(root, corpus)
    rows += bad_roles(root, corpus, drawn, None if until == float("inf") else FEW)
    joined: dict[str, Row] = {}
    for number, pid in enumerate(workers):
        os.waitpid(pid, 0)
        for row in pickle.loads((root / f"worker-{number}.rows").read_bytes()):
            joined.setdefault(row.name, Row(row.name, of=row.of)).add(row)
    return [*joined.values(), *rows]


def _work(
    root: Path, inputs: tuple[Inputs, Inputs], seed: int, until: float, share: tuple[int, int]
) -> None:
    """Try a share of the trials in a process of its own, which ends here."""
    try:
        drawn = random.Random(seed)
        own, others = (Commands(root / str(number), one) for number, one in enumerate(inputs))
        listed = list(trials(own, others))
        rows = {name: Row(name) for name, *_ in listed}
        for name, *_ in listed:
            rows[name].of += 1
        drawn.shuffle(listed)
        drawn.seed(f"{seed} {share[0]}")
        for name, trial, given in listed[share[0] :: share[1]]:
            if time.monotonic() > until:
                break
            trial(rows[name], *given, drawn)
        root.with_suffix(".rows").write_bytes(pickle.dumps(list(rows.values())))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os.kill(os.getpid(), signal.SIGKILL)  # and not what the parent has to do at its end


def trials(commands: Commands, others: Commands) -> Iterator[Trial]:
    """All that is to be tried."""
    works = {name: Undisturbed(command) for name, command in commands.writing.items()}
    for name, work in works.items():
        row, points = name.split()[0], range(1, 1 + len(work.points))
        disk = [fault for fault in DISK_FAULTS if fault != REMOVED or row != _STAYS]
        for what, faults in (("killed", [KILL]), ("disk", disk)):
            yield from ((f"{row}, {what}", work.tried, (f, n)) for f in faults for n in points)
        yield from ((f"{row}, stopped", work.stopped, (n,)) for n in points)
        yield from [(f"{row}, killed", work.signalled, (KILL,))] * INSTANTS
        for number in STOPS:
            yield from [(f"{row}, stopped", work.signalled, (number,))] * ROUNDS
        for race in races.RACES.get(name, ()):
            yield from [(f"{row}, at once", race, (work,))] * ROUNDS
        if disks.can_mount(work.command.root):
            yield from [(f"{row}, on a small disk", disks.filled, (work,))] * FILLINGS
            yield f"{row}, on a small disk", disks.read_only, (work,)
    yield from corruptions(commands, others, works)
    yield from denials(commands)


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| what | of | tried | lost | wrong | hung |", "|---|---|---|---|---|---|"]
    for row in rows:
        amiss = (len(row.faults.get(kind, [])) for kind in KINDS)
        cells = (row.name, row.of or "", row.tried, *amiss)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
