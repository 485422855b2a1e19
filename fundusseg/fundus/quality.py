"""How well a photograph can be read, as its pixels tell: sharpness, light, and its edge.

In the frame that the network sees, where cameras are alike; of every second row of the green
channel, in which vessels are darkest against the retina.
"""

from dataclasses import dataclass

import numpy as np

GREEN = 1
INSIDE = 128  # of a coverage of 255
BLOCK_PX = 16  # side of the blocks whose means are the light
ROUNDING = 6 / 12  # what rounding to whole grey levels adds to the square of second differences
EDGE_SHARE = 0.96  # of the radius, where the edge is looked at: within a blurred border
EDGE_POINTS = 360
FEW_COLOURS = 8
DARK_SHARE = 0.25  # of the median brightness, below which a point is no retina


@dataclass(frozen=True)
class Quality:
    """NaN where there is nothing to measure.

    sharpness: 0 where all is smooth, 1 for noise, whose pixels are independent.
    evenness: of the light, in [0, 1]. dark_edge: the share of the edge that is no retina.
    drawn: the share of the pixels that have one of the `FEW_COLOURS` commonest colours.
    """

    sharpness: float
    evenness: float
    dark_edge: float
    drawn: float


def quality(image: np.ndarray, fov: np.ndarray, circle: np.ndarray) -> Quality:
    """The quality of a photograph in its frame.

    sharpness: mean squared second difference along rows, over 6 times the variance, within blocks
    (von Neumann's ratio, but of second differences, so that a slope of the light is 0). evenness:
    10th over 90th percentile of the blocks' means. dark_edge: the share of the circle just within
    the edge that lies beyond the field of view, or is dark.

    Args:
        image: uint8 (S, S, 3). fov: uint8 (S, S), coverage.
        circle: float (3,), the field of view's [y, x, radius] in pixels of the frame.

    Reference: von Neumann, Ann Math Statist 12:367, 1941, doi:10.1214/aoms/1177731677
    """
    blocks = _blocks(image[::2, :, GREEN], fov[::2] >= INSIDE)
    if not blocks.size:
        return Quality(np.nan, np.nan, np.nan, np.nan)
    variance = 6 * blocks.var(axis=(1, 2)).mean(dtype=float)
    steps = np.square(np.diff(blocks, 2, axis=2)).mean(dtype=float) - ROUNDING
    low, high = np.percentile(blocks.mean(axis=(1, 2)), [10, 90])
    return Quality(
        max(0.0, steps / variance) if variance else np.nan,
        float(low / high) if high else np.nan,
        _dark_edge(image, fov, circle),
        _share_of_few_colours(image[::4, ::4][fov[::4, ::4] >= INSIDE]),
    )


def _blocks(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The blocks that are all inside, float32 (B, BLOCK_PX / 2, BLOCK_PX), of every second row."""
    height_px = BLOCK_PX // 2
    rows, columns = values.shape[0] // height_px, values.shape[1] // BLOCK_PX
    cut = slice(rows * height_px), slice(columns * BLOCK_PX)
    shape = rows, height_px, columns, BLOCK_PX
    is_whole = inside[cut].reshape(shape).all(axis=(1, 3))
    return values[cut].reshape(shape).swapaxes(1, 2)[is_whole].astype(np.float32)


def _share_of_few_colours(pixels: np.ndarray) -> float:
    """How much of some pixels, uint8 (N, 3), has one of the commonest colours; NaN without any."""
    red, green, blue = pixels.astype(np.int32).T
    counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)[1]
    return float(np.sort(counts)[-FEW_COLOURS:].sum() / len(pixels)) if len(pixels) else np.nan


def _dark_edge(image: np.ndarray, fov: np.ndarray, circle: np.ndarray) -> float:
    y, x, radius = circle
    angles = np.linspace(0, 2 * np.pi, EDGE_POINTS, endpoint=False)
    rows = np.floor(y + EDGE_SHARE * radius * np.sin(angles)).astype(int)
    columns = np.floor(x + EDGE_SHARE * radius * np.cos(angles)).astype(int)
    size = len(fov)
    is_seen = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    rows, columns = rows[is_seen], columns[is_seen]
    some = image[::8, ::8][fov[::8, ::8] >= INSIDE].max(axis=-1)
    is_retina = (fov[rows, columns] >= INSIDE) & (
        image[rows, columns].max(axis=-1) >= DARK_SHARE * np.median(some)
    )
    return float(1 - np.count_nonzero(is_retina) / EDGE_POINTS)
