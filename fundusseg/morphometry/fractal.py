"""Generalised fractal dimensions and lacunarity of mass on a grid.

Strategy. The mass in a box of b x b cells, for every place of the box, is a difference of four
cumulative sums. A sum over the boxes of one grid, meant over all b x b places of that grid, is the
sum over all places of the box, divided by b^2: no grid is better than another, and none is chosen.
Boxes that reach beyond the rim count whole, so dimensions come out low by about the largest box
over the set's size.
"""

from dataclasses import dataclass

import numpy as np

GRID = 1024  # cells in a field of view's diameter
BOXES = (8, 16, 32, 64)  # cells: dyadic, from 1/128 to 1/16 of the diameter
_EMPTY = 1e-9  # share of the mass: what cumulative sums leave of nothing


@dataclass(frozen=True)
class Dimension:
    """A slope, and how well the line fits: R^2 in [0, 1]. Both NaN without mass."""

    value: float
    r2: float


def grid_mass(points: np.ndarray, mass: np.ndarray | None, box: tuple) -> np.ndarray:
    """Points with their mass on a grid of GRID x GRID cells.

    Args:
        points: float (N, 2), [y, x] in pixels; a pixel's centre is a whole number.
        mass: float (N,); None is 1 each.
        box: (y0, x0, y1, x1), what the grid covers, edges in pixels. Points beyond are left out.
    """
    y0, x0, y1, x1 = box
    cells = np.floor((points + 0.5 - [y0, x0]) / [y1 - y0, x1 - x0] * GRID).astype(int)
    is_in = ((cells >= 0) & (cells < GRID)).all(axis=1)
    flat = cells[is_in] @ [GRID, 1]
    weights = None if mass is None else mass[is_in]
    return np.bincount(flat, weights, GRID * GRID).reshape(GRID, GRID).astype(float)


def on_grid(where: np.ndarray, box: tuple) -> np.ndarray:
    """bool (GRID, GRID): whether the middle of each cell is inside `where`, bool (Y, X)."""
    y0, x0, y1, x1 = box
    share = (np.arange(GRID) + 0.5) / GRID
    y, x = (np.floor(a + share * (b - a)).astype(int) for a, b in ((y0, y1), (x0, x1)))
    is_in = [(0 <= place) & (place < size) for place, size in zip((y, x), where.shape, strict=True)]
    return where[np.ix_(y * is_in[0], x * is_in[1])] & np.logical_and.outer(*is_in)


def dimensions(mass: np.ndarray) -> tuple[Dimension, ...]:
    """D0, D1 and D2: slopes of the Renyi entropies of order 0, 1, 2 over log(1 / box size).

    H0 = log(number of boxes with mass), H1 = -sum p log p, H2 = -log sum p^2, p being the share of
    the mass in a box; each sum is the mean over all places of the grid of boxes.

    Args:
        mass: float (Y, X), at least 0.

    Reference: Hentschel and Procaccia, Physica D 8:435, 1983, doi:10.1016/0167-2789(83)90235-X
    """
    total = mass.sum()
    if not total > 0:
        return (Dimension(np.nan, np.nan),) * 3
    rows, columns = np.nonzero(mass)
    share = mass[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] / total
    entropies = np.array([_entropies(share, box) for box in BOXES])
    return tuple(_fitted(-np.log(BOXES), column) for column in entropies.T)


def lacunarity(mass: np.ndarray, where: np.ndarray, box: int) -> float:
    """Mean squared mass of a gliding box over its squared mean mass: 1 where all is even.

    Args:
        mass: float (Y, X). where: bool (Y, X); boxes lie inside it. box: side in cells.

    Returns:
        At least 1; NaN without such a box, or without mass.

    Reference: Allain and Cloitre, Phys Rev A 44:3552, 1991, doi:10.1103/PhysRevA.44.3552
    """
    inner = np.s_[box - 1 : 1 - box, box - 1 : 1 - box]
    is_inside = box_sums(where.astype(float), box)[inner] > box * box - 0.5
    sums = box_sums(mass, box)[inner][is_inside]
    mean = sums.mean() if sums.size else 0
    return float((sums**2).mean() / mean**2) if mean > 0 else np.nan


def box_sums(mass: np.ndarray, box: int) -> np.ndarray:
    """float64 (Y + b - 1, X + b - 1): mass in boxes of b x b, at every place that has any."""
    padded = np.pad(mass, ((box, box - 1), (box, box - 1)))
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    return sums[box:, box:] - sums[:-box, box:] - sums[box:, :-box] + sums[:-box, :-box]


def _entropies(share: np.ndarray, box: int) -> tuple[float, float, float]:
    p = box_sums(share, box)
    p = p[p > _EMPTY]
    places = box * box
    return (
        float(np.log(len(p) / places)),
        float(-(p * np.log(p)).sum() / places),
        float(-np.log((p * p).sum() / places)),
    )


def _fitted(x: np.ndarray, y: np.ndarray) -> Dimension:
    slope, shift = np.polyfit(x, y, 1)
    spread = ((y - y.mean()) ** 2).sum()
    rest = ((y - slope * x - shift) ** 2).sum()
    return Dimension(float(slope), float(1 - rest / spread) if spread > 0 else np.nan)
