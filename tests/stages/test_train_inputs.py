"""What a training takes in is checked before its first output byte."""

import json
import shutil

import pytest

from fundusseg.config import DEFAULT_MODEL
from fundusseg.io.shards import ShardFolder
from fundusseg.stages.train_inputs import input_hashes
from tests.batch import contents, one_line, run, write_tiny_model


def test_another_generators_weights_are_refused(
    tiny_shards, tiny_settings, tmp_path, capsys, no_training
):
    words = ("--config", tiny_settings, "--start-from", DEFAULT_MODEL)
    assert run("train", tiny_shards, tmp_path / "model", *words) == 1
    assert "another generator" in one_line(capsys)
    assert not (tmp_path / "model").exists()


def test_a_training_does_not_overwrite_what_it_starts_from(
    tiny_shards, tiny_settings, tmp_path, capsys, no_training
):
    model = write_tiny_model(tmp_path / "model")
    before = contents(model)
    words = ("--config", tiny_settings, "--start-from", model, "--force")
    assert run("train", tiny_shards, model, *words) == 1
    assert "write to another folder" in one_line(capsys)
    assert contents(model) == before


def test_two_shard_folders_of_one_name_both_count(tiny_shards, tmp_path):
    """Config hash: covers all inputs, also where two data sets have one name."""
    copy = shutil.copytree(tiny_shards, tmp_path / "copy")
    found = input_hashes([ShardFolder(tiny_shards), ShardFolder(copy)])
    assert list(found) == [
        "data set/shard-00000-of-00001.h5",
        "2/data set/shard-00000-of-00001.h5",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"stepz": 3}}, "unknown key stepz"),
        ({"train": {"steps": "3"}}, "should be int"),
        ({"augment": {"crop_px": 60}}, "crops of 60 pixels cannot be halved 3 times"),
        ({"generator": {"encoder_filters": [4] * 6}}, "frame of 96 pixels cannot be halved 7"),
        ({"generator": {"networks": 0}}, "generator.networks is 0; give 1 or more"),
        ({"generator": {"networks": 2, "output": "tanh"}}, "give generator.output: logit"),
        ({"generator": {"dropout": [2.0]}}, "generator.dropout must be from 0 to below 1"),
        ({"discriminator": {"every": 0}}, "discriminator.every is 0; give 1 or more"),
        ({"train": {"batch": 0}}, "train.batch is 0; give 1 or more"),
        ({"train": {"steps": 0}}, "train.steps is 0; give 1 or more"),
        ({"train": {"log_every": 0}}, "train.log_every is 0; give 1 or more"),
        ({"train": {"learning_rate": -1.0}}, "train.learning_rate is -1.0; give 0 or more"),
        ({"train": {"seed": 2**31}}, "train.seed is 2147483648; give 0 to 2147483647"),
        ({"frame": {"sizes_px": [64]}}, "sets another frame than the shards have"),
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


def test_steps_and_epochs_exclude_each_other(tiny_shards, tmp_path, capsys, no_training):
    assert run("train", tiny_shards, tmp_path / "out", "--steps", 3, "--epochs", 2) == 2
    assert "--steps and --epochs exclude each other" in one_line(capsys)


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


def test_summary_prints_the_layers_and_trains_nothing(
    tiny_shards, tiny_settings, capsys, no_training
):
    """stdout carries data only."""
    assert run("train", "--summary", tiny_shards, "--config", tiny_settings) == 0
    streams = capsys.readouterr()
    assert "generator" in streams.out and "discriminator" in streams.out
    assert streams.err == ""
