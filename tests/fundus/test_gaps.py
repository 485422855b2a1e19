"""Gaps in the vessels of a map."""

import numpy as np
import pytest

from fundusseg.fundus.gaps import without_gaps

LINE, FAR, ACROSS = slice(48, 53), slice(10, 40), slice(40, 48)
HOW = {"least": 0.14, "gap_px": 10, "width_px": 3}


def interrupted(between: float) -> tuple[np.ndarray, np.ndarray]:
    """A vessel 5 pixels wide with 8 pixels of it at another probability; map and probabilities."""
    probability = np.zeros((100, 100), np.float32)
    probability[LINE, 10:90] = 0.9
    probability[LINE, ACROSS] = between
    return probability >= 0.28, probability


def test_a_gap_is_closed_at_the_width_of_a_thin_vessel():
    vessels, probability = interrupted(0.2)
    joined = without_gaps(vessels, probability, **HOW)
    expected = vessels.copy()
    expected[49:52, ACROSS] = True
    np.testing.assert_array_equal(joined, expected)


@pytest.mark.parametrize(
    ("between", "how"),
    [(0.1, {}), (0.2, {"gap_px": 7}), (0.2, {"least": 0.25}), (0.2, {"gap_px": 0})],
    ids=["no probability", "too long", "too unlikely", "not asked for"],
)
def test_a_gap_stays_where_nothing_says_that_the_vessel_goes_on(between, how):
    vessels, probability = interrupted(between)
    assert without_gaps(vessels, probability, **{**HOW, **how}) is vessels


def test_a_vessel_does_not_grow_at_its_end():
    """What leaves one component and reaches none is no gap."""
    vessels, probability = interrupted(0.2)
    vessels[:, 48:] = False
    probability[:, 48:] = 0
    assert without_gaps(vessels, probability, **HOW) is vessels


def test_a_short_piece_is_joined_on_both_sides_at_the_border_of_the_image():
    probability = np.zeros((12, 60), np.float32)
    probability[0:3] = 0.2
    probability[0:3, 0:20] = probability[0:3, 26:32] = probability[0:3, 38:] = 0.9
    joined = without_gaps(probability >= 0.28, probability, **HOW)
    assert joined[1].all()


@pytest.mark.parametrize("fill", [False, True])
def test_maps_of_one_component_or_none_stay(fill):
    vessels = np.full((40, 40), fill)
    assert without_gaps(vessels, vessels.astype(np.float32), **HOW) is vessels


def test_two_vessels_side_by_side_are_not_joined_along_their_length():
    """The skeleton of two lines in one likely band is one line between them: it reaches both."""
    probability = np.zeros((60, 90), np.float32)
    probability[20:29, 5:85] = 0.2
    probability[20:23, 5:85] = probability[26:29, 5:85] = 0.9
    vessels = probability >= 0.28
    assert without_gaps(vessels, probability, **HOW) is vessels


def test_many_small_pieces_are_joined_as_few_are():
    """A row of dashes: windows around each would be more than the image."""
    probability = np.full((60, 400), 0.2, np.float32) * (np.abs(np.arange(60) - 30) < 2)[:, None]
    probability[:, np.arange(400) % 12 < 8] *= 4.5
    joined = without_gaps(probability >= 0.28, probability, **HOW)
    assert joined[30].all()
