"""The convex hull of a mask, in whole numbers: row by row, from its first to its last column.

A pixel counts as the diamond between the middles of its edges, as in scikit-image's
`convex_hull_image`, and belongs to the hull if its centre lies within or on it.
"""

import numpy as np


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
    corners: dict[int, int] = {}
    for row, column in zip((2 * rows).tolist(), (2 * first).tolist(), strict=True):
        for y, x in ((row - 1, column), (row, column - 1), (row + 1, column)):
            corners[y] = min(x, corners.get(y, x))
    ys, xs = map(np.array, zip(*_left_chain(sorted(corners.items())), strict=True))
    edge = np.searchsorted(ys, 2 * between, side="right") - 1
    height = ys[edge + 1] - ys[edge]
    across = xs[edge] * height + (xs[edge + 1] - xs[edge]) * (2 * between - ys[edge])
    return -(-across // (2 * height))


def _left_chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The corners of the hull's left side among points (y, x) sorted by y.

    Andrew, Inf. Process. Lett. 9:216-219, 1979, doi 10.1016/0020-0190(79)90072-3.
    """
    chain: list[tuple[int, int]] = []
    for y, x in points:
        while len(chain) > 1:
            (y0, x0), (y1, x1) = chain[-2:]
            if (x1 - x0) * (y - y0) < (x - x0) * (y1 - y0):
                break
            chain.pop()
        chain.append((y, x))
    return chain
