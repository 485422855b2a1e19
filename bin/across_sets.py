"""One threshold and one calibration for a model, from several data sets that count alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fundusseg.metrics.calibration import Calibration
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import (
    THRESHOLDS,
    lowest_near_best,
    mean_dice,
    platt_calibration,
    pooled,
)

# clDice rises as the threshold falls below the best one for Dice; where Dice has lost this much,
# the mean of both is highest (docs/recipe.md).
DICE_TOLERANCE = 0.006


@dataclass(frozen=True)
class OfSet:
    """Of one data set: mean Dice over its images at the common threshold, and at its own best."""

    dice: float
    best_dice: float
    best_threshold: float


@dataclass(frozen=True)
class AcrossSets:
    """dice: mean over data sets of the mean over images at `threshold`; sets: of each of them.

    The highest mean is the least mean regret (`best_dice` - `dice`). The threshold is the lowest
    one whose mean Dice is within DICE_TOLERANCE of that.
    calibration: fitted to the pixels of all sets, each set of the same weight; or None.
    """

    dice: float
    threshold: float
    sets: tuple[OfSet, ...]
    calibration: Calibration | None


def across_sets(sets: Sequence[Sequence[ScoreHistogram]]) -> AcrossSets:
    """One threshold for several data sets, each of which counts the same.

    Raises:
        ValueError: if there is no set, or one without an image.
    """
    if not sets:
        raise ValueError("no data set to choose on")
    calibration = platt_calibration(
        pooled([_of_weight_one(pooled(histograms)) for histograms in sets])
    )
    by_set = [mean_dice(histograms, calibration) for histograms in sets]
    mean = np.mean(by_set, axis=0)
    best = lowest_near_best(mean, DICE_TOLERANCE)
    return AcrossSets(
        float(mean[best]),
        float(THRESHOLDS[best]),
        tuple(
            OfSet(float(dice[best]), float(dice.max()), float(THRESHOLDS[dice.argmax()]))
            for dice in by_set
        ),
        calibration,
    )


def _of_weight_one(histogram: ScoreHistogram) -> ScoreHistogram:
    """The same shares of pixels, of 10^9 pixels in all."""
    scale = 1e9 / max(1, int(histogram.positives.sum() + histogram.negatives.sum()))
    return ScoreHistogram(
        np.rint(histogram.positives * scale).astype(np.int64),
        np.rint(histogram.negatives * scale).astype(np.int64),
    )
