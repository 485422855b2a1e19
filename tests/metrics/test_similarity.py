import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import mean_squared_error

from fundusseg.metrics.similarity import mse, psnr, ssim


def _second_ssim(first, second):
    """The formula of Wang et al. on Gaussian means, without the frame's 5 px."""

    def local_mean(values):
        return gaussian_filter(values, 1.5, truncate=3.5)

    mean_1, mean_2 = local_mean(first), local_mean(second)
    variance_1 = local_mean(first**2) - mean_1**2
    variance_2 = local_mean(second**2) - mean_2**2
    covariance = local_mean(first * second) - mean_1 * mean_2
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    similarity = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    similarity /= (mean_1**2 + mean_2**2 + c1) * (variance_1 + variance_2 + c2)
    return similarity[5:-5, 5:-5].mean()


def test_opposite_maps():
    black, white = np.full((16, 16), -1.0), np.full((16, 16), 1.0)
    assert mse(black, white) == 4.0
    assert psnr(black, white) == 0.0
    assert ssim(black, white) == pytest.approx(-1, abs=1e-3)


def test_equal_maps():
    values = np.linspace(-1, 1, 256).reshape(16, 16)
    assert mse(values, values) == 0.0
    assert psnr(values, values) == math.inf
    assert ssim(values, values) == pytest.approx(1.0)


def test_one_wrong_pixel_of_a_hundred():
    truth = np.full((10, 10), -1.0)
    prediction = truth.copy()
    prediction[5, 5] = 1.0
    assert mse(prediction, truth) == pytest.approx(0.04)
    assert psnr(prediction, truth) == pytest.approx(20.0)


def test_no_pixels_is_nan():
    nothing = np.zeros((0, 0))
    assert all(math.isnan(figure(nothing, nothing)) for figure in (mse, psnr, ssim))


def test_one_pixel():
    assert mse(np.array([[1.0]]), np.array([[-1.0]])) == 4.0
    assert math.isnan(ssim(np.array([[1.0]]), np.array([[-1.0]])))


@pytest.mark.parametrize(("side_px", "defined"), [(10, False), (11, True)])
def test_ssim_needs_its_window(side_px, defined):
    values = np.zeros((side_px, 20))
    assert math.isnan(ssim(values, values)) is not defined


def test_agrees_with_second_implementations(pairs):
    for pair in pairs:
        prediction, truth = 2 * pair.probability - 1, 2.0 * pair.truth - 1
        assert mse(prediction, truth) == pytest.approx(
            mean_squared_error(truth, prediction), abs=1e-6
        )
        expected = peak_signal_noise_ratio(truth, prediction, data_range=2)
        assert psnr(prediction, truth) == pytest.approx(expected, abs=1e-6)
        expected = _second_ssim(prediction, truth)
        assert ssim(prediction, truth) == pytest.approx(expected, abs=1e-6)
