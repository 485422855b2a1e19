"""The field of view: the lit disc of a fundus photograph, read from a mask or found.

Found so: margins of one light colour, as on a printed page, are left out. The brightness
(largest of the channels) is thresholded a little above the level of the dark surround; the
largest connected part is taken, so that a burnt-in date outside the disc does not count, and
its convex hull. A circle is fitted to the hull's outline where it does not run along the edge
of the picture. If circle and hull agree, the field of view is the circle, cut where the hull is
cut straight (at the picture's edges, or by the camera's own mask before them); else it is the
hull itself. Where no corner is dark, but all four have one colour, the distance from that
colour takes the place of the brightness, and only a circle with a sharp edge counts. Any other
photograph has no surround, and is its own field of view.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fundusseg.fundus.hull import convex_hull, filled_rows

WORKING_SIZE_PX = 640
DARK_FRACTION = 0.06  # of the range between frame and bright parts, above which a pixel is lit
DARK_STEP = 8.0  # least number of grey levels above the frame,
DARKEST_STEP = 3.0  # in a photograph that is all dark: a fifth of the range, or this
FRAMELESS_FRACTION = 0.97  # lit part of a photograph that has no dark frame
# A corner is dark up to this level, or this share of the bright parts' level. Of 230 real
# photographs, 222 have a corner of 0.008 of it at most and 8 a grey surround (0.25); where
# parts without a surround were cut out of them, retina in a corner had 0.105 at least.
DARK_LEVEL = 8.0
DARK_SHARE = 0.08
LIGHT_LEVEL = 32.0  # of a margin
FLAT_STEP = 6.0  # grey levels that a margin, or the corners of a surround, differ by at most
SHARP_EDGE = 2.0  # of the threshold: how far a disc's rim stands out from a surround not dark
CIRCLE_AGREEMENT = 0.95  # intersection over union of circle and hull
LARGEST_CIRCLE = 1.5  # of the picture's diagonal: a circle of which more than a corner is seen
LEAST_ARC_BINS = 6  # of 10 degrees, in which the outline of a circle has to be seen
STRAIGHT_FRACTION = 0.85  # of a circle's chord: a hull that ends so wide is cut there


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
    """
    longer, shorter = max(photograph.shape[:2]), min(photograph.shape[:2])
    stride = min(shorter, max(1, int(np.ceil(longer / WORKING_SIZE_PX))))
    grey = _shrunk(_brightness(photograph), stride)
    rows, columns = _within_margins(photograph, grey, stride)
    inner = photograph[
        rows.start * stride : None if rows.stop == grey.shape[0] else rows.stop * stride,
        columns.start * stride : None if columns.stop == grey.shape[1] else columns.stop * stride,
    ]
    found, mask = _found_within(inner, grey[rows, columns], stride)
    if mask.shape == photograph.shape[:2]:
        return found, mask
    y0, x0 = rows.start * stride, columns.start * stride
    whole = np.zeros(photograph.shape[:2], bool)
    whole[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    method = "hull" if found.method == "frame" else found.method
    return FieldOfView(found.y_px + y0, found.x_px + x0, found.diameter_px, method), whole


def _found_within(
    photograph: np.ndarray, grey: np.ndarray, stride: int
) -> tuple[FieldOfView, np.ndarray]:
    """As `found_field_of_view`, of a photograph without margins and its shrunk brightness."""
    shape = photograph.shape[:2]
    outline = _outline(photograph, grey, stride)
    if outline is None:
        mask = np.ones(shape, bool)
        return field_of_view_of_mask(mask, "frame"), mask
    hull, circle = outline
    if circle is not None:
        y, x, radius = (value * stride for value in circle)
        mask = _disc(shape, y, x, radius)
        for axis, (first, last) in enumerate(_straight_cuts(hull, *circle)):
            lines = np.moveaxis(mask, axis, 0)
            lines[: first * stride] = False
            if last < hull.shape[axis]:
                lines[last * stride :] = False
        return FieldOfView(y, x, 2 * radius, "circle"), mask
    mask = np.kron(hull, np.ones((stride, stride), bool))
    mask = np.pad(
        mask,
        [(0, max(0, s - m)) for s, m in zip(shape, mask.shape, strict=True)],
        mode="edge",
    )
    mask = mask[: shape[0], : shape[1]]
    return field_of_view_of_mask(mask, "hull"), mask


def _outline(
    photograph: np.ndarray, grey: np.ndarray, stride: int
) -> tuple[np.ndarray, tuple[float, float, float] | None] | None:
    """The lit part's hull and, if it is part of one, its circle; None without a surround."""
    frame_level = min(_corner_levels(grey))
    is_dark = frame_level <= max(DARK_LEVEL, DARK_SHARE * float(np.percentile(grey, 95)))
    distance = grey - frame_level if is_dark else _distance_from_corners(photograph, stride)
    if distance is None:
        return None
    step = _step(float(np.percentile(distance, 95)))
    lit = _lit(distance, step)
    if lit is None:
        return None
    hull = convex_hull(lit)
    circle = _outline_circle(hull)
    if is_dark or (circle is not None and _rim_level(distance, *circle) >= SHARP_EDGE * step):
        return hull, circle
    return None


def _distance_from_corners(photograph: np.ndarray, stride: int) -> np.ndarray | None:
    """How far each pixel, shrunk, is from the corners' colour, in grey levels.

    The largest difference of a channel, float (Y, X); None where the corners differ.
    """
    channels = _shrunk_channels(photograph, stride)
    corners = np.array([_corner_levels(channel) for channel in channels])
    if (np.ptp(corners, axis=1) > FLAT_STEP).any():
        return None
    colour = np.median(corners, axis=1)
    return np.abs(channels - colour[:, np.newaxis, np.newaxis]).max(axis=0)


def _within_margins(photograph: np.ndarray, grey: np.ndarray, stride: int) -> tuple[slice, slice]:
    """Rows and columns of the shrunk brightness without margins of one light colour."""
    whole = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    if not any(_is_margin(line[np.newaxis])[0] for line in (*grey[[0, -1]], *grey.T[[0, -1]])):
        return whole
    channels = _shrunk_channels(photograph, stride)  # saturated red alone is no margin
    rows = _after_margins(channels)
    if rows is None:
        return whole
    return rows, _after_margins(channels[:, rows].swapaxes(1, 2)) or whole[1]


def _after_margins(channels: np.ndarray) -> slice | None:
    """From the first to the last line of (C, lines, N) that is no margin; None without one."""
    found = np.flatnonzero(~np.logical_and.reduce([_is_margin(one) for one in channels]))
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else None


def _is_margin(lines: np.ndarray) -> np.ndarray:
    """Which of the lines (lines, N) are of one level, and not dark."""
    return (np.ptp(lines, axis=1) <= FLAT_STEP) & (lines[:, 0] > LIGHT_LEVEL)


def _brightness(photograph: np.ndarray) -> np.ndarray:
    """The largest of the channels, uint8 (Y, X); three times as fast as max(axis=2)."""
    red, green, blue = np.moveaxis(photograph, 2, 0)
    return np.maximum(np.maximum(red, green), blue)


def _shrunk(grey: np.ndarray, stride: int) -> np.ndarray:
    """Block means of side `stride` of uint8 (Y, X), float (Y // stride, X // stride).

    The sums are whole numbers, so they may be taken in any order, and rows first is fast.
    """
    height, width = (size // stride for size in grey.shape)
    blocks = grey[: height * stride, : width * stride].reshape(height, stride, width, stride)
    rows = np.add.reduce(blocks, axis=1, dtype=np.uint32)
    return np.add.reduce(rows, axis=2) / (stride * stride)


def _shrunk_channels(photograph: np.ndarray, stride: int) -> np.ndarray:
    """The block means of each channel, float (3, Y // stride, X // stride)."""
    return np.stack([_shrunk(channel, stride) for channel in np.moveaxis(photograph, 2, 0)])


def _lit(grey: np.ndarray, threshold: float) -> np.ndarray | None:
    """The largest lit part, holes filled; None if (nearly) everything is lit, or nothing."""
    labels, count = ndimage.label(ndimage.binary_opening(grey > threshold, iterations=2))
    if count == 0:
        return None
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    lit = ndimage.binary_fill_holes(largest)
    return None if lit.mean() > FRAMELESS_FRACTION else lit


def _step(level_range: float) -> float:
    """How far above the surround a pixel is lit, of the range between it and bright parts."""
    least = min(DARK_STEP, max(DARKEST_STEP, level_range / 5))
    return max(least, DARK_FRACTION * level_range)


def _corner_levels(grey: np.ndarray) -> list[float]:
    """The median of each corner of (Y, X)."""
    corner = max(2, min(grey.shape) // 50)
    return [float(np.median(grey[ys, xs])) for ys in _ends(corner) for xs in _ends(corner)]


def _rim_level(distance: np.ndarray, y: float, x: float, radius: float) -> float:
    """The median just within a circle."""
    shape = distance.shape
    rim = _disc(shape, y, x, 0.98 * radius) & ~_disc(shape, y, x, 0.95 * radius)
    return float(np.median(distance[rim])) if rim.any() else 0.0


def _ends(size: int) -> tuple[slice, slice]:
    return slice(0, size), slice(-size, None)


def _outline_circle(hull: np.ndarray) -> tuple[float, float, float] | None:
    """Centre and radius (pixel edges) of the circle that the hull is part of, if it is one."""
    outline = hull & ~ndimage.binary_erosion(hull, border_value=0)
    outline[[0, 1, -2, -1], :] = False
    outline[:, [0, 1, -2, -1]] = False
    points = np.argwhere(outline) + 0.5
    if len(points) < 20:
        return None
    for _ in range(10):
        y, x, radius = _fitted_circle(points)
        residual = np.abs(np.hypot(points[:, 0] - y, points[:, 1] - x) - radius)
        kept = residual <= max(1.0, 2 * float(np.median(residual)))
        if kept.all():
            break
        points = points[kept]
    radius += 0.5  # from the centres of the outermost pixels to their edges
    angles = np.arctan2(points[:, 0] - y, points[:, 1] - x)
    bins = np.unique(np.floor(angles / np.deg2rad(10)))
    if len(bins) < LEAST_ARC_BINS or 2 * radius > LARGEST_CIRCLE * np.hypot(*hull.shape):
        return None
    disc = _disc(hull.shape, y, x, radius)
    agreement = (disc & hull).sum() / max(1, (disc | hull).sum())
    return (y, x, radius) if agreement >= CIRCLE_AGREEMENT else None


def _straight_cuts(
    hull: np.ndarray, y: float, x: float, radius: float
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last (exclusive) row, then column, between which the circle is seen.

    Where the hull ends more than two pixels before the circle and the picture, nearly as
    wide as the circle is there, the camera cut it; where it ends narrower, it is only dark.
    """
    cuts = []
    for lengths, centre in ((hull.sum(axis=1), y), (hull.sum(axis=0), x)):
        distances = np.arange(lengths.size) + 0.5 - centre
        chords = 2 * np.sqrt(np.maximum(radius**2 - distances**2, 1.0))
        is_wide = lengths >= STRAIGHT_FRACTION * chords
        lit = np.flatnonzero(lengths)
        first, last = int(lit[0]), int(lit[-1]) + 1
        starts = first > max(centre - radius, 0) + 2 and is_wide[first : first + 4].any()
        end = min(centre + radius, lengths.size)
        ends = last < end - 2 and is_wide[last - 4 : last].any()
        cuts.append((first if starts else 0, last if ends else lengths.size))
    return cuts[0], cuts[1]


def _fitted_circle(points: np.ndarray) -> tuple[float, float, float]:
    """Algebraic least-squares circle through points (N, 2): y^2 + x^2 = 2 a y + 2 b x + c.

    Kasa, IEEE Trans. Instrum. Meas. 25:8-14, 1976, doi 10.1109/TIM.1976.6312298.
    """
    centre = points.mean(axis=0)
    shifted = points - centre
    system = np.column_stack([2 * shifted, np.ones(len(points))])
    (a, b, c), *_ = np.linalg.lstsq(system, (shifted**2).sum(axis=1), rcond=None)
    radius = np.sqrt(max(c + a**2 + b**2, 0.0))
    return float(a + centre[0]), float(b + centre[1]), float(radius)


def _disc(shape: tuple[int, int], y: float, x: float, radius: float) -> np.ndarray:
    """The pixels (Y, X) whose centres lie within the circle."""
    rows = (np.arange(shape[0]) + 0.5 - y) ** 2
    columns = (np.arange(shape[1]) + 0.5 - x) ** 2
    middle = int(np.clip(np.floor(x), 0, shape[1] - 1))
    right = _count_within(columns[middle:], rows, radius**2)
    left = _count_within(columns[:middle][::-1], rows, radius**2)
    return filled_rows(shape, 0, middle - left, middle + right)


def _count_within(columns: np.ndarray, rows: np.ndarray, limit: float) -> np.ndarray:
    """How many of the ascending `columns` go with each of the rows: row + column <= limit."""
    counts = np.searchsorted(columns, limit - rows, side="right")
    # The limit minus the row is rounded, the sum is too: the sum is what decides.
    padded = np.concatenate([[-np.inf], columns, [np.inf]])
    counts -= rows + padded[counts] > limit
    counts += rows + padded[counts + 1] <= limit
    return counts
