"""What calibrated probabilities tell of a map without a truth: expected Dice, entropy."""

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


def mean_entropy(probability: np.ndarray) -> float | None:
    """Mean over pixels of -p log2 p - (1 - p) log2 (1 - p), in bits: 0 sure, 1 undecided.

    Args:
        probability: float (N,) in [0, 1], calibrated, of the pixels inside the field of view.

    Returns:
        None without a pixel.
    """
    if not probability.size:
        return None
    p = np.clip(probability, 1e-7, 1 - 1e-7)  # float32 knows no number nearer to 1 but 1
    return float(-np.mean(p * np.log2(p) + (1 - p) * np.log2(1 - p), dtype=float))
