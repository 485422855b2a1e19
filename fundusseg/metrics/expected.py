"""The Dice that a map may be expected to have, without a truth."""

import numpy as np


def expected_dice(
    scores: np.ndarray, drawn: np.ndarray, slope: float, intercept: float
) -> float | None:
    """2 x (sum of p over the map) / (sum of p + area of the map).

    p = sigmoid(slope * logit(score) + intercept) is the calibrated vessel probability. It
    is the ratio of expectations, close to the expectation of Dice on large pictures.

    Args:
        scores: float (N,) in [0, 1], of the pixels inside the field of view.
        drawn: bool (N,), the map.

    Returns:
        In [0, 1]; None where there is nothing to divide by.
    """
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    logits = slope * np.log(clipped / (1 - clipped)) + intercept
    vessel = 1 / (1 + np.exp(-logits))
    size = vessel.sum(dtype=float) + np.count_nonzero(drawn)
    return float(2 * vessel[drawn].sum(dtype=float) / size) if size else None
