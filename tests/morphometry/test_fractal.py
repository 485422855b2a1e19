"""Sets and measures of known dimension."""

import numpy as np
import pytest

from fundusseg.morphometry.fractal import box_sums, dimensions, grid_mass, lacunarity

SIDE = 2048


def line() -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE))
    drawn[700, 20:-20] = 1
    return drawn


def koch() -> np.ndarray:
    points = np.array([0, 1 + 0j])
    for _ in range(9):
        start, third = points[:-1], np.diff(points) / 3
        peak = start + third + third * np.exp(1j * np.pi / 3)
        parts = np.stack([start, start + third, peak, start + 2 * third], axis=1)
        points = np.append(parts, points[-1])
    points = points * np.exp(0.3j) * 0.9 * SIDE + 20 + 20j
    drawn = np.zeros((SIDE, SIDE))
    drawn[points.imag.astype(int), points.real.astype(int)] = 1
    return drawn


def repeated(pattern: list[list[float]], side: int) -> np.ndarray:
    drawn = np.ones((1, 1))
    while len(drawn) < side:
        drawn = np.kron(np.array(pattern), drawn)
    return drawn


SETS = {
    "line": (line, 1),
    "Koch curve": (koch, 1.26186),
    "Sierpinski triangle": (lambda: repeated([[1, 0], [1, 1]], SIDE), 1.58496),
    "Sierpinski carpet": (lambda: repeated([[1, 1, 1], [1, 0, 1], [1, 1, 1]], 2187), 1.89279),
    "square": (lambda: np.ones((SIDE, SIDE)), 2),
}


@pytest.mark.parametrize("name", SETS)
def test_dimensions_of_even_sets(name):
    draw, truth = SETS[name]
    found = dimensions(draw())
    assert [each.value for each in found] == pytest.approx([truth] * 3, abs=0.03)
    assert min(each.r2 for each in found) > 0.999


def test_dimensions_of_a_cascade():
    found = dimensions(repeated([[0.4, 0.3], [0.2, 0.1]], SIDE))
    assert [each.value for each in found] == pytest.approx([2, 1.84644, 1.73697], abs=0.03)


def test_boxes_at_every_place_hold_their_mass():
    mass = np.random.default_rng(1).random((5, 6))
    sums = box_sums(mass, 3)
    assert sums.shape == (7, 8)
    assert sums[4, 5] == pytest.approx(mass[2:5, 3:6].sum())
    assert sums[0, 0] == pytest.approx(mass[0, 0])


def test_lacunarity_is_one_where_all_is_even_and_grows_with_gaps():
    even, where = np.ones((64, 64)), np.ones((64, 64), bool)
    half = even * (np.arange(64) < 32)
    assert lacunarity(even, where, 8) == pytest.approx(1)
    assert lacunarity(half, where, 8) > 1.5
    assert np.isnan(lacunarity(0 * even, where, 8))


def test_the_grid_covers_the_field_of_view():
    points = np.array([[10.0, 20.0], [29.0, 39.0], [30.0, 20.0]])
    mass = grid_mass(points, np.array([1.0, 2.0, 4.0]), (10, 20, 30, 40))
    assert mass.sum() == 3
