"""train: stopped and started again it ends like an unbroken training, to the last digit."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fundusseg import config
from fundusseg.io import models
from fundusseg.io.arrays import read_arrays
from tests.batch import contents, run, small_disk
from tests.nets.tiny import tiny_preset

STEPS = 60
STOPPED_AT = 37
WEIGHTS = (models.GENERATOR, models.GENERATOR_LAST, models.DISCRIMINATOR)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def train(tiny_shards, tiny_settings):
    """Train the tiny network; the exit code."""
    words = ("--config", tiny_settings, "--precision", "float32", "--jobs", 1)
    return lambda out, *more: run("train", tiny_shards, out, *words, *more)


@pytest.fixture(scope="module")
def unbroken(train, tmp_path_factory) -> Path:
    """A training that nothing disturbed; not to be changed."""
    out = tmp_path_factory.mktemp("unbroken") / "model"
    assert train(out, "--steps", STEPS) == 0
    return out


@pytest.fixture
def short(train, tmp_path):
    """Train two steps without a discriminator, into tmp_path/model."""
    words = ("--steps", 2, "--adversarial-weight", 0)
    return lambda *more: train(tmp_path / "model", *words, *more)


@pytest.fixture
def no_training(monkeypatch):
    """Any training from here on is a failure of the test."""
    monkeypatch.setattr("fundusseg.stages.train.Training", None)


def one_line(capsys) -> str:
    """The error, which must be one line."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert line.startswith("fundusseg: error: ")
    return line


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


def signal_at(monkeypatch, step: int, number: int) -> None:
    """Have this process get a signal when a training has done `step` steps."""
    from fundusseg.nets.training import Trainer

    whole = Trainer.run_step

    def run_step(self, batch):
        whole(self, batch)
        if self.step == step:
            signal.raise_signal(number)

    monkeypatch.setattr(Trainer, "run_step", run_step)


def require_equal_trainings(first: Path, second: Path) -> None:
    """Weights array for array; history, configuration and manifest byte for byte."""
    for name in WEIGHTS:
        expected, found = read_arrays(first / name)[0], read_arrays(second / name)[0]
        assert set(expected) == set(found)
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=f"{name} {key}")
    for name in ("history.csv", "config.json", "manifest.json"):
        assert (first / name).read_text() == (second / name).read_text()


def test_stopped_at_step_37_of_60_and_resumed_equals_unbroken(
    train, unbroken, tmp_path, monkeypatch, capsys
):
    """Exit 75 after saving; the same command ends with equal arrays, learning rate included."""
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        signal_at(patch, STOPPED_AT, signal.SIGTERM)
        assert train(out, "--steps", STEPS) == 75
    assert "stopped by SIGTERM" in one_line(capsys)
    assert not (out / "manifest.json").exists()
    assert train(out, "--steps", STEPS) == 0
    assert f"going on at step {STOPPED_AT} of {STEPS}" in capsys.readouterr().err
    require_equal_trainings(unbroken, out)


def test_history_has_losses_rates_and_validations_at_their_steps(unbroken):
    """Model folder: history.csv."""
    rows = history(unbroken)
    assert [int(row["step"]) for row in rows if row["generator_loss"]] == list(range(5, 61, 5))
    validated = [*range(8, 57, 8), STEPS]
    assert [int(row["step"]) for row in rows if row["validation_dice"]] == validated
    rates = [float(row["learning_rate"]) for row in rows if row["learning_rate"]]
    assert rates == sorted(rates, reverse=True) and rates[-1] < rates[0] / 100
    judged = [float(row["discriminator_loss"]) for row in rows if row["discriminator_loss"]]
    assert judged[0] == 0 and judged[-1] > 0


def test_the_best_so_far_is_what_is_kept(unbroken):
    """Model folder: generator.weights.h5 are the best by validation, with their threshold."""
    values = json.loads((unbroken / "config.json").read_text())
    scores = {int(r["step"]): r for r in history(unbroken) if r["validation_dice"]}
    best = max(scores, key=lambda step: float(scores[step]["validation_dice"]))
    assert values["training"]["step"] == best
    assert values["threshold"] == pytest.approx(float(scores[best]["threshold"]))


