"""Intervals of a mean over images, whose subjects are the clusters.

Two eyes of a person, or two photographs of an eye, are not independent: images taken one by one
would make the interval too narrow. The mean is over images, so a subject with more images weighs
more. From `LEAST_RESAMPLED` subjects on, whole subjects are drawn with replacement; below, that is
too narrow (a 95 % interval of 4 subjects holds the mean in 78 % of cases), and the interval is
Student's t of the cluster-robust variance. Two subjects or one say too little of the spread.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fundusseg.metrics.checks import check_same_shape

N_RESAMPLES = 10_000
LEAST_SUBJECTS = 3  # with an interval
LEAST_RESAMPLED = 30  # subjects from which the bootstrap's coverage is right

# Draws held in memory at a time: 8 MB of indices, however many images there are.
_DRAWS_PER_BATCH = 2**20


@dataclass(frozen=True)
class Interval:
    """The mean of a figure over images, with its interval.

    Attributes:
        mean: over the images; NaN if there are none.
        low: lower bound; NaN with fewer than `LEAST_SUBJECTS` subjects. It may lie beyond the
            figure's range, as t's do.
        high: upper bound; NaN likewise.
        n_images: images that the mean is over.
        n_subjects: the subjects that these come from.
        n_undefined: images left out because their value is NaN.
    """

    mean: float
    low: float
    high: float
    n_images: int
    n_subjects: int
    n_undefined: int


def mean_interval(
    values: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | Sequence[int] | np.ndarray,
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Interval of the mean over images: cluster-robust t, or percentile bootstrap of subjects.

    Args:
        values: (N,), one figure per image; NaN where it is undefined, which leaves the image
            out. Infinity is a value: it makes the mean infinite, which t has no interval of.
        subjects: (N,), the subject of each image.
        seed: of the draws; the same arguments give the same interval.
        n_resamples: number of draws, at least 1.
        level: coverage of the interval, in (0, 1).

    Returns:
        NaN with n_images 0 if there is no value, or none but NaN. NaN also where infinities of
        both signs meet. `seed` and `n_resamples` are the bootstrap's alone.

    Raises:
        ValueError: if the lengths differ.

    References:
        Cameron and Miller, J. Human Resources 50 (2015) 317, doi:10.3368/jhr.50.2.317
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), doi:10.1201/9780429246593
        Field and Welsh, J. R. Statist. Soc. B 69 (2007), doi:10.1111/j.1467-9868.2007.00593.x
    """
    values, subjects = np.asarray(values, float), np.asarray(subjects)
    check_same_shape(values=values, subjects=subjects)
    defined = ~np.isnan(values)
    n_images = int(np.count_nonzero(defined))
    names, member = np.unique(subjects[defined], return_inverse=True)
    # Infinities of both signs give NaN, as documented; numpy need not warn of it.
    with np.errstate(invalid="ignore"):
        sums = np.bincount(member, values[defined], minlength=len(names))
        mean = float(sums.sum() / n_images) if n_images else math.nan
        low, high = math.nan, math.nan
        sizes = np.bincount(member)
        if len(names) >= LEAST_RESAMPLED and not math.isnan(mean):
            low, high = _percentiles(_resampled_means(sums, sizes, n_resamples, seed), level)
        elif len(names) >= LEAST_SUBJECTS:
            low, high = _t_bounds(mean, sums, sizes, level)
    return Interval(mean, low, high, n_images, len(names), len(values) - n_images)


def paired_interval(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    subjects: Sequence[str] | Sequence[int] | np.ndarray,
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Interval of the mean difference, first minus second, on the same images.

    Other arguments and references as in `mean_interval`.

    Args:
        first: (N,), a figure of one model, image by image.
        second: (N,), the same figure of another. An image where either is NaN is left out, and
            one where both are the same infinity.

    Returns:
        Of the differences; NaN with n_images 0 if no image has both values.

    Raises:
        ValueError: if the lengths differ.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    check_same_shape(first=first, second=second, subjects=np.asarray(subjects))
    # Infinity less infinity is undefined, and counted as such.
    with np.errstate(invalid="ignore"):
        difference = first - second
    return mean_interval(difference, subjects, seed=seed, n_resamples=n_resamples, level=level)


def _t_bounds(
    mean: float, sums: np.ndarray, sizes: np.ndarray, level: float
) -> tuple[float, float]:
    """Cluster-robust t interval of a mean; NaN if it is infinite.

    The variance is that of the subjects' summed residuals, times G / (G - 1) for G subjects, and t
    has G - 1 degrees of freedom: with as many images of each, that of their own means.

    Args:
        sums: (G,), the sum of the values of each subject.
        sizes: (G,), the number of its images.
    """
    n_subjects = len(sums)
    residuals = sums - sizes * mean
    variance = n_subjects / (n_subjects - 1) * np.sum(residuals**2) / sizes.sum() ** 2
    half = float(stats.t.ppf((1 + level) / 2, n_subjects - 1) * math.sqrt(variance))
    return mean - half, mean + half


def _resampled_means(
    sums: np.ndarray, sizes: np.ndarray, n_resamples: int, seed: int
) -> np.ndarray:
    """Means (n_resamples,) over the images of subjects drawn with replacement.

    Args:
        sums: (S,), the sum of the values of each subject.
        sizes: (S,), the number of its images.
    """
    rng = np.random.default_rng(seed)
    n_subjects = len(sums)
    batch = max(1, _DRAWS_PER_BATCH // n_subjects)
    means = []
    for start in range(0, n_resamples, batch):
        n_draws = min(batch, n_resamples - start)
        drawn = rng.integers(n_subjects, size=(n_draws, n_subjects))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def _percentiles(means: np.ndarray, level: float) -> tuple[float, float]:
    """Lower and upper percentile, as order statistics: interpolation fails beside infinity."""
    means = np.sort(means)
    low = math.floor((1 - level) / 2 * len(means))
    return float(means[low]), float(means[len(means) - 1 - low])
