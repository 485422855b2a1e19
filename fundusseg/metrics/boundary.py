"""Agreement of two vessel maps along their boundaries: surface distance and Hausdorff 95.

The definitions are those of DeepMind's surface-distance library in two dimensions, spacing 1 px.
Each corner between four pixels is a point of the surface if the four are not all alike; it stands
for the piece of contour that passes there, whose length follows from the 2 x 2 pattern. Beyond the
frame there is background, so a vessel that reaches the edge is closed there. Cutting to the field
of view does the same at its rim, and to both masks alike.

Distances come from a k-d tree of the other mask's surface points rather than from a distance
transform of the frame: the result is the same to the bit, and on a 3504 x 2336 mask with 150,000
surface points it takes an eighth of the time and a tenth of the memory.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from fundusseg.metrics.checks import cut_to

# Length in px of the contour through a corner, by the code 8 a + 4 b + 2 c + d of the pixels
#   a b
#   c d   around it: one pixel cut off, a straight piece, or two corners that touch (6 and 9).
_CORNER = math.sqrt(0.5)
_CONTOUR_LENGTH_PX = np.array(
    [0, _CORNER, _CORNER, 1, _CORNER, 1, 2 * _CORNER, _CORNER]
    + [_CORNER, 2 * _CORNER, 1, _CORNER, 1, _CORNER, _CORNER, 0]
)


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The surface points of two masks: how far from the other surface, and how much contour.

    Attributes:
        prediction_to_truth_px: float64 (N,), distance of each point of the prediction's surface
            to the truth's, ascending; infinity if the truth has no surface.
        prediction_length_px: float64 (N,), length of contour that each of these stands for.
        truth_to_prediction_px: float64 (M,), the distances the other way round.
        truth_length_px: float64 (M,), the lengths that belong to them.
        n_px: number of pixels of the field of view.
    """

    prediction_to_truth_px: np.ndarray
    prediction_length_px: np.ndarray
    truth_to_prediction_px: np.ndarray
    truth_length_px: np.ndarray
    n_px: int

    @classmethod
    def of(
        cls, prediction: np.ndarray, truth: np.ndarray, where: np.ndarray | None = None
    ) -> "SurfaceDistances":
        """Measure the surfaces of one image; an empty mask has no points.

        Args:
            prediction: bool (Y, X), True is vessel.
            truth: bool (Y, X), likewise.
            where: bool (Y, X), the field of view, to which both masks are cut; None is the whole
                frame.

        Raises:
            TypeError: if an array is not of dtype bool.
            ValueError: if two shapes differ.
        """
        prediction, truth, n_px = cut_to(where, prediction, truth)
        prediction_points, prediction_lengths = _surface(prediction)
        truth_points, truth_lengths = _surface(truth)
        return cls(
            *_nearest(prediction_points, prediction_lengths, truth_points),
            *_nearest(truth_points, truth_lengths, prediction_points),
            n_px,
        )


def normalised_surface_distance(distances: SurfaceDistances, tolerance_px: float) -> float:
    """Normalised surface distance (NSD, surface Dice) at a tolerance.

    The part of both contours that lies within the tolerance of the other one.

    Args:
        distances: of one image.
        tolerance_px: at least 0; the caller scales it to the diameter of the field of view.

    Returns:
        In [0, 1]; 1.0 if both masks are empty, 0.0 if one is, NaN if no pixel was compared.

    Raises:
        ValueError: if the tolerance is negative or NaN.

    Reference: Nikolov et al., Journal of Medical Internet Research 23 (2021), doi:10.2196/26151
    """
    if not tolerance_px >= 0:
        raise ValueError(f"tolerance_px is {tolerance_px}; it must be at least 0")
    if distances.n_px == 0:
        return math.nan
    total = distances.prediction_length_px.sum() + distances.truth_length_px.sum()
    within = (
        distances.prediction_length_px[distances.prediction_to_truth_px <= tolerance_px].sum()
        + distances.truth_length_px[distances.truth_to_prediction_px <= tolerance_px].sum()
    )
    return float(within / total) if total else 1.0


def hausdorff_95(distances: SurfaceDistances) -> float:
    """Hausdorff 95: the distance within which 95 % of each contour lies from the other one.

    The larger of the two directed 95th percentiles, each weighted by contour length.

    Returns:
        In px, at least 0; 0.0 if both masks are empty, infinity if one is, NaN if no pixel was
        compared.

    References:
        Huttenlocher et al., IEEE TPAMI 15 (1993), doi:10.1109/34.232073
        Nikolov et al., Journal of Medical Internet Research 23 (2021), doi:10.2196/26151
    """
    if distances.n_px == 0:
        return math.nan
    return max(
        _percentile_95(distances.prediction_to_truth_px, distances.prediction_length_px),
        _percentile_95(distances.truth_to_prediction_px, distances.truth_length_px),
    )


def _surface(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, 2) on the surface of a mask (Y, X), and their contour lengths (N,) in px."""
    bits = np.pad(mask, 1).view(np.uint8)
    codes = bits[:-1, :-1] << 3
    codes |= bits[:-1, 1:] << 2
    codes |= bits[1:, :-1] << 1
    codes |= bits[1:, 1:]
    points = np.argwhere((codes != 0) & (codes != 15))
    return points, _CONTOUR_LENGTH_PX[codes[points[:, 0], points[:, 1]]]


def _nearest(
    points: np.ndarray, lengths_px: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N,) from each point to the nearest other, ascending, with the points' lengths."""
    if len(others) == 0:
        return np.full(len(points), np.inf), lengths_px
    distances_px = cKDTree(others).query(points)[0]
    order = np.argsort(distances_px, kind="stable")
    return distances_px[order], lengths_px[order]


def _percentile_95(distances_px: np.ndarray, lengths_px: np.ndarray) -> float:
    """The first of the ascending distances at which 95 % of the length is reached."""
    if len(distances_px) == 0:
        return 0.0
    reached = np.cumsum(lengths_px) / lengths_px.sum()
    index = int(np.searchsorted(reached, 0.95))
    return float(distances_px[min(index, len(distances_px) - 1)])
