import math
import tracemalloc

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from fundusseg.metrics.calibration import (
    Calibration,
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


def test_scores_are_calibrated_by_slope_and_intercept_of_their_logits():
    found = Calibration(2.0, -1.0)(np.array([0, 0.25, 0.5, 0.75, 1], np.float32))
    odds = np.exp(-1) * np.array([1 / 9, 1, 9])
    assert found.dtype == np.float32
    assert found == pytest.approx([0, *(odds / (1 + odds)), 1], abs=1e-6)


def test_what_is_calibrated_keeps_its_order_and_comes_back():
    scores = np.sort(np.random.default_rng(2).random(9999))
    calibration = Calibration(0.96, -0.76)
    probabilities = calibration(scores)
    assert (np.diff(probabilities) >= 0).all()
    assert calibration.inverse(probabilities) == pytest.approx(scores, abs=1e-9)
    beyond = np.array([-1e-7, 1 + 1e-7], np.float32)  # as resampling leaves them
    assert calibration(beyond).tolist() == [0, 1]


@pytest.mark.parametrize("values", [(0, 1), (-1, 0), (math.inf, 0), (1, math.nan), (math.nan, 0)])
def test_what_does_not_rise_is_no_calibration(values):
    with pytest.raises(ValueError, match="calibrate nothing"):
        Calibration(*values)


def test_calibrated_scores_are_calibrated():
    random = np.random.default_rng(3)
    scores = random.random(300_000)
    calibration = Calibration(0.7, -1.2)
    truth = random.random(scores.size) < calibration(scores)
    assert expected_calibration_error(ReliabilityBins.of(scores, truth)) > 0.2
    bins = ReliabilityBins.of(calibration(scores), truth)
    assert expected_calibration_error(bins) < 0.005


def test_a_large_map_is_calibrated_in_little_more_memory_than_it_takes():
    calibration = Calibration(1.3, -0.2)
    scores = np.random.default_rng(0).random((3000, 1001), dtype=np.float32)
    tracemalloc.start()
    calibrated = calibration(scores)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2.5 * scores.nbytes  # every step for itself takes as much
    assert np.array_equal(calibrated[:50], calibration(scores[:50]))
