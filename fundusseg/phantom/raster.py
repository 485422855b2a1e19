"""Vessel trees on the pixel grid: how the eye is projected, and each pixel's distance to a wall."""

from dataclasses import dataclass
from typing import overload

import numpy as np

from fundusseg.phantom.tree import VIEW_RADIUS, Eye, Tree

MAX_STAMPED_ELEMENTS = 2_000_000  # (piece, pixel) pairs held at once, to bound memory
MARGIN_PX = 1.5  # how far outside the walls distances are kept, for soft edges


@dataclass(frozen=True)
class Projection:
    """How an eye falls on the pixel grid, where positions are complex x + 1j y in pixels.

    Attributes:
        eye: in the anatomical frame.
        centre: of the field of view, in pixels; a pixel's centre is a whole number.
        unit_px: pixels per unit of the anatomical frame.
        is_left: a left eye's temporal side is on the right of the photograph.
        shape: (Y, X) of the photograph.
    """

    eye: Eye
    centre: complex
    unit_px: float
    is_left: bool
    shape: tuple[int, int]

    @overload
    def to_px(self, positions: complex) -> complex: ...

    @overload
    def to_px(self, positions: np.ndarray) -> np.ndarray: ...

    def to_px(self, positions: complex | np.ndarray) -> complex | np.ndarray:
        """Positions of the anatomical frame, a number or an array, in pixels."""
        seen = (positions - self.eye.view_centre) * self.eye.view_turn
        side = 1 if self.is_left else -1
        return self.centre + self.unit_px * (side * seen.real - 1j * seen.imag)

    def fov(self) -> np.ndarray:
        """bool (Y, X), the circle without what is cut at top and bottom."""
        y = np.arange(self.shape[0])[:, None] - self.centre.imag
        x = np.arange(self.shape[1])[None, :] - self.centre.real
        is_in_circle = y**2 + x**2 <= (VIEW_RADIUS * self.unit_px) ** 2
        return is_in_circle & (np.abs(y) <= self.eye.view_half_height * self.unit_px)


@dataclass(frozen=True)
class VesselRaster:
    """Vessels of one kind on the pixel grid.

    Attributes:
        outside_px: float32 (Y, X), distance from the nearest vessel wall in pixels, negative
            inside, inf far away.
        radius_px: float32 (Y, X), half the width of the vessel there, 0 far away.
    """

    outside_px: np.ndarray
    radius_px: np.ndarray


def vessel_raster(trees: list[Tree], projection: Projection) -> VesselRaster:
    """Distances from the walls of all vessels of some trees.

    Exact for polygonal centrelines, up to 1.5 pixels outside the vessels: each straight
    piece of a centreline is compared with the pixels of a square box around it, boxes of
    one size at a time. Without vessels the map is empty (inf and 0).

    Args:
        trees: in the anatomical frame.
        projection: how they fall on the grid.

    Returns:
        Of the projection's shape, not cut to the field of view.
    """
    segments = [segment for tree in trees for segment in tree.segments]
    points = [projection.to_px(segment.points) for segment in segments]
    radii = [segment.widths * (projection.unit_px / 2) for segment in segments]
    starts = np.concatenate([np.empty(0, complex), *(each[:-1] for each in points)])
    ends = np.concatenate([np.empty(0, complex), *(each[1:] for each in points)])
    start_radii = np.concatenate([np.empty(0), *(each[:-1] for each in radii)])
    end_radii = np.concatenate([np.empty(0), *(each[1:] for each in radii)])
    outside = np.full(projection.shape, np.inf, np.float32)
    radius = np.zeros(projection.shape, np.float32)
    reaches = np.ceil(np.abs(ends - starts) / 2 + np.maximum(start_radii, end_radii) + 2)
    for reach in np.unique(reaches):
        same = np.flatnonzero(reaches == reach)
        at_once = max(1, int(MAX_STAMPED_ELEMENTS / (2 * reach + 1) ** 2))
        for few in np.split(same, range(at_once, len(same), at_once)):
            pieces = starts[few], ends[few], start_radii[few], end_radii[few]
            _stamp(pieces, int(reach), outside, radius)
    return VesselRaster(outside, radius)


def _stamp(pieces: tuple, reach: int, outside: np.ndarray, radius: np.ndarray) -> None:
    """Lower `outside` and raise `radius` in the boxes around straight pieces."""
    start, end, start_radius, end_radius = (each[:, None] for each in pieces)
    offsets = np.arange(-reach, reach + 1)
    box = (offsets[None, :] + 1j * offsets[:, None]).ravel()[None, :]
    middle = (start + end) / 2
    pixels = np.round(middle.real) + 1j * np.round(middle.imag) + box  # (pieces, box pixels)
    along = end - start
    share = ((pixels - start) * along.conj()).real / np.abs(along) ** 2
    share = np.clip(share, 0.0, 1.0)
    wall = start_radius + share * (end_radius - start_radius)
    beyond = np.abs(pixels - start - share * along) - wall
    y, x = pixels.imag.astype(int), pixels.real.astype(int)
    is_near = (
        (beyond <= MARGIN_PX)
        & (y >= 0)
        & (x >= 0)
        & (y < outside.shape[0])
        & (x < outside.shape[1])
    )
    place = y[is_near], x[is_near]
    np.minimum.at(outside, place, beyond[is_near].astype(np.float32))
    np.maximum.at(radius, place, wall[is_near].astype(np.float32))
