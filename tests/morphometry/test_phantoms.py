"""Drawn eyes: lengths and widths against their truth, and the same eye in other ways."""

import cmath
import math
from functools import cache

import numpy as np
import pytest

from fundusseg.fundus.field_of_view import field_of_view_of_mask
from fundusseg.morphometry.centrelines import centrelines
from fundusseg.morphometry.definitions import DEFINITIONS
from fundusseg.morphometry.measures import SMOOTHING, graph_of, map_measures
from fundusseg.phantom.drawing import PhantomConfig, phantom
from fundusseg.phantom.growth import grow_trees
from fundusseg.phantom.raster import Projection, vessel_raster
from fundusseg.phantom.tree import VIEW_RADIUS, Eye

# What changes by more than 3 % with size, angle or side; docs/measures.md has by how much.
VARYING = {
    "width_median_fov",
    "width_p10_fov",
    "width_p90_fov",
    "width_six_widest_fov",
    "branch_point_density_per_fov2",
    "end_point_density_per_fov2",
    "tortuosity_squared_curvature_per_fov2",
    "tortuosity_density_per_fov",
    "junctional_exponent_deviation_median_ratio",
}


PHANTOM = PhantomConfig(size_px=800)


@pytest.mark.parametrize("seed", range(20))
def test_lengths_and_widths_of_phantoms(seed):
    """Of a vessel that runs inside a wider one no map shows more than the one."""
    drawn = phantom(PHANTOM, seed)
    totals = drawn.truth["totals"]
    field_of_view = field_of_view_of_mask(drawn.fov)
    found = map_measures(drawn.mask, None, drawn.fov, field_of_view).values
    shown_px = totals["length_px"] - totals["hidden_px"]
    assert found["centreline_length"] == pytest.approx(shown_px, rel=0.03)
    width_px = totals["length_times_width_px2"] / totals["length_px"]
    assert found["width_length_weighted"] == pytest.approx(width_px, abs=0.4)


def test_steps_from_pixel_to_pixel_are_longer_by_what_the_directions_tell():
    """skan's definition of length on our lines, and the steps of the skeleton, which skan adds."""
    drawn = phantom(PHANTOM, 3)
    graph = graph_of(drawn.mask)
    smoothing_px = SMOOTHING * field_of_view_of_mask(drawn.fov).diameter_px
    lines = centrelines(graph, drawn.mask).smoothed(smoothing_px)
    less, more = np.sort(np.abs(lines.steps), axis=1).T.sum(axis=1)
    in_steps_px = more + (math.sqrt(2) - 1) * less
    steps_px = sum(segment.length_px for segment in graph.segments)
    assert steps_px == pytest.approx(in_steps_px, rel=0.02)
    assert steps_px > 1.03 * lines.length_px.sum()


@cache
def columns(scale: float, turn_deg: float, is_left: bool) -> dict[str, float]:
    """The measures of one eye in their units, drawn at a scale, turned and mirrored."""
    turned = cmath.rect(1, math.radians(turn_deg))
    upright = Eye(70, 170 - 10j, 60 + 5j, VIEW_RADIUS, 1 + 0j)
    trees = grow_trees(upright, 8.5, 1.5, np.random.default_rng(7))
    eye = Eye(70, 170 - 10j, 60 + 5j, VIEW_RADIUS, turned)
    side = round(1000 * scale)
    projection = Projection(eye, (side - 1) / 2 * (1 + 1j), 2 * scale, is_left, (side, side))
    where = projection.fov()
    vessels = where & (vessel_raster(trees, projection).outside_px <= 0)
    field_of_view = field_of_view_of_mask(where)
    values = map_measures(vessels, None, where, field_of_view).values
    found: dict[str, float] = {}
    for definition in DEFINITIONS:
        value = values.get(definition.name, math.nan)
        in_units = definition.in_units(value, field_of_view.diameter_px, None)
        found |= zip(definition.columns, in_units, strict=True)
    return {
        name: value
        for name, value in found.items()
        if name.endswith(("_fov", "_fov2", "_ratio")) and not name.startswith("half")
    }


@pytest.mark.parametrize(
    ("scale", "turn_deg", "is_left"), [(0.5, 0, True), (2, 0, True), (1, 17, True), (1, 0, False)]
)
def test_an_eye_has_the_same_measures_at_any_size_angle_and_side(scale, turn_deg, is_left):
    one, other = columns(1, 0, True), columns(scale, turn_deg, is_left)
    differing = {name for name in one if other[name] != pytest.approx(one[name], rel=0.03)}
    assert differing <= VARYING
