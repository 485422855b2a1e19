"""What a training's validation needs of the maps: one figure to select by, calibration, threshold.

Thresholds are on the scale of the calibrated probabilities, in hundredths, so that a table of
counts per image is small. The threshold is the lowest one that costs next to no Dice, since clDice
goes on rising below the best one for Dice (docs/recipe.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fundusseg.metrics.calibration import Calibration
from fundusseg.metrics.curves import N_LEVELS, ScoreHistogram, auroc

THRESHOLDS = np.arange(1, 100) / 100
DICE_TOLERANCE = 0.003  # what a lower threshold may cost
MOST_NEWTON_STEPS = 100
LARGEST_NEWTON_STEP = 2.0


@dataclass(frozen=True)
class Validation:
    """dice: the highest mean over images of any threshold. auroc: pooled.

    threshold: the lowest whose mean Dice is within `DICE_TOLERANCE` of that, on the same images.
    calibration: of the scores, fitted to the pooled pixels; None where none can be.
    """

    dice: float
    auroc: float
    threshold: float
    calibration: Calibration | None


def validation(histograms: Sequence[ScoreHistogram]) -> Validation:
    """Mean Dice, pooled AUROC, threshold and calibration, from a histogram per image.

    Raises:
        ValueError: if there is no image.
    """
    if not histograms:
        raise ValueError("no image to validate on")
    together = pooled(histograms)
    calibration = platt_calibration(together)
    mean = mean_dice(histograms, calibration)
    threshold = float(THRESHOLDS[lowest_near_best(mean, DICE_TOLERANCE)])
    return Validation(float(mean.max()), float(auroc(together)), threshold, calibration)


def lowest_near_best(mean: np.ndarray, tolerance: float) -> int:
    """Which of `THRESHOLDS` is the lowest whose mean Dice, float (99,), is so near the highest."""
    return int(np.argmax(mean >= mean.max() - tolerance))


def pooled(histograms: Sequence[ScoreHistogram]) -> ScoreHistogram:
    """The histogram of all images together; ValueError if there is none."""
    if not histograms:
        raise ValueError("no image to pool")
    return ScoreHistogram(
        np.sum([histogram.positives for histogram in histograms], axis=0),
        np.sum([histogram.negatives for histogram in histograms], axis=0),
    )


def mean_dice(histograms: Sequence[ScoreHistogram], calibration: Calibration | None) -> np.ndarray:
    """float64 (99,): the mean over images of Dice at each of `THRESHOLDS`."""
    scores = THRESHOLDS if calibration is None else calibration.inverse(THRESHOLDS)
    return np.mean([_dice_at(histogram, scores) for histogram in histograms], axis=0)


def _dice_at(histogram: ScoreHistogram, scores: np.ndarray) -> np.ndarray:
    """Dice of one image cut at each of the scores; 1 where both map and truth are empty."""
    first = np.ceil(scores * (N_LEVELS - 1)).astype(int)
    tp, fp = (counts[first] for counts in histogram.by_level())
    sizes = tp + fp + histogram.positives.sum()
    return np.where(sizes > 0, 2 * tp / np.maximum(sizes, 1), 1.0)


def platt_calibration(histogram: ScoreHistogram) -> Calibration | None:
    """The calibration that pooled pixels have, by maximum likelihood.

    By Newton's method, a step halved until it gains. None where one class is missing, or where
    vessels do not score higher than the background.
    """
    levels = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    scores = np.log(levels / (1 - levels))
    positives, negatives = histogram.positives.astype(float), histogram.negatives.astype(float)
    if not positives.any() or not negatives.any():
        return None
    both = positives + negatives

    def cost(parameters: np.ndarray) -> float:
        logits = parameters[0] * scores + parameters[1]
        return positives @ np.logaddexp(0, -logits) + negatives @ np.logaddexp(0, logits)

    parameters = np.array([1.0, 0.0])
    for _ in range(MOST_NEWTON_STEPS):
        vessel = 1 / (1 + np.exp(-np.clip(parameters[0] * scores + parameters[1], -30, 30)))
        residual, weight = positives - both * vessel, both * vessel * (1 - vessel)
        gradient = np.array([residual @ scores, residual.sum()])
        cross = weight @ scores
        curvature = np.array([[weight @ scores**2, cross], [cross, weight.sum()]])
        step = np.linalg.solve(curvature + 1e-9 * np.trace(curvature) * np.eye(2), gradient)
        step /= max(1.0, np.abs(step).max() / LARGEST_NEWTON_STEP)
        while cost(parameters + step) > cost(parameters) and np.abs(step).max() >= 1e-8:
            step /= 2
        if np.abs(step).max() < 1e-8:
            break
        parameters = parameters + step
    slope, intercept = map(float, parameters)
    return Calibration(slope, intercept) if slope > 0 else None
