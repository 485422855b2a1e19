"""Model folders come back as they were written, and nothing else passes for one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fundusseg.errors import FundussegError, InputError, UsageError
from fundusseg.files import limits, models
from fundusseg.files.manifest import write_manifest
from fundusseg.presets import PIX2PIX

WEIGHTS = {
    "a/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "a/bias": np.zeros(3, np.float32),
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "weights" / "tiny"
    models.write_weights(root / models.GENERATOR, WEIGHTS)
    models.write_config(root, PIX2PIX, 0.375, models.Calibration(1.25, -0.5), {"step": 7})
    write_manifest(root, "train", {}, {})
    return root


def changed(folder, **values):
    path = folder / models.CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_round_trip(folder):
    """Model folder: rebuilt from config.json and plain weight arrays."""
    model = models.read_model(folder)
    assert model.preset == PIX2PIX and model.threshold == 0.375
    assert model.calibration == models.Calibration(1.25, -0.5)
    assert set(model.weights) == set(WEIGHTS)
    for name, values in WEIGHTS.items():
        np.testing.assert_array_equal(model.weights[name], values)


def test_the_same_model_has_the_same_bytes(folder, tmp_path):
    models.write_weights(tmp_path / "again.h5", WEIGHTS)
    assert (tmp_path / "again.h5").read_bytes() == (folder / models.GENERATOR).read_bytes()


def test_the_hash_covers_configuration_and_weights(folder):
    """Config hash: the model's covers what determines the maps."""
    before = models.model_sha256(folder)
    changed(folder, threshold=0.5)
    other = models.model_sha256(folder)
    models.write_weights(folder / models.GENERATOR, {**WEIGHTS, "a/bias": np.ones(3, np.float32)})
    assert len({before, other, models.model_sha256(folder)}) == 3


def test_a_path_or_the_name_of_a_shipped_model(folder, monkeypatch):
    assert models.model_folder(str(folder)) == folder
    monkeypatch.setattr(models, "SHIPPED", folder.parent)
    assert models.model_folder(folder.name) == folder
    assert models.shipped_models() == [folder.name]


def test_a_folder_of_ones_own_does_not_stand_in_for_a_shipped_model(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "SHIPPED", folder.parent)
    own = shutil.copytree(folder, tmp_path / "here" / folder.name)
    monkeypatch.chdir(own.parent)
    assert models.model_folder(folder.name) == folder
    assert models.model_folder(f"./{folder.name}") == Path(folder.name)


def test_an_earlier_versions_threshold_is_calibrated_like_the_scores(folder):
    changed(folder, version=1, threshold=0.56, calibration={"slope": 0.965, "intercept": -0.765})
    _, threshold, calibration = models.read_config(folder)
    assert calibration == models.Calibration(0.965, -0.765)
    assert threshold == pytest.approx(0.37, abs=1e-4)  # 1 / (1 + exp(.765 - .965 logit(.56)))
    scores = np.random.default_rng(1).random(10**6, np.float32)
    np.testing.assert_array_equal(calibration(scores) >= threshold, scores >= 0.56)
    for stored in (None, {"slope": -0.5, "intercept": -2.0}):  # the second turns maps over
        changed(folder, calibration=stored)
        assert models.read_config(folder)[1:] == (0.56, None)
    changed(folder, version=models.VERSION)
    with pytest.raises(InputError, match="calibrate nothing"):
        models.read_config(folder)


def test_a_threshold_that_is_none_is_damage(folder):
    changed(folder, threshold=7)
    with pytest.raises(InputError, match="threshold 7.0 is not in"):
        models.read_config(folder)


def test_neither_is_a_usage_error_that_lists_what_ships(folder, monkeypatch):
    """Exit 2: a missing path."""
    monkeypatch.setattr(models, "SHIPPED", folder.parent)
    with pytest.raises(UsageError, match=f"nothing: does not exist.*{folder.name}"):
        models.model_folder("nothing")


