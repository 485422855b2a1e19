import math

import numpy as np
import pytest
import surface_distance
from scipy.ndimage import distance_transform_edt

from fundusseg.metrics.boundary import (
    SurfaceDistances,
    hausdorff_95,
    normalised_surface_distance,
)

FIGURES = [lambda distances: normalised_surface_distance(distances, 1.0), hausdorff_95]


def _square(top, left, side=10, frame=40):
    mask = np.zeros((frame, frame), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_contour_length_of_a_square():
    distances = SurfaceDistances.of(_square(5, 5), _square(5, 5))
    # Four straight sides of nine pieces each, and four corners cut off.
    assert distances.truth_length_px.sum() == pytest.approx(4 * 9 + 4 * math.sqrt(0.5))
    assert not distances.truth_to_prediction_px.any()


def test_contour_length_of_pixels_that_touch_at_a_corner():
    distances = SurfaceDistances.of(np.eye(2, dtype=bool), np.eye(2, dtype=bool))
    # Three free corners of each pixel, and twice that length where they touch.
    assert distances.truth_length_px.sum() == pytest.approx(8 * math.sqrt(0.5))


def test_a_square_shifted_by_three_pixels():
    distances = SurfaceDistances.of(_square(5, 5), _square(5, 8))
    assert normalised_surface_distance(distances, 3) == 1.0
    assert hausdorff_95(distances) == 3.0
    # At 0 px only what lies on the other contour: of the upper side's nine straight pieces and
    # two corners the last seven and one, and the same below.
    total = 36 + 4 * math.sqrt(0.5)
    shared = 2 * (7 + math.sqrt(0.5))
    assert normalised_surface_distance(distances, 0) == pytest.approx(shared / total, abs=1e-12)


def test_hausdorff_95_passes_over_five_per_cent_of_the_contour():
    truth = np.zeros((60, 400), bool)
    truth[10:20, :] = True
    prediction = truth.copy()
    prediction[40, 200] = True
    distances = SurfaceDistances.of(prediction, truth)
    assert hausdorff_95(distances) == 0.0
    assert distances.prediction_to_truth_px.max() == 21.0


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [  # normalised surface distance, Hausdorff 95
        ("empty", "empty", [1, 0]),
        ("empty", "pixel", [0, math.inf]),
        ("left", "empty", [0, math.inf]),
        ("pixel", "pixel", [1, 0]),
        ("full", "full", [1, 0]),
    ],
)
def test_empty_full_and_single_pixel(masks, prediction, truth, expected):
    distances = SurfaceDistances.of(masks[prediction], masks[truth])
    assert [figure(distances) for figure in FIGURES] == expected


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("prediction", ["empty", "left"])
def test_empty_field_of_view_is_nan(masks, figure, prediction):
    distances = SurfaceDistances.of(masks[prediction], masks["right"], masks["empty"])
    assert math.isnan(figure(distances))


@pytest.mark.parametrize("figure", FIGURES)
def test_no_pixels_at_all_is_nan(figure):
    nothing = np.zeros((0, 0), bool)
    assert math.isnan(figure(SurfaceDistances.of(nothing, nothing)))


@pytest.mark.parametrize("tolerance_px", [-1.0, math.nan])
def test_a_tolerance_below_zero_is_refused(masks, tolerance_px):
    distances = SurfaceDistances.of(masks["left"], masks["right"])
    with pytest.raises(ValueError, match="tolerance_px"):
        normalised_surface_distance(distances, tolerance_px)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_agrees_with_surface_distance(pairs):
    for _, prediction, truth, where in pairs:
        found = SurfaceDistances.of(prediction, truth, where)
        expected = surface_distance.compute_surface_distances(
            truth & where, prediction & where, (1, 1)
        )
        for tolerance_px in (0.5, 1.0, 2.0, 3.7):
            second = surface_distance.compute_surface_dice_at_tolerance(expected, tolerance_px)
            first = normalised_surface_distance(found, tolerance_px)
            assert first == pytest.approx(second, abs=1e-6)
        second = surface_distance.compute_robust_hausdorff(expected, 95)
        assert hausdorff_95(found) == pytest.approx(second, abs=1e-6)


def _outline(top, left, side=10, frame=40):
    """The corners of pixels that lie on the outline of `_square`."""
    outline = np.zeros((frame + 1, frame + 1), bool)
    outline[top : top + side + 1, left : left + side + 1] = True
    outline[top + 1 : top + side, left + 1 : left + side] = False
    return outline


def test_distances_agree_with_a_distance_transform():
    found = SurfaceDistances.of(_square(3, 4), _square(20, 25))
    expected = distance_transform_edt(~_outline(20, 25))[_outline(3, 4)]
    assert found.prediction_to_truth_px == pytest.approx(np.sort(expected))
