"""Calibration: whether a vessel probability of 0.7 is right seven times out of ten."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fundusseg.metrics.curves import LEVELS, N_LEVELS, ScoreHistogram


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Sums over the pixels of each of B equally wide bins of probability.

    Bin b holds the probabilities in (b / B, (b + 1) / B]; the first one holds 0 as well.

    Attributes
    ----------
    n_px : array (B,) of int64
        Pixels.
    n_vessel_px : array (B,) of int64
        Pixels that the truth calls vessel.
    probability_sum : array (B,) of float64
        Sum of the probabilities.
    squared_error_sum : float
        Sum over all bins of (probability - truth) squared.
    """

    n_px: np.ndarray
    n_vessel_px: np.ndarray
    probability_sum: np.ndarray
    squared_error_sum: float

    @classmethod
    def of(cls, probability, truth, where=None, *, n_bins=15):
        """Sum over the pixels of one image.

        Parameters
        ----------
        probability : array of floating point in [0, 1] or of uint16, any one shape
            Rounded to the nearest 65535th, as in `ScoreHistogram`.
        truth : array of bool, same shape
            True is vessel.
        where : array of bool, same shape, or None
            The field of view; None is the whole frame.
        n_bins : int
            Number of bins, at least 1.

        Returns
        -------
        ReliabilityBins
            All zero if `where` is empty.

        Raises
        ------
        TypeError
            If the probability is neither floating point nor uint16, or a mask is not bool.
        ValueError
            If two shapes differ, a probability inside `where` is NaN or not in [0, 1], or n_bins
            is below 1.
        """
        return cls.of_histogram(ScoreHistogram.of(probability, truth, where), n_bins=n_bins)

    @classmethod
    def of_histogram(cls, histogram, *, n_bins=15):
        """Sum over the pixels of a histogram of scores, which costs next to nothing.

        Parameters
        ----------
        histogram : ScoreHistogram
        n_bins : int
            Number of bins, at least 1.

        Returns
        -------
        ReliabilityBins
            All zero for a histogram without pixels.

        Raises
        ------
        ValueError
            If n_bins is below 1.
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

    def __add__(self, other):
        """The bins of two images together; ValueError if their numbers of bins differ."""
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

    Attributes
    ----------
    mean_probability : array (R,) of float64
        Mean probability of the bin's pixels, in [0, 1], ascending.
    vessel_fraction : array (R,) of float64
        Part of them that the truth calls vessel, in [0, 1].
    n_px : array (R,) of int64
        Their number.
    """

    mean_probability: np.ndarray
    vessel_fraction: np.ndarray
    n_px: np.ndarray


def reliability_curve(bins):
    """Reliability curve: observed vessel fraction against predicted probability.

    Parameters
    ----------
    bins : ReliabilityBins

    Returns
    -------
    ReliabilityCurve
        Without an entry if no pixel was compared.

    References
    ----------
    Guo et al., ICML 2017, doi:10.48550/arXiv.1706.04599
    """
    filled = bins.n_px > 0
    n_px = bins.n_px[filled]
    return ReliabilityCurve(
        bins.probability_sum[filled] / n_px, bins.n_vessel_px[filled] / n_px, n_px
    )


def expected_calibration_error(bins):
    """Expected calibration error (ECE) of the vessel probability.

    The mean over the pixels of the gap between the observed vessel fraction and the mean
    probability of their bin.

    Parameters
    ----------
    bins : ReliabilityBins

    Returns
    -------
    float
        In [0, 1]; NaN if no pixel was compared.

    References
    ----------
    Guo et al., ICML 2017, doi:10.48550/arXiv.1706.04599
    """
    total = bins.n_px.sum()
    if total == 0:
        return math.nan
    return float(np.abs(bins.n_vessel_px - bins.probability_sum).sum() / total)


def brier(bins):
    """Brier score: mean of (probability - truth) squared.

    Parameters
    ----------
    bins : ReliabilityBins

    Returns
    -------
    float
        In [0, 1], 0 is best; NaN if no pixel was compared.

    References
    ----------
    Brier, Monthly Weather Review 78 (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    total = bins.n_px.sum()
    return float(bins.squared_error_sum / total) if total else math.nan


def _bin_of_level(n_bins):
    """The bin (65536,) of each level, in integers: an edge k / B is often a level itself."""
    top = N_LEVELS - 1
    return np.maximum(-(-np.arange(N_LEVELS) * n_bins // top) - 1, 0)


def _sums(bins, values, n_bins):
    return np.bincount(bins, weights=values, minlength=n_bins)
