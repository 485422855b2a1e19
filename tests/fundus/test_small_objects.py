"""Small parts of a map."""

import numpy as np
import pytest
from skimage.morphology import remove_small_objects

from fundusseg.fundus.small_objects import without_small_objects


def test_parts_that_touch_at_a_corner_are_one():
    vessels = np.zeros((9, 9), bool)
    vessels[1, 1] = vessels[2, 2] = vessels[3, 3] = True  # three pixels, corner to corner
    vessels[6, 6:8] = True  # two
    expected = vessels.copy()
    expected[6, 6:8] = False
    np.testing.assert_array_equal(without_small_objects(vessels, 3), expected)
    np.testing.assert_array_equal(without_small_objects(vessels, 2.5), expected)
    np.testing.assert_array_equal(without_small_objects(vessels, 2), vessels)


@pytest.mark.parametrize("smallest_px", [0, 1])
def test_nothing_is_smaller_than_a_pixel(smallest_px):
    vessels = np.eye(4, dtype=bool)
    assert without_small_objects(vessels, smallest_px) is vessels


def test_maps_without_a_vessel_or_all_vessel_stay():
    empty = np.zeros((5, 7), bool)
    np.testing.assert_array_equal(without_small_objects(empty, 10), empty)
    np.testing.assert_array_equal(without_small_objects(~empty, 10), ~empty)


def test_it_agrees_with_scikit_image():
    vessels = np.random.default_rng(1).uniform(size=(200, 300)) > 0.7
    expected = remove_small_objects(vessels, max_size=11, connectivity=2)
    assert 0 < expected.sum() < vessels.sum()
    np.testing.assert_array_equal(without_small_objects(vessels, 12), expected)
