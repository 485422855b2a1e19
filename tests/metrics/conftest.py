"""Random pairs of masks that look like vessels, shared by the tests of all metrics."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

SHAPE = (96, 120)


class Pair(NamedTuple):
    """A prediction and a truth (Y, X), the field of view, and the prediction's 16-bit scores."""

    level: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray
    where: np.ndarray

    @property
    def probability(self):
        """The scores as probabilities, float64 in [0, 1]."""
        return self.level / 65535


def _field(rng, sigma_px):
    noise = gaussian_filter(rng.normal(size=SHAPE), sigma_px)
    return noise / noise.std()


def _pair(seed):
    """Thin curves (where a smooth field is near zero) for odd seeds, blobs for even ones."""
    rng = np.random.default_rng(seed)
    sigma_px = rng.uniform(2, 6)
    truth, prediction = _field(rng, sigma_px), _field(rng, sigma_px)
    prediction = truth + rng.uniform(0.05, 1) * prediction
    if seed % 2:
        truth, prediction = 0.25 - np.abs(truth), 0.25 - np.abs(prediction)
    probability = 1 / (1 + np.exp(-8 * prediction))
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    where = np.hypot(y - SHAPE[0] / 2, x - SHAPE[1] / 2) < SHAPE[0] * rng.uniform(0.35, 0.6)
    level = np.rint(probability * 65535).astype(np.uint16)
    return Pair(level, level >= 32768, truth > 0, where)


@pytest.fixture(scope="session")
def pairs():
    """Fifty pairs, their Dice from 0.24 to 0.98; vessels reach the frame."""
    return [_pair(seed) for seed in range(50)]


@pytest.fixture
def masks():
    """A few masks (8, 8) by name: empty, full, one pixel, and two rectangles that overlap."""
    names = ("empty", "full", "pixel", "left", "right")
    arrays = {name: np.zeros((8, 8), bool) for name in names}
    arrays["full"][:] = True
    arrays["pixel"][3, 4] = True
    arrays["left"][2:5, 1:5] = True
    arrays["right"][2:5, 2:6] = True
    return arrays
