"""The measures of one vessel map: pure numbers from arrays.

What each is, its unit and its source stand in `definitions`. Lengths are in pixels of the map here.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, map_coordinates
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.small_objects import (
    FOUR_NEIGHBOURS,
    large_components,
    without_small_objects,
)
from fundusseg.morphometry import fractal
from fundusseg.morphometry.bifurcations import BIFURCATION, Bifurcations, bifurcations
from fundusseg.morphometry.centrelines import Curves, centrelines, edges, is_near_branch
from fundusseg.morphometry.graph import VesselGraph, vessel_graph
from fundusseg.morphometry.tortuosity import (
    arc_over_chord,
    squared_curvature,
    tortuosity_density,
)

# In field-of-view diameters:
SMALLEST_OBJECT = 3e-5  # area, in squared diameters: 15 pixels where 704 are the diameter
# Smoothing s of centrelines: a wave of 2 pi s keeps half of its amplitude. Where a line lies, and
# how long it is, wants as little as takes the staircase out: by 0.01 a quarter of HRF's centreline
# came to lie beside its vessel. How it bends wants the staircase's bends gone.
SMOOTHING = 0.002
SMOOTHING_OF_BENDS = 0.01
SHORTEST = 0.05  # segment whose tortuosity, or width among the widest, counts
BRANCH_DISTANCE = 0.02  # along a daughter, over which its direction is taken
LEAST_CURVATURE = 2.0  # per diameter, on both sides of an inflection: that of the rim
LACUNARITY_BOX = 64  # cells of fractal.GRID: 1/16
WIDEST = 6


@dataclass(frozen=True)
class MapMeasures:
    """What a map says, by the names in `definitions`; lengths in pixels of the map, NaN for none.

    values: of the map. segments: float64 (S,) each, of its segments.
    """

    values: dict[str, float]
    segments: dict[str, np.ndarray]


def map_measures(
    vessels: np.ndarray,
    probability: np.ndarray | None,
    where: np.ndarray,
    field_of_view: FieldOfView,
) -> MapMeasures:
    """Measure a vessel map.

    Args:
        vessels: bool (Y, X). probability: float32 (Y, X) in [0, 1], or None.
        where: bool (Y, X), the pixels inside the field of view; some are.
        field_of_view: whose diameter is the unit of all that is not in pixels.

    Returns:
        Of a map without vessels densities, lengths and counts of 0, and nothing else.

    Raises:
        ValueError: if shapes differ, or no pixel is inside the field of view.
    """
    if vessels.shape != where.shape or not where.any():
        raise ValueError(f"a map of {vessels.shape} in a field of view of {where.shape}")
    inside = vessels & where
    diameter_px, area_px = field_of_view.diameter_px, int(np.count_nonzero(where))
    cleaned = _cleaned(inside, SMALLEST_OBJECT * diameter_px**2)
    graph = graph_of(cleaned)
    values = {"area_density": np.count_nonzero(inside) / area_px, **_counts(graph, area_px)}
    if not graph.segments:
        return MapMeasures({**values, "centreline_length": 0.0, "length_density": 0.0}, {})
    middle = centrelines(graph, cleaned)
    lines = middle.smoothed(SMOOTHING * diameter_px)
    bends = middle.smoothed(SMOOTHING_OF_BENDS * diameter_px)
    total_px = float(lines.length_px.sum())
    values |= {"centreline_length": total_px, "length_density": total_px / area_px}
    width_px = _widths(lines, graph, cleaned, np.full(len(lines.points), 0.5))
    segments = _segments(lines, bends, width_px, LEAST_CURVATURE / diameter_px)
    is_loop = graph.ends[:, 0] == graph.ends[:, 1]
    segments["arc_over_chord"][is_loop] = np.nan  # smoothed, it ends a bit beside where it begins
    is_long = lines.length_px >= SHORTEST * diameter_px
    values["width_measured"] = float(np.isfinite(width_px).mean())
    values |= _width_statistics("width", lines, width_px, is_long)
    if probability is not None:
        level = map_coordinates(probability, lines.points.T, order=1) / 2
        half_px = _widths(lines, graph, probability, level)
        segments["half_height_width"] = _means(lines, half_px)
        values |= _width_statistics("half_height_width", lines, half_px, is_long)
    values |= _tortuosity(segments, is_long)
    values |= _bifurcations(bifurcations(graph, lines, width_px, BRANCH_DISTANCE * diameter_px))
    values |= _fractal(inside, lines, where, field_of_view)
    return MapMeasures(values, segments)


def _cleaned(inside: np.ndarray, smallest_px: float) -> np.ndarray:
    """A map without its small objects and small holes, bool (Y, X)."""
    solid = without_small_objects(inside, smallest_px)
    return large_components(~solid, smallest_px, FOUR_NEIGHBOURS) == 0


def graph_of(cleaned: np.ndarray) -> VesselGraph:
    """The graph of the vessels of a map, bool (Y, X).

    Not by Zhang and Suen's thinning, scikit-image's default: of a diagonal bar of even width it
    leaves half (scikit-image issue 7704).
    """
    framed = np.pad(cleaned, 1)
    skeleton = skeletonize(framed, method="lee") > 0
    outline = np.argwhere(binary_dilation(framed) & ~framed)
    pixels = np.argwhere(skeleton)
    if not len(pixels):
        return vessel_graph(cleaned, np.empty(0))
    distance_px, _ = cKDTree(outline).query(pixels)
    return vessel_graph(skeleton[1:-1, 1:-1], distance_px - 0.5)


def _counts(graph: VesselGraph, area_px: int) -> dict[str, float]:
    branch_points = int(np.count_nonzero(graph.degrees >= BIFURCATION))
    end_points = int(np.count_nonzero(graph.degrees == 1))
    return {
        "segments": len(graph.segments),
        "branch_points": branch_points,
        "branch_point_density": branch_points / area_px,
        "crossings": int(np.count_nonzero(graph.degrees > BIFURCATION)),
        "end_points": end_points,
        "end_point_density": end_points / area_px,
        "components": graph.components,
        "loops": graph.loops,
        "spurs_left_out": graph.spurs,
    }


def _widths(lines: Curves, graph: VesselGraph, values: np.ndarray, level: np.ndarray) -> np.ndarray:
    """float64 (N,): from edge to edge; NaN near branch points, and where there is no edge."""
    left, right = edges(lines, values, level)
    return np.where(is_near_branch(lines, graph), np.nan, left + right)


def _means(lines: Curves, values: np.ndarray, power: int = 1) -> np.ndarray:
    """float64 (S,): the mean over each segment's points that have a value; NaN without one."""
    known = np.isfinite(values)
    count = len(lines.length_px)
    n = np.bincount(lines.owner[known], minlength=count)
    total = np.bincount(lines.owner[known], values[known] ** power, count)
    return np.divide(total, n, out=np.full(count, np.nan), where=n > 0)


