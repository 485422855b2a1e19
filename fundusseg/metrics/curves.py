"""ROC and precision-recall curves from histograms of the scores.

A 16-bit probability map has 65536 levels. Counting vessel and background pixels per level, once,
loses nothing: every threshold's four counts are sums over the histogram, so that the curves and
the areas under them are exact for such a map, need no sorting, and can be pooled by adding.
A pixel is called vessel where its probability is at least the threshold.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fundusseg.metrics.checks import check_masks, check_same_shape
from fundusseg.metrics.overlap import Counts

N_LEVELS = 65536
LEVELS = np.arange(N_LEVELS) / (N_LEVELS - 1)
LEVELS.flags.writeable = False


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Vessel and background pixels per level of probability; index k is probability k / 65535.

    Attributes:
        positives: int64 (65536,), pixels that the truth calls vessel.
        negatives: int64 (65536,), pixels that it calls background.
    """

    positives: np.ndarray
    negatives: np.ndarray

    @classmethod
    def of(
        cls, probability: np.ndarray, truth: np.ndarray, where: np.ndarray | None = None
    ) -> "ScoreHistogram":
        """Count the scores of one image; all zero if `where` is empty.

        Args:
            probability: of any one shape, floating point in [0, 1], rounded to the nearest
                65535th, or uint16, 65535 times the probability.
            truth: bool, same shape, True is vessel.
            where: bool, same shape, the field of view: what lies outside it is neither counted
                nor looked at. None counts the whole frame.

        Raises:
            TypeError: if the probability is neither floating point nor uint16, or a mask is not
                bool.
            ValueError: if two shapes differ, or a probability inside `where` is NaN or not in
                [0, 1].
        """
        check_masks(truth=truth, where=where)
        check_same_shape(probability=probability, truth=truth, where=where)
        if where is None:
            where = np.ones(truth.shape, bool)
        index = _levels(probability[where])
        index[truth[where]] += N_LEVELS
        counts = np.bincount(index, minlength=2 * N_LEVELS)
        return cls(positives=counts[N_LEVELS:], negatives=counts[:N_LEVELS])

    def __add__(self, other: "ScoreHistogram") -> "ScoreHistogram":
        """The histogram of two images together."""
        return ScoreHistogram(self.positives + other.positives, self.negatives + other.negatives)

    def by_level(self) -> tuple[np.ndarray, np.ndarray]:
        """True and false positives, int64 (65536,) each, of the masks `probability >= level`."""
        tp, fp = (np.cumsum(counts[::-1])[::-1] for counts in (self.positives, self.negatives))
        return tp, fp

    def counts_at(self, threshold: float) -> Counts:
        """The pixel counts of the mask `probability >= threshold`; all zero without pixels.

        Args:
            threshold: 0 calls every pixel vessel, anything above 1 none.
        """
        level = int(np.searchsorted(LEVELS, threshold))
        return Counts(
            tp=int(self.positives[level:].sum()),
            fp=int(self.negatives[level:].sum()),
            fn=int(self.positives[:level].sum()),
            tn=int(self.negatives[:level].sum()),
        )


class RocCurve(NamedTuple):
    """Receiver operating characteristic, from the highest threshold to the lowest.

    Attributes:
        false_positive_rate: float64 (T,), in [0, 1], ascending from 0; NaN throughout where there
            is no background pixel.
        sensitivity: float64 (T,), in [0, 1], ascending from 0; NaN throughout where there is no
            vessel pixel.
        threshold: float64 (T,), descending; infinity (nothing is called vessel), then every
            probability that occurs.
    """

    false_positive_rate: np.ndarray
    sensitivity: np.ndarray
    threshold: np.ndarray


class PrecisionRecallCurve(NamedTuple):
    """Precision against sensitivity (recall), from the highest threshold to the lowest.

    Attributes:
        precision: float64 (T,), in [0, 1]; 1 at the first point, by convention, where nothing is
            called vessel.
        sensitivity: float64 (T,), in [0, 1], ascending from 0; NaN throughout where there is no
            vessel pixel.
        threshold: float64 (T,), descending; infinity, then every probability that occurs.
    """

    precision: np.ndarray
    sensitivity: np.ndarray
    threshold: np.ndarray


