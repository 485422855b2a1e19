"""A photograph with the outline of its vessels, for a reader to judge by eye."""

import numpy as np
from scipy import ndimage

OUTLINE_RGB = (0, 255, 0)


def outlined(photograph: np.ndarray, vessels: np.ndarray) -> np.ndarray:
    """The photograph, uint8 (Y, X, 3), with the pixels just outside each vessel in green.

    Args:
        vessels: bool (Y, X).
    """
    outline = ndimage.binary_dilation(vessels) & ~vessels
    picture = photograph.copy()
    picture[outline] = OUTLINE_RGB
    return picture
