"""A generator applied to frames: whole, padded, and in tiles."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

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
    found = Predictor(PRESET, weights).scores(*frames)
    assert found.shape == frames[1].shape and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert not found[:, :10].any() and found[:, 10:].std() > 0


@pytest.mark.parametrize(("batch", "tolerance"), [(1, 0), (2, 1e-5)])
@pytest.mark.parametrize("tile_px", [0, 72])
def test_a_frame_alone_is_the_frame_among_others(weights, frames, batch, tolerance, tile_px):
    """To the last bit with batches of one; with more, processors without avx512 round otherwise."""
    predictor = Predictor(PRESET, weights, batch=batch, tile_px=tile_px)
    together = predictor.scores(*frames)
    alone = [predictor.scores(frames[0][n : n + 1], frames[1][n : n + 1]) for n in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=tolerance)


def test_one_predictor_takes_frames_of_several_sizes(weights, frames):
    wide = [
        np.pad(values, [(0, 0), (0, 56), (0, 56)] + [(0, 0)] * (values.ndim - 3))
        for values in frames
    ]
    predictor = Predictor(PRESET, weights, tile_px=FRAME_PX)
    before, large, after = map(predictor.scores, *zip(frames, wide, frames, strict=True))
    np.testing.assert_array_equal(before, after)
    assert large.shape == wide[1].shape and not large[:, :, FRAME_PX:].any()
    inner = slice(16, FRAME_PX - 32)
    assert np.abs(large[:, inner, inner] - before[:, inner, inner]).mean() < 0.02


def test_tiles_agree_with_the_whole_frame_away_from_their_borders(weights, frames):
    whole = Predictor(PRESET, weights).scores(*frames)
    tiled = Predictor(PRESET, weights, tile_px=72).scores(*frames)
    assert np.abs(whole - tiled).mean() < 0.02
    assert not tiled[:, :10].any()


def test_tiles_must_fit_the_network(weights):
    with pytest.raises(ValueError, match="multiples of 8"):
        Predictor(PRESET, weights, tile_px=60)


def changed(weights, **values):
    return {**weights, **{name.replace("__", "/"): array for name, array in values.items()}}


@pytest.mark.parametrize(
    "broken",
    [
        lambda w: {name: values for name, values in w.items() if "bottleneck" not in name},
        lambda w: {name: values for name, values in w.items() if name != "encoder_2_norm/beta"},
        lambda w: changed(w, encoder_9_conv__kernel=np.zeros((4, 4, 8, 8))),
        lambda w: changed(w, encoder_9_norm__gamma=np.zeros(8)),
        lambda w: changed(w, encoder_1_conv__kernel=np.zeros((4, 4, 6, 4))),
        lambda w: changed(w, output_upconv__kernel=np.zeros((4, 4, 2, 4))),
    ],
    ids=["no bottleneck", "no beta", "one more layer", "one more norm", "inputs", "outputs"],
)
def test_weights_of_another_network_are_refused(weights, broken):
    with pytest.raises(ValueError, match="another network"):
        Predictor(PRESET, broken(weights))


def trained(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights whose BatchNorm does something."""
    draw = np.random.default_rng(3).uniform
    return {
        name: draw(0.5, 1.5, values.shape).astype(np.float32) if "_norm/" in name else values
        for name, values in weights.items()
    }


KINDS = {
    "native": {},
    "pix2pix": {"residual": False, "dropout": (0.5,), "output": "tanh"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_folded_layers_draw_what_keras_layers_draw(frames, kind):
    """Folding BatchNorm into the convolutions is exact but for rounding."""
    config = dataclasses.replace(PRESET.generator, **KINDS[kind])
    preset = dataclasses.replace(PRESET, generator=config)
    generator = build_generator(preset.generator, policy("float32"))
    weights = trained({weight.path: weight.numpy() for weight in generator.weights})
    for variable in generator.weights:
        variable.assign(weights[variable.path])
    predictor = Predictor(preset, weights)
    margin_px = predictor.margin_px
    sides = [(0, 0), (margin_px, margin_px), (margin_px, margin_px)]
    surrounded = [np.pad(frames[0], [*sides, (0, 0)]), np.pad(frames[1], sides)]
    inputs = predictor._prepare(*map(tf.constant, surrounded))
    inner = slice(margin_px, margin_px + FRAME_PX)
    drawn = generator(inputs, training=False)[:, inner, inner, -1]
    expected = (drawn + 1) / 2 if kind == "pix2pix" else tf.sigmoid(drawn)
    inside = frames[1] > 0
    found = predictor.scores(*frames)
    assert expected.numpy()[inside].std() > 0.05
    np.testing.assert_allclose(found[inside], expected.numpy()[inside], atol=1e-5)


def test_test_time_augmentation_is_the_mean_over_four_mirror_images(weights, frames):
    plain = Predictor(PRESET, weights)
    expected = np.zeros(frames[1].shape, np.float64)
    for step_y in (1, -1):
        for step_x in (1, -1):
            image, fov = (values[:, ::step_y, ::step_x] for values in frames)
            expected += plain.scores(image, fov)[:, ::step_y, ::step_x] / 4
    found = Predictor(PRESET, weights, test_time_augmentation=True).scores(*frames)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - plain.scores(*frames)).max() > 0.01


def test_tanh_becomes_a_probability(weights, frames):
    generator = dataclasses.replace(PRESET.generator, output="tanh")
    found = Predictor(dataclasses.replace(PRESET, generator=generator), weights).scores(*frames)
    assert found.min() >= 0 and found.max() <= 1
