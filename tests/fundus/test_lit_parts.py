"""Lit parts: scipy's morphology as a second implementation."""

import numpy as np
import pytest
from scipy import ndimage

from fundusseg.fundus.lit_parts import OPENING_PX, eroded, largest_component


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (40, 55)])
def test_erosion_and_opening_are_scipys(shape):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 2)
    mask = smooth > np.median(smooth) - 0.02
    np.testing.assert_array_equal(eroded(mask), ndimage.binary_erosion(mask))
    labels, count = ndimage.label(ndimage.binary_opening(mask, iterations=OPENING_PX))
    sizes = [0, *(np.sum(labels == label) for label in range(1, count + 1))]
    expected = labels == np.argmax(sizes) if count else np.zeros(shape, bool)
    np.testing.assert_array_equal(largest_component(mask), expected)
