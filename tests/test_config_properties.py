"""Configurations of any values: they come back as they were, or are refused in one line."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundusseg.config import FrameConfig, LossConfig, Preset, TrainConfig
from fundusseg.errors import FundussegError
from fundusseg.presets import PRESETS
from fundusseg.serial import config_hash, from_dict, to_dict, with_overrides

presets = st.builds(
    Preset,
    name=st.text(max_size=9),
    frame=st.builds(FrameConfig, sizes_px=st.lists(st.integers(1, 4096), min_size=1).map(tuple)),
    loss=st.builds(LossConfig, dice=st.floats(0, 1e9), adversarial_from=st.floats(0, 1)),
    train=st.builds(TrainConfig, steps=st.integers(1), learning_rate=st.floats(0, 10)),
)
known = [
    field.name
    for section in (Preset, *(type(value) for value in vars(PRESETS["native"]).values()))
    if dataclasses.is_dataclass(section)
    for field in dataclasses.fields(section)
]
numbers = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 2**31])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(known) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
overrides = st.dictionaries(st.sampled_from(known) | st.text(max_size=5), values, max_size=4)


@given(presets)
def test_a_preset_comes_back_from_its_json(preset):
    text = json.dumps(to_dict(preset))
    again = from_dict(Preset, json.loads(text), "x")
    assert again == preset
    assert config_hash(to_dict(again)) == config_hash(to_dict(preset))


@given(overrides)
def test_whatever_a_file_says_is_taken_or_refused_in_one_line(changed):
    try:
        preset = with_overrides(PRESETS["native"], changed, "x.json")
    except FundussegError as error:
        (line,) = str(error).splitlines()
        assert line.startswith("x.json: ")
    else:
        assert with_overrides(preset, to_dict(preset), "x.json") == preset


@pytest.mark.parametrize("key", ["a\nb", "a\u2028b", "a\rb"])
def test_a_key_with_a_newline_is_refused_in_one_line(key):
    with pytest.raises(FundussegError) as refused:
        with_overrides(PRESETS["native"], {key: 1}, "x.json")
    assert len(str(refused.value).splitlines()) == 1
