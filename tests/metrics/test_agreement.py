"""Agreement of two measures, held against published examples."""

import numpy as np
import pytest

from fundusseg.metrics.agreement import agreement, icc_2_1

# Shrout and Fleiss 1979, table 2: six targets, four judges.
JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def test_icc_is_that_of_shrout_and_fleiss():
    icc, low, high = icc_2_1(JUDGES)
    assert icc == pytest.approx(0.29, abs=0.005)
    assert (low, high) == pytest.approx((0.019, 0.761), abs=0.001)


def test_the_interval_of_the_icc_holds_it_in_95_of_100_studies():
    """Objects of variance 4, raters of 0.25, the rest 1: ICC = 4 / 5.25."""
    random = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        objects, raters = 2 * random.normal(size=(20, 1)), 0.5 * random.normal(size=(1, 4))
        _, low, high = icc_2_1(objects + raters + random.normal(size=(20, 4)))
        held += low <= 4 / 5.25 <= high
    assert 0.93 <= held / 1000 <= 0.97


def test_bias_and_limits_are_those_of_the_differences():
    found = agreement(np.array([2.0, 4, 7, np.nan, 1]), np.array([1.0, 2, 4, 5, np.inf]))
    assert (found.n, found.bias, found.spearman) == (3, 2, pytest.approx(1))
    assert (found.low, found.high) == pytest.approx((2 - 1.96, 2 + 1.96))


def test_a_constant_bias_lowers_the_icc_and_not_the_rank_correlation():
    values = np.arange(10.0)
    same, biased = agreement(values, values), agreement(values + 5, values)
    assert (same.icc, same.bias, same.low) == (1, 0, 0)
    # Mean squares 55/3 of objects, 125 of the two, 0 of the rest: 55/3 / (55/3 + 2 x 125 / 10).
    assert biased.icc == pytest.approx(55 / 3 / (55 / 3 + 25))
    assert biased.spearman == pytest.approx(1)


def test_where_nothing_varies_or_little_is_known_nothing_is_said():
    flat = agreement(np.ones(5), np.ones(5))
    assert (flat.n, flat.bias) == (5, 0) and np.isnan([flat.icc, flat.spearman]).all()
    few = agreement(np.arange(2.0), np.arange(2.0))
    assert few.n == 2 and np.isnan([few.bias, few.icc]).all()
    with pytest.raises(ValueError, match="differ in shape"):
        agreement(np.ones(3), np.ones(4))


def test_objects_that_do_not_differ_have_no_interval():
    icc, low, high = icc_2_1(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]))
    assert icc == 0 and np.isnan([low, high]).all()
