"""Trials of other recipes: each is trained like the others, but for what its JSON file changes.

    python -m tests.bench.trials run BASE NAME-SEED SHARDS RUNS
    python -m tests.bench.trials table BASE RUNS

A base says what is trained on, from which weights, and what it is tested on. A trial NAME of it
is docs/trials/GROUP/NAME.json, which `train --config` reads. SHARDS holds the shards of each data
set; a trial's files stand in RUNS/BASE/NAME-SEED. Stopped and run again, it goes on. `table`
prints Markdown. Figures are of prepared frames, inside the field of view, at the threshold that
was best on the validation part. The trials of the adversary ran at commit 158e046; their tables
are in docs/trials.
"""

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fundusseg.files import models
from fundusseg.report import markdown

CONTROL = "control"
ABOUT = "Written by `make trials`; what was learnt: docs/recipe.md."
FUNDUSSEG = "bin/fundusseg"
FIGURES = {"dice": "Dice", "cldice": "clDice", "auroc": "AUROC"}
COMPARED = {**FIGURES, "dice at best": "Dice at the best threshold", "ece": "ECE"}
MORE_FIGURES = {
    "ece": "ECE",
    "connected_components": "parts",
    "truth_connected_components": "parts of the truth",
}


@dataclass(frozen=True)
class Base:
    """What trials have in common: a test maps each data set to its part that is tested."""

    group: str
    train: tuple[str, ...]
    tests: dict[str, str]
    start_from: str | None = None


THREE_SETS = ("CHASE_DB1", "HRF", "ARIA")
TWO_LEFT_OUT = {"ORVS": "all", "DR-HAGIS": "all"}
SIX_SETS = ("CHASE_DB1", "HRF", "ARIA", "DR-HAGIS", "ORVS", "LES-AV")
BASES = {"scratch": Base("recipe", THREE_SETS, TWO_LEFT_OUT)} | {
    f"second-stage-without-{left_out}": Base(
        "second-stage",
        tuple(name for name in SIX_SETS if name != left_out),
        {left_out: "all"},
        f"without-{left_out}",
    )
    for left_out in ("DR-HAGIS", "ORVS")
}


def run(base_name: str, trial: str, shards: Path, runs: Path) -> None:
    """Train one trial, draw its maps and score them.

    Raises:
        subprocess.CalledProcessError: if one of its commands fails.
    """
    base, out = BASES[base_name], runs / base_name / trial
    name, _, seed = trial.rpartition("-")
    out.mkdir(parents=True, exist_ok=True)
    model = out / "model"
    config = Path("docs/trials") / base.group / f"{name}.json"
    start = ["--start-from", base.start_from] if base.start_from else []
    _call(
        *("bin/cpu-seconds", out / "cpu-seconds.txt", FUNDUSSEG, "train"),
        *(shards / data_set for data_set in base.train),
        *(model, "--config", config, "--seed", seed, "--jobs", "1", *start),
    )
    for data_set, part in base.tests.items():
        score = out / f"{data_set}.json"
        if score.exists():
            continue
        maps = out / "maps" / data_set
        asked = ("--split", part, "--jobs", "1", "--quiet")
        _call(
            *(FUNDUSSEG, "infer", shards / data_set, maps),
            *("--model", model, "--probability", *asked),
        )
        words = ("score", maps, shards / data_set, "--at", "prepared", "--json", *asked)
        score.write_text(_call(FUNDUSSEG, *words))


def _call(*words) -> str:
    return subprocess.run(
        [str(word) for word in words], check=True, text=True, stdout=subprocess.PIPE
    ).stdout


@dataclass(frozen=True)
class Trial:
    """What one trial came to.

    figures: by data set, then by name.
    """

    name: str
    seed: int
    steps: int
    cpu_minutes: float
    validation_dice: float
    figures: dict[str, dict[str, float]]


