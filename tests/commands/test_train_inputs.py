"""What a training takes in is checked before its first output byte."""

import json
import shutil

import pytest
from PIL import Image

from fundusseg.commands.train.inputs import input_hashes, training_data
from fundusseg.config import DEFAULT_MODEL
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files.manifest import NAME, read_manifest
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
        ({"generator": {"networks": 2}}, "networks is 2, which this version cannot do"),
        ({"generator": {"dropout": [2.0]}}, "generator.dropout is 2.0; give 0 to below 1"),
        ({"discriminator": {"last_filters": 0}}, "discriminator.last_filters is 0; give 1 or more"),
        ({"loss": {"adversarial_from": 1.5}}, "loss.adversarial_from is 1.5; give 0 to 1"),
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


def test_a_shard_folder_given_twice_is_refused(tiny_shards, tmp_path, capsys, no_training):
    """Exit 2: its photographs would count twice, under another spelling too."""
    (tmp_path / "link").symlink_to(tiny_shards)
    assert run("train", tiny_shards, tmp_path / "link", tmp_path / "model") == 2
    assert "is given twice" in one_line(capsys)


@pytest.mark.parametrize("name", ["config.json", "curves.png", "samples.png"])
def test_a_strangers_file_is_not_written_over(name, tiny_shards, tmp_path, capsys, no_training):
    """Exit 1, naming the file."""
    (tmp_path / name).write_text("{}")
    assert run("train", tiny_shards, tmp_path) == 1
    assert f"{tmp_path / name}: is there, and train did not" in one_line(capsys)
    assert (tmp_path / name).read_text() == "{}"


def test_without_split_the_train_part_trains(tiny_shards, tiny_settings, tmp_path):
    for name, words in (("auto", ()), ("train", ("--split", "train"))):
        words = ("--config", tiny_settings, "--steps", 1, "--jobs", 1, *words)
        assert run("train", tiny_shards, tmp_path / name, *words) == 0
    first, second = (read_manifest(tmp_path / name / NAME) for name in ("auto", "train"))
    assert first["config"] == second["config"] and first["config"]["split"] == "train"
    assert first["model_sha256"] == second["model_sha256"]


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
    for number, name in enumerate(("p1 left", "p1 right", "p2_OD")):
        path = tmp_path / "set" / "images" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(phantom_set("pairs") / f"train/images/{name}.png", path)
    assert run("prep", tmp_path / "set", tmp_path / "shards", "--layout", "pairs") == 0
    assert run("train", tmp_path / "shards", tmp_path / "model") == 1
    assert "no photograph with a mask" in one_line(capsys)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_without_vessels_trains_nothing(own_set, tmp_path, capsys, no_training, part):
    """Exit 1: a model of empty masks would promise much and find nothing."""
    source = own_set("chase-flat")
    assert run("prep", source, tmp_path / "first") == 0
    for ref in ShardFolder(tmp_path / "first").of_split(part):
        for path in source.glob(f"{ref.id}_1stHO.*"):
            Image.new("L", Image.open(path).size).save(path)
    assert run("prep", source, tmp_path / "shards") == 0
    assert "is a mask without vessels" in capsys.readouterr().err
    assert run("train", tmp_path / "shards", tmp_path / "model") == 1
    assert f"no vessel in the masks of the {part} part" in one_line(capsys)


def test_summary_prints_the_layers_and_trains_nothing(
    tiny_shards, tiny_settings, capsys, no_training
):
    """stdout carries data only."""
    assert run("train", "--summary", tiny_shards, "--config", tiny_settings) == 0
    streams = capsys.readouterr()
    assert "generator" in streams.out and "discriminator" in streams.out
    assert streams.err == ""
    assert run("train", tiny_shards, "model", "--summary", "--config", tiny_settings) == 0
    assert capsys.readouterr().out == streams.out


def test_one_shard_folder_given_twice_is_refused(tiny_shards, tmp_path, capsys, no_training):
    again = tmp_path / "again"
    again.symlink_to(tiny_shards)
    assert run("train", tiny_shards, again, tmp_path / "model") == 2
    assert f"{again}: is given twice" in one_line(capsys)


def test_a_single_shard_names_its_folder(tiny_shards, tmp_path, capsys, no_training):
    (shard,) = tiny_shards.glob("shard-*.h5")
    assert run("train", shard, tmp_path / "model") == 1
    assert f"give the folder of shards that it lies in, {tiny_shards}" in one_line(capsys)


@pytest.fixture
def prepared(phantom_set, tmp_path):
    """Prepare a copy of a set, of which some photographs stand in other parts; the shards."""

    def shards(name: str, part: str) -> ShardFolder:
        for kind in ("images", "masks"):
            for number, path in enumerate(sorted((phantom_set("pairs-flat") / kind).iterdir())):
                place = tmp_path / name / (part if number == 1 else "train") / kind
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place / f"{number}.png")
        assert run("prep", tmp_path / name, tmp_path / f"{name}.shards") == 0
        return ShardFolder(tmp_path / f"{name}.shards")

    return shards


def test_a_test_photograph_of_one_shard_folder_does_not_train_from_another(prepared, capsys):
    one, other = prepared("one", "test"), prepared("other", "train")
    (tested,) = one.of_split("test")
    assert any(ref.source_sha256 == tested.source_sha256 for ref in other.of_split("train"))
    data = training_data([one, other], "train")
    n_train = len(one.of_split("train")) + len(other.of_split("train"))
    validating = {ref.source_sha256 for each in (one, other) for ref in each.of_split("validation")}
    trained = [
        ref
        for each in (one, other)
        for ref in each.of_split("train")
        if ref.source_sha256 not in validating | {tested.source_sha256}
    ]
    assert sum(data.set_sizes) == len(trained) < n_train
    seen = data.photographs
    assert tested.source_sha256 not in seen["train"] and seen["validation"] == sorted(validating)
    assert "left out, since a later part of the split has the same bytes: train/images/1" in (
        capsys.readouterr().err
    )


def test_photographs_of_two_shard_folders_that_count_twice_are_told_of(prepared, capsys):
    training_data([prepared("one", "test"), prepared("other", "test")], "all")
    assert "4 photographs are there more than once" in capsys.readouterr().err
