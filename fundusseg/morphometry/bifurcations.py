"""What bifurcations look like: the widths of the three vessels, and the angle of two of them."""

from dataclasses import dataclass

import numpy as np

from fundusseg.morphometry.centrelines import Curves
from fundusseg.morphometry.graph import VesselGraph

BIFURCATION = 3  # segments that meet; more are a crossing


@dataclass(frozen=True)
class Bifurcations:
    """Those of a map that could be measured; the parent is the widest of the three vessels.

    widths_px: float64 (B, 3), descending. angles_deg: float64 (B,), between the daughters, from 0
    to 180.
    """

    widths_px: np.ndarray
    angles_deg: np.ndarray

    @property
    def branching_coefficient(self) -> np.ndarray:
        """float64 (B,): (d1^2 + d2^2) / d0^2, the area of the daughters over the parent's.

        1.26 for equal daughters that obey Murray's law.

        Reference: Murray, PNAS 12:207, 1926, doi:10.1073/pnas.12.3.207
        """
        squares = self.widths_px**2
        return (squares[:, 1] + squares[:, 2]) / squares[:, 0]

    @property
    def junctional_exponent_deviation(self) -> np.ndarray:
        """float64 (B,): the real cube root of d0^3 - d1^3 - d2^3, over d0; 0 by Murray's law."""
        cubes = self.widths_px**3
        return np.cbrt(cubes[:, 0] - cubes[:, 1] - cubes[:, 2]) / self.widths_px[:, 0]


def bifurcations(
    graph: VesselGraph, lines: Curves, width_px: np.ndarray, distance_px: float
) -> Bifurcations:
    """Measure where three segments meet that are long enough.

    Directions begin half a vessel's width from the branch point: the middle of a map's three arms
    lies further down than where the vessels' axes meet, so from there angles are 5 degrees wider.

    Args:
        lines: the centrelines of the graph's segments.
        width_px: float (N,), at each point; NaN where there is none. A vessel's width at the
            bifurcation is the median over the first 2 x distance_px.
        distance_px: along each daughter, over which its direction is taken.
    """
    ahead = round(distance_px)  # points are a pixel apart
    begins = np.rint(graph.nodes[:, 2]).astype(int)
    at_node: dict[int, list[tuple[float, np.ndarray]]] = {}
    for number, nodes in enumerate(graph.ends.tolist()):
        points = np.arange(lines.starts[number], lines.starts[number + 1])
        for node, outward in zip(nodes, (points, points[::-1]), strict=True):
            begin, end = begins[node], begins[node] + ahead
            if graph.degrees[node] == BIFURCATION and len(outward) > end:
                first = width_px[outward[: 2 * ahead]]
                first = first[np.isfinite(first)]
                if first.size:
                    way = lines.points[outward[end]] - lines.points[outward[begin]]
                    at_node.setdefault(node, []).append((float(np.median(first)), way))
    widths, angles = [], []
    for branches in at_node.values():
        if len(branches) == BIFURCATION:
            branches.sort(key=lambda branch: branch[0], reverse=True)
            widths.append([width for width, _ in branches])
            (y1, x1), (y2, x2) = (way for _, way in branches[1:])
            angles.append(np.degrees(np.arctan2(abs(y1 * x2 - x1 * y2), y1 * y2 + x1 * x2)))
    return Bifurcations(np.array(widths).reshape(-1, BIFURCATION), np.array(angles))
