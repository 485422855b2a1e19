"""Configurations: defaults stand once, unknown keys and wrong types never pass for them."""

import dataclasses
from hashlib import sha256

import pytest

from fundusseg.config import FrameConfig, Preset, TrainConfig
from fundusseg.errors import FundussegError
from fundusseg.presets import PRESETS
from fundusseg.serial import canonical_json, config_hash, from_dict, to_dict, with_overrides


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_json(name):
    preset = PRESETS[name]
    assert preset.name == name
    assert from_dict(Preset, to_dict(preset), "x") == preset
    assert type(to_dict(preset)["generator"]["encoder_filters"]) is list


def test_pix2pix_is_the_notebooks_network_and_training():
    preset = PRESETS["pix2pix"]
    generator, discriminator = preset.generator, preset.discriminator
    assert (preset.frame.kind, preset.frame.sizes_px) == ("whole", (256,))
    assert generator.encoder_filters == (64, 128, 256, 512, 512, 512, 512)
    assert generator.bottleneck_filters == 512
    assert generator.dropout == (0.5, 0.5, 0.5)
    assert (generator.residual, generator.inputs, generator.output) == (False, "rgb", "tanh")
    assert generator.initial_stddev == 0.02
    assert discriminator.strided_filters == (64, 128, 256, 512)
    assert discriminator.last_filters == 512
    assert (preset.loss.adversarial, preset.loss.l1) == (1.0, 100.0)
    assert (preset.loss.cross_entropy, preset.loss.dice) == (0.0, 0.0)
    assert preset.loss.adversarial_from == 0.0
    train = preset.train
    assert (train.learning_rate, train.beta1) == (2e-4, 0.5)
    assert (train.epochs, train.batch, train.select) == (40, 1, "l1")
    assert (train.schedule, train.warmup_steps, train.ema_decay) == ("constant", 0, 0.0)


def test_pix2pix_changes_no_photograph():
    augment = PRESETS["pix2pix"].augment
    strengths = [v for k, v in dataclasses.asdict(augment).items() if k != "shrink_min"]
    assert not any(strengths)


@pytest.mark.parametrize(
    ("diameter_px", "size_px"),
    [(300, 704), (704, 704), (2047, 704), (2048, 1024), (2559, 1024), (2560, 1280), (9000, 1280)],
)
def test_a_photograph_takes_the_largest_frame_that_it_is_twice_as_wide_as(diameter_px, size_px):
    assert FrameConfig(sizes_px=(704, 1024, 1280)).size_px(diameter_px) == size_px


def test_nothing_can_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["native"].train.steps = 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"step": 5}, "f.json: unknown key step in Preset; known are name, frame"),
        ({"train": {"setps": 5}}, "f.json: train: unknown key setps in TrainConfig"),
        ({"train": {"steps": 5.0}}, "f.json: train: steps: should be int, is 5.0"),
        ({"train": {"steps": True}}, "steps: should be int, is True"),
        ({"train": {"steps": None}}, "steps: should be int, is None"),
        ({"train": {"learning_rate": "fast"}}, "learning_rate: should be float, is 'fast'"),
        ({"generator": {"residual": 1}}, "residual: should be bool, is 1"),
        ({"generator": {"encoder_filters": 16}}, "encoder_filters: should be a list"),
        ({"generator": {"encoder_filters": [16, "32"]}}, "should be int, is '32'"),
        ({"frame": 704}, "frame: should be a table of keys"),
        ({"name": 5}, "name: should be str, is 5"),
    ],
)
def test_wrong_keys_and_types_are_refused_by_name(values, problem):
    for refusing in (
        lambda: from_dict(Preset, values, "f.json"),
        lambda: with_overrides(Preset(), values, "f.json"),
    ):
        with pytest.raises(FundussegError) as caught:
            refusing()
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_keys_are_defaults():
    assert from_dict(TrainConfig, {"steps": 7}, "x") == TrainConfig(steps=7)


def test_whole_numbers_pass_for_floats():
    found = from_dict(TrainConfig, {"learning_rate": 1}, "x")
    assert type(found.learning_rate) is float


def test_a_word_that_is_none_of_the_choices_is_refused():
    with pytest.raises(FundussegError, match="should be one of cosine, constant"):
        from_dict(TrainConfig, {"schedule": "linear"}, "x")


