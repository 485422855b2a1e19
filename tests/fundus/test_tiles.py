"""Tiles cover the frame and blend back into it without a seam."""

from itertools import pairwise

import numpy as np
import pytest

from fundusseg.fundus.tiles import tile_corners, tile_starts, tiled, untiled

SIZES = [(64, 64, 16), (200, 64, 16), (201, 64, 0), (127, 64, 63), (65, 64, 16), (704, 256, 64)]


@pytest.mark.parametrize(("size_px", "tile_px", "overlap_px"), SIZES)
def test_tiles_cover_the_axis_and_overlap(size_px, tile_px, overlap_px):
    starts = tile_starts(size_px, tile_px, overlap_px)
    assert starts[0] == 0
    assert starts[-1] + tile_px == size_px
    assert all(b - a <= tile_px - overlap_px for a, b in pairwise(starts))
    assert starts == sorted(set(starts))


def test_a_tile_as_large_as_the_frame_is_one():
    assert tile_starts(64, 64, 16) == [0]
    assert tile_starts(50, 64, 16) == [0]


def test_there_are_no_more_tiles_than_needed():
    assert len(tile_starts(112, 64, 16)) == 2
    assert len(tile_starts(113, 64, 16)) == 3


def test_corners_go_row_by_row():
    assert tile_corners(96, 64, 32) == [(0, 0), (0, 32), (32, 0), (32, 32)]


@pytest.mark.parametrize("overlap_px", [64, 70])
def test_an_overlap_that_is_no_part_of_the_tile_is_refused(overlap_px):
    with pytest.raises(ValueError, match="overlap"):
        tile_starts(100, 64, overlap_px)


@pytest.mark.parametrize(("size_px", "tile_px", "overlap_px"), [*SIZES, (50, 64, 16)])
def test_untiled_is_the_inverse_of_tiled(size_px, tile_px, overlap_px):
    frame = np.random.default_rng(0).random((size_px, size_px)).astype(np.float32)
    corners = tile_corners(size_px, tile_px, overlap_px)
    back = untiled(tiled(frame, corners, tile_px), corners, size_px)
    assert back.dtype == np.float32
    assert np.abs(back - frame).max() < 2e-5


def test_tiles_keep_the_channels():
    frame = np.random.default_rng(0).random((100, 100, 3))
    corners = tile_corners(100, 64, 16)
    tiles = tiled(frame, corners, 64)
    assert tiles.shape == (4, 64, 64, 3)
    assert np.array_equal(tiles[1], frame[0:64, 36:100])


@pytest.mark.parametrize("field", ["constant", "linear"])
def test_smooth_fields_show_no_seam(field):
    y, x = np.mgrid[0:200, 0:200].astype(np.float32)
    frame = np.full((200, 200), 0.7, np.float32) if field == "constant" else 0.01 * y + 0.002 * x
    corners = tile_corners(200, 64, 16)
    back = untiled(tiled(frame, corners, 64), corners, 200)
    assert np.abs(np.diff(back, n=2, axis=0)).max() < 1e-5
    assert np.abs(np.diff(back, n=2, axis=1)).max() < 1e-5


def test_tiles_that_disagree_fade_into_each_other():
    """Two tiles, one of zeros, one of ones: the step is spread over the overlap."""
    corners = tile_corners(96, 64, 32)
    tiles = np.stack([np.full((64, 64), x // 32) for _, x in corners])
    row = untiled(tiles, corners, 96)[48]
    assert row[:32] == pytest.approx(0)
    assert row[64:] == pytest.approx(1)
    assert 0 < np.diff(row).max() < 0.05
    assert np.diff(row).min() >= 0
