import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from fundusseg.metrics.calibration import (
    ReliabilityBins,
    brier,
    expected_calibration_error,
    reliability_curve,
)
from fundusseg.metrics.curves import ScoreHistogram


def _second_ece(probability, truth, n_bins=15):
    """The definition, bin by bin, on floating-point edges."""
    gap = 0.0
    for b in range(n_bins):
        low, high = b / n_bins, (b + 1) / n_bins
        inside = (probability > low) & (probability <= high) | ((b == 0) & (probability == 0))
        if inside.any():
            gap += inside.mean() * abs(truth[inside].mean() - probability[inside].mean())
    return gap


def _off_the_edges(level):
    """Levels moved off the edges of 15 bins, where floating point cannot tell the sides apart."""
    return np.where((level % 4369 == 0) & (level > 0), level - 1, level).astype(np.uint16)


def test_right_seven_times_out_of_ten_is_calibrated():
    truth = np.arange(10) < 7
    bins = ReliabilityBins.of(np.full(10, 0.7), truth)
    assert expected_calibration_error(bins) == pytest.approx(0, abs=1e-5)
    assert brier(bins) == pytest.approx(0.7 * 0.3, abs=1e-5)


def test_always_sure_and_always_wrong():
    bins = ReliabilityBins.of(np.array([1.0, 0.0]), np.array([False, True]))
    assert expected_calibration_error(bins) == 1.0
    assert brier(bins) == 1.0


def test_an_edge_belongs_to_the_bin_below():
    level = np.array([0, 1, 4369, 4370, 65535], np.uint16)
    bins = ReliabilityBins.of(level, np.zeros(5, bool))
    assert bins.n_px.tolist() == [3, 1] + [0] * 12 + [1]


def test_reliability_curve_has_the_filled_bins():
    bins = ReliabilityBins.of(np.array([0.1, 0.1, 0.9]), np.array([False, True, True]), n_bins=5)
    curve = reliability_curve(bins)
    assert curve.mean_probability == pytest.approx([0.1, 0.9], abs=1e-5)
    assert curve.vessel_fraction.tolist() == [0.5, 1.0]
    assert curve.n_px.tolist() == [2, 1]


def test_empty_field_of_view_is_nan():
    bins = ReliabilityBins.of(np.array([0.5]), np.array([True]), np.array([False]))
    assert math.isnan(brier(bins))
    assert math.isnan(expected_calibration_error(bins))
    assert [len(column) for column in reliability_curve(bins)] == [0, 0, 0]


def test_one_pixel():
    bins = ReliabilityBins.of(np.array([[1.0]]), np.array([[True]]))
    assert brier(bins) == 0.0
    assert expected_calibration_error(bins) == 0.0


def test_bins_pool_by_adding(pairs):
    first, second = (ScoreHistogram.of(p.level, p.truth, p.where) for p in pairs[:2])
    added = ReliabilityBins.of_histogram(first) + ReliabilityBins.of_histogram(second)
    together = ReliabilityBins.of_histogram(first + second)
    assert added.n_px.tolist() == together.n_px.tolist()
    assert brier(added) == pytest.approx(brier(together), abs=1e-12)
    assert expected_calibration_error(added) == pytest.approx(
        expected_calibration_error(together), abs=1e-12
    )


def test_bins_of_another_number_cannot_be_added():
    ten, fifteen = (
        ReliabilityBins.of(np.array([0.5]), np.array([True]), n_bins=n) for n in (10, 15)
    )
    with pytest.raises(ValueError, match="10 bins cannot be added to 15"):
        ten + fifteen


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="n_bins is 0"):
        ReliabilityBins.of(np.array([0.5]), np.array([True]), n_bins=0)


def test_agrees_with_second_implementations(pairs):
    for pair in pairs:
        level = _off_the_edges(pair.level)
        truth, probability = pair.truth[pair.where], level[pair.where] / 65535
        bins = ReliabilityBins.of(level, pair.truth, pair.where)
        assert brier(bins) == pytest.approx(brier_score_loss(truth, probability), abs=1e-6)
        expected = _second_ece(probability, truth)
        assert expected_calibration_error(bins) == pytest.approx(expected, abs=1e-6)
        fraction, mean = calibration_curve(truth, probability, n_bins=15)
        curve = reliability_curve(bins)
        assert curve.vessel_fraction == pytest.approx(fraction, abs=1e-6)
        assert curve.mean_probability == pytest.approx(mean, abs=1e-6)