def test_overrides_reach_inside_and_change_nothing_else():
    native = PRESETS["native"]
    found = with_overrides(native, {"train": {"steps": 7}, "generator": {"dropout": [0.1]}}, "x")
    assert found.train == dataclasses.replace(native.train, steps=7)
    assert found.generator == dataclasses.replace(native.generator, dropout=(0.1,))
    assert found.loss == native.loss
    assert native == PRESETS["native"] == Preset()


def test_canonical_json_does_not_depend_on_order():
    assert canonical_json({"b": [1, 2.5], "a": {"d": None, "c": "é"}}) == (
        '{"a":{"c":"\\u00e9","d":null},"b":[1,2.5]}'
    )
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})


def test_hash_is_the_same_on_every_machine_and_covers_every_value():
    frame = to_dict(FrameConfig(kind="whole", sizes_px=(256,)))
    assert config_hash(frame) == sha256(b'{"kind":"whole","sizes_px":[256]}').hexdigest()
    others = [FrameConfig("whole", (257,)), FrameConfig("field-of-view", (256,))]
    assert len({config_hash(frame), *(config_hash(to_dict(other)) for other in others)}) == 3


@pytest.mark.parametrize("read", [from_dict, lambda kind, *rest: with_overrides(kind(), *rest)])
def test_keys_of_before_are_read_where_they_say_what_is_built_anyway(read):
    """Model folders of version 0.1.0 hold them."""
    values = {
        "generator": {"networks": 1, "residual": False},
        "discriminator": {
            "normalisation": "batch",
            "sees": "map",
            "real_smoothing": 0.0,
            "every": 1,
            "learning_rate_ratio": 1.0,
        },
        "loss": {"correlation": 0, "adversarial_kind": "cross-entropy", "feature_matching": 0.0},
        "train": {"average_decay": 0.5},
        "map": {"smallest_part_px": 9},
    }
    preset = read(Preset, values, "f.json")
    assert preset.train.ema_decay == 0.5 and preset.map.smallest_object_px == 9
    unchanged = dataclasses.replace(
        preset,
        generator=dataclasses.replace(preset.generator, residual=True),
        train=dataclasses.replace(preset.train, ema_decay=Preset().train.ema_decay),
        map=Preset().map,
    )
    assert unchanged == Preset()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("generator", "networks", 2),
        ("discriminator", "sees", "half"),
        ("discriminator", "every", 4),
        ("discriminator", "learning_rate_ratio", 10.0),
        ("loss", "adversarial_kind", "hinge"),
        ("loss", "correlation", 0.5),
    ],
)
def test_a_retired_key_that_asks_for_more_is_refused(section, key, value):
    with pytest.raises(FundussegError) as caught:
        from_dict(Preset, {section: {key: value}}, "f.json")
    assert str(caught.value).startswith(
        f"f.json: {section}: {key} is {value!r}, which this version"
    )
    assert "158e046" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame": {"sizes_px": []}}, "frame.sizes_px is empty; give one side or more"),
        ({"frame": {"sizes_px": [704, 0]}}, "frame.sizes_px is 0; give 1 or more"),
        ({"generator": {"encoder_filters": [4, -4]}}, "generator.encoder_filters is -4; give 1"),
        ({"generator": {"dropout": [0.5, 1]}}, "generator.dropout is 1.0; give 0 to below 1"),
        ({"loss": {"adversarial": -1}}, "loss.adversarial is -1.0; give 0 or more"),
        ({"augment": {"crop_px": 100_000}}, "augment.crop_px is 100000; give 0 to 4096"),
        ({"train": {"learning_rate": float("inf")}}, "train.learning_rate is inf; give 0 or more"),
        ({"augment": {"blur_probability": 1.2}}, "augment.blur_probability is 1.2; give 0 to 1"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate is nan; give 0 or more"),
        ({"train": {"ema_decay": 1.0}}, "train.ema_decay is 1.0; give 0 to below 1"),
        ({"map": {"smallest_object_px": -1}}, "map.smallest_object_px is -1; give 0 or more"),
        ({"train": {"epochs": 0, "steps": 0}}, "train.steps is 0; give 1 or more"),
    ],
)
def test_a_number_out_of_its_range_is_named_with_file_key_and_range(values, message):
    with pytest.raises(FundussegError) as caught:
        from_dict(Preset, values, "f.json")
    assert str(caught.value).startswith(f"f.json: {message}")
    assert "\n" not in str(caught.value)


def test_a_training_of_epochs_needs_no_steps():
    assert TrainConfig(epochs=2, steps=0).epochs == 2
