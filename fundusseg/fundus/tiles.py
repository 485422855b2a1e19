"""Overlapping tiles of a frame, and the frame from its tiles without seams.

Each tile counts with a weight that falls linearly to its border, so that where tiles
overlap, one fades into the next. The weights of all tiles are divided by their sum.
"""

import numpy as np


def tile_starts(size_px: int, tile_px: int, overlap_px: int) -> list[int]:
    """First pixels of the tiles along one axis: evenly spread, at least `overlap_px` shared.

    Raises:
        ValueError: if the overlap is not smaller than the tile.
    """
    if overlap_px >= tile_px:
        raise ValueError(f"overlap of {overlap_px} px in tiles of {tile_px} px")
    if size_px <= tile_px:
        return [0]
    count = int(np.ceil((size_px - overlap_px) / (tile_px - overlap_px)))
    return [round(i * (size_px - tile_px) / (count - 1)) for i in range(count)]


def tile_corners(size_px: int, tile_px: int, overlap_px: int) -> list[tuple[int, int]]:
    """Top-left corners (y, x) of the tiles of a square frame, row by row."""
    starts = tile_starts(size_px, tile_px, overlap_px)
    return [(y, x) for y in starts for x in starts]


def tiled(frame: np.ndarray, corners: list[tuple[int, int]], tile_px: int) -> np.ndarray:
    """The tiles (N, tile_px, tile_px, ...) of a frame (Y, X, ...) at the given corners."""
    return np.stack([frame[y : y + tile_px, x : x + tile_px] for y, x in corners])


def untiled(tiles: np.ndarray, corners: list[tuple[int, int]], size_px: int) -> np.ndarray:
    """The frame (size_px, size_px) float32 that tiles (N, Y, X) blend into."""
    tile_px = tiles.shape[1]
    ramp = np.minimum(np.arange(1, tile_px + 1), np.arange(tile_px, 0, -1)).astype(np.float32)
    weight = np.outer(ramp, ramp)
    total = np.zeros((size_px, size_px), np.float32)
    weights = np.zeros((size_px, size_px), np.float32)
    for tile, (y, x) in zip(tiles, corners, strict=True):
        total[y : y + tile_px, x : x + tile_px] += tile * weight
        weights[y : y + tile_px, x : x + tile_px] += weight
    return total / weights
