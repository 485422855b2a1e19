"""Frames and tiles of any size, at any place: what comes back is what went in."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import (
    Geometry,
    canonical_geometry,
    circle_in_frame,
    from_frame,
    to_frame,
)
from fundusseg.fundus.tiles import tile_corners, tile_starts, tiled, untiled

sides = st.integers(8, 120)


@st.composite
def geometries(draw) -> Geometry:
    """A frame of a field of view that may reach beyond its photograph."""
    height, width = draw(sides), draw(sides)
    diameter_px = draw(st.floats(8, 150))
    y, x = draw(st.floats(0, height)), draw(st.floats(0, width))
    found = FieldOfView(y, x, diameter_px, "circle")
    return canonical_geometry("field-of-view", draw(sides), (height, width), found)


def inner(geometry: Geometry) -> np.ndarray:
    """bool (Y, X): what lies in photograph and frame, by two pixels of the coarser of both."""
    y0, x0, y1, x1 = geometry.box
    margin = 2 * max(1.0, (y1 - y0) / geometry.frame_px)
    height, width = geometry.source_shape
    is_inside = [
        (centres > max(low, 0) + margin) & (centres < min(high, size) - margin)
        for low, high, size in ((y0, y1, height), (x0, x1, width))
        for centres in (np.arange(size) + 0.5,)
    ]
    return np.logical_and.outer(*is_inside)


@given(geometries(), st.floats(-100, 100), st.floats(-1, 1), st.floats(-1, 1))
def test_a_plane_comes_back_from_the_frame(geometry, height, by_row, by_column):
    rows, columns = np.indices(geometry.source_shape)
    plane = (height + by_row * rows + by_column * columns).astype(np.float32)
    back = from_frame(to_frame(plane, geometry), geometry)
    assert back.shape == plane.shape and back.dtype == np.float32
    coarser_px = max(1.0, (geometry.box[2] - geometry.box[0]) / geometry.frame_px)
    most = 1e-3 + 0.5 * coarser_px * (abs(by_row) + abs(by_column))
    assert np.abs(back - plane)[inner(geometry)].max(initial=0) <= most


@given(geometries(), st.integers(0, 2**32 - 1))
def test_no_value_of_a_frame_is_beyond_those_of_its_photograph(geometry, seed):
    noise = np.random.default_rng(seed).random(geometry.source_shape).astype(np.float32)
    for values in (to_frame(noise, geometry), from_frame(to_frame(noise, geometry), geometry)):
        assert np.isfinite(values).all()
        assert values.min() >= 0 and values.max() <= noise.max() + 1e-5


@given(geometries())
def test_a_field_of_view_fills_its_frame(geometry):
    y0, x0, y1, x1 = geometry.box
    found = FieldOfView((y0 + y1) / 2, (x0 + x1) / 2, y1 - y0, "circle")
    np.testing.assert_allclose(circle_in_frame(found, geometry), [geometry.frame_px / 2] * 3)


@st.composite
def tilings(draw) -> tuple[int, int, int]:
    """Sides of a frame and its tiles, and their overlap, in pixels."""
    tile_px = draw(st.integers(1, 64))
    return draw(st.integers(1, 150)), tile_px, draw(st.integers(0, tile_px - 1))


@given(tilings())
def test_tiles_cover_every_pixel_and_overlap(tiling):
    size_px, tile_px, overlap_px = tiling
    starts = tile_starts(size_px, tile_px, overlap_px)
    assert starts[0] == 0 and max(starts[-1] + tile_px, size_px) == starts[-1] + tile_px
    assert all(0 < b - a <= tile_px - overlap_px for a, b in pairwise(starts))


@given(tilings(), st.integers(0, 2**32 - 1))
def test_a_frame_comes_back_from_its_tiles(tiling, seed):
    size_px, tile_px, overlap_px = tiling
    tile_px = min(tile_px, size_px)  # as the network has it
    overlap_px = min(overlap_px, tile_px - 1)
    frame = np.random.default_rng(seed).random((size_px, size_px)).astype(np.float32)
    corners = tile_corners(size_px, tile_px, overlap_px)
    back = untiled(tiled(frame, corners, tile_px), corners, size_px)
    np.testing.assert_allclose(back, frame, atol=2e-5)
