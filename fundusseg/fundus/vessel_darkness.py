"""Whether a mask lies on the vessels of a photograph, which are darker than what is beside them."""

import numpy as np
from scipy import ndimage

COARSE_PX = 350  # the shorter side of what is looked at; every so many pixels of the rest
BESIDE = 1 / 44  # of the shorter side: so far reaches what is beside a vessel
LEAST_PX = 50  # of vessels; of fewer nothing can be said


def darker_share(pixels: np.ndarray, vessels: np.ndarray) -> float | None:
    """How much of the vessels is darker than half of what is beside them, in green.

    On the photographs of seven real data sets 0.71 to 0.98 of a mask is, of drawn ones of little
    contrast 0.63 and more; of the mask of another photograph, or a mirrored one, 0.44 to 0.58.

    Args:
        pixels: uint8 (Y, X, 3).
        vessels: bool (Y, X).

    Returns:
        From 0 to 1; None where there are too few vessels to tell.
    """
    stride = max(1, min(vessels.shape) // COARSE_PX)
    green, mask = pixels[::stride, ::stride, 1].astype(np.float32), vessels[::stride, ::stride]
    reach_px = BESIDE * min(mask.shape)
    beside = ndimage.binary_dilation(mask, iterations=max(1, int(reach_px))) & ~mask
    if np.count_nonzero(mask) < LEAST_PX or not beside.any():
        return None
    darkness = ndimage.gaussian_filter(green, reach_px) - green
    return float((darkness[mask] > np.median(darkness[beside])).mean())
