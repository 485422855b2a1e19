import math

import numpy as np
import pytest
from sklearn import metrics as sk

from fundusseg.metrics import curves
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts, dice

# Two vessel pixels at 0.8 and 0.4, two background pixels at 0.4 and 0.2.
SCORES = np.array([0.8, 0.4, 0.4, 0.2])
TRUTH = np.array([True, True, False, False])


def test_auroc_counts_a_tie_half():
    assert curves.auroc(ScoreHistogram.of(SCORES, TRUTH)) == 3.5 / 4


def test_auprc_is_average_precision():
    assert curves.auprc(ScoreHistogram.of(SCORES, TRUTH)) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_roc_curve_of_four_pixels():
    curve = curves.roc_curve(ScoreHistogram.of(SCORES, TRUTH))
    assert curve.false_positive_rate.tolist() == [0, 0, 0.5, 1]
    assert curve.sensitivity.tolist() == [0, 0.5, 1, 1]
    assert curve.threshold == pytest.approx([np.inf, 0.8, 0.4, 0.2])


def test_precision_recall_curve_of_four_pixels():
    curve = curves.precision_recall_curve(ScoreHistogram.of(SCORES, TRUTH))
    assert curve.precision == pytest.approx([1, 1, 2 / 3, 0.5])
    assert curve.sensitivity.tolist() == [0, 0.5, 1, 1]
    assert curve.threshold == pytest.approx([np.inf, 0.8, 0.4, 0.2])


def test_a_pixel_at_the_threshold_is_vessel():
    histogram = ScoreHistogram.of(SCORES, TRUTH)
    assert histogram.counts_at(0.4) == Counts(tp=2, fp=1, fn=0, tn=1)
    assert histogram.counts_at(0.4001) == Counts(tp=1, fp=0, fn=1, tn=2)
    assert histogram.counts_at(0) == Counts(tp=2, fp=2, fn=0, tn=0)
    assert histogram.counts_at(1.1) == Counts(tp=0, fp=0, fn=2, tn=2)


def test_counts_at_every_level_meet_the_level_itself():
    level = np.arange(65536, dtype=np.uint16)
    histogram = ScoreHistogram.of(level, np.ones(65536, bool))
    found = [histogram.counts_at(k / 65535).tp for k in range(0, 65536, 7)]
    assert found == [65536 - k for k in range(0, 65536, 7)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_is_rounded_to_sixteen_bits(dtype):
    histogram = ScoreHistogram.of(np.array([0, 0.5, 1], dtype), np.ones(3, bool))
    assert np.flatnonzero(histogram.positives).tolist() == [0, 32768, 65535]


def test_single_precision_keeps_every_level():
    level = np.arange(65536, dtype=np.uint16)
    histogram = ScoreHistogram.of((level / 65535).astype(np.float32), np.ones(65536, bool))
    assert np.all(histogram.positives == 1)


def test_scores_outside_the_field_of_view_are_not_looked_at():
    where = np.array([True, True, True, False])
    histogram = ScoreHistogram.of(np.array([0.8, 0.4, 0.4, np.nan]), TRUTH, where)
    assert histogram.counts_at(0).n_px == 3


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1, np.inf])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(ValueError, match="NaN or outside"):
        ScoreHistogram.of(np.array([0.5, wrong]), np.ones(2, bool))


def test_eight_bit_scores_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        ScoreHistogram.of(np.zeros(2, np.uint8), np.ones(2, bool))


def test_best_dice_threshold_lies_midway_in_the_gap():
    scores = np.array([0.1, 0.2, 0.6, 0.9])
    truth = np.array([False, False, True, True])
    assert curves.best_dice_threshold(ScoreHistogram.of(scores, truth)) == pytest.approx(
        0.4, abs=1e-4
    )


@pytest.mark.parametrize(("truth", "expected"), [([True, True], 0.0), ([False, True], 0.5)])
def test_best_dice_threshold_of_a_binary_map(truth, expected):
    histogram = ScoreHistogram.of(np.array([0.0, 1.0]), np.array(truth))
    assert curves.best_dice_threshold(histogram) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("truth", [True, False])
