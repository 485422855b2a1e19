"""Everything that can go wrong, tried: python -m tests.faults [--seconds S] [--seed N]

Without --seconds every point of every command is tried with every fault (the long form). With it
a random sample is, for about so long; the seed is the day's unless it is given. Prints a table of
what was tried and lost, wrong or hung, each of these with its place. Exit 1 if there is any.
"""

import argparse
import datetime
import importlib
import pkgutil
import random
import sys
import tempfile
import time
from pathlib import Path

import fundusseg
from fundusseg import presets
from tests.batch import run, write_photographs, write_tiny_model
from tests.faults.bad_inputs import bad_inputs, write_corpus
from tests.faults.bad_roles import bad_roles
from tests.faults.points import KILL
from tests.faults.trials import DISK_FAULTS, Command, Row, Undisturbed, child
from tests.nets.tiny import tiny_preset

INSTANTS = 20  # a command
FEW = 30  # bad inputs of a sample, in the places that take longer
KINDS = ("lost", "wrong", "hung")


def prepare() -> None:
    """Import what the commands import when they run, but tensorflow; have small frames."""
    presets.PRESETS["native"] = tiny_preset()
    for module in pkgutil.walk_packages(fundusseg.__path__, "fundusseg."):
        if not module.name.startswith(("fundusseg.nets", "fundusseg.distributed")):
            importlib.import_module(module.name)


def commands(root: Path) -> list[Command]:
    """The command lines that are tried, with their inputs made below `root`."""
    photographs = write_photographs(root / "photographs", "a.png", "b/c.jpg", "b/d.png")
    phantoms, shards, model = root / "phantoms", root / "shards", root / "model"
    quiet = ("--jobs", 1, "--quiet")

    def prepared() -> int:
        write_tiny_model(model)
        code = run("phantom", phantoms, "--count", 5, "--size", 64, *quiet)
        return code or run("prep", phantoms, shards, *quiet)

    ended = child(prepared, root)
    assert ended.code == 0, ended.error

    def command(name: str, *words, out: str, begin: Path | None = None) -> Command:
        folder = root / "tried" / name
        folder.mkdir(parents=True)
        words = tuple(folder / "out" / out if word is None else word for word in words)
        return Command(name.split()[0], words, folder, begin)

    def made(tried: Command, *words) -> Path:
        """What a command leaves, as another one's beginning."""
        tried.reset()
        for word in words or [()]:
            one = Command(tried.name, (*tried.words, *word), tried.root)
            ended = one.run()
            assert ended.code == 0, ended.error
        return Path(tried.out)

    infer = ("infer", photographs, None, "--model", model, "--probability", *quiet)
    parts = [("--shard", number, "--num-shards", 2) for number in range(2)]
    maps = made(command("maps", *infer, out="maps")) / "maps"
    of_parts = made(command("parts", *infer, out="maps"), *parts)
    of_test = ("infer", shards, None, "--model", model, *quiet)
    to_score = made(command("to score", *of_test, out="maps")) / "maps"
    prep = ("prep", phantoms, None, "--num-shards", 2, *quiet)
    tables = ("--segments", root / "tried" / "measure" / "out" / "segments.csv")
    return [
        command("prep h5", *prep, out="shards"),
        command("prep npz", *prep, "--format", "npz", out="shards"),
        command("infer", *infer, out="maps"),
        command("measure", "measure", maps, None, *tables, *quiet, out="measures.csv"),
        command("merge", "merge", None, "--quiet", out="maps", begin=of_parts),
        command("score", "score", to_score, shards, "--out", None, *quiet, out="report"),
    ]


def main() -> int:
    """Try, and print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=datetime.date.today().toordinal())
    given = parser.parse_args()
    drawn = random.Random(given.seed)
    prepare()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        rows = tried(Path(folder), given.seconds, drawn)
    print(f"seed {given.seed}, {'a sample' if given.seconds else 'every point'}\n")
    print(table(rows))
    for row in rows:
        for kind, texts in row.faults.items():
            for text in texts:
                print(f"{kind}: {row.name}: {text}")
    return 1 if any(row.faults for row in rows) else 0


def tried(root: Path, seconds: float | None, drawn: random.Random) -> list[Row]:
    """The rows of all trials, or of as many as can be done in `seconds`, of each kind alike."""
    begin = time.monotonic()
    works = [Undisturbed(command) for command in commands(root)]
    corpus = write_corpus(root / "corpus", drawn)
    inputs = bad_inputs(root, corpus)
    inputs += bad_roles(root, corpus, drawn, None if seconds is None else FEW)
    rows: dict[str, Row] = {}
    trials = []
    for work in works:
        for what, faults in (("killed", (KILL,)), ("disk", DISK_FAULTS)):
            row = rows.setdefault(
                f"{work.command.name}, {what}", Row(f"{work.command.name}, {what}")
            )
            row.points += len(work.points)
            places = [(fault, n + 1) for fault in faults for n in range(len(work.points))]
            trials += [(row, work.tried, place) for place in places]
            if what == "killed":
                trials += [(row, work.killed_at_an_instant, (drawn,))] * INSTANTS
    drawn.shuffle(trials)
    for row, trial, place in trials:
        if seconds is not None and time.monotonic() - begin > seconds:
            break
        trial(row, *place)
    return [*rows.values(), *inputs]


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| what | points | tried | lost | wrong | hung |", "|---|---|---|---|---|---|"]
    for row in rows:
        amiss = (len(row.faults.get(kind, [])) for kind in KINDS)
        cells = (row.name, row.points or "", row.tried, *amiss)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
