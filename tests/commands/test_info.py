"""info: versions, devices and models on stdout."""

import json

import numpy as np

from fundusseg import __version__
from tests.batch import run, write_tiny_model


def test_versions_and_devices_are_lines_of_two_cells(capsys):
    """stdout carries data only."""
    assert run("info") == 0
    streams = capsys.readouterr()
    found = dict(line.split("\t") for line in streams.out.splitlines())
    assert found["fundusseg"] == __version__ and found["numpy"] == np.__version__
    assert {"python", "cores", "gpus", "models"} <= set(found)
    assert streams.err == ""


def test_a_model_is_described_with_its_card(tmp_path, capsys):
    """info MODEL: the model's card."""
    model = write_tiny_model(tmp_path / "model")
    (model / "MODEL_CARD.md").write_text("# A tiny model\n\nFor tests.\n")
    assert run("info", model) == 0
    text = capsys.readouterr().out
    assert "filters\t4, 8, 8\n" in text and "threshold\t0.5\n" in text
    assert "frame\tfield-of-view, 96 px\n" in text
    assert text.endswith("\n# A tiny model\n\nFor tests.\n")


def test_the_thresholds_that_fit_other_masks_are_one_line(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    best = {"THIN": {"best_threshold": 0.7}, "THICK": {"best_threshold": 0.25}}
    config["training"]["left_out"] = best
    (model / "config.json").write_text(json.dumps(config))
    assert run("info", model) == 0
    assert "thresholds for masks drawn as in\t0.25 THICK, 0.7 THIN\n" in capsys.readouterr().out


def test_a_missing_model_is_exit_2_and_a_foreign_folder_1(tmp_path, capsys):
    """Exit 2: a missing path. Exit 1: a folder that is no model."""
    assert run("info", tmp_path / "missing") == 2
    assert run("info", tmp_path) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_a_damaged_model_is_one_line(tmp_path, capsys):
    """Exit 1: a corrupt configuration."""
    model = write_tiny_model(tmp_path / "model")
    (model / "config.json").write_text("{")
    assert run("info", model) == 1
    assert "config.json: is not JSON" in capsys.readouterr().err
