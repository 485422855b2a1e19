"""Calibration: whether a vessel probability of 0.7 is right seven times out of ten, and what
makes it so.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fundusseg.metrics.curves import LEVELS, N_LEVELS, ScoreHistogram

_PIXELS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Calibration:
    """From a network's scores to vessel probabilities: sigmoid(slope * logit(score) + intercept).

    It rises, so that maps cut from scores and from probabilities are the same ones.

    Raises:
        ValueError: if the slope is not above 0, or one of them is infinite or no number.

    Reference: Platt, Advances in Large Margin Classifiers, 1999.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (0 < self.slope < math.inf and math.isfinite(self.intercept)):
            raise ValueError(f"slope {self.slope} and intercept {self.intercept} calibrate nothing")

    @property
    def inverse(self) -> "Calibration":
        """From probabilities back to the scores."""
        return Calibration(1 / self.slope, -self.intercept / self.slope)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, of the shape and dtype of `scores`.

        Args:
            scores: floating point in [0, 1]; 0 and 1 stay what they are.
        """
        flat = np.reshape(scores, -1)
        if flat.size <= _PIXELS_AT_ONCE:
            return self._calibrated(scores)
        calibrated = np.empty_like(flat)  # a step at a time: of a large photograph each is large
        for start in range(0, flat.size, _PIXELS_AT_ONCE):
            some = slice(start, start + _PIXELS_AT_ONCE)
            calibrated[some] = self._calibrated(flat[some])
        return calibrated.reshape(scores.shape)

    def _calibrated(self, scores: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", over="ignore"):  # 0 and 1 have infinite logits
            scores = np.clip(scores, 0, 1)  # resampling may leave the last digit beyond
            logits = np.log(scores / (1 - scores))
            return 1 / (1 + np.exp(-self.slope * logits - self.intercept))


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Sums over the pixels of each of B equally wide bins of probability.

    Bin b holds the probabilities in (b / B, (b + 1) / B]; the first one holds 0 as well.

    Attributes:
        n_px: int64 (B,), pixels.
        n_vessel_px: int64 (B,), pixels that the truth calls vessel.
        probability_sum: float64 (B,), sum of the probabilities.
        squared_error_sum: sum over all bins of (probability - truth) squared.
    """

    n_px: np.ndarray
    n_vessel_px: np.ndarray
    probability_sum: np.ndarray
    squared_error_sum: float

    @classmethod
    def of(
        cls,
        probability: np.ndarray,
        truth: np.ndarray,
        where: np.ndarray | None = None,
        *,
        n_bins: int = 15,
    ) -> "ReliabilityBins":
        """Sum over the pixels of one image; all zero if `where` is empty.

        Args:
            probability: of any one shape, floating point in [0, 1] or uint16; rounded to the
                nearest 65535th, as in `ScoreHistogram`.
            truth: bool, same shape, True is vessel.
            where: bool, same shape, the field of view; None is the whole frame.
            n_bins: at least 1.

        Raises:
            TypeError: if the probability is neither floating point nor uint16, or a mask is not
                bool.
            ValueError: if two shapes differ, a probability inside `where` is NaN or not in
                [0, 1], or n_bins is below 1.
        """
        return cls.of_histogram(ScoreHistogram.of(probability, truth, where), n_bins=n_bins)

    @classmethod
    def of_histogram(cls, histogram: ScoreHistogram, *, n_bins: int = 15) -> "ReliabilityBins":
        """Sum over the pixels of a histogram of scores, which costs next to nothing.

        Args:
            histogram: one without pixels gives bins that are all zero.
            n_bins: at least 1.

        Raises:
            ValueError: if n_bins is below 1.
        """
        if n_bins < 1:
            raise ValueError(f"n_bins is {n_bins}; it must be at least 1")
        positives, negatives = histogram.positives, histogram.negatives
        n_px = positives + negatives
        bins = _bin_of_level(n_bins)
        return cls(
            n_px=_sums(bins, n_px, n_bins).astype(np.int64),
            n_vessel_px=_sums(bins, positives, n_bins).astype(np.int64),
            probability_sum=_sums(bins, n_px * LEVELS, n_bins),
            squared_error_sum=float(positives @ (1 - LEVELS) ** 2 + negatives @ LEVELS**2),
        )

    def __add__(self, other: "ReliabilityBins") -> "ReliabilityBins":
        """The bins of two images together.

        Raises:
            ValueError: if their numbers of bins differ.
        """
        if len(self.n_px) != len(other.n_px):
            raise ValueError(f"{len(self.n_px)} bins cannot be added to {len(other.n_px)}")
        return ReliabilityBins(
            self.n_px + other.n_px,
            self.n_vessel_px + other.n_vessel_px,
            self.probability_sum + other.probability_sum,
            self.squared_error_sum + other.squared_error_sum,
        )


class ReliabilityCurve(NamedTuple):
    """What a reliability diagram shows, one entry for every bin that has a pixel.

    Attributes:
        mean_probability: float64 (R,), mean probability of the bin's pixels, in [0, 1], ascending.
        vessel_fraction: float64 (R,), part of them that the truth calls vessel, in [0, 1].
        n_px: int64 (R,), their number.
    """

    mean_probability: np.ndarray
    vessel_fraction: np.ndarray
    n_px: np.ndarray


def reliability_curve(bins: ReliabilityBins) -> ReliabilityCurve:
    """Observed vessel fraction against predicted probability; no entry if no pixel was compared.

    Reference: Guo et al., ICML 2017, doi:10.48550/arXiv.1706.04599
    """
    filled = bins.n_px > 0
    n_px = bins.n_px[filled]
    return ReliabilityCurve(
        bins.probability_sum[filled] / n_px, bins.n_vessel_px[filled] / n_px, n_px
    )


def expected_calibration_error(bins: ReliabilityBins) -> float:
    """Expected calibration error (ECE) of the vessel probability.

    The mean over the pixels of the gap between the observed vessel fraction and the mean
    probability of their bin.

    Returns:
        In [0, 1]; NaN if no pixel was compared.

    Reference: Guo et al., ICML 2017, doi:10.48550/arXiv.1706.04599
    """
    total = bins.n_px.sum()
    if total == 0:
        return math.nan
    return float(np.abs(bins.n_vessel_px - bins.probability_sum).sum() / total)


def brier(bins: ReliabilityBins) -> float:
    """Brier score: mean of (probability - truth) squared.

    Returns:
        In [0, 1], 0 is best; NaN if no pixel was compared.

    Reference: Brier, Monthly Weather Review 78 (1950),
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    total = bins.n_px.sum()
    return float(bins.squared_error_sum / total) if total else math.nan


def _bin_of_level(n_bins: int) -> np.ndarray:
    """The bin (65536,) of each level, in integers: an edge k / B is often a level itself."""
    top = N_LEVELS - 1
    return np.maximum(-(-np.arange(N_LEVELS) * n_bins // top) - 1, 0)


def _sums(bins: np.ndarray, values: np.ndarray, n_bins: int) -> np.ndarray:
    return np.bincount(bins, weights=values, minlength=n_bins)
