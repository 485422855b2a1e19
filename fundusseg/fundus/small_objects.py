"""Small objects of a vessel map: connected components too small to be a vessel."""

import numpy as np
from scipy import ndimage

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
FOUR_NEIGHBOURS = ndimage.generate_binary_structure(2, 1)  # of the holes in what eight connect


def without_small_objects(vessels: np.ndarray, smallest_px: float) -> np.ndarray:
    """A map without its connected components (8 neighbours) of fewer than `smallest_px` pixels.

    Args:
        vessels: bool (Y, X).
        smallest_px: an area in pixels; up to 1 keeps every component.

    Returns:
        bool (Y, X); `vessels` itself if `smallest_px` is at most 1.
    """
    return vessels if smallest_px <= 1 else large_components(vessels, smallest_px) > 0


def large_components(
    vessels: np.ndarray, smallest_px: float, neighbours: np.ndarray = EIGHT_NEIGHBOURS
) -> np.ndarray:
    """int32 (Y, X): the number of each pixel's component; 0 beside them, and in smaller ones."""
    # scikit-image has a function for this, but importing it takes longer than ten photographs.
    components, _ = ndimage.label(vessels, neighbours)
    places = np.flatnonzero(vessels)  # few: what follows need not look at every pixel
    component_of = components.ravel()[places]
    is_small = np.bincount(component_of) < smallest_px
    components.ravel()[places[is_small[component_of]]] = 0
    return components