def _segments(
    lines: Curves, bends: Curves, width_px: np.ndarray, least_curvature_per_px: float
) -> dict:
    begin, end = lines.points[lines.starts[:-1]], lines.points[lines.starts[1:] - 1]
    mean_px = _means(lines, width_px)
    return {
        "start_y": begin[:, 0],
        "start_x": begin[:, 1],
        "end_y": end[:, 0],
        "end_x": end[:, 1],
        "length": lines.length_px,
        "width": mean_px,
        "width_sd": np.sqrt(np.maximum(_means(lines, width_px, 2) - mean_px**2, 0)),
        "half_height_width": np.full(len(mean_px), np.nan),
        "arc_over_chord": arc_over_chord(bends),
        "squared_curvature": squared_curvature(bends),
        "tortuosity_density": tortuosity_density(bends, least_curvature_per_px),
    }


def _width_statistics(
    name: str, lines: Curves, width_px: np.ndarray, is_long: np.ndarray
) -> dict[str, float]:
    known, of_segments = width_px[np.isfinite(width_px)], _means(lines, width_px)
    if not known.size:
        return {}
    of_segments, of_long = (each[np.isfinite(each)] for each in (of_segments, of_segments[is_long]))
    widest = np.sort(of_long)[-WIDEST:]
    return {
        f"{name}_mean": float(of_segments.mean()),
        f"{name}_median": float(np.median(of_segments)),
        f"{name}_length_weighted": float(known.mean()),
        f"{name}_p10": float(np.percentile(known, 10)),
        f"{name}_p90": float(np.percentile(known, 90)),
        f"{name}_six_widest": float(widest.mean()) if len(widest) == WIDEST else np.nan,
    }


def _tortuosity(segments: dict[str, np.ndarray], is_long: np.ndarray) -> dict[str, float]:
    """Length-weighted means over long segments that do not end where they begin."""
    is_counted = is_long & np.isfinite(segments["arc_over_chord"])
    length = segments["length"][is_counted]
    if not length.size:
        return {"tortuosity_segments": 0}
    means = {
        name: float(np.average(segments[key][is_counted], weights=length))
        for name, key in (
            ("tortuosity_arc_over_chord", "arc_over_chord"),
            ("tortuosity_squared_curvature", "squared_curvature"),
            ("tortuosity_density", "tortuosity_density"),
        )
    }
    return {"tortuosity_segments": len(length), **means}


def _bifurcations(measured: Bifurcations) -> dict[str, float]:
    if not measured.angles_deg.size:
        return {"bifurcations_measured": 0}
    return {
        "bifurcations_measured": len(measured.angles_deg),
        "bifurcation_angle_mean": float(measured.angles_deg.mean()),
        "branching_coefficient_median": float(np.median(measured.branching_coefficient)),
        "junctional_exponent_deviation_median": float(
            np.median(measured.junctional_exponent_deviation)
        ),
    }


def _fractal(
    inside: np.ndarray, lines: Curves, where: np.ndarray, field_of_view: FieldOfView
) -> dict[str, float]:
    y, x, radius = field_of_view.y_px, field_of_view.x_px, field_of_view.diameter_px / 2
    box = (y - radius, x - radius, y + radius, x + radius)
    area = fractal.grid_mass(np.argwhere(inside), None, box)
    skeleton = fractal.grid_mass(lines.points, np.hypot(*lines.steps.T), box)
    values: dict[str, float] = {}
    for name, mass in (("skeleton", skeleton), ("area", area)):
        for order, dimension in enumerate(fractal.dimensions(mass)):
            values[f"fractal_d{order}_{name}"] = dimension.value
            values[f"fractal_d{order}_{name}_r2"] = dimension.r2
    seen = fractal.on_grid(where, box)
    values["lacunarity"] = fractal.lacunarity(area, seen, LACUNARITY_BOX)
    return values
