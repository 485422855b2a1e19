"""Similarity of two maps in [-1, 1], as image translation reports it: MSE, PSNR and SSIM.

None of them is a figure of merit for a segmentation. They are kept to compare with Pix2Pix papers.
"""

import math

import numpy as np
from skimage.metrics import structural_similarity

from fundusseg.metrics.checks import check_same_shape

DATA_RANGE = 2.0
SSIM_SIGMA_PX = 1.5
# The Gaussian is cut at 3.5 sigma: 5 px on either side of the centre.
SSIM_WINDOW_PX = 11


def mse(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error.

    Args:
        prediction: floating point (Y, X) in [-1, 1].
        truth: likewise.

    Returns:
        In [0, 4]; NaN for arrays without pixels.

    Raises:
        TypeError: if a map is not of floating point.
        ValueError: if the shapes differ.
    """
    _check_maps(prediction=prediction, truth=truth)
    if truth.size == 0:
        return math.nan
    return float(np.mean(np.square(prediction - truth), dtype=np.float64))


def psnr(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio, 10 log10(2^2 / MSE), in dB.

    Args:
        prediction: floating point (Y, X) in [-1, 1].
        truth: likewise.

    Returns:
        In dB, at least 0; infinity for equal maps, NaN for arrays without pixels.

    Raises:
        TypeError: if a map is not of floating point.
        ValueError: if the shapes differ.
    """
    error = mse(prediction, truth)
    return math.inf if error == 0 else 10 * math.log10(DATA_RANGE**2 / error)


def ssim(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (SSIM), the variant of its authors.

    Gaussian window of sigma 1.5 px, population covariance, K1 0.01, K2 0.03, data range 2, mean
    over the pixels whose window lies inside the frame. Computed in the maps' own precision.

    Args:
        prediction: floating point (Y, X) in [-1, 1].
        truth: likewise.

    Returns:
        In [-1, 1]; NaN if a side is shorter than the window of 11 px.

    Raises:
        TypeError: if a map is not of floating point.
        ValueError: if the shapes differ.

    Reference: Wang et al., IEEE Transactions on Image Processing 13 (2004),
    doi:10.1109/TIP.2003.819861
    """
    _check_maps(prediction=prediction, truth=truth)
    if min(truth.shape) < SSIM_WINDOW_PX:
        return math.nan
    similarity = structural_similarity(
        prediction,
        truth,
        data_range=DATA_RANGE,
        gaussian_weights=True,
        sigma=SSIM_SIGMA_PX,
        use_sample_covariance=False,
    )
    return float(similarity)


def _check_maps(**maps: np.ndarray) -> None:
    """Refuse integers, whose differences wrap around, and maps that differ in shape."""
    for name, values in maps.items():
        if not np.issubdtype(values.dtype, np.floating):
            raise TypeError(f"{name} has dtype {values.dtype}; a map is of floating point")
    check_same_shape(**maps)
