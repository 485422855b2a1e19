"""train: stopped and started again it ends like an unbroken training, to the last digit."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fundusseg import presets
from fundusseg.commands.train.inputs import training_data
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files import models
from fundusseg.files.arrays import read_arrays
from fundusseg.files.manifest import outputs_of
from tests.batch import contents, one_line, run, small_disk
from tests.commands.trainings import history, require_equal_trainings, signal_at
from tests.nets.tiny import tiny_preset

STEPS = 60
STOPPED_AT = 37
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


def test_the_manifest_holds_the_photographs_that_trained_and_validated(unbroken, tiny_shards):
    refs = [ref for ref in ShardFolder(tiny_shards).refs if ref.labelled]
    for part, hashes in models.photographs_seen(unbroken).items():
        expected = [ref.source_sha256 for ref in refs if ref.split == part]
        assert hashes == sorted(expected) and hashes
    assert set(models.photographs_seen(unbroken)) == {"train", "validation"}


def test_the_photographs_of_the_model_that_a_training_starts_from_count(
    unbroken, tiny_shards, monkeypatch
):
    initial = models.read_model(unbroken)
    shards = ShardFolder(tiny_shards)
    labelled = [ref.source_sha256 for ref in shards.refs if ref.labelled]
    for first in (initial, None):
        seen = training_data([shards], "all", first).photographs
        assert seen == {"train": sorted(labelled), "validation": []}
    earlier = {"train": ["0" * 64], "validation": ["1" * 64]}
    monkeypatch.setattr(models, "photographs_seen", lambda _: earlier)
    seen = training_data([shards], "all", initial).photographs
    assert seen == {"train": sorted(["0" * 64, *labelled]), "validation": ["1" * 64]}


def test_a_training_can_start_from_a_models_weights(train, unbroken, tiny_settings, tmp_path):
    """At a learning rate of nearly zero the weights stay those of the model."""
    frozen = tmp_path / "frozen.json"
    settings = json.loads(tiny_settings.read_text())
    settings["train"]["learning_rate"] = 1e-9
    frozen.write_text(json.dumps(settings))
    out = tmp_path / "model"
    words = ("--start-from", unbroken, "--config", frozen, "--steps", 1)
    assert train(out, *words) == 0
    begun, _ = read_arrays(unbroken / models.GENERATOR)
    found, _ = read_arrays(out / models.GENERATOR)
    kernels = [name for name in begun if name.endswith("kernel")]
    assert kernels
    for name in kernels:
        np.testing.assert_allclose(found[name], begun[name], atol=1e-6)
    assert json.loads((out / "manifest.json").read_text())["config"]["start_from"]


def test_all_photographs_train_and_the_last_weights_count(train, tiny_shards, tmp_path):
    out = tmp_path / "model"
    assert train(out, "--split", "all", "--steps", 9) == 0
    values = json.loads((out / models.CONFIG).read_text())
    labelled = sum(ref.labelled for ref in ShardFolder(tiny_shards).refs)
    assert values["training"]["train_photographs"] == labelled
    assert values["training"]["validation_photographs"] == 0
    assert (values["threshold"], values["calibration"]) == (0.5, None)
    assert (out / models.CURVES).exists() and not (out / models.SAMPLES).exists()
    kept, last = (read_arrays(out / name)[0] for name in (models.GENERATOR, models.GENERATOR_LAST))
    assert all(np.array_equal(kept[name], last[name]) for name in last)


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


@pytest.mark.parametrize("name", [models.STATE, models.GENERATOR, models.HISTORY])
def test_a_finished_training_with_a_truncated_file_is_not_called_finished(
    name, train, unbroken, tmp_path, capsys, no_training
):
    out = shutil.copytree(unbroken, tmp_path / "model")
    (out / name).write_bytes((out / name).read_bytes()[:-100])
    assert train(out, "--steps", STEPS) == 1
    assert f"{out / name}: is gone or changed since the training finished" in one_line(capsys)


def test_ctrl_c_before_the_first_checkpoint_saves_the_steps_done(
    train, unbroken, tmp_path, monkeypatch
):
    """Exit 130; the same command goes on there, and ends like an unbroken training."""
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)  # not ignored
        signal_at(patch, 3, signal.SIGINT)
        assert train(out, "--steps", STEPS) == 130
    assert int(models.read_state(out)[0]["step"]) == 3
    assert train(out, "--steps", STEPS) == 0
    require_equal_trainings(unbroken, out)


@pytest.mark.parametrize("every", ["validate_every", "checkpoint_every"])
def test_a_training_that_diverges_between_two_log_lines_is_one_line(
    every, tiny_shards, tiny_settings, tmp_path, capsys
):
    """Exit 1 at the next validation or save, and no weights that are no numbers are kept."""
    values = json.loads(tiny_settings.read_text())
    often = {"log_every": 1000, "validate_every": 1000, "checkpoint_every": 1000, every: 2}
    values["train"] = {**values.get("train", {}), **often, "learning_rate": 1e30}
    values["train"] |= {"clip_norm": 0, "warmup_steps": 0}
    (tmp_path / "config.json").write_text(json.dumps(values))
    words = ("--config", tmp_path / "config.json", "--steps", 12, "--jobs", 1)
    assert run("train", tiny_shards, tmp_path / "model", *words) == 1
    assert "has diverged: losses or weights are no numbers at step 2;" in one_line(capsys)
    assert not (tmp_path / "model" / models.STATE).exists()


def test_a_batch_that_needs_more_memory_than_there_is_is_one_line(
    tiny_shards, tiny_settings, tmp_path, capsys, monkeypatch
):
    from fundusseg.nets.runtime import tf
    from fundusseg.nets.training import Trainer

    def run_step(self, batch):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmany lines")

    monkeypatch.setattr(Trainer, "run_step", run_step)
    words = ("--config", tiny_settings, "--steps", 2, "--jobs", 1)
    assert run("train", tiny_shards, tmp_path / "model", *words) == 1
    assert "needs more memory than there is; lower train.batch" in one_line(capsys)


def test_a_damaged_state_is_one_line(train, unbroken, tmp_path, capsys):
    """Exit 1: a corrupt file is named."""
    out = shutil.copytree(unbroken, tmp_path / "model")
    (out / "manifest.json").unlink()
    (out / models.STATE).write_bytes((out / models.STATE).read_bytes()[:-1000])
    assert train(out, "--steps", STEPS) == 1
    assert f"{out / models.STATE}: is damaged" in one_line(capsys)


@pytest.mark.parametrize(
    "change", ["an array is gone", "a shape is wrong", "a note is gone", "text", "too far"]
)
def test_a_state_that_does_not_fit_is_one_line(change, train, unbroken, tmp_path, capsys):
    """Exit 1: no traceback for a state that is whole but not this training's."""
    out = shutil.copytree(unbroken, tmp_path / "model")
    (out / "manifest.json").unlink()
    state, notes = models.read_state(out)
    if change == "an array is gone":
        del state["generator/0000"]
    elif change == "a shape is wrong":
        state["generator/0000"] = state["generator/0000"][:1]
    elif change == "text":
        state["generator/0000"] = np.array([b"x"])
    elif change == "too far":
        state["step"] = np.array(STEPS + 1)
    else:
        del notes["best"]
    models.write_state(out, state, notes)
    assert train(out, "--steps", STEPS) == 1
    assert f"{out / models.STATE}: does not fit" in one_line(capsys)


