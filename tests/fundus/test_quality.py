"""Sharpness, evenness and edge of drawn frames whose figures are known."""

import numpy as np
import pytest

from fundusseg.fundus.quality import quality

SIDE = 256
CIRCLE = np.array([SIDE / 2] * 3)
ALL = np.full((SIDE, SIDE), 255, np.uint8)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def test_sharpness_is_1_for_independent_pixels_and_what_their_correlation_leaves():
    noise = np.random.default_rng(1).normal(size=(SIDE, SIDE + 1))
    assert quality(grey(128 + 30 * noise[:, 1:]), ALL, CIRCLE).sharpness == pytest.approx(
        1, abs=0.02
    )
    # Of sums of neighbours second differences have the variance 4, and they themselves 2; within
    # rows of 16 pixels, 8 of a column, their own mean takes 0.03 of it.
    pairs = noise[:, 1:] + noise[:, :-1]
    expected = 4 / (6 * (2 - 0.03))
    assert quality(grey(128 + 20 * pairs), ALL, CIRCLE).sharpness == pytest.approx(
        expected, abs=0.02
    )


def test_a_ramp_is_not_sharp():
    ramp = np.broadcast_to(np.arange(SIDE) * 0.7, (SIDE, SIDE))
    assert quality(grey(ramp), ALL, CIRCLE).sharpness == pytest.approx(0, abs=0.005)


def test_a_flat_picture_has_no_sharpness_and_even_light():
    found = quality(grey(np.full((SIDE, SIDE), 90.0)), ALL, CIRCLE)
    assert np.isnan(found.sharpness) and (found.evenness, found.dark_edge) == (1, 0)


def test_evenness_is_the_tenth_over_the_ninetieth_percentile_of_the_light():
    ramp = np.broadcast_to(np.linspace(40, 200, SIDE), (SIDE, SIDE))
    blocks = np.repeat(ramp[0].reshape(-1, 16).mean(axis=1), 16)
    expected = np.percentile(blocks, 10) / np.percentile(blocks, 90)
    assert quality(grey(ramp), ALL, CIRCLE).evenness == pytest.approx(expected, abs=0.01)


def test_the_dark_edge_is_what_the_picture_cuts_off_or_leaves_dark():
    image = grey(np.full((SIDE, SIDE), 90.0))
    image[:, : SIDE // 2 - 20] = 10
    share = np.degrees(2 * np.arccos(20 / (0.96 * SIDE / 2))) / 360
    assert quality(image, ALL, CIRCLE).dark_edge == pytest.approx(share, abs=0.01)
    cut = ALL.copy()
    cut[:32] = 0  # at 96 of 122.9 px from the centre
    share = np.degrees(2 * np.arccos(96 / (0.96 * SIDE / 2))) / 360
    flat = grey(np.full((SIDE, SIDE), 90.0))
    assert quality(flat, cut, CIRCLE).dark_edge == pytest.approx(share, abs=0.01)


def test_an_empty_field_of_view_has_no_quality():
    found = quality(grey(np.full((SIDE, SIDE), 90.0)), np.zeros_like(ALL), CIRCLE)
    assert np.isnan([found.sharpness, found.evenness, found.dark_edge]).all()
