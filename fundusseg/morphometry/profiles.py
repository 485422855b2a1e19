"""Where a map falls to a level on a straight way from a point: edges at sub-pixel accuracy."""

import numpy as np
from scipy.ndimage import map_coordinates

_STEPS = 24  # samples on each way
_AT_ONCE = 20_000  # ways, to bound memory


def edge_distance(
    values: np.ndarray,
    points: np.ndarray,
    directions: np.ndarray,
    reach_px: np.ndarray,
    level: np.ndarray,
) -> np.ndarray:
    """How far it is from each point to where the map falls below a level, along a direction.

    The map is interpolated linearly between the centres of its pixels, and is 0 beyond its frame.

    Args:
        values: bool or float (Y, X), the map.
        points: float (N, 2), [y, x] in pixels; a pixel's centre is a whole number.
        directions: float (N, 2), unit vectors.
        reach_px: float (N,), how far is looked.
        level: float (N,), in the unit of the map.

    Returns:
        float64 (N,), in pixels; NaN where the point itself is below, or nothing within reach is.
    """
    distances_px = np.empty(len(points))
    for first in range(0, len(points), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        step, least = reach_px[some] / _STEPS, level[some]
        along = step[:, np.newaxis] * np.arange(_STEPS + 1)
        places = points[some, np.newaxis] + along[..., np.newaxis] * directions[some, np.newaxis]
        places = places.transpose(2, 0, 1)
        profile = map_coordinates(values, places, np.float32, order=1, mode="grid-constant")
        last = np.argmax(profile < least[:, np.newaxis], axis=1)
        rows = np.arange(len(last))
        before, after = profile[rows, last - 1].astype(float), profile[rows, last].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (before - least) / (before - after)
        distances_px[some] = np.where(last > 0, (last - 1 + share) * step, np.nan)
    return distances_px
