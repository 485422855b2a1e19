import numpy as np
import pytest

from fundusseg.metrics.boundary import SurfaceDistances
from fundusseg.metrics.calibration import ReliabilityBins
from fundusseg.metrics.centreline import CentrelineCounts
from fundusseg.metrics.checks import check_masks, check_same_shape, cut_to
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts
from fundusseg.metrics.similarity import mse, psnr, ssim

COMPARE_MASKS = [Counts.of, CentrelineCounts.of, SurfaceDistances.of]
COMPARE_SCORES = [ScoreHistogram.of, ReliabilityBins.of]
COMPARE_MAPS = [mse, psnr, ssim]


@pytest.mark.parametrize("compare", COMPARE_MASKS)
def test_size_mismatch_names_both_shapes(compare):
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        compare(np.zeros((4, 5), bool), np.zeros((5, 4), bool))


@pytest.mark.parametrize("compare", COMPARE_SCORES + COMPARE_MAPS)
def test_size_mismatch_of_scores_names_both_shapes(compare):
    truth = np.zeros((5, 4), bool if compare in COMPARE_SCORES else float)
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        compare(np.zeros((4, 5)), truth)


@pytest.mark.parametrize("compare", COMPARE_MASKS + COMPARE_SCORES)
def test_field_of_view_of_another_size_is_refused(compare):
    mask = np.zeros((4, 5), bool)
    scores = mask if compare in COMPARE_MASKS else mask.astype(float)
    with pytest.raises(ValueError, match=r"\(4, 5\).*where \(4, 1\)"):
        compare(scores, mask, np.ones((4, 1), bool))


@pytest.mark.parametrize("compare", COMPARE_MASKS)
def test_grey_values_are_no_mask(compare):
    with pytest.raises(TypeError, match="prediction has dtype uint8"):
        compare(np.zeros((4, 5), np.uint8), np.zeros((4, 5), bool))


@pytest.mark.parametrize("compare", COMPARE_MAPS)
def test_integers_are_no_map(compare):
    with pytest.raises(TypeError, match="prediction has dtype uint8"):
        compare(np.zeros((16, 16), np.uint8), np.zeros((16, 16)))


def test_none_is_passed_over():
    check_same_shape(truth=np.zeros(3), where=None)
    check_masks(truth=np.zeros(3, bool), where=None)


def test_cut_to_field_of_view(masks):
    prediction, truth, n_px = cut_to(masks["left"], masks["full"], masks["right"])
    assert n_px == 12
    assert np.array_equal(prediction, masks["left"])
    assert np.array_equal(truth, masks["left"] & masks["right"])
