"""What the generator sees."""

import dataclasses

import numpy as np
import pytest

from fundusseg.config import Preset
from fundusseg.nets.augment import augmented
from fundusseg.nets.local_contrast import INPUT_CHANNELS, local_contrast, network_input
from fundusseg.presets import PIX2PIX, PRESETS


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.6, (1, 96, 96, 3)).astype(np.float32)


WHOLE = np.ones((1, 96, 96, 1), np.float32)


def seeing(kind: str, of: Preset = PRESETS["native"]) -> Preset:
    return dataclasses.replace(of, generator=dataclasses.replace(of.generator, inputs=kind))


@pytest.mark.parametrize("kind", INPUT_CHANNELS)
def test_channels_of_each_kind(image, kind):
    assert network_input(image, WHOLE, seeing(kind)).shape == (1, 96, 96, INPUT_CHANNELS[kind])


def test_rgb_is_scaled_to_minus_one_to_one(image):
    found = network_input(image, WHOLE, seeing("rgb"))
    np.testing.assert_allclose(found, image * 2 - 1, atol=1e-6)


def test_rgb_is_black_outside_the_field_of_view_but_in_whole_frames(image):
    fovs = WHOLE.copy()
    fovs[:, :, 60:] = 0
    for kind in ("rgb", "both"):
        found = network_input(image, fovs, seeing(kind)).numpy()[..., :3]
        assert (found[:, :, 60:] == -1).all()
        np.testing.assert_allclose(found[:, :, :60], image[:, :, :60] * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(network_input(image, fovs, PIX2PIX), image * 2 - 1, atol=1e-6)


def test_pix2pix_learns_from_the_whole_photograph_that_it_draws_from(image):
    """The crop that a training takes, and the frame that prediction gets."""
    frame = np.zeros((96, 96, 5), np.uint8)
    frame[..., :3] = image[0] * 255
    frame[:, :60, 4] = 255
    crop = augmented(frame, np.array([1, 2], np.int32), PIX2PIX.augment)
    learnt = network_input(crop[np.newaxis, ..., :3], crop[np.newaxis, ..., 4:], PIX2PIX)
    np.testing.assert_allclose(learnt[0], frame[..., :3] / 127.5 - 1, atol=1e-6)


def test_an_even_photograph_has_no_contrast():
    flat = np.full((1, 96, 96, 3), 0.4, np.float32)
    assert np.abs(local_contrast(flat, WHOLE)).max() < 0.05


def test_contrast_does_not_depend_on_gain_and_offset(image):
    plain = local_contrast(image, WHOLE).numpy()
    changed = local_contrast(image * 0.6 + 0.2, WHOLE).numpy()
    assert np.abs(plain - changed).max() < 0.1 * np.abs(plain).max()


def test_contrast_is_zero_outside_and_blind_to_what_lies_there(image):
    fovs = WHOLE.copy()
    fovs[:, :, 60:] = 0
    other = image.copy()
    other[:, :, 60:] = 0.9
    found = local_contrast(image, fovs).numpy()
    assert not found[:, :, 60:].any()
    np.testing.assert_allclose(found, local_contrast(other, fovs), atol=1e-4)


def test_contrast_is_about_one_deviation_wide(image):
    assert local_contrast(image, WHOLE).numpy().std() == pytest.approx(1.0, abs=0.1)
