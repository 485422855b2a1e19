"""infer: what a setting changes in the maps, and where it is recorded."""

import dataclasses
import json

import numpy as np
from skimage.measure import label

from fundusseg.serial import config_hash
from tests.batch import contents
from tests.commands.map_folders import IDS, picture


def test_a_threshold_on_the_command_line_overrides_the_models(infer, shared_photographs, tmp_path):
    """infer's output: --threshold overrides; the manifest records it and where it is from."""
    assert infer(shared_photographs, "--threshold", "0.8") == 0
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert (manifest["threshold"], manifest["threshold_source"]) == (0.8, "--threshold")
    vessels = picture(tmp_path / "maps" / "a.png")
    assert infer(shared_photographs, "--force") == 0
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert (manifest["threshold"], manifest["threshold_source"]) == (0.5, "the model")
    assert (vessels > 0).sum() < (picture(tmp_path / "maps" / "a.png") > 0).sum()


def test_test_time_augmentation_draws_other_maps_and_is_recorded(
    infer, shared_photographs, tmp_path, capsys
):
    """Manifest: config, what the maps follow from; it names augmentation only where it is on."""

    def config() -> dict:
        return json.loads((tmp_path / "maps" / "manifest.json").read_text())["config"]

    assert infer(shared_photographs, "--probability") == 0
    plain, once = config(), picture(tmp_path / "maps" / "a.prob.png")
    assert infer(shared_photographs, "--test-time-augmentation") == 1
    assert "--force" in capsys.readouterr().err
    words = ("--probability", "--test-time-augmentation", "--force")
    assert infer(shared_photographs, *words) == 0
    assert config() == {**plain, "test_time_augmentation": "mirror images"}
    assert (picture(tmp_path / "maps" / "a.prob.png") != once).any()


def test_small_objects_are_joined_or_left_out_unless_asked_for(infer, shared_photographs, tmp_path):
    """A map has fewer components than its probabilities cut; --keep-small-objects keeps all."""
    maps = tmp_path / "maps"
    assert infer(shared_photographs, "--probability", "--keep-small-objects") == 0
    threshold = json.loads((maps / "manifest.json").read_text())["threshold"]
    every = {name: picture(maps / f"{name}.png") > 0 for name in IDS}
    for name, vessels in every.items():
        steps = np.ceil(threshold * 65535)
        np.testing.assert_array_equal(vessels, picture(maps / f"{name}.prob.png") >= steps)
    assert infer(shared_photographs, "--probability", "--force") == 0
    dropped = 0
    for name, vessels in every.items():
        kept = picture(maps / f"{name}.png") > 0
        dropped += label(vessels, connectivity=2).max() - label(kept, connectivity=2).max()
    assert dropped > 0


def test_the_log_says_how_the_network_runs(infer, shared_photographs, capsys):
    """The choice by device is logged."""
    assert infer(shared_photographs, "--precision", "float32", "--batch", "3", "--jobs", "2") == 0
    assert "precision float32, 2 frames at once" in capsys.readouterr().err


def test_what_changes_results_changes_the_config_hash():
    """Config hash: covers geometry, model and threshold; not jobs, precision or logging."""
    from fundusseg.commands.infer.run import config_of
    from fundusseg.config import Preset
    from fundusseg.files.models import Calibration, Model
    from fundusseg.options import InferOptions
    from fundusseg.segmenter import Segmenter

    model = Model(None, Preset(), {}, 0.5, None, "1" * 64)

    def hash_of(model=model, **options) -> str:
        config = config_of(Segmenter(model, InferOptions(**options)))
        return config_hash({**config, "model": model.sha256})

    same = [
        {"jobs": 3},
        {"precision": "float32"},
        {"batch": 2},
        {"verify": True},
        {"shard": 1, "num_shards": 2},
        {"probability": True},
        {"threshold": 0.5},
    ]
    assert {hash_of(**options) for options in same} == {hash_of()}
    frame = dataclasses.replace(Preset().frame, sizes_px=(96,))
    others = [
        hash_of(threshold=0.4),
        hash_of(tile_px=64),
        hash_of(keep_small_objects=True),
        hash_of(test_time_augmentation=True),
        hash_of(dataclasses.replace(model, sha256="2" * 64)),
        hash_of(dataclasses.replace(model, calibration=Calibration(1.0, 0.0))),
        hash_of(dataclasses.replace(model, preset=dataclasses.replace(Preset(), frame=frame))),
    ]
    assert len({hash_of(), *others}) == 8
    assert config_hash({"b": 1, "a": 2}) == config_hash({"a": 2, "b": 1})


def test_tiles_are_written_too_and_must_fit_the_network(
    infer, shared_photographs, tmp_path, capsys
):
    """Exit 2 for a wrong word, before the first output byte."""
    assert infer(shared_photographs, "--tile", "50") == 2
    assert "multiple of 8" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
    assert infer(shared_photographs, "--tile", "64") == 0
    assert set(contents(tmp_path / "maps")) >= {f"{id}.png" for id in IDS}
