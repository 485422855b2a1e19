"""A generator applied to frames: whole, padded, and in tiles."""

import dataclasses

import keras
import numpy as np
import pytest

from fundusseg.nets.generator import build_generator
from fundusseg.nets.prediction import Predictor
from fundusseg.nets.runtime import policy
from tests.nets.tiny import FRAME_PX, tiny_preset

PRESET = tiny_preset()


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    keras.utils.set_random_seed(1)
    generator = build_generator(PRESET.generator, policy("float32"))
    return {weight.path: weight.numpy() for weight in generator.weights}


@pytest.fixture(scope="module")
def frames() -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(2).integers(0, 255, (3, FRAME_PX, FRAME_PX, 3), dtype=np.uint8)
    fovs = np.full((3, FRAME_PX, FRAME_PX), 255, np.uint8)
    fovs[:, :10] = 0
    return images, fovs


def test_probabilities_are_probabilities_and_zero_outside(weights, frames):
    found = Predictor(PRESET, weights).probabilities(*frames)
    assert found.shape == frames[1].shape and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert not found[:, :10].any() and found[:, 10:].std() > 0


def test_the_grouping_into_batches_changes_no_byte(weights, frames):
    predictor = Predictor(PRESET, weights, batch=2)
    together = predictor.probabilities(*frames)
    alone = [predictor.probabilities(frames[0][n : n + 1], frames[1][n : n + 1]) for n in range(3)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_one_predictor_takes_frames_of_several_sizes(weights, frames):
    wide = [
        np.pad(values, [(0, 0), (0, 64), (0, 64)] + [(0, 0)] * (values.ndim - 3))
        for values in frames
    ]
    predictor = Predictor(PRESET, weights, tile_px=FRAME_PX)
    before, large, after = map(predictor.probabilities, *zip(frames, wide, frames, strict=True))
    np.testing.assert_array_equal(before, after)
    assert large.shape == wide[1].shape and not large[:, :, FRAME_PX:].any()
    inner = slice(16, FRAME_PX - 32)
    assert np.abs(large[:, inner, inner] - before[:, inner, inner]).mean() < 0.02


def test_tiles_agree_with_the_whole_frame_away_from_their_borders(weights, frames):
    whole = Predictor(PRESET, weights).probabilities(*frames)
    tiled = Predictor(PRESET, weights, tile_px=64).probabilities(*frames)
    assert np.abs(whole - tiled).mean() < 0.02
    assert not tiled[:, :10].any()


def test_tiles_must_fit_the_network(weights):
    with pytest.raises(ValueError, match="multiples of 8"):
        Predictor(PRESET, weights, tile_px=60)


def test_weights_of_another_network_are_refused(weights):
    missing = {name: values for name, values in weights.items() if "bottleneck" not in name}
    with pytest.raises(ValueError, match="another network"):
        Predictor(PRESET, missing)


def test_tanh_becomes_a_probability(weights, frames):
    generator = dataclasses.replace(PRESET.generator, output="tanh")
    found = Predictor(dataclasses.replace(PRESET, generator=generator), weights).probabilities(
        *frames
    )
    assert found.min() >= 0 and found.max() <= 1