def test_a_folder_that_is_no_model_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no model folder"):
        models.model_folder(str(tmp_path))


def test_a_training_without_manifest_is_not_finished(folder):
    """Manifest: its presence means complete."""
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="has not finished"):
        models.read_model(folder)


@pytest.mark.parametrize("left_out", [None, [1], {"A": 0.5}, {"A": {"best_threshold": "high"}}])
def test_thresholds_that_are_none_are_damage(folder, left_out):
    changed(folder, training={"left_out": left_out})
    with pytest.raises(InputError, match="is damaged"):
        models.thresholds_by_masks(folder)


def test_a_newer_version_is_refused(folder):
    changed(folder, version=3)
    with pytest.raises(InputError, match="model version 3, newer than 2"):
        models.read_config(folder)


def test_another_format_is_refused(folder):
    changed(folder, format="something")
    with pytest.raises(InputError, match="no fundusseg model"):
        models.read_config(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"version": None},
        {"version": "one"},
        {"preset": []},
        {"preset": {"train": 3}},
        {"preset": {"colour": "blue"}},
        {"threshold": None},
        {"threshold": "half"},
        {"calibration": {"slope": 1.0}},
        {"calibration": 7},
    ],
)
def test_damaged_configurations_are_one_line(folder, values):
    """Exit 1: unknown keys and values of a wrong type are never taken for a default."""
    changed(folder, **values)
    with pytest.raises(FundussegError) as caught:
        models.read_config(folder)
    assert "\n" not in str(caught.value) and models.CONFIG in str(caught.value)


@pytest.mark.parametrize("key", ["version", "preset", "threshold", "calibration"])
def test_a_missing_key_is_one_line(folder, key):
    values = json.loads((folder / models.CONFIG).read_text())
    del values[key]
    (folder / models.CONFIG).write_text(json.dumps(values))
    with pytest.raises(InputError, match=f"{models.CONFIG}: is damaged .*{key}"):
        models.read_config(folder)


@pytest.mark.parametrize("cut", [1, 100, 10_000])
def test_truncated_weights_are_one_line(folder, cut):
    path = folder / models.GENERATOR
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match="is damaged.*; copy the model again, or give --force to"):
        models.read_model(folder)


def test_missing_weights_are_one_line(folder):
    (folder / models.GENERATOR).unlink()
    with pytest.raises(InputError, match=models.GENERATOR):
        models.read_model(folder)


def test_a_state_comes_back_exactly(tmp_path):
    """Model folder: optimiser and step state, notes included."""
    state = {"step": np.array(37), "x": np.array([0.1, np.nan], np.float32)}
    notes = {"best": 0.1 + 0.2, "history": [{"step": 1, "loss": 1 / 3}]}
    assert models.read_state(tmp_path) is None
    models.write_state(tmp_path, state, notes)
    found, found_notes = models.read_state(tmp_path)
    assert found_notes == notes
    assert set(found) == set(state)
    for name, values in state.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_state_without_notes_is_one_line(tmp_path):
    models.write_weights(tmp_path / models.STATE, {"step": np.array(1)})
    with pytest.raises(InputError, match="no state of a training"):
        models.read_state(tmp_path)


def test_a_model_that_was_changed_since_it_was_trained_is_refused(folder):
    sha256 = models.model_sha256(folder)
    outputs = {name: "0" * 64 for name in (models.CONFIG, models.GENERATOR)}
    write_manifest(folder, "train", {}, outputs, model_sha256=sha256)
    assert models.read_model(folder).sha256 == sha256
    changed(folder, threshold=0.6)
    with pytest.raises(InputError, match=r"another config.json or generator.weights.h5 than"):
        models.read_model(folder)


def test_a_model_of_any_size_has_a_hash(folder, monkeypatch):
    whole = models.model_sha256(folder)
    monkeypatch.setattr(limits, "MOST_BYTES", 9)
    assert models.model_sha256(folder) == whole
