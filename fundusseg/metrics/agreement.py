"""How far two ways to measure the same agree: Bland and Altman's limits, ICC(2,1), Spearman."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fundusseg.metrics.checks import check_same_shape

LEAST_PAIRS = 3  # below, nothing is said
LIMITS_SD = 1.96  # limits of agreement hold 95 % of differences that are normally distributed


@dataclass(frozen=True)
class Agreement:
    """Of a measure, taken in two ways of the same n objects; NaN where it is not defined.

    bias: mean difference, first minus second; low, high: limits of agreement, in the measure's
    unit. icc: ICC(2,1), between icc_low and icc_high with a probability of 95 %. spearman: rank
    correlation.
    """

    n: int
    bias: float
    low: float
    high: float
    icc: float
    icc_low: float
    icc_high: float
    spearman: float


def agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """The agreement of two measures of the same objects.

    Args:
        first, second: float (N,); an object where either is not finite is left out.

    Returns:
        NaN but for n below `LEAST_PAIRS` objects. Where one of them does not vary there is no rank
        correlation, and where neither does there is no ICC.

    Raises:
        ValueError: if the lengths differ.

    Reference: Bland and Altman, Lancet 327:307, 1986, doi:10.1016/S0140-6736(86)90837-8
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    check_same_shape(first=first, second=second)
    pairs = np.stack([first, second], axis=1)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < LEAST_PAIRS:
        return Agreement(len(pairs), *[math.nan] * 7)
    differences = pairs[:, 0] - pairs[:, 1]
    bias, half = float(differences.mean()), LIMITS_SD * float(differences.std(ddof=1))
    varies = (np.ptp(pairs, axis=0) > 0).all()
    spearman = float(stats.spearmanr(*pairs.T).statistic) if varies else math.nan
    return Agreement(len(pairs), bias, bias - half, bias + half, *icc_2_1(pairs), spearman)


def icc_2_1(ratings: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """ICC(2,1), absolute agreement of single ratings by raters who stand for others, and interval.

    ICC = (R - E) / (R + (k - 1) E + k (C - E) / n), of the mean squares R of n objects, C of k
    raters and E of the rest. Objects are taken for independent.

    Args:
        ratings: float (n, k), finite, n and k at least 2. level: of the interval.

    Returns:
        The ICC, and the bounds of its interval; NaN where the ratings do not vary, the bounds also
        where raters agree exactly, or the objects do not differ at all.

    References:
        Shrout and Fleiss, Psychol Bull 86:420, 1979, doi:10.1037/0033-2909.86.2.420
        McGraw and Wong, Psychol Methods 1:30, 1996, doi:10.1037/1082-989X.1.1.30 (ICC(A,1))
    """
    n, k = ratings.shape
    mean, of_objects, of_raters = ratings.mean(), ratings.mean(axis=1), ratings.mean(axis=0)
    rest = ratings - of_objects[:, np.newaxis] - of_raters + mean
    objects = float(k * np.sum((of_objects - mean) ** 2) / (n - 1))
    raters = float(n * np.sum((of_raters - mean) ** 2) / (k - 1))
    error = float(np.sum(rest**2) / ((n - 1) * (k - 1)))
    total = objects + (k - 1) * error + k * (raters - error) / n
    if total <= 0:
        return math.nan, math.nan, math.nan
    icc = (objects - error) / total
    if math.isclose(icc, 1):
        return 1.0, math.nan, math.nan
    if objects == error == 0:  # one rater is above the other by the same everywhere
        return icc, math.nan, math.nan
    # Satterthwaite's degrees of freedom of the raters' and the rest's mean squares together.
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    freedom = (a * raters + b * error) ** 2 / (
        (a * raters) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    tail = (1 + level) / 2
    above = float(stats.f.ppf(tail, n - 1, freedom))
    below = float(stats.f.ppf(tail, freedom, n - 1))
    others = k * raters + (k * n - k - n) * error
    low = n * (objects - above * error) / (above * others + n * objects)
    high = n * (below * objects - error) / (others + n * below * objects)
    return icc, low, high
