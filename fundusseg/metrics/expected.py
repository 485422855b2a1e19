"""The Dice that a map may be expected to have, without a truth."""

import numpy as np


def expected_dice(probability: np.ndarray, vessels: np.ndarray) -> float | None:
    """2 x (sum of p over the map) / (sum of p + area of the map).

    It is the ratio of expectations, close to the expectation of Dice on large pictures; 0 for an
    empty map.

    Args:
        probability: float (N,) in [0, 1], calibrated, of the pixels inside the field of view.
        vessels: bool (N,), the map.

    Returns:
        In [0, 1]; None where there is nothing to divide by.
    """
    size = probability.sum(dtype=float) + np.count_nonzero(vessels)
    return float(2 * probability[vessels].sum(dtype=float) / size) if size else None
