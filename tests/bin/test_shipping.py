"""A trained model goes into the package with a threshold from photographs it did not learn."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bin.shipping import main, run_ship
from fundusseg import presets
from fundusseg.datasets.shards import ShardFolder
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.encoders import probability_png
from fundusseg.files.manifest import write_manifest
from fundusseg.files.masks import read_probability
from fundusseg.serial import to_dict
from tests.batch import run, write_tiny_model
from tests.nets.tiny import tiny_preset


@pytest.fixture
def shards(phantom_set, tmp_path, monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "native", tiny_preset())
    assert run("prep", phantom_set("chase-flat"), tmp_path / "shards") == 0
    return tmp_path / "shards"


@pytest.fixture
def maps(shards, tmp_path):
    """Maps that are right where the probability is at least 0.3, and calibrated nowhere."""
    folder = tmp_path / "maps"
    found = ShardFolder(shards)
    for ref in found.refs:
        truth = found.read(ref, native=True).native_mask
        probability = np.where(truth, 0.3, 0.2).astype(np.float32)
        path = folder / f"{ref.id}.prob.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(probability_png(probability))
        path.with_name(path.name.replace(".prob", "")).write_bytes(probability_png(probability))
    return folder


def test_the_threshold_comes_from_the_sets_left_out(maps, shards, tmp_path):
    trained = write_tiny_model(tmp_path / "trained")
    run_ship(trained, tmp_path / "shipped", [(maps, shards)])
    model = models.read_model(tmp_path / "shipped")
    below, above = model.calibration(np.array([0.2, 0.3]))
    assert below < model.threshold <= above
    assert model.calibration not in (None, models.read_model(trained).calibration)
    about = json.loads((tmp_path / "shipped" / models.CONFIG).read_text())["training"]
    of_shards = about["left_out"]["shards"]
    assert (of_shards["dice"], of_shards["best_dice"]) == (1.0, 1.0)
    assert below < of_shards["best_threshold"] <= above
    assert "leaving one data set out: shards" in about["threshold_from"]


def test_maps_that_are_calibrated_are_brought_back_to_scores(maps, shards, tmp_path):
    run_ship(write_tiny_model(tmp_path / "trained"), tmp_path / "raw", [(maps, shards)])
    calibration = models.Calibration(0.5, -1.0)
    for path in maps.rglob("*.png"):
        path.write_bytes(probability_png(calibration(read_probability(path))))
    write_manifest(maps, "infer", {"calibration": to_dict(calibration)}, {})
    run_ship(tmp_path / "trained", tmp_path / "shipped", [(maps, shards)])
    raw, shipped = (models.read_config(tmp_path / name) for name in ("raw", "shipped"))
    assert shipped[1] == raw[1]
    assert shipped[2].intercept == pytest.approx(raw[2].intercept, rel=0.01)


def test_without_maps_all_stays_as_trained(tmp_path):
    trained = write_tiny_model(tmp_path / "trained")
    run_ship(trained, tmp_path / "shipped", [])
    before, after = models.read_model(trained), models.read_model(tmp_path / "shipped")
    assert replace(after, folder=before.folder, weights={}, sha256="") == replace(
        before, weights={}, sha256=""
    )
    for name, values in before.weights.items():
        np.testing.assert_allclose(after.weights[name], values, rtol=1e-3, atol=1e-6)


def test_a_missing_map_is_one_line(maps, shards, tmp_path):
    trained = write_tiny_model(tmp_path / "trained")
    gone = next(maps.rglob("*.prob.png"))
    gone.unlink()
    gone.with_name(gone.name.replace(".prob", "")).unlink()
    with pytest.raises(InputError, match="has no probabilities of"):
        run_ship(trained, tmp_path / "shipped", [(maps, shards)])
    assert not (tmp_path / "shipped").exists()


def test_the_script_says_what_is_wrong_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["model", "name", "maps"])
    assert refused.value.code == 2
    assert "MAPS and SHARDS come in pairs" in capsys.readouterr().err
    assert main([str(tmp_path / "none"), "name"]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fundusseg: error: ") and "none" in line


def test_the_weights_of_an_earlier_stage_have_their_share(tmp_path):
    trained = write_tiny_model(tmp_path / "trained")
    before = write_tiny_model(tmp_path / "before", seed=4)
    run_ship(trained, tmp_path / "shipped", [], before)
    shipped = models.read_model(tmp_path / "shipped").weights
    first, second = (models.read_model(folder).weights for folder in (before, trained))
    for name, values in shipped.items():
        mean = 0.2 * first[name] + 0.8 * second[name]
        np.testing.assert_allclose(values, mean, rtol=1e-3, atol=1e-5)
    assert any((first[name] != second[name]).any() for name in first)


@pytest.mark.parametrize("change", [lambda values: values[:1], lambda values: values * np.nan])
def test_an_earlier_stage_of_another_network_is_refused(tmp_path, change):
    trained = write_tiny_model(tmp_path / "trained")
    other = {name: change(values) for name, values in models.read_model(trained).weights.items()}
    models.write_weights(tmp_path / "before" / models.GENERATOR, other)
    with pytest.raises(InputError, match="before/generator.weights.h5: has"):
        run_ship(trained, tmp_path / "shipped", [], tmp_path / "before")
    assert not (tmp_path / "shipped").exists()
