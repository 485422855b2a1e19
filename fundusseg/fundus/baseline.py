"""A classical vessel filter, the baseline that a trained model is compared with.

Sato's multi-scale ridge filter on the green channel, where vessels have the highest contrast.
Uneven illumination is removed first. The scales are fixed fractions of the diameter of the field
of view, so that one threshold serves all photographs of a camera.
"""

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter
from skimage.filters import sato

SCALES_PX_AT_512 = (1.5, 2.2, 3.2)  # standard deviations: vessels about 3 to 9 px wide
ILLUMINATION_SCALE_PX_AT_512 = 12.0
RIM_PX_AT_512 = 4.0  # the rim is an edge, which the filter responds to
_LEAST_CONTRAST = 1.0  # grey levels; limits the amplification of noise in a uniform photograph


def baseline_score(green: np.ndarray, fov: np.ndarray, diameter_px: float) -> np.ndarray:
    """Ridge strength: how much each pixel looks like part of a vessel.

    Args:
        green: (Y, X), the green channel of a photograph, 0 to 255.
        fov: bool (Y, X), the field of view.
        diameter_px: diameter of the field of view in pixels of `green`, > 0.

    Returns:
        float32 (Y, X) in [0, 1). Not a probability, but one value stands for the same local
        contrast in every photograph. 0 outside the field of view and on its rim, and everywhere
        if the field of view is empty.

    Reference: Sato et al., Medical Image Analysis 2:143-168, 1998,
    doi:10.1016/S1361-8415(98)80009-1
    """
    unit_px = diameter_px / 512
    normalised = _normalised(green.astype(np.float32), fov, ILLUMINATION_SCALE_PX_AT_512 * unit_px)
    sigmas = [scale * unit_px for scale in SCALES_PX_AT_512]
    ridges = sato(normalised, sigmas=sigmas, black_ridges=True)
    rim_px = max(1, round(RIM_PX_AT_512 * unit_px))
    inside = binary_erosion(fov, iterations=rim_px, border_value=1)
    return np.where(inside, 1 - np.exp(-np.maximum(ridges, 0)), 0).astype(np.float32)


def _normalised(green: np.ndarray, fov: np.ndarray, scale_px: float) -> np.ndarray:
    """Deviation from the local mean in units of the local contrast; 0 outside `fov`."""
    weight = gaussian_filter(fov.astype(np.float32), scale_px)
    weight = np.maximum(weight, 1e-6)
    mean = gaussian_filter(green * fov, scale_px) / weight
    deviation = (green - mean) * fov
    variance = gaussian_filter(deviation**2, scale_px) / weight
    return deviation / (np.sqrt(variance) + _LEAST_CONTRAST)
