import math

import numpy as np
import pytest
from sklearn import metrics as sk

from fundusseg.metrics import overlap
from fundusseg.metrics.overlap import Counts

ALL = [
    overlap.dice,
    overlap.iou,
    overlap.sensitivity,
    overlap.specificity,
    overlap.precision,
    overlap.accuracy,
    overlap.matthews,
]


def test_counts_of_two_rectangles(masks):
    # 3 x 4 each, shifted by one column: 9 in both, 3 in either alone, 49 in none.
    assert Counts.of(masks["left"], masks["right"]) == Counts(tp=9, fp=3, fn=3, tn=49)


def test_counts_inside_the_field_of_view(masks):
    where = np.zeros((8, 8), bool)
    where[:, :2] = True
    assert Counts.of(masks["left"], masks["right"], where) == Counts(tp=0, fp=3, fn=0, tn=13)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (overlap.dice, 18 / 24),
        (overlap.iou, 9 / 15),
        (overlap.sensitivity, 9 / 12),
        (overlap.specificity, 49 / 52),
        (overlap.precision, 9 / 12),
        (overlap.accuracy, 58 / 64),
        (overlap.matthews, (9 * 49 - 3 * 3) / (12 * 52)),
    ],
)
def test_figures_of_two_rectangles(figure, expected):
    assert figure(Counts(tp=9, fp=3, fn=3, tn=49)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [  # dice, iou, sensitivity, specificity, precision, accuracy, matthews
        ("empty", "empty", [1, 1, math.nan, 1, math.nan, 1, 0]),
        ("empty", "pixel", [0, 0, 0, 1, math.nan, 63 / 64, 0]),
        ("pixel", "empty", [0, 0, math.nan, 63 / 64, 0, 63 / 64, 0]),
        ("pixel", "pixel", [1, 1, 1, 1, 1, 1, 1]),
        ("full", "full", [1, 1, 1, math.nan, 1, 1, 0]),
        ("full", "pixel", [2 / 65, 1 / 64, 1, 0, 1 / 64, 1 / 64, 0]),
    ],
)
def test_empty_full_and_single_pixel(masks, prediction, truth, expected):
    counts = Counts.of(masks[prediction], masks[truth])
    assert [figure(counts) for figure in ALL] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("figure", ALL)
@pytest.mark.parametrize("prediction", ["empty", "full"])
def test_empty_field_of_view_is_nan(masks, figure, prediction):
    assert math.isnan(figure(Counts.of(masks[prediction], masks["pixel"], masks["empty"])))


@pytest.mark.parametrize("figure", ALL)
def test_no_pixels_at_all_is_nan(figure):
    nothing = np.zeros((0, 0), bool)
    assert math.isnan(figure(Counts.of(nothing, nothing)))


def test_matthews_of_more_pixels_than_64_bits_can_multiply():
    assert overlap.matthews(Counts(10**9, 0, 0, 10**9)) == 1.0


def test_pooled_counts_are_those_of_the_images_together(pairs):
    first, second = pairs[:2]
    together = Counts.of(
        np.stack([first.prediction, second.prediction]),
        np.stack([first.truth, second.truth]),
        np.stack([first.where, second.where]),
    )
    assert Counts.of(*first[1:]) + Counts.of(*second[1:]) == together


@pytest.mark.parametrize(
    ("figure", "second"),
    [
        (overlap.dice, sk.f1_score),
        (overlap.iou, sk.jaccard_score),
        (overlap.sensitivity, sk.recall_score),
        (overlap.specificity, lambda truth, mask: sk.recall_score(truth, mask, pos_label=False)),
        (overlap.precision, sk.precision_score),
        (overlap.accuracy, sk.accuracy_score),
        (overlap.matthews, sk.matthews_corrcoef),
    ],
)
def test_agrees_with_scikit_learn(pairs, figure, second):
    for pair in pairs:
        expected = second(pair.truth[pair.where], pair.prediction[pair.where])
        assert figure(Counts.of(*pair[1:])) == pytest.approx(expected, abs=1e-6)
