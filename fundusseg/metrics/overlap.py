"""Overlap of two masks: the four pixel counts, and what follows from them."""

import math
from dataclasses import dataclass

import numpy as np

from fundusseg.metrics.checks import cut_to


@dataclass(frozen=True)
class Counts:
    """Pixels of a prediction against the truth.

    Attributes:
        tp: true positives, vessel in both.
        fp: false positives.
        fn: false negatives.
        tn: true negatives.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @classmethod
    def of(
        cls, prediction: np.ndarray, truth: np.ndarray, where: np.ndarray | None = None
    ) -> "Counts":
        """Count the pixels of one image; all zero if `where` is empty.

        Args:
            prediction: bool, of any one shape, True is vessel.
            truth: bool, same shape, likewise.
            where: bool, same shape, the field of view: pixels outside it are not counted. None
                counts the whole frame.

        Raises:
            TypeError: if an array is not of dtype bool.
            ValueError: if two shapes differ.
        """
        prediction, truth, n_px = cut_to(where, prediction, truth)
        tp = int(np.count_nonzero(prediction & truth))
        fp = int(np.count_nonzero(prediction)) - tp
        fn = int(np.count_nonzero(truth)) - tp
        return cls(tp, fp, fn, n_px - tp - fp - fn)

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of two images together."""
        return Counts(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def n_px(self) -> int:
        """The number of pixels compared."""
        return self.tp + self.fp + self.fn + self.tn


def dice(counts: Counts) -> float:
    """Dice coefficient, 2 tp / (2 tp + fp + fn); the same as the F1 score.

    Returns:
        In [0, 1]; 1.0 if both masks are empty, 0.0 if one is, NaN if no pixel was compared.

    Reference: Dice, Ecology 26 (1945), doi:10.2307/1932409
    """
    return _agreement(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, counts.n_px)


def iou(counts: Counts) -> float:
    """Intersection over union (Jaccard index), tp / (tp + fp + fn).

    Returns:
        In [0, 1]; 1.0 if both masks are empty, 0.0 if one is, NaN if no pixel was compared.

    Reference: Jaccard, New Phytologist 11 (1912), doi:10.1111/j.1469-8137.1912.tb05611.x
    """
    return _agreement(counts.tp, counts.tp + counts.fp + counts.fn, counts.n_px)


def sensitivity(counts: Counts) -> float:
    """Sensitivity (recall), tp / (tp + fn): the part of the true vessel that was found.

    Returns:
        In [0, 1]; NaN if the truth has no vessel.
    """
    return _rate(counts.tp, counts.tp + counts.fn)


def specificity(counts: Counts) -> float:
    """Specificity, tn / (tn + fp): the part of the true background that was left alone.

    Returns:
        In [0, 1]; NaN if the truth has no background.
    """
    return _rate(counts.tn, counts.tn + counts.fp)


def precision(counts: Counts) -> float:
    """Precision, tp / (tp + fp): the part of the predicted vessel that is true.

    Returns:
        In [0, 1]; NaN if the prediction has no vessel.
    """
    return _rate(counts.tp, counts.tp + counts.fp)


def accuracy(counts: Counts) -> float:
    """Accuracy, (tp + tn) / n. Most of a fundus is background: never a headline by itself.

    Returns:
        In [0, 1]; NaN if no pixel was compared.
    """
    return _rate(counts.tp + counts.tn, counts.n_px)


def matthews(counts: Counts) -> float:
    """Matthews correlation coefficient (MCC).

    (tp tn - fp fn) / sqrt((tp + fp) (tp + fn) (tn + fp) (tn + fn))

    Returns:
        In [-1, 1]; 0.0 if a factor under the root is zero, that is, if either mask is empty or
        full (both masks empty included: no correlation can be told); NaN if no pixel was compared.

    Reference: Matthews, Biochimica et Biophysica Acta 405 (1975), doi:10.1016/0005-2795(75)90109-9
    """
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    if counts.n_px == 0:
        return math.nan
    # Python's integers: the product of four pixel counts overflows 64 bits.
    marginals = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(marginals) if marginals else 0.0


def _agreement(numerator: int, denominator: int, n_px: int) -> float:
    """A ratio whose denominator is zero where two empty masks agree."""
    if n_px == 0:
        return math.nan
    return numerator / denominator if denominator else 1.0


def _rate(numerator: int, denominator: int) -> float:
    """A ratio that is undefined, NaN, without a case in the denominator."""
    return numerator / denominator if denominator else math.nan
