import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from fundusseg.metrics import centreline
from fundusseg.metrics.centreline import CentrelineCounts, cldice, connected_components, skeleton

FIGURES = [centreline.topology_precision, centreline.topology_sensitivity, cldice]


def _bar(rows, columns):
    mask = np.zeros((20, 40), bool)
    mask[rows, columns] = True
    return mask


def test_skeleton_of_a_bar_is_its_middle_row():
    thin = skeleton(_bar(slice(8, 13), slice(5, 35)))
    # Away from the ends, where thinning may step aside by a pixel.
    assert np.array_equal(thin[:, 10:30], _bar(slice(10, 11), slice(10, 30))[:, 10:30])


def test_skeleton_is_cut_before_it_is_thinned():
    bar, where = _bar(slice(8, 13), slice(5, 35)), _bar(slice(0, 11), slice(0, 40))
    assert np.array_equal(skeleton(bar, where), skeleton(_bar(slice(8, 11), slice(5, 35))))


def test_a_thicker_copy_has_the_same_centreline():
    counts = CentrelineCounts.of(_bar(slice(7, 14), slice(0, 40)), _bar(slice(9, 12), slice(0, 40)))
    assert cldice(counts) == 1.0


def test_half_a_vessel_found():
    one_row = _bar(slice(10, 11), slice(0, 40))
    half = _bar(slice(10, 11), slice(0, 20))
    counts = CentrelineCounts.of(half, one_row)
    assert counts == CentrelineCounts(20, 20, 20, 40, n_px=800)
    assert [figure(counts) for figure in FIGURES] == pytest.approx([1, 0.5, 2 / 3])


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [  # topology precision, topology sensitivity, clDice
        ("empty", "empty", [math.nan, math.nan, 1]),
        ("empty", "pixel", [math.nan, 0, 0]),
        ("pixel", "empty", [0, math.nan, 0]),
        ("pixel", "pixel", [1, 1, 1]),
    ],
)
def test_empty_masks_and_single_pixel(masks, prediction, truth, expected):
    counts = CentrelineCounts.of(masks[prediction], masks[truth])
    assert [figure(counts) for figure in FIGURES] == pytest.approx(expected, nan_ok=True)


def test_skeletons_that_never_meet_the_other_mask_are_zero():
    counts = CentrelineCounts.of(_bar(slice(0, 3), slice(0, 9)), _bar(slice(9, 12), slice(0, 9)))
    assert cldice(counts) == 0.0


@pytest.mark.parametrize("figure", FIGURES)
def test_empty_field_of_view_is_nan(masks, figure):
    assert math.isnan(figure(CentrelineCounts.of(masks["left"], masks["right"], masks["empty"])))


def test_no_pixels_at_all_is_nan():
    nothing = np.zeros((0, 0), bool)
    assert math.isnan(cldice(CentrelineCounts.of(nothing, nothing)))
    assert connected_components(nothing) == 0


def test_agrees_with_skeletons_of_skimage(pairs):
    for _, prediction, truth, where in pairs:
        prediction_skeleton = skeletonize(prediction & where)
        truth_skeleton = skeletonize(truth & where)
        precision = (truth & where)[prediction_skeleton].mean()
        sensitivity = (prediction & where)[truth_skeleton].mean()
        expected = 2 * precision * sensitivity / (precision + sensitivity)
        found = cldice(CentrelineCounts.of(prediction, truth, where))
        assert found == pytest.approx(expected, abs=1e-6)


def test_skeletons_made_before_give_the_same_counts(pairs):
    for _, prediction, truth, where in pairs[:10]:
        made_before = CentrelineCounts.of(
            prediction,
            truth,
            where,
            prediction_skeleton=skeleton(prediction, where),
            truth_skeleton=skeleton(truth, where),
        )
        assert made_before == CentrelineCounts.of(prediction, truth, where)


def test_skeleton_that_leaves_the_field_of_view_is_refused(pairs):
    pair = pairs[1]
    with pytest.raises(ValueError, match="truth_skeleton leaves its mask"):
        CentrelineCounts.of(*pair[1:], truth_skeleton=skeleton(pair.truth))


def test_counts_pool_by_adding():
    assert CentrelineCounts(1, 2, 3, 4, 5) + CentrelineCounts(10, 20, 30, 40, 50) == (
        CentrelineCounts(11, 22, 33, 44, 55)
    )


def test_parts_that_touch_at_a_corner_are_one():
    mask = np.eye(6, dtype=bool)
    assert connected_components(mask) == 1
    mask[2, 2] = False
    assert connected_components(mask) == 2


def test_parts_of_empty_full_and_single_pixel(masks):
    assert [connected_components(masks[name]) for name in ("empty", "full", "pixel")] == [0, 1, 1]


def test_parts_agree_with_scipy(pairs):
    for pair in pairs:
        _, expected = ndimage.label(pair.prediction, np.ones((3, 3)))
        assert connected_components(pair.prediction) == expected