def roc_curve(histogram: ScoreHistogram) -> RocCurve:
    """ROC curve of a histogram of scores; without pixels, one point at threshold infinity."""
    tp, fp, threshold = _cumulative(histogram)
    return RocCurve(_share(fp, fp[-1]), _share(tp, tp[-1]), threshold)


def precision_recall_curve(histogram: ScoreHistogram) -> PrecisionRecallCurve:
    """Precision-recall curve of a histogram; without pixels, one point at threshold infinity.

    Reference: Davis and Goadrich, ICML 2006, doi:10.1145/1143844.1143874
    """
    tp, fp, threshold = _cumulative(histogram)
    precision = np.ones(len(tp))
    precision[1:] = tp[1:] / (tp[1:] + fp[1:])
    return PrecisionRecallCurve(precision, _share(tp, tp[-1]), threshold)


def auroc(histogram: ScoreHistogram) -> float:
    """Area under the ROC curve: how often a vessel pixel scores above a background pixel.

    Ties count one half.

    Returns:
        In [0, 1]; NaN if vessel or background has no pixel.

    Reference: Hanley and McNeil, Radiology 143 (1982), doi:10.1148/radiology.143.1.7063747
    """
    n_pairs = float(histogram.positives.sum()) * float(histogram.negatives.sum())
    if n_pairs == 0:
        return math.nan
    below = np.cumsum(histogram.negatives) - histogram.negatives
    # Floating point: pairs of a pooled data set (1e9 pixels) come near the end of 64-bit integers.
    wins = np.dot(histogram.positives.astype(float), below + histogram.negatives / 2)
    return float(wins / n_pairs)


def auprc(histogram: ScoreHistogram) -> float:
    """Area under the precision-recall curve, as average precision.

    The sum of precision times the step in sensitivity, without interpolation.

    Returns:
        In [0, 1]; 1.0 if every pixel is vessel, NaN if none is.

    Reference: Davis and Goadrich, ICML 2006, doi:10.1145/1143844.1143874
    """
    if not _has_vessel(histogram):
        return math.nan
    curve = precision_recall_curve(histogram)
    return float(np.sum(np.diff(curve.sensitivity) * curve.precision[1:]))


def best_dice_threshold(histogram: ScoreHistogram) -> float:
    """The threshold with the highest Dice.

    On the scored set itself this is an oracle, never a result.

    Returns:
        In [0, 1]. Between two probabilities that occur every threshold gives the same mask, so
        the middle of the best such range is returned (of the lowest one, if several are best).
        NaN if there is no vessel pixel.
    """
    if not _has_vessel(histogram):
        return math.nan
    occupied = np.flatnonzero(histogram.positives + histogram.negatives)
    tp, fp = (counts[occupied] for counts in histogram.by_level())
    best = int(np.argmax(2 * tp / (tp + fp + histogram.positives.sum())))
    lowest = occupied[best - 1] + 1 if best else 0
    return float(LEVELS[(lowest + occupied[best]) // 2])


def _levels(probability: np.ndarray) -> np.ndarray:
    """Levels 0..65535, intp (N,), of probabilities (N,).

    Raises:
        TypeError: if they are neither floating point nor uint16.
        ValueError: if one is NaN or outside [0, 1].
    """
    if probability.dtype == np.uint16:
        return probability.astype(np.intp)
    if not np.issubdtype(probability.dtype, np.floating):
        raise TypeError(
            f"probability has dtype {probability.dtype}; it is floating point or uint16"
        )
    # Written so that NaN fails too.
    if probability.size and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f"probability is NaN or outside [0, 1]: {probability.min()} to {probability.max()}"
        )
    return np.rint(probability * np.float32(N_LEVELS - 1)).astype(np.intp)


def _cumulative(histogram: ScoreHistogram) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives and thresholds (T,) at infinity and at each occupied level."""
    occupied = np.flatnonzero(histogram.positives + histogram.negatives)[::-1]
    tp = np.cumsum(histogram.positives[occupied])
    fp = np.cumsum(histogram.negatives[occupied])
    return np.append(0, tp), np.append(0, fp), np.append(np.inf, LEVELS[occupied])


def _share(counts: np.ndarray, total: int) -> np.ndarray:
    """Counts over their total, NaN throughout if it is zero."""
    return counts / total if total else np.full(len(counts), np.nan)


def _has_vessel(histogram: ScoreHistogram) -> bool:
    return bool(histogram.positives.any())
