"""From probabilities to a map: cut at a threshold, gaps closed, small objects left out."""

import numpy as np

from fundusseg.config import MapConfig
from fundusseg.fundus.gaps import without_gaps
from fundusseg.fundus.geometry import Geometry
from fundusseg.fundus.small_objects import without_small_objects

JOIN_WIDTH_PX = 3  # of the frame: a thin vessel's
JOIN_SHARE = 0.5  # of the threshold: what the probabilities across a gap must reach
SPECK_SHARE = 0.25  # of the smallest object's area: less is noise, and nothing is joined to it


def vessel_map(
    probability: np.ndarray, threshold: float, config: MapConfig, geometry: Geometry
) -> np.ndarray:
    """The map that probabilities are cut to.

    Args:
        probability: float32 (Y, X) in [0, 1], at the source's size.
        threshold: vessel is where the probability is at least this.
        config: how the map is cleaned, in pixels of the frame.
        geometry: how the frame lies in the source.

    Returns:
        bool (Y, X).
    """
    vessels = probability >= threshold
    if not config.smallest_object_px:
        return vessels
    scale = _source_px(geometry)
    smallest_px = config.smallest_object_px * scale**2
    vessels = without_gaps(
        vessels,
        probability,
        least=JOIN_SHARE * threshold,
        gap_px=config.longest_gap_px * scale,
        width_px=JOIN_WIDTH_PX * scale,
        speck_px=SPECK_SHARE * smallest_px,
    )
    return without_small_objects(vessels, smallest_px)


def _source_px(geometry: Geometry) -> float:
    """How long the side of a pixel of the frame is, in pixels of the source."""
    y0, x0, y1, x1 = geometry.box
    return ((y1 - y0) * (x1 - x0)) ** 0.5 / geometry.frame_px
