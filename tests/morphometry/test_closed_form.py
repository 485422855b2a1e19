"""What is known of a shape beforehand comes out of its pixels."""

import numpy as np
import pytest

from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.morphometry.measures import map_measures
from tests.morphometry.drawn import arc, bar, sine, tree

# Not at whole sixteenths: of a bar at 45 degrees the pixels themselves are up to half a pixel off.
ANGLES = np.pi * (np.arange(16) + 0.5) / 16


def measured(drawn: np.ndarray, diameter_px: float) -> dict[str, float]:
    """The measures of a shape in a field of view that has no rim."""
    y, x = np.array(drawn.shape) / 2
    field_of_view = FieldOfView(y, x, diameter_px, "given")
    return map_measures(drawn, None, np.ones_like(drawn), field_of_view).values


@pytest.mark.parametrize("width_px", [3, 4, 7, 15])
def test_a_bar_has_its_width_and_its_length_at_any_angle(width_px):
    found = [measured(bar(220, width_px, angle, (260, 260)), 700) for angle in ANGLES]
    assert [f["segments"] for f in found] == [1] * len(ANGLES)
    for name in ("width_mean", "width_median", "width_length_weighted"):
        assert [f[name] for f in found] == pytest.approx([width_px] * len(ANGLES), abs=0.4)
    lengths = [f["centreline_length"] for f in found]
    assert lengths == pytest.approx([220] * len(ANGLES), rel=0.02)
    straight = [f["tortuosity_arc_over_chord"] for f in found]
    assert straight == pytest.approx([1] * len(ANGLES), abs=1e-3)


@pytest.mark.parametrize(("opening", "ratio"), [(np.pi, 1.570796), (np.pi / 2, 1.110721)])
def test_arc_over_chord_of_circles(opening, ratio):
    found = [measured(arc(150, opening, angle), 700) for angle in (0.1, 1.0)]
    assert [f["tortuosity_arc_over_chord"] for f in found] == pytest.approx([ratio] * 2, rel=0.01)
    assert [f["tortuosity_density"] for f in found] == [0, 0]  # it never turns


@pytest.mark.parametrize("period_px", [200, 400])
@pytest.mark.parametrize(
    ("amplitude", "ratio", "squared", "density"),
    [
        (0.25, 1.01545, 0.02963, 0.004842),
        (0.5, 1.05984, 0.10278, 0.017972),
        (1.0, 1.21601, 0.27121, 0.056543),
    ],
)
def test_tortuosity_of_a_sine(period_px, amplitude, ratio, squared, density):
    """In the unit of x, of which a period has 2 pi; and the same at any angle."""
    unit_px = period_px / (2 * np.pi)
    units = np.array([1, unit_px**2, unit_px])
    names = ("arc_over_chord", "squared_curvature", "density")
    values = []
    for angle in np.linspace(0.1, 1.5, 5 if period_px == 200 else 2):
        found = measured(sine(amplitude, period_px, angle), 3.5 * period_px)
        values.append([found[f"tortuosity_{name}"] for name in names] * units)
    mean = np.mean(values, axis=0)
    assert mean == pytest.approx([ratio, squared, density], rel=0.03)
    assert np.abs(values / mean - 1).max() < 0.02


# Where the vessels of each tree run, and how many branch points, crossings, ends, loops it has.
Y = [[(0.9, 0.5), (0.5, 0.5), (0.15, 0.2)], [(0.5, 0.5), (0.15, 0.8)]]
TREES = {
    "bar": ([[(0.1, 0.2), (0.9, 0.7)]], (0, 0, 2, 0)),
    "fork": (Y, (1, 0, 3, 0)),
    "crossing": ([[(0.1, 0.1), (0.9, 0.9)], [(0.15, 0.8), (0.85, 0.2)]], (1, 1, 4, 0)),
    "comb": (
        [[(0.1, 0.5), (0.9, 0.5)], [(0.3, 0.5), (0.2, 0.9)], [(0.7, 0.5), (0.6, 0.1)]],
        (2, 0, 4, 0),
    ),
    "loop": ([[(0.2, 0.2), (0.2, 0.8), (0.8, 0.8), (0.8, 0.2), (0.2, 0.2)]], (0, 0, 0, 1)),
    "net": (
        [
            [(0.2, 0.2), (0.2, 0.8), (0.8, 0.8), (0.8, 0.2), (0.2, 0.2)],
            [(0.5, 0.2), (0.5, 0.8)],
            [(0.2, 0.5), (0.05, 0.5)],
        ],
        (3, 0, 1, 2),
    ),
}


@pytest.mark.parametrize("width_px", [1, 3, 6, 11])
@pytest.mark.parametrize("name", TREES)
def test_branch_points_crossings_ends_and_loops_of_known_trees(name, width_px):
    ways, counts = TREES[name]
    found = measured(tree(ways, width_px, 200), 200)
    names = ("branch_points", "crossings", "end_points", "loops")
    assert tuple(found[name] for name in names) == counts
    assert found["components"] == 1


