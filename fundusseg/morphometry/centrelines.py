"""Centrelines at sub-pixel accuracy: smooth curves through the segments of a vessel graph.

A skeleton is a staircase that is up to half a pixel off the middle, and stops short of a vessel's
end. So each path is moved to the middle between the vessel's edges, led on to the edge where it
ends free, and smoothed.
All segments of a map stand one after the other in one array, and each step is done for all at once.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solveh_banded

from fundusseg.morphometry.graph import VesselGraph, VesselSegment
from fundusseg.morphometry.profiles import edge_distance

_STEP_PX = 1.0
_LEAST_STEP_PX = 0.25  # of a curve that is hardly more than a point
_FIRST_SMOOTHING_PX = 2.0  # of the staircase, before the edges across it are looked for
_EDGE = 0.5  # of a map of 0 and 1
_REACH, _REACH_PX = 1.5, 2.0  # how far an edge is looked for: in half widths, and beside that
_DIRECTION_PX = 4.0  # beside a vessel's width, over which its direction at the end is taken


@dataclass(frozen=True)
class Curves:
    """Several curves in one array; the points of a curve are evenly spaced.

    points: float64 (N, 2), [y, x] in pixels. radius_px: float64 (N,), half the vessel's width
    there, to half a pixel. starts: int (S + 1,), where each curve begins, and N.
    """

    points: np.ndarray
    radius_px: np.ndarray
    starts: np.ndarray

    @functools.cached_property
    def owner(self) -> np.ndarray:
        """int (N,): the curve that each point belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """float64 (N, 2): from each point to the next; 0 at a curve's last."""
        steps = np.diff(self.points, axis=0, append=self.points[-1:])
        steps[self.starts[1:] - 1] = 0
        return steps

    @functools.cached_property
    def along_px(self) -> np.ndarray:
        """float64 (N,): length of the curve up to each point."""
        total = np.concatenate([[0], np.cumsum(np.hypot(*self.steps.T))])[:-1]
        return total - total[self.starts[:-1]][self.owner]

    @functools.cached_property
    def length_px(self) -> np.ndarray:
        """float64 (S,)."""
        return self.along_px[self.starts[1:] - 1]

    @functools.cached_property
    def chord_px(self) -> np.ndarray:
        """float64 (S,): straight from a curve's first point to its last."""
        return np.hypot(*(self.points[self.starts[1:] - 1] - self.points[self.starts[:-1]]).T)

    @functools.cached_property
    def tangents(self) -> np.ndarray:
        """float64 (N, 2): unit vectors; (0, 1) where a curve is a point."""
        both = self.steps + np.roll(self.steps, 1, axis=0)  # a curve's last step is 0
        length = np.hypot(*both.T)[:, np.newaxis]
        return np.where(length > 0, both / np.where(length > 0, length, 1), [0.0, 1.0])

    @property
    def normals(self) -> np.ndarray:
        """float64 (N, 2): the tangents turned by a quarter."""
        return self.tangents[:, ::-1] * [1, -1]

    @functools.cached_property
    def curvature_per_px(self) -> np.ndarray:
        """float64 (N,): signed; at a curve's first and last point that of their neighbour."""
        ahead, back = self.steps, np.roll(self.steps, 1, axis=0)
        first, second = (ahead + back) / 2, ahead - back
        speed = np.hypot(*first.T)
        turn = first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1]
        curvature = np.divide(turn, speed**3, out=np.zeros(len(turn)), where=speed > 0)
        begin, end = self.starts[:-1], self.starts[1:] - 1
        curvature[begin], curvature[end] = curvature[begin + 1], curvature[end - 1]
        return curvature

    def smoothed(self, smoothing_px: float) -> "Curves":
        """The curves z that minimise sum |z - y|^2 + s^4 * sum |z''|^2, y being these.

        A discrete smoothing spline. A wave of length 2 pi s keeps half of its amplitude, one three
        times as long 99 %.

        Reference: Whittaker, Proc Edinburgh Math Soc 41:63, 1923, doi:10.1017/S0013091500077853
        """
        step_px = self.length_px / np.maximum(np.diff(self.starts) - 1, 1)
        weight = (smoothing_px / np.maximum(step_px, _LEAST_STEP_PX)) ** 4
        middle = np.ones(len(self.points), bool)
        middle[self.starts[:-1]] = middle[self.starts[1:] - 1] = False
        w = np.where(middle, weight[self.owner], 0.0)
        bands = np.zeros((3, len(w)))
        bands[2] = 1 + 4 * w
        bands[2, :-1] += w[1:]
        bands[2, 1:] += w[:-1]
        bands[1, 1:] = -2 * (w[:-1] + w[1:])
        bands[0, 2:] = w[1:-1]
        return replace(self, points=solveh_banded(bands, self.points, overwrite_ab=True))


