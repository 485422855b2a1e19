"""The convex hull: known shapes, and scikit-image as a second implementation."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import convex_hull_image

from fundusseg.fundus.hull import convex_hull, filled_rows


def blob(seed: int) -> np.ndarray:
    """A ragged mask that touches the edges now and then."""
    draw = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(draw.random(draw.integers(20, 90, 2)), draw.uniform(1, 6))
    return noise > np.quantile(noise, draw.uniform(0.5, 0.99))


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_hull_that_scikit_image_finds(seed):
    mask = blob(seed)
    np.testing.assert_array_equal(convex_hull(mask), convex_hull_image(mask))


def test_scattered_pixels_have_the_same_hull_too():
    for seed in range(40):
        mask = np.random.default_rng(seed).random((40, 30)) < 0.004 * (1 + seed % 3)
        if mask.any():
            np.testing.assert_array_equal(convex_hull(mask), convex_hull_image(mask))


def test_a_rectangle_is_its_own_hull():
    mask = np.zeros((20, 30), bool)
    mask[3:9, 5:28] = True
    np.testing.assert_array_equal(convex_hull(mask), mask)


def test_two_far_pixels_are_joined_by_a_line():
    mask = np.zeros((9, 9), bool)
    mask[0, 0] = mask[8, 8] = True
    np.testing.assert_array_equal(convex_hull(mask), np.eye(9, dtype=bool))


def test_nothing_has_no_hull():
    mask = np.zeros((5, 6), bool)
    assert not convex_hull(mask).any()


def test_rows_are_filled_from_start_to_stop():
    found = filled_rows((4, 5), 1, np.array([0, 2]), np.array([2, 2]))
    assert np.argwhere(found).tolist() == [[1, 0], [1, 1]]
