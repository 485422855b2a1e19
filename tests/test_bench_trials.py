"""The trials of other recipes: what is run, and what a table says of it."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest

from fundusseg.config import PRESETS, LossConfig, with_overrides
from fundusseg.io import models
from fundusseg.io.files import read_json
from tests.bench import trials

TRIALS = Path(__file__).parent.parent / "docs" / "trials"
FIGURES = ("dice", "cldice", "auroc", "ece", "parts", "truth_parts")
UNJUDGED = LossConfig()


@pytest.mark.parametrize("path", sorted(TRIALS.glob("*/*.json")), ids=lambda path: path.stem)
def test_every_trial_changes_the_preset(path):
    changed = with_overrides(PRESETS["native"], read_json(path), str(path))
    assert changed != PRESETS["native"]


def test_a_trial_trains_on_its_base_and_is_tested_on_what_it_has_not_seen(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(trials, "_call", lambda *words: commands.append(words) or '{"rows": []}')
    trials.run("without-ORVS", "hinge-2", Path("shards"), tmp_path)
    train, infer, score = [[str(word) for word in words] for words in commands]
    assert "shards/ORVS" not in train and "shards/LES-AV" in train
    assert train[train.index("--start-from") + 1] == "without-ORVS"
    assert train[train.index("--config") + 1] == "docs/trials/adversary/hinge.json"
    assert train[train.index("--seed") + 1] == "2"
    assert "shards/ORVS" in infer and infer[infer.index("--split") + 1] == "all"
    assert (tmp_path / "without-ORVS/hinge-2/ORVS.json").read_text() == '{"rows": []}'
    trials.run("without-ORVS", "hinge-2", Path("shards"), tmp_path)
    assert len(commands) == 4, "what has been scored is not drawn again"


def finish(folder: Path, name: str, dice: float, loss: LossConfig = UNJUDGED) -> None:
    """Leave what a trial of base "without-ORVS" leaves, all of its figures being `dice`.

    Its discriminator's loss is 0.5 at step 400 and 0.25 at step 800.
    """
    model = folder / name / "model"
    model.mkdir(parents=True)
    preset = dataclasses.replace(PRESETS["native"], loss=loss)
    models.write_config(model, preset, 0.5, None, {})
    rows = [
        ("step", "discriminator_loss", "validation_dice"),
        (400, 0.5 if loss.adversarial else 0, ""),
        (400, "", 0.7),
        (800, 0.25 if loss.adversarial else 0, ""),
        (800, "", 0.6),
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
        "hinge-1": 0.52,
        "hinge-2": 0.66,
    }.items():
        finish(tmp_path, name, dice)
    (tmp_path / "half-1").mkdir()  # not finished
    base = trials.BASES["without-ORVS"]
    found = trials.finished_trials(base, tmp_path)
    assert [(one.name, one.seed) for one in found] == [
        ("control", 1), ("control", 2), ("hinge", 1), ("hinge", 2)
    ]  # fmt: skip
    assert (found[0].steps, found[0].cpu_minutes, found[0].validation_dice) == (800, 1.5, 0.7)
    ((name, seeds, *cells),) = trials.differences(found)
    assert (name, seeds) == ("hinge", "2")
    assert cells == ["+0.0400 (+0.0200, +0.0600)"] * 5
    assert "0.660 / 0.660 / 0.660 / 0.760" in trials.tables(base, found)
    one_seed = [one for one in found if one.seed == 1]
    assert trials.differences(one_seed) == [["hinge", "1", *["+0.0200"] * 5]]


def test_a_discriminator_is_held_against_guessing(tmp_path):
    kind = "least-squares"
    finish(tmp_path, "control-1", 0.5)
    finish(tmp_path, f"{kind}-1", 0.5, LossConfig(adversarial=0.01, adversarial_kind=kind))
    control, judged = trials.finished_trials(trials.BASES["without-ORVS"], tmp_path)
    assert control.discriminator_course == {}
    assert judged.discriminator_course == {400: 2.0, 800: 1.0}
    assert trials.course_plot([control, judged]).startswith(b"\x89PNG")