def curves(paths: list[np.ndarray]) -> Curves:
    """Paths, float (N, 3) each as in a graph, as curves of points a pixel apart, three at least."""
    rows = np.concatenate(paths)
    first = np.cumsum([0, *map(len, paths)])
    steps = np.zeros(len(rows))
    steps[1:] = np.hypot(*np.diff(rows[:, :2], axis=0).T)
    steps[first[1:-1]] = 1  # a gap, so that no two places have one coordinate
    along = np.cumsum(steps)
    begin, end = along[first[:-1]], along[first[1:] - 1]
    counts = np.maximum(np.rint((end - begin) / _STEP_PX).astype(int), 2) + 1
    starts = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(paths)), counts)
    share = (np.arange(starts[-1]) - starts[:-1][owner]) / (counts - 1)[owner]
    wanted = begin[owner] + share * (end - begin)[owner]
    y, x, radius_px = (np.interp(wanted, along, column) for column in rows.T)
    return Curves(np.column_stack([y, x]), radius_px, starts)


def centrelines(graph: VesselGraph, vessels: np.ndarray) -> Curves:
    """The centreline of each segment of a graph, in the middle of the map, bool (Y, X), to a pixel.

    It is still to be smoothed.
    """
    rough = curves([_without_tips(segment, graph) for segment in graph.segments])
    rough = rough.smoothed(_FIRST_SMOOTHING_PX)
    left, right = edges(rough, vessels, np.full(len(rough.points), _EDGE))
    is_clear = ~is_near_branch(rough, graph) & np.isfinite(left + right)
    shift = np.where(is_clear, (left - right) / 2, 0)
    middle = replace(rough, points=rough.points + shift[:, np.newaxis] * rough.normals)
    return curves(_led_on(middle, graph, vessels))


def edges(lines: Curves, values: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the edges are from each point, to the side of the normal and to the other.

    Args:
        values: bool or float32 (Y, X), the map; level: float (N,), what it falls to at an edge.

    Returns:
        Two of float64 (N,) in pixels; NaN where there is no edge.
    """
    reach_px = _REACH * lines.radius_px + _REACH_PX
    left = edge_distance(values, lines.points, lines.normals, reach_px, level)
    return left, edge_distance(values, lines.points, -lines.normals, reach_px, level)


def is_near_branch(lines: Curves, graph: VesselGraph) -> np.ndarray:
    """bool (N,): nearer to a branch point than the vessel there is wide on one side."""
    radius_px = np.where(graph.degrees > 1, graph.nodes[:, 2], 0)
    first, last = graph.ends[lines.owner].T
    left_px = lines.length_px[lines.owner] - lines.along_px
    return (lines.along_px < radius_px[first]) | (left_px < radius_px[last])


def _without_tips(segment: VesselSegment, graph: VesselGraph) -> np.ndarray:
    """A segment's path without the last half width before a free end: thinning bends it."""
    steps = np.hypot(*np.diff(segment.path[:, :2], axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    first, last = (graph.nodes[node, 2] * (graph.degrees[node] == 1) for node in segment.nodes)
    kept = (along >= first) & (along <= along[-1] - last)
    return segment.path[kept] if np.count_nonzero(kept) > 1 else segment.path[[0, -1]]


def _led_on(lines: Curves, graph: VesselGraph, vessels: np.ndarray) -> list[np.ndarray]:
    """The curves as paths, those with a free end led straight on to the edge of the vessel."""
    rows = np.column_stack([lines.points, lines.radius_px])
    paths = np.split(rows, lines.starts[1:-1])
    for side, ends in enumerate((lines.starts[:-1], lines.starts[1:] - 1)):
        inward = 1 - 2 * side
        far_px = np.rint(2 * lines.radius_px[ends] + _DIRECTION_PX).astype(int)
        far = ends + inward * np.minimum(far_px, np.diff(lines.starts) - 1)
        away = lines.points[ends] - lines.points[far]
        direction = away / np.maximum(np.hypot(*away.T), 1e-9)[:, np.newaxis]
        reach_px = 2 * (_REACH * lines.radius_px[ends] + _REACH_PX)
        half = np.full(len(ends), _EDGE)
        further = edge_distance(vessels, lines.points[ends], direction, reach_px, half)
        tips = np.column_stack(
            [lines.points[ends] + further[:, np.newaxis] * direction, lines.radius_px[ends]]
        )
        for number in np.flatnonzero((graph.degrees[graph.ends[:, side]] == 1) & (further > 0)):
            tip = tips[number : number + 1]
            both = (tip, paths[number]) if inward == 1 else (paths[number], tip)
            paths[number] = np.concatenate(both)
    return paths
