"""The field of view: the lit disc of a fundus photograph, read from a mask or found.

Found so, in a coarse copy: margins of one light colour, as on a printed page, are left out. The
brightness (largest of the channels) is thresholded a little above the level of the dark surround;
the largest connected component is taken, so that a burnt-in date outside the disc does not count,
and its convex hull. A circle is fitted to the hull's outline where it does not run along the edge
of the picture. If hull and circle agree, the circle being cut where the hull is cut straight (at
the picture's edges, or by the camera's own mask before them), the field of view is the cut circle,
moved to where the light has fallen to half, at full resolution; else it is the hull itself. Where
no corner is dark, but all four have one colour, the distance from that colour takes the place of
the brightness, and only a circle with a sharp edge counts. Any other photograph has no surround,
and is its own field of view.
"""

from dataclasses import dataclass

import numpy as np

from fundusseg.errors import PictureFault
from fundusseg.fundus.border import CoarseBorder
from fundusseg.fundus.circle import Circle, CutCircle, outline_circle
from fundusseg.fundus.hull import convex_hull
from fundusseg.fundus.lit_parts import field_count, largest_component
from fundusseg.fundus.surround import (
    Surround,
    coarse_brightness,
    surround_of,
    within_margins,
    working_stride,
)

FRAMELESS_FRACTION = 0.97  # lit part of a photograph that has no dark frame
SHARP_EDGE = 2.0  # of the threshold: how far a disc's rim stands out from a surround not dark
LEAST_LIGHT = 0.8  # of a given field of view, or of what is lit, that is in both


@dataclass(frozen=True)
class FieldOfView:
    """Centre and diameter in pixels of the source (pixel edges), and how it was found.

    method: "given" (a mask came with the photograph), "circle", "hull" or "frame" (found).
    """

    y_px: float
    x_px: float
    diameter_px: float
    method: str


def field_of_view_of_mask(mask: np.ndarray, method: str = "given") -> FieldOfView:
    """The field of view of a bool (Y, X) mask: the centre and larger side of its box.

    A disc that the camera cuts at top and bottom is as wide as the disc, so the larger
    side is its diameter.

    Raises:
        ValueError: if the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("the field of view is empty")
    y0, y1 = float(rows[0]), float(rows[-1] + 1)
    x0, x1 = float(columns[0]), float(columns[-1] + 1)
    return FieldOfView((y0 + y1) / 2, (x0 + x1) / 2, max(y1 - y0, x1 - x0), method)


def found_field_of_view(photograph: np.ndarray) -> tuple[FieldOfView, np.ndarray]:
    """Find the field of view of a uint8 (Y, X, 3) photograph.

    Returns:
        The field of view and its mask, bool (Y, X). It always finds one: the whole frame
        (method "frame") where there is no surround, or nothing at all to see.

    Raises:
        PictureFault: if there are two or more, the second at least half as large as the first.
    """
    stride = working_stride(photograph)
    grey = coarse_brightness(photograph, stride)
    rows, columns = within_margins(photograph, grey, stride)
    inner = photograph[
        rows.start * stride : None if rows.stop == grey.shape[0] else rows.stop * stride,
        columns.start * stride : None if columns.stop == grey.shape[1] else columns.stop * stride,
    ]
    within, mask = _found_within(inner, grey[rows, columns], stride)
    if mask.shape == photograph.shape[:2]:
        return within, mask
    y0, x0 = rows.start * stride, columns.start * stride
    whole = np.zeros(photograph.shape[:2], bool)
    whole[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    method = "hull" if within.method == "frame" else within.method
    return FieldOfView(within.y_px + y0, within.x_px + x0, within.diameter_px, method), whole


def circle_of(field_of_view: FieldOfView, shape: tuple[int, int]) -> np.ndarray:
    """The pixels inside a field of view of which only the circle is known: bool (Y, X).

    All of them where it is the whole frame.
    """
    if field_of_view.method == "frame":
        return np.ones(shape, bool)
    radius_px = field_of_view.diameter_px / 2
    return Circle(field_of_view.y_px, field_of_view.x_px, radius_px).disc(shape)


def holds_light(mask: np.ndarray, photograph: np.ndarray) -> bool:
    """Whether a given field of view, bool (Y, X), goes with a uint8 (Y, X, 3) photograph.

    It does not if a part of it lies in the dark surround and a part of the lit field lies outside
    it. One of the two alone may be meant: a smaller field, or one with some surround.
    """
    stride = working_stride(photograph)
    try:
        outline = _outline(photograph, coarse_brightness(photograph, stride), stride)
    except PictureFault:  # it shows several, and the one that is given is meant
        return True
    if outline is None:
        return True
    hull = outline.hull
    given = mask[stride // 2 :: stride, stride // 2 :: stride][: hull.shape[0], : hull.shape[1]]
    return are_of_one_eye(given, hull)


def are_of_one_eye(given: np.ndarray, other: np.ndarray) -> bool:
    """Whether one of two fields of view, bool (Y, X), lies in the other, but for a fifth of it."""
    both = (given & other).sum()
    return bool(both >= LEAST_LIGHT * min(given.sum(), other.sum()))


@dataclass(frozen=True)
class _Outline:
    """The lit part of the coarse copy: its hull, bool (Y, X), and the circle that it is part of."""

    surround: Surround
    hull: np.ndarray
    circle: CutCircle | None


def _found_within(
    photograph: np.ndarray, grey: np.ndarray, stride: int
) -> tuple[FieldOfView, np.ndarray]:
    """As `found_field_of_view`, of a photograph without margins and its coarse brightness."""
    shape = photograph.shape[:2]
    outline = _outline(photograph, grey, stride)
    if outline is None:
        mask = np.ones(shape, bool)
        return field_of_view_of_mask(mask, "frame"), mask
    if outline.circle is not None:
        coarse = outline.circle.scaled(stride)
        refined = CoarseBorder(photograph, outline.surround, coarse).refined()
        y, x, radius = refined.circle
        return FieldOfView(y, x, 2 * radius, "circle"), refined.mask(shape)
    mask = np.repeat(np.repeat(outline.hull, stride, axis=0), stride, axis=1)
    missing = [(0, max(0, shape[axis] - mask.shape[axis])) for axis in (0, 1)]
    mask = np.pad(mask, missing, mode="edge")[: shape[0], : shape[1]]
    return field_of_view_of_mask(mask, "hull"), mask


def _outline(photograph: np.ndarray, grey: np.ndarray, stride: int) -> _Outline | None:
    """The outline of the lit part; None without a surround."""
    surround = surround_of(photograph, grey, stride)
    if surround is None:
        return None
    lit = surround.light > surround.lit_level
    hull = convex_hull(largest_component(lit))
    if not hull.any() or hull.mean() > FRAMELESS_FRACTION:
        return None
    n_fields = field_count(lit)
    if n_fields > 1:
        raise PictureFault(f"shows {n_fields} fields of view", "cut it into one picture each")
    circle = outline_circle(hull)
    if surround.colour is not None:
        least_level = SHARP_EDGE * surround.lit_level
        if circle is None or _rim_level(surround.light, circle.circle) < least_level:
            return None
    return _Outline(surround, hull, circle)


def _rim_level(light: np.ndarray, circle: Circle) -> float:
    """The median just within a circle."""
    outer, inner = (circle._replace(radius=share * circle.radius) for share in (0.98, 0.95))
    rim = outer.disc(light.shape) & ~inner.disc(light.shape)
    return float(np.median(light[rim])) if rim.any() else 0.0
