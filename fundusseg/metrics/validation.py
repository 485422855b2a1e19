"""What a training's validation needs of the maps: one figure to select by, one threshold.

Thresholds go in hundredths, so that a table of counts per image is small; the threshold
is the one with the highest mean over images of Dice, since that is what is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fundusseg.metrics.curves import N_LEVELS, ScoreHistogram, auroc

THRESHOLDS = np.arange(1, 100) / 100
MOST_NEWTON_STEPS = 100
LARGEST_NEWTON_STEP = 2.0


@dataclass(frozen=True)
class Validation:
    """dice: mean over images at `threshold`, which was chosen on the same images. auroc: pooled."""

    dice: float
    auroc: float
    threshold: float


@dataclass(frozen=True)
class AcrossSets:
    """dice: mean over data sets of the mean over images at `threshold`; set_dice: of each set.

    pooled: the pixels of all sets, each set of the same weight.
    """

    dice: float
    threshold: float
    set_dice: tuple[float, ...]
    pooled: ScoreHistogram


def validation(histograms: Sequence[ScoreHistogram]) -> Validation:
    """Threshold, mean Dice at it, and pooled AUROC, from one histogram per image.

    Raises:
        ValueError: if there is no image.
    """
    if not histograms:
        raise ValueError("no image to validate on")
    mean = np.mean([_dice_by_threshold(histogram) for histogram in histograms], axis=0)
    best = int(np.argmax(mean))
    return Validation(float(mean[best]), float(auroc(pooled(histograms))), float(THRESHOLDS[best]))


def pooled(histograms: Sequence[ScoreHistogram]) -> ScoreHistogram:
    """The histogram of all images together; ValueError if there is none."""
    if not histograms:
        raise ValueError("no image to pool")
    return ScoreHistogram(
        np.sum([histogram.positives for histogram in histograms], axis=0),
        np.sum([histogram.negatives for histogram in histograms], axis=0),
    )


def across_sets(sets: Sequence[Sequence[ScoreHistogram]]) -> AcrossSets:
    """One threshold for several data sets, each of which counts the same.

    Raises:
        ValueError: if there is no set, or one without an image.
    """
    if not sets:
        raise ValueError("no data set to choose on")
    together = pooled([_of_weight_one(pooled(histograms)) for histograms in sets])
    by_set = [
        np.mean([_dice_by_threshold(histogram) for histogram in histograms], axis=0)
        for histograms in sets
    ]
    mean = np.mean(by_set, axis=0)
    best = int(np.argmax(mean))
    return AcrossSets(
        float(mean[best]),
        float(THRESHOLDS[best]),
        tuple(float(dice[best]) for dice in by_set),
        together,
    )


def _of_weight_one(histogram: ScoreHistogram) -> ScoreHistogram:
    """The same shares of pixels, of 10^9 pixels in all."""
    scale = 1e9 / max(1, int(histogram.positives.sum() + histogram.negatives.sum()))
    return ScoreHistogram(
        np.rint(histogram.positives * scale).astype(np.int64),
        np.rint(histogram.negatives * scale).astype(np.int64),
    )


def _dice_by_threshold(histogram: ScoreHistogram) -> np.ndarray:
    """Dice of one image at each of `THRESHOLDS`; 1 where both map and truth are empty."""
    first = np.ceil(THRESHOLDS * (N_LEVELS - 1)).astype(int)
    tp, fp = (counts[first] for counts in histogram.by_level())
    sizes = tp + fp + histogram.positives.sum()
    return np.where(sizes > 0, 2 * tp / np.maximum(sizes, 1), 1.0)


def platt_calibration(histogram: ScoreHistogram) -> tuple[float, float]:
    """Slope and intercept of the logistic map from logit(score) to vessel probability.

    Fitted by maximum likelihood (Newton's method, a step halved until it gains) on pooled
    pixels. Platt, Advances in Large Margin Classifiers, 1999. (1, 0) where one class is missing.
    """
    levels = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    scores = np.log(levels / (1 - levels))
    positives, negatives = histogram.positives.astype(float), histogram.negatives.astype(float)
    if not positives.any() or not negatives.any():
        return 1.0, 0.0
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
    return float(parameters[0]), float(parameters[1])