def finished_trials(base: Base, folder: Path) -> list[Trial]:
    """All trials of a base that have all of their figures, the control first."""
    trials = []
    for out in folder.glob("*-*"):
        scores = {data_set: out / f"{data_set}.json" for data_set in base.tests}
        if all(path.exists() for path in scores.values()):
            trials.append(_trial(out, scores))
    return sorted(trials, key=lambda trial: (trial.name != CONTROL, trial.name, trial.seed))


def _trial(out: Path, scores: dict[str, Path]) -> Trial:
    name, _, seed = out.name.rpartition("-")
    with open(out / "model" / models.HISTORY, newline="") as lines:
        rows = list(csv.DictReader(lines))
    figures = {}
    for data_set, path in scores.items():
        values = json.loads(path.read_text())["rows"]
        figures[data_set] = {
            row["figure"] if row["role"] == "maps" else f"{row['figure']} at best": row["mean"]
            for row in values
        }
    return Trial(
        name=name,
        seed=int(seed),
        steps=int(rows[-1]["step"]),
        cpu_minutes=sum(map(float, (out / "cpu-seconds.txt").read_text().split())) / 60,
        validation_dice=max(float(row["validation_dice"] or 0) for row in rows),
        figures=figures,
    )


def tables(base: Base, trials: list[Trial]) -> str:
    """All figures of all trials, and what each setting changes against the control."""
    columns = ["trial", "seed", "steps", "CPU minutes", "validation Dice", *base.tests]
    each, more = [], []
    for trial in trials:
        begin = [trial.name, str(trial.seed)]
        cost = [str(trial.steps), f"{trial.cpu_minutes:.1f}", f"{trial.validation_dice:.4f}"]
        cells = [trial.figures[data_set] for data_set in base.tests]
        each.append(begin + cost + [_cell(one) for one in cells])
        more.append(begin + [_more_cell(one) for one in cells])
    return "\n".join(
        [
            "Against the control of the same seed: mean over seeds and sets (lowest, highest)\n",
            markdown.table(["trial", "seeds", *COMPARED.values()], differences(trials)),
            f"{' / '.join(FIGURES.values())} / Dice at the best threshold\n",
            markdown.table(columns, each),
            f"{' / '.join(MORE_FIGURES.values())}\n",
            markdown.table(["trial", "seed", *base.tests], more),
        ]
    )


def differences(trials: list[Trial]) -> list[list[str]]:
    """A row of mean differences to the control for each name."""
    controls = {trial.seed: trial for trial in trials if trial.name == CONTROL}
    rows = []
    for name in sorted({trial.name for trial in trials} - {CONTROL}):
        pairs = [
            (trial, controls[trial.seed])
            for trial in trials
            if trial.name == name and trial.seed in controls
        ]
        cells = []
        for figure in COMPARED:
            changes = [
                values[figure] - control.figures[data_set][figure]
                for trial, control in pairs
                for data_set, values in trial.figures.items()
            ]
            mean = sum(changes) / len(changes) if changes else float("nan")
            span = f" ({min(changes):+.4f}, {max(changes):+.4f})" if len(changes) > 1 else ""
            cells.append(f"{mean:+.4f}{span}")
        rows.append([name, str(len(pairs)), *cells])
    return rows


def _cell(figures: dict[str, float]) -> str:
    return " / ".join(f"{figures[name]:.3f}" for name in (*FIGURES, "dice at best"))


def _more_cell(figures: dict[str, float]) -> str:
    ece, parts, truth_parts = (figures[name] for name in MORE_FIGURES)
    return f"{ece:.4f} / {parts:.0f} / {truth_parts:.0f}"


def main(words: list[str]) -> int:
    task, base, *rest = words
    if task == "run":
        trial, shards, runs = rest
        run(base, trial, Path(shards), Path(runs))
        return 0
    (runs,) = rest
    trials = finished_trials(BASES[base], Path(runs) / base)
    title = f"# Trials of other recipes: base {base}\n\n{ABOUT}\n\n"
    sys.stdout.write(title + tables(BASES[base], trials))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
