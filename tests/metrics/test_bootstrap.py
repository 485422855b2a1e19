import math

import numpy as np
import pytest
from scipy import stats

from fundusseg.metrics import bootstrap
from fundusseg.metrics.bootstrap import Interval, mean_interval, paired_interval

NAN = math.nan


def test_equal_values_have_no_width():
    assert mean_interval([0.8] * 4, ["a", "a", "b", "c"], seed=0) == Interval(
        *[pytest.approx(0.8)] * 3, n_images=4, n_subjects=3, n_undefined=0
    )


def test_two_subjects_can_be_drawn_in_three_ways():
    # The means are 0, 0.5 and 1 with probability 1/4, 1/2, 1/4.
    interval = mean_interval([0, 1], [1, 2], seed=0)
    assert (interval.low, interval.mean, interval.high) == (0, 0.5, 1)
    interval = mean_interval([0, 1], [1, 2], seed=0, level=0.4)
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_whole_subjects_are_drawn():
    # Drawn one by one these images could give a mean of 0 or 1; their subjects are all alike.
    interval = mean_interval([0, 1] * 5, np.repeat(np.arange(5), 2), seed=0)
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


def test_one_subject_has_a_mean_and_no_interval():
    interval = mean_interval([0.5, 0.7], ["a", "a"], seed=0)
    assert interval.mean == pytest.approx(0.6)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_infinity_is_a_value():
    interval = mean_interval([1.0, 2.0, math.inf], ["a", "b", "c"], seed=0)
    assert interval.mean == math.inf
    assert interval.low == 1.0
    assert interval.high == math.inf


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
    monkeypatch.setattr(bootstrap, "_DRAWS_PER_BATCH", 70)
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
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    # Two seeds of 20,000 draws: the bounds' own spread is about 0.0002.
    assert [interval.low, interval.high] == pytest.approx([expected.low, expected.high], abs=1e-3)