def test_a_pixel_that_is_enclosed_but_for_a_corner_is_no_loop():
    """Where two daughters leave, pixels between them may touch the background at a corner only."""
    drawn = tree(Y, 6, 200)
    drawn[84:96, 94:106] = True
    drawn[[90, 89], [100, 101]] = False
    drawn[84:90, 102:106] = drawn[84:89, 101:106] = False
    found = measured(drawn, 200)
    assert (found["branch_points"], found["crossings"], found["loops"]) == (1, 0, 0)


@pytest.mark.parametrize("turn_deg", range(0, 180, 15))
@pytest.mark.parametrize("half_deg", [20, 35, 50])
def test_a_fork_has_no_loop_at_any_angle(turn_deg, half_deg):
    def towards(angle_deg: float) -> tuple[float, float]:
        angle = np.deg2rad(turn_deg + angle_deg)
        return 0.5 + 0.38 * np.sin(angle), 0.5 + 0.38 * np.cos(angle)

    ways = [[towards(180), (0.5, 0.5), towards(half_deg)], [(0.5, 0.5), towards(-half_deg)]]
    found = measured(tree(ways, 5, 200), 200)
    names = ("segments", "branch_points", "crossings", "loops")
    assert [found[name] for name in names] == [3, 1, 0, 0]


def test_a_vessel_on_the_frame_has_its_width_and_length():
    drawn = np.zeros((100, 200), bool)
    drawn[:3] = True
    found = measured(drawn, 200)
    assert found["width_mean"] == pytest.approx(3, abs=0.1)
    assert found["centreline_length"] == pytest.approx(200, abs=0.5)


@pytest.mark.parametrize("tail", [[], [[(0.2, 0.5), (0.05, 0.5)]]])
def test_a_loop_has_no_chord(tail):
    found = measured(tree(TREES["loop"][0] + tail, 4, 200), 200)
    assert found["tortuosity_segments"] == len(tail)
    assert found.get("tortuosity_arc_over_chord", 1) == pytest.approx(1, abs=0.01)


def test_a_bump_on_a_vessel_is_no_branch():
    drawn = tree([[(0.1, 0.5), (0.9, 0.5)], [(0.5, 0.5), (0.5, 0.54)]], 9, 200)
    found = measured(drawn, 200)
    assert (found["segments"], found["branch_points"]) == (1, 0)


def test_densities_are_over_the_field_of_view_alone():
    drawn = bar(200, 5, 0.3, (300, 300))
    where = np.zeros((300, 300), bool)
    where[:, 100:200] = True
    found = map_measures(drawn, None, where, FieldOfView(150, 150, 300, "given")).values
    assert found["area_density"] == pytest.approx((drawn & where).sum() / 30_000)
    length_px = 100 / np.cos(0.3)
    assert found["centreline_length"] == pytest.approx(length_px, rel=0.02)
    assert found["length_density"] == pytest.approx(length_px / 30_000, rel=0.02)


def test_an_empty_map_has_no_vessels_and_no_widths():
    found = measured(np.zeros((50, 50), bool), 50)
    assert (found["area_density"], found["length_density"], found["segments"]) == (0, 0, 0)
    assert "width_mean" not in found


def test_the_half_height_of_a_soft_edge_is_where_a_hard_one_would_be():
    drawn = bar(200, 8, 0.4, (240, 240))
    y, x = np.indices(drawn.shape) - 120.0
    across = (y - 0.3) * np.cos(0.4) - (x - 0.1) * np.sin(0.4)
    soft = 0.8 / (1 + np.exp((np.abs(across) - 4) / 0.7))
    where = np.ones_like(drawn)
    field_of_view = FieldOfView(120, 120, 700, "given")
    found = map_measures(drawn, soft.astype(np.float32), where, field_of_view).values
    assert found["half_height_width_mean"] == pytest.approx(8, abs=0.2)


def test_a_thin_winding_vessel_keeps_its_width_and_length_everywhere():
    """Bends of 0.05 D, which the smoothing of tortuosity flattens to less than half."""
    period_px, width_px = 100, 3
    found = measured(sine(0.7, period_px, 0.4, width_px), 2000)
    assert found["width_measured"] > 0.95
    assert found["width_length_weighted"] == pytest.approx(width_px, abs=0.4)
    x = np.linspace(0, 2 * np.pi, 10_000)
    length_px = np.hypot(1, 0.7 * np.cos(x)).mean() * period_px
    assert found["centreline_length"] == pytest.approx(length_px, rel=0.03)


@pytest.mark.parametrize("half_deg", [25, 40])
def test_the_angle_of_a_fork_is_that_of_its_axes(half_deg):
    """A parent 14 px wide and daughters of 11 px, as thick as the largest vessels of an eye."""
    turn = np.radians(half_deg)
    ends = [(0.5 - 0.4 * np.cos(turn), 0.5 + side * 0.4 * np.sin(turn)) for side in (-1, 1)]
    drawn = tree([[(0.95, 0.5), (0.5, 0.5)]], 14, 400)
    drawn |= tree([[(0.5, 0.5), end] for end in ends], 11, 400)
    found = measured(drawn, 1000)
    assert found["bifurcations_measured"] == 1
    assert found["bifurcation_angle_mean"] == pytest.approx(2 * half_deg, abs=3)
