"""Small parts of a vessel map: what is drawn apart from the tree and too small to be a vessel."""

import numpy as np
from scipy import ndimage

from fundusseg.fundus.geometry import Geometry

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def without_specks(vessels: np.ndarray, smallest_px: float) -> np.ndarray:
    """A map without the connected parts (8 neighbours) of less than `smallest_px` pixels.

    Args:
        vessels: bool (Y, X).
        smallest_px: an area in pixels; up to 1 keeps every part.

    Returns:
        bool (Y, X); `vessels` itself where every part is kept.
    """
    if smallest_px <= 1:
        return vessels
    # scikit-image has a function for this, but to import it takes longer than ten photographs.
    parts, _ = ndimage.label(vessels, EIGHT_NEIGHBOURS)
    places = np.flatnonzero(vessels)  # few: what follows need not look at every pixel
    part_of = parts.ravel()[places]
    is_small = np.bincount(part_of) < smallest_px
    kept = vessels.copy()
    kept.ravel()[places[is_small[part_of]]] = False
    return kept


def area_in_source_px(frame_area_px: float, geometry: Geometry) -> float:
    """What an area in pixels of the frame comes to in pixels of the source."""
    y0, x0, y1, x1 = geometry.box
    return frame_area_px * (y1 - y0) * (x1 - x0) / geometry.frame_px**2