def test_one_class_alone(truth):
    histogram = ScoreHistogram.of(SCORES, np.full(4, truth))
    assert math.isnan(curves.auroc(histogram))
    assert curves.auprc(histogram) == pytest.approx(1.0 if truth else math.nan, nan_ok=True)
    assert math.isnan(curves.best_dice_threshold(histogram)) is not truth
    roc = curves.roc_curve(histogram)
    assert np.isnan(roc.false_positive_rate).all() == truth
    assert np.isnan(roc.sensitivity).all() != truth


def test_empty_field_of_view_is_nan():
    histogram = ScoreHistogram.of(SCORES, TRUTH, np.zeros(4, bool))
    assert histogram.counts_at(0.5) == Counts(0, 0, 0, 0)
    assert math.isnan(curves.auroc(histogram))
    assert math.isnan(curves.auprc(histogram))
    assert math.isnan(curves.best_dice_threshold(histogram))
    assert curves.roc_curve(histogram).threshold.tolist() == [np.inf]
    assert curves.precision_recall_curve(histogram).threshold.tolist() == [np.inf]


def test_one_pixel():
    assert curves.auprc(ScoreHistogram.of(np.array([[0.3]]), np.array([[True]]))) == 1.0


def test_histograms_pool_by_adding(pairs):
    first, second = pairs[:2]
    pooled = ScoreHistogram.of(first.level, first.truth, first.where)
    pooled += ScoreHistogram.of(second.level, second.truth, second.where)
    truth = np.append(first.truth[first.where], second.truth[second.where])
    level = np.append(first.level[first.where], second.level[second.where])
    assert curves.auroc(pooled) == pytest.approx(sk.roc_auc_score(truth, level), abs=1e-9)


def test_areas_agree_with_scikit_learn(pairs):
    for pair in pairs:
        histogram = ScoreHistogram.of(pair.level, pair.truth, pair.where)
        truth, level = pair.truth[pair.where], pair.level[pair.where]
        assert curves.auroc(histogram) == pytest.approx(sk.roc_auc_score(truth, level), abs=1e-6)
        expected = sk.average_precision_score(truth, level)
        assert curves.auprc(histogram) == pytest.approx(expected, abs=1e-6)


def test_curves_agree_with_scikit_learn(pairs):
    for pair in pairs[:10]:
        histogram = ScoreHistogram.of(pair.probability, pair.truth, pair.where)
        truth, probability = pair.truth[pair.where], pair.probability[pair.where]
        expected = sk.roc_curve(truth, probability, drop_intermediate=False)
        assert np.allclose(curves.roc_curve(histogram), expected, rtol=0, atol=1e-12)
        precision, recall, threshold = sk.precision_recall_curve(truth, probability)
        found = curves.precision_recall_curve(histogram)
        assert np.allclose(found.precision[::-1], precision, rtol=0, atol=1e-12)
        assert np.allclose(found.sensitivity[::-1], recall, rtol=0, atol=1e-12)
        assert np.allclose(found.threshold[:0:-1], threshold, rtol=0, atol=1e-12)


def test_counts_at_a_threshold_are_those_of_the_mask(pairs):
    for pair in pairs:
        histogram = ScoreHistogram.of(pair.level, pair.truth, pair.where)
        assert histogram.counts_at(0.5) == Counts.of(*pair[1:])


def test_no_threshold_beats_the_best(pairs):
    for pair in pairs:
        histogram = ScoreHistogram.of(pair.level, pair.truth, pair.where)
        best = dice(histogram.counts_at(curves.best_dice_threshold(histogram)))
        curve = curves.precision_recall_curve(histogram)
        product = 2 * curve.precision * curve.sensitivity
        every = product[1:] / (curve.precision + curve.sensitivity)[1:].clip(1e-12)
        assert best == pytest.approx(every.max(), abs=1e-12)