def test_a_model_without_an_adversary_has_no_discriminator(short, train, unbroken, tmp_path):
    """Model folder: discriminator.weights.h5 only where there is one, also after --force."""
    out = tmp_path / "model"
    assert (unbroken / models.DISCRIMINATOR).exists()
    out.mkdir()
    shutil.copy(unbroken / models.DISCRIMINATOR, out)
    assert short("--force") == 0
    assert not (out / models.DISCRIMINATOR).exists()
    outputs = dict(outputs_of(out))
    assert models.GENERATOR_LAST in outputs and models.DISCRIMINATOR not in outputs
    assert not [name for name in models.read_state(out)[0] if "discriminator" in name]
    assert run("check", out) == 0


def test_the_offsets_of_several_data_sets_are_logged_with_the_losses(
    train, tiny_shards, tmp_path, capsys
):
    out = shutil.copytree(tiny_shards, tmp_path / "again"), tmp_path / "model"
    assert train(*out, "--adversarial-weight", 0, "--steps", 5) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "set offsets" in line]
    assert "step 5: generator_loss " in line
    first, second = (float(part.split()[-1]) for part in line.split("set offsets: ")[1].split(", "))
    assert first == -second
    weights = read_arrays(tmp_path / "model" / models.GENERATOR_LAST)[0]
    assert not [name for name in weights if "offset" in name]


HOLDER = """
import sys, time
from pathlib import Path
from fundusseg.files.lock import locked
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
            patch.setattr("fundusseg.commands.train.training.Training.begin", None)
            assert short() == 1
        assert f"in use by process {holder.pid} on" in one_line(capsys)
        holder.send_signal(signal.SIGKILL)
    assert short() == 0


def test_both_kinds_of_shards_train_the_same_weights(
    short, tiny_settings, phantom_set, tmp_path, monkeypatch
):
    """train reads shards, HDF5 or NPZ."""
    monkeypatch.setitem(presets.PRESETS, "native", tiny_preset())
    shards, out = tmp_path / "shards", tmp_path / "of arrays"
    assert run("prep", phantom_set("chase-flat"), shards, "--format", "npz") == 0
    words = ("--config", tiny_settings, "--precision", "float32", "--steps", 2)
    assert run("train", shards, out, *words, "--adversarial-weight", 0) == 0
    assert short() == 0
    expected = read_arrays(tmp_path / "model" / models.GENERATOR_LAST)[0]
    for name, values in read_arrays(out / models.GENERATOR_LAST)[0].items():
        np.testing.assert_array_equal(values, expected[name])


def test_the_folder_of_another_stage_is_not_spoilt(tiny_shards, tiny_settings, capsys, no_training):
    """Manifest: its presence means that another stage is complete there."""
    before = contents(tiny_shards)
    assert run("train", tiny_shards, tiny_shards, "--config", tiny_settings, "--force") == 1
    assert "is what prep wrote" in one_line(capsys)
    assert contents(tiny_shards) == before


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