def test_a_better_score_of_before_the_stop_is_not_forgotten(train, tmp_path, monkeypatch):
    """Resume: the best so far is part of the state."""
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        signal_at(patch, 10, signal.SIGUSR1)
        assert train(out, "--steps", 16, "--adversarial-weight", 0) == 75
    state, notes = models.read_state(out)
    models.write_state(out, state, {**notes, "best": 2.0})
    before = (out / models.GENERATOR).read_bytes()
    assert train(out, "--steps", 16, "--adversarial-weight", 0) == 0
    assert (out / models.GENERATOR).read_bytes() == before


def test_a_finished_training_is_left_alone(train, unbroken, no_training):
    """Resume: nothing left to do is exit 0, and not a byte changes."""
    before = contents(unbroken)
    assert train(unbroken, "--steps", STEPS) == 0
    assert contents(unbroken) == before


@pytest.mark.parametrize("words", [("--seed", 2), ("--split", "all"), ("--steps", 61)])
def test_other_settings_are_refused_naming_force(train, unbroken, capsys, no_training, words):
    """Resume: a different config is exit 1 naming --force."""
    assert train(unbroken, "--steps", STEPS, *words) == 1
    assert "--force" in one_line(capsys)


def test_other_settings_are_refused_half_way_too(short, train, tmp_path, monkeypatch, capsys):
    """Resume: the state of a training with other settings is not gone on with."""
    with monkeypatch.context() as patch:
        signal_at(patch, 1, signal.SIGHUP)
        assert short() == 75
    assert short("--seed", 2) == 1
    assert "--force" in capsys.readouterr().err
    assert short("--seed", 2, "--force") == 0
    assert run("check", tmp_path / "model") == 0


def test_a_finished_training_that_lost_a_file_says_so(
    train, unbroken, tmp_path, capsys, no_training
):
    """Exit 1 with what is missing, not a silent training of hours."""
    out = shutil.copytree(unbroken, tmp_path / "model")
    (out / models.DISCRIMINATOR).unlink()
    assert train(out, "--steps", STEPS) == 1
    line = one_line(capsys)
    assert models.DISCRIMINATOR in line and "--force" in line


def test_a_damaged_state_is_one_line(train, unbroken, tmp_path, capsys):
    """Exit 1: a corrupt file is named."""
    out = shutil.copytree(unbroken, tmp_path / "model")
    (out / "manifest.json").unlink()
    (out / models.STATE).write_bytes((out / models.STATE).read_bytes()[:-1000])
    assert train(out, "--steps", STEPS) == 1
    assert f"{out / models.STATE}: is damaged" in one_line(capsys)


