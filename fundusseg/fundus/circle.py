"""The circle that an outline is part of, and where a camera has cut it."""

from typing import NamedTuple

import numpy as np

from fundusseg.fundus.hull import filled_rows
from fundusseg.fundus.lit_parts import eroded

CIRCLE_AGREEMENT = 0.95  # intersection over union of circle and hull
LARGEST_CIRCLE = 1.5  # of the picture's diagonal: a circle of which more than a corner is seen
OUTLINE_TOLERANCE_PX = 1.0
LEAST_POINTS = 20  # fewest outline points for a fit
LEAST_ARC_BINS = 6  # fewest 10-degree sectors with points
STRAIGHT_FRACTION = 0.85  # of a circle's chord: a hull that ends so wide is cut there


class Circle(NamedTuple):
    """Centre and radius in pixels (pixel edges)."""

    y: float
    x: float
    radius: float

    def disc(self, shape: tuple[int, int]) -> np.ndarray:
        """The pixels whose centres lie within the circle, bool (Y, X)."""
        rows = (np.arange(shape[0]) + 0.5 - self.y) ** 2
        columns = (np.arange(shape[1]) + 0.5 - self.x) ** 2
        middle = int(np.clip(np.floor(self.x), 0, shape[1] - 1))
        right = _count_within(columns[middle:], rows, self.radius**2)
        left = _count_within(columns[:middle][::-1], rows, self.radius**2)
        return filled_rows(shape, 0, middle - left, middle + right)


class Cut(NamedTuple):
    """The lines (pixel edges) between which a circle is seen; infinite where nothing is cut."""

    first: float
    last: float


class CutCircle(NamedTuple):
    """A circle, and where the camera has cut its rows and its columns."""

    circle: Circle
    rows: Cut
    columns: Cut

    def scaled(self, factor: float) -> "CutCircle":
        """The same in pixels that are smaller by a factor."""
        circle, rows, columns = ([factor * value for value in part] for part in self)
        return CutCircle(Circle(*circle), Cut(*rows), Cut(*columns))

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """The pixels whose centres lie within the circle and the cuts, bool (Y, X)."""
        mask = self.circle.disc(shape)
        for lines, (first, last) in ((mask, self.rows), (mask.T, self.columns)):
            lines[: round(max(first, 0))] = False
            lines[round(min(last, len(lines))) :] = False
        return mask


def circle_through(points: np.ndarray, tolerance_px: float) -> Circle | None:
    """The circle through the most of the points (N, 2); None if too little of its arc is seen.

    Points that are farther from it than the tolerance and twice the median are left out.
    """
    if len(points) < LEAST_POINTS:
        return None
    for _ in range(10):
        circle = _fitted_circle(points)
        residual = np.abs(np.hypot(*(points - circle[:2]).T) - circle.radius)
        kept = residual <= max(tolerance_px, 2 * float(np.median(residual)))
        if kept.all():
            break
        points = points[kept]
    angles = np.arctan2(*(points - circle[:2]).T)
    bins = np.unique(np.floor(angles / np.deg2rad(10)))
    return circle if len(bins) >= LEAST_ARC_BINS else None


def outline_circle(hull: np.ndarray) -> CutCircle | None:
    """The circle that a hull, bool (Y, X), is part of, if it is one."""
    outline = hull & ~eroded(hull)
    outline[[0, 1, -2, -1], :] = False
    outline[:, [0, 1, -2, -1]] = False
    circle = circle_through(np.argwhere(outline) + 0.5, OUTLINE_TOLERANCE_PX)
    if circle is None:
        return None
    # From the centres of the outermost pixels to their edges.
    circle = circle._replace(radius=circle.radius + 0.5)
    if 2 * circle.radius > LARGEST_CIRCLE * np.hypot(*hull.shape):
        return None
    cut_circle = CutCircle(circle, *_straight_cuts(hull, circle))
    mask = cut_circle.mask(hull.shape)
    agreement = (mask & hull).sum() / max(1, (mask | hull).sum())
    return cut_circle if agreement >= CIRCLE_AGREEMENT else None


def _straight_cuts(hull: np.ndarray, circle: Circle) -> tuple[Cut, Cut]:
    """Between which rows, and which columns, a circle is seen.

    Where the hull ends more than two pixels before the circle and the picture, nearly as
    wide as the circle is there, the camera cut it; where it ends narrower, it is only dark.
    """
    cuts = []
    for lengths, centre in ((hull.sum(axis=1), circle.y), (hull.sum(axis=0), circle.x)):
        distances = np.arange(lengths.size) + 0.5 - centre
        chords = 2 * np.sqrt(np.maximum(circle.radius**2 - distances**2, 1.0))
        is_wide = lengths >= STRAIGHT_FRACTION * chords
        lit = np.flatnonzero(lengths)
        first, last = int(lit[0]), int(lit[-1]) + 1
        starts = first > max(centre - circle.radius, 0) + 2 and is_wide[first : first + 4].any()
        end = min(centre + circle.radius, lengths.size)
        ends = last < end - 2 and is_wide[last - 4 : last].any()
        cuts.append(Cut(first if starts else -np.inf, last if ends else np.inf))
    return cuts[0], cuts[1]


def _fitted_circle(points: np.ndarray) -> Circle:
    """Algebraic least-squares circle through points (N, 2): y^2 + x^2 = 2 a y + 2 b x + c.

    Kasa, IEEE Trans. Instrum. Meas. 25:8-14, 1976, doi 10.1109/TIM.1976.6312298.
    """
    centre = points.mean(axis=0)
    shifted = points - centre
    system = np.column_stack([2 * shifted, np.ones(len(points))])
    squares = (shifted**2).sum(axis=1)
    # Of the normal equations, which are small; points on one line have a solution, too.
    (a, b, c), *_ = np.linalg.lstsq(system.T @ system, system.T @ squares, rcond=None)
    radius = np.sqrt(max(c + a**2 + b**2, 0.0))
    return Circle(float(a + centre[0]), float(b + centre[1]), float(radius))


def _count_within(columns: np.ndarray, rows: np.ndarray, limit: float) -> np.ndarray:
    """How many of the ascending `columns` go with each of the rows: row + column <= limit."""
    counts = np.searchsorted(columns, limit - rows, side="right")
    # The limit minus the row is rounded, the sum is too: the sum is what decides.
    padded = np.concatenate([[-np.inf], columns, [np.inf]])
    counts -= rows + padded[counts] > limit
    counts += rows + padded[counts + 1] <= limit
    return counts
