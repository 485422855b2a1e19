"""The trials of other recipes: what is run, and what a table says of it."""

import csv
import json
from pathlib import Path

import pytest

from fundusseg.files.text import read_json
from fundusseg.presets import PRESETS
from fundusseg.serial import with_overrides
from tests.bench import trials

TRIALS = Path(__file__).parent.parent / "docs" / "trials"
FIGURES = ("dice", "cldice", "auroc", "ece", "connected_components", "truth_connected_components")


@pytest.mark.parametrize("path", sorted(TRIALS.glob("*/*.json")), ids=lambda path: path.stem)
def test_every_trial_changes_the_preset(path):
    changed = with_overrides(PRESETS["native"], read_json(path), str(path))
    assert changed != PRESETS["native"]


def test_a_trial_trains_on_its_base_and_is_tested_on_what_it_has_not_seen(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(trials, "_call", lambda *words: commands.append(words) or '{"rows": []}')
    trials.run("second-stage-without-ORVS", "skeleton-recall-rims-2", Path("shards"), tmp_path)
    train, infer, score = [[str(word) for word in words] for words in commands]
    assert "shards/ORVS" not in train and "shards/LES-AV" in train
    assert train[train.index("--start-from") + 1] == "without-ORVS"
    assert (
        train[train.index("--config") + 1] == "docs/trials/second-stage/skeleton-recall-rims.json"
    )
    assert train[train.index("--seed") + 1] == "2"
    assert "shards/ORVS" in infer and infer[infer.index("--split") + 1] == "all"
    assert (
        tmp_path / "second-stage-without-ORVS/skeleton-recall-rims-2/ORVS.json"
    ).read_text() == '{"rows": []}'
    trials.run("second-stage-without-ORVS", "skeleton-recall-rims-2", Path("shards"), tmp_path)
    assert len(commands) == 4, "what has been scored is not drawn again"


def finish(folder: Path, name: str, dice: float) -> None:
    """Leave what a trial that ORVS was left out of leaves, all of its figures being `dice`."""
    model = folder / name / "model"
    model.mkdir(parents=True)
    rows = [
        ("step", "validation_dice"),
        (400, 0.7),
        (800, 0.6),
    ]
    with open(model / "history.csv", "w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    (folder / name / "cpu-seconds.txt").write_text("60.0\n30.0\n")
    figures = [{"figure": key, "role": "maps", "mean": dice} for key in FIGURES]
    figures.append({"figure": "dice", "role": "oracle", "mean": dice + 0.1})
    (folder / name / "ORVS.json").write_text(json.dumps({"rows": figures}))


def test_the_table_holds_each_trial_against_the_control_of_its_seed(tmp_path):
    for name, dice in {
        "control-1": 0.5,
        "control-2": 0.6,
        "skeleton-recall-rims-1": 0.52,
        "skeleton-recall-rims-2": 0.66,
    }.items():
        finish(tmp_path, name, dice)
    (tmp_path / "half-1").mkdir()  # not finished
    base = trials.BASES["second-stage-without-ORVS"]
    found = trials.finished_trials(base, tmp_path)
    assert [(one.name, one.seed) for one in found] == [
        ("control", 1), ("control", 2), ("skeleton-recall-rims", 1), ("skeleton-recall-rims", 2)
    ]  # fmt: skip
    assert (found[0].steps, found[0].cpu_minutes, found[0].validation_dice) == (800, 1.5, 0.7)
    ((name, seeds, *cells),) = trials.differences(found)
    assert (name, seeds) == ("skeleton-recall-rims", "2")
    assert cells == ["+0.0400 (+0.0200, +0.0600)"] * 5
    assert "0.660 / 0.660 / 0.660 / 0.760" in trials.tables(base, found)
    one_seed = [one for one in found if one.seed == 1]
    assert trials.differences(one_seed) == [["skeleton-recall-rims", "1", *["+0.0200"] * 5]]