HOLDER = """
import sys, time
from pathlib import Path
from fundusseg.io.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_training_names_the_first_and_a_dead_one_does_not_block(
    short, tmp_path, capsys, monkeypatch
):
    """Two at once: train locks its folder, the second exits 1 naming the holder; a dead one's
    lock does not block."""
    (tmp_path / "model").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "model"], cwd=ROOT, stdout=subprocess.PIPE
    )
    with holder:
        holder.stdout.readline()
        with monkeypatch.context() as patch:
            patch.setattr("fundusseg.stages.train.Training", None)
            assert short() == 1
        assert f"in use by process {holder.pid} on" in one_line(capsys)
        holder.send_signal(signal.SIGKILL)
    assert short() == 0


def test_both_kinds_of_shards_train_the_same_weights(
    short, tiny_settings, phantom_set, tmp_path, monkeypatch
):
    """train reads shards, HDF5 or NPZ."""
    monkeypatch.setitem(config.PRESETS, "native", tiny_preset())
    shards, out = tmp_path / "shards", tmp_path / "of arrays"
    assert run("prep", phantom_set("chase-flat"), shards, "--format", "npz") == 0
    words = ("--config", tiny_settings, "--precision", "float32", "--steps", 2)
    assert run("train", shards, out, *words, "--adversarial-weight", 0) == 0
    assert short() == 0
    expected = read_arrays(tmp_path / "model" / models.GENERATOR_LAST)[0]
    for name, values in read_arrays(out / models.GENERATOR_LAST)[0].items():
        np.testing.assert_array_equal(values, expected[name])


def test_two_shard_folders_of_one_name_both_count(tiny_shards, tmp_path):
    """Config hash: covers all inputs, also where two data sets have one name."""
    from fundusseg.io.shards import ShardFolder
    from fundusseg.stages.train import _input_hashes

    copy = shutil.copytree(tiny_shards, tmp_path / "copy")
    found = _input_hashes([ShardFolder(tiny_shards), ShardFolder(copy)])
    assert list(found) == [
        "data set/shard-00000-of-00001.h5",
        "2/data set/shard-00000-of-00001.h5",
    ]


def test_the_folder_of_another_stage_is_not_spoilt(tiny_shards, tiny_settings, capsys, no_training):
    """Manifest: its presence means that another stage is complete there."""
    before = contents(tiny_shards)
    assert run("train", tiny_shards, tiny_shards, "--config", tiny_settings, "--force") == 1
    assert "is what prep wrote" in one_line(capsys)
    assert contents(tiny_shards) == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"stepz": 3}}, "unknown key stepz"),
        ({"train": {"steps": "3"}}, "should be int"),
        ({"augment": {"crop_px": 60}}, "crops of 60 pixels cannot be halved 3 times"),
        ({"generator": {"encoder_filters": [4] * 6}}, "frame of 96 pixels cannot be halved 7"),
    ],
)
def test_a_wrong_configuration_is_one_line_before_the_first_byte(
    tiny_shards, tmp_path, capsys, no_training, values, message
):
    """Exit 1: all configuration is checked before the first output byte."""
    tiny = {"generator": {"encoder_filters": [4, 8]}, "augment": {"crop_px": 64}}
    (tmp_path / "wrong.json").write_text(json.dumps({**tiny, **values}))
    words = ("train", tiny_shards, tmp_path / "model", "--config", tmp_path / "wrong.json")
    assert run(*words) == 1
    assert message in one_line(capsys)
    assert not (tmp_path / "model").exists()


def test_shards_of_two_frames_do_not_go_together(
    tiny_shards, phantom_set, tmp_path, capsys, no_training
):
    """Exit 1: mismatched shards."""
    assert run("prep", phantom_set("chase-flat"), tmp_path / "other", "--preset", "pix2pix") == 0
    assert run("train", tiny_shards, tmp_path / "other", tmp_path / "model") == 1
    assert "another preset or frame" in one_line(capsys)


def test_frames_of_several_sizes_need_crops(phantom_set, tmp_path, capsys, no_training):
    assert run("prep", phantom_set("chase-flat"), tmp_path / "native") == 0
    (tmp_path / "whole.json").write_text('{"augment": {"crop_px": 0}}')
    words = ("train", tmp_path / "native", tmp_path / "model", "--config", tmp_path / "whole.json")
    assert run(*words) == 1
    assert "give augment.crop_px" in one_line(capsys)


def test_shards_without_masks_train_nothing(phantom_set, tmp_path, capsys, no_training):
    """Exit 1: no photograph with a mask."""
    for name in ("a", "b", "c"):
        path = tmp_path / "set" / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(phantom_set("pairs") / "train/images/p2_OD.png", path)
    assert run("prep", tmp_path / "set", tmp_path / "shards", "--layout", "pairs") == 0
    assert run("train", tmp_path / "shards", tmp_path / "model") == 1
    assert "no photograph with a mask" in one_line(capsys)


@pytest.mark.parametrize("obstacle", ["file", "full disk"])
def test_an_output_folder_that_cannot_be_written_is_one_line(
    short, tmp_path, capsys, no_training, obstacle
):
    """Exit 1 before any long work: disk full, or a file in the folder's place."""
    if obstacle == "file":
        (tmp_path / "model").write_text("")
        assert short() == 1
    else:
        with small_disk(100):
            assert short() == 1
    assert "is no folder that can be written" in one_line(capsys)


def test_summary_prints_the_layers_and_trains_nothing(
    tiny_shards, tiny_settings, capsys, no_training
):
    """stdout carries data only."""
    assert run("train", "--summary", tiny_shards, "--config", tiny_settings) == 0
    streams = capsys.readouterr()
    assert "generator" in streams.out and "discriminator" in streams.out
    assert streams.err == ""
