"""A trained model goes into the package with a threshold from photographs it did not learn."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fundusseg import config
from fundusseg.errors import InputError
from fundusseg.io import models
from fundusseg.io.images import probability_png
from fundusseg.io.shards import ShardFolder
from fundusseg.stages.shipping import main, run_ship
from tests.batch import run, write_tiny_model
from tests.nets.tiny import tiny_preset


@pytest.fixture
def shards(phantom_set, tmp_path, monkeypatch):
    monkeypatch.setitem(config.PRESETS, "native", tiny_preset())
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
    assert 0.2 < model.threshold <= 0.3
    assert model.calibration not in (None, models.read_model(trained).calibration)
    about = json.loads((tmp_path / "shipped" / models.CONFIG).read_text())["training"]
    assert about["left_out_dice"] == {"shards": 1.0}
    assert "leaving one data set out: shards" in about["threshold_from"]


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
