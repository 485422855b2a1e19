"""The convex hull of a mask, in whole numbers: row by row, from its first to its last column.

A pixel counts as the diamond between the middles of its edges, as in scikit-image's
`convex_hull_image`, and belongs to the hull if its centre lies within or on it.
"""

import numpy as np

FAR = 1 << 40  # right of any picture


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a bool (Y, X) mask, bool (Y, X); an empty mask is its own hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return mask.copy()
    lit = mask[rows]
    first = lit.argmax(axis=1)
    last = mask.shape[1] - 1 - lit[:, ::-1].argmax(axis=1)
    between = np.arange(rows[0], rows[-1] + 1)
    starts = _first_columns(rows, first, between)
    # The right side is the left side of the mirrored mask.
    stops = 1 - _first_columns(rows, -last, between)
    return filled_rows(mask.shape, rows[0], starts, stops)


def filled_rows(
    shape: tuple[int, int], first_row: int, starts: np.ndarray, stops: np.ndarray
) -> np.ndarray:
    """A bool mask (Y, X) that is True in row `first_row + i` from `starts[i]` to `stops[i]`."""
    mask = np.zeros(shape, bool)
    for row, start, stop in zip(mask[first_row:], starts.tolist(), stops.tolist(), strict=False):
        row[start:stop] = True
    return mask


def _first_columns(rows: np.ndarray, first: np.ndarray, between: np.ndarray) -> np.ndarray:
    """The first column of the hull in each of the rows `between`, from each row's first pixel.

    Coordinates are doubled, so that the middles of edges are whole numbers.
    """
    leftmost = np.full(between.size, FAR)
    leftmost[rows - rows[0]] = 2 * first
    xs = np.empty(2 * between.size + 1, int)
    xs[1::2] = leftmost - 1
    xs[::2] = np.minimum(np.append(leftmost, FAR), np.append(FAR, leftmost))
    is_corner = xs < FAR - 1
    ys, xs = _left_chain(np.flatnonzero(is_corner) + 2 * rows[0] - 1, xs[is_corner])
    edge = np.searchsorted(ys, 2 * between, side="right") - 1
    height = ys[edge + 1] - ys[edge]
    across = xs[edge] * height + (xs[edge + 1] - xs[edge]) * (2 * between - ys[edge])
    return -(-across // (2 * height))


def _left_chain(ys: np.ndarray, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the hull's left side among points with ascending ys.

    A point that is not left of the line between its neighbours is no corner, whatever else is
    left out: all such go at once, until none is left.
    """
    while True:
        dy, dx = np.diff(ys), np.diff(xs)
        is_corner = np.ones(ys.size, bool)
        is_corner[1:-1] = dx[:-1] * dy[1:] < dx[1:] * dy[:-1]
        if is_corner.all():
            return ys, xs
        ys, xs = ys[is_corner], xs[is_corner]
