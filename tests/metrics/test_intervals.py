import math

import numpy as np
import pytest
from scipy import stats

from fundusseg.metrics import intervals
from fundusseg.metrics.intervals import Interval, mean_interval, paired_interval

NAN = math.nan


def test_equal_values_have_no_width():
    assert mean_interval([0.8] * 4, ["a", "a", "b", "c"], seed=0) == Interval(
        *[pytest.approx(0.8)] * 3, n_images=4, n_subjects=3, n_undefined=0
    )


# (number of subjects, photographs of each)
STUDIES = [(4, 2), (10, 2), (30, 2), (10, 1), (29, 1), (60, 2)]


@pytest.mark.parametrize(("n_subjects", "n_each"), STUDIES)
@pytest.mark.parametrize("is_paired", [False, True])
def test_coverage_of_the_95_percent_interval_is_93_to_97(n_subjects, n_each, is_paired):
    """Simulated: both eyes of a subject share half of the variance; the true mean is 0.8."""
    rng = np.random.default_rng(n_subjects)
    between, within = rng.normal(size=(2, 1500, n_subjects, n_each))
    values = (0.8 + 0.05 * (between[..., :1] + within)).reshape(1500, -1)
    subjects = np.repeat(np.arange(n_subjects), n_each)
    n_held = 0
    for number, sample in enumerate(values):
        if is_paired:
            other = rng.normal(size=sample.shape)
            interval = paired_interval(
                sample + other, other, subjects, seed=number, n_resamples=1000
            )
        else:
            interval = mean_interval(sample, subjects, seed=number, n_resamples=1000)
        n_held += interval.low <= 0.8 <= interval.high
    assert 0.93 <= n_held / len(values) <= 0.97


def test_few_subjects_of_one_image_each_have_students_t_interval():
    values = [0.7, 0.8, 0.84, 0.9]
    interval = mean_interval(values, list("abcd"), seed=0)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert [interval.low, interval.high] == pytest.approx([expected.low, expected.high])


def test_few_subjects_of_unequal_size_have_the_cluster_robust_interval():
    """By hand: mean 0.75; residual sums -0.1, 0.1, 0; variance 3/2 * 0.02 / 16; t(2) = 4.3027."""
    interval = mean_interval([0.7, 0.7, 0.85, 0.75], ["a", "a", "b", "c"], seed=0)
    half = 4.302653 * math.sqrt(1.5 * 0.02 / 16)
    assert [interval.low, interval.high] == pytest.approx([0.75 - half, 0.75 + half])


@pytest.mark.parametrize("n_subjects", [1, 2])
def test_fewer_than_three_subjects_have_a_mean_and_no_interval(n_subjects):
    interval = mean_interval([0.5, 0.7], [0, n_subjects - 1], seed=0)
    assert interval.mean == pytest.approx(0.6)
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_whole_subjects_count():
    # One by one these images would spread; their subjects are all alike.
    for n_subjects in (5, 30):
        interval = mean_interval([0, 1] * n_subjects, np.repeat(np.arange(n_subjects), 2), seed=0)
        assert (interval.low, interval.high) == (0.5, 0.5)


def test_the_mean_is_over_images_not_subjects():
    interval = mean_interval([0, 0, 0, 1], ["a", "a", "a", "b"], seed=0)
    assert interval.mean == 0.25
    assert interval.n_subjects == 2


def test_undefined_values_are_left_out_and_counted():
    interval = mean_interval([0.5, NAN, 0.7, NAN], ["a", "a", "b", "c"], seed=0)
    assert interval.mean == pytest.approx(0.6)
    assert (interval.n_images, interval.n_subjects, interval.n_undefined) == (2, 2, 2)


@pytest.mark.parametrize(("values", "n_undefined"), [([], 0), ([NAN, NAN], 2)])
def test_nothing_to_average(values, n_undefined):
    interval = mean_interval(values, ["a"] * len(values), seed=0)
    assert (interval.n_images, interval.n_subjects) == (0, 0)
    assert interval.n_undefined == n_undefined
    assert all(math.isnan(x) for x in (interval.mean, interval.low, interval.high))


def test_infinity_is_a_value():
    many = mean_interval([*np.arange(1.0, 30.0), math.inf], np.arange(30), seed=0)
    assert many.mean == many.high == math.inf
    assert 1.0 < many.low < 30.0
    few = mean_interval([1.0, 2.0, math.inf], ["a", "b", "c"], seed=0)
    assert few.mean == math.inf
    assert math.isnan(few.low) and math.isnan(few.high)


def test_infinities_of_both_signs_are_nan():
    interval = mean_interval([math.inf, -math.inf], ["a", "b"], seed=0)
    assert all(math.isnan(x) for x in (interval.mean, interval.low, interval.high))


def test_paired_difference_of_a_constant_step():
    first = np.array([0.9, 0.5, 0.7])
    interval = paired_interval(first, first - 0.25, ["a", "b", "c"], seed=0)
    assert [interval.mean, interval.low, interval.high] == pytest.approx([0.25] * 3)


def test_paired_leaves_out_what_either_lacks():
    interval = paired_interval(
        [0.9, NAN, 0.7, math.inf], [0.8, 0.6, NAN, math.inf], ["a", "b", "c", "d"], seed=0
    )
    assert interval.mean == pytest.approx(0.1)
    assert (interval.n_images, interval.n_undefined) == (1, 3)


def test_same_seed_same_interval():
    values, subjects = np.random.default_rng(0).normal(size=30), np.arange(30)
    assert mean_interval(values, subjects, seed=3) == mean_interval(values, subjects, seed=3)
    assert mean_interval(values, subjects, seed=3) != mean_interval(values, subjects, seed=4)


def test_many_batches_of_draws(monkeypatch):
    values, subjects = np.random.default_rng(0).normal(size=30), np.arange(30)
    monkeypatch.setattr(intervals, "_DRAWS_PER_BATCH", 70)
    small = mean_interval(values, subjects, seed=0, n_resamples=4001)
    monkeypatch.undo()
    large = mean_interval(values, subjects, seed=0, n_resamples=4001)
    assert [small.low, small.high] == pytest.approx([large.low, large.high], abs=0.05)


def test_length_mismatch_names_both():
    with pytest.raises(ValueError, match=r"values \(2,\), subjects \(1,\)"):
        mean_interval([0.1, 0.2], ["a"], seed=0)
    with pytest.raises(ValueError, match=r"first \(2,\), second \(1,\)"):
        paired_interval([0.1, 0.2], [0.1], ["a", "b"], seed=0)


def test_agrees_with_scipy_when_every_image_is_a_subject():
    values = np.random.default_rng(0).normal(0.8, 0.05, size=40)
    interval = mean_interval(values, np.arange(40), seed=0, n_resamples=20_000)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=1
    ).confidence_interval
    # Two seeds of 20,000 draws: the bounds' own spread is about 0.0002.
    assert [interval.low, interval.high] == pytest.approx([expected.low, expected.high], abs=1e-3)
