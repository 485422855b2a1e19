"""What is not the eye: a photograph's surround, dark or of one colour, and a page's margins.

Both are looked for in a coarse copy of the photograph, block means of a whole number of pixels.
"""

from dataclasses import dataclass

import numpy as np

WORKING_SIZE_PX = 640
DARK_FRACTION = 0.06  # of the range between surround and bright parts, above which a pixel is lit
DARK_STEP = 8.0  # least number of grey levels above the surround
DARKEST_STEP = 3.0  # least step where all is dark (there: a fifth of the range, at least this)
# A corner is dark up to this level, or this share of the bright parts' level. Of 230 real
# photographs, 222 have a corner of 0.008 of it at most and 8 a grey surround (0.25); where
# parts without a surround were cut out of them, retina in a corner had 0.105 at least.
DARK_LEVEL = 8.0
DARK_SHARE = 0.08
LIGHT_LEVEL = 32.0  # of a margin
FLAT_STEP = 6.0  # grey levels that a margin, or the corners of a surround, differ by at most


@dataclass(frozen=True)
class Surround:
    """The surround of a photograph.

    colour: float (3,), grey levels; None if it is dark. light: how far each pixel of the coarse
    copy is above it, float (Y, X), grey levels. lit_level: of `light`, above which a pixel is lit.
    """

    colour: np.ndarray | None
    light: np.ndarray
    lit_level: float

    def light_of(self, pixels: np.ndarray) -> np.ndarray:
        """How bright pixels, uint8 (..., 3), are, (...); from any colour, how far from it."""
        if self.colour is None:
            return _brightness(pixels)
        return np.abs(pixels - self.colour).max(axis=-1)


def working_stride(photograph: np.ndarray) -> int:
    """The side of the blocks that are pixels of the coarse copy."""
    longer, shorter = max(photograph.shape[:2]), min(photograph.shape[:2])
    return min(shorter, max(1, int(np.ceil(longer / WORKING_SIZE_PX))))


def coarse_brightness(photograph: np.ndarray, stride: int) -> np.ndarray:
    """The largest channel of a uint8 (Y, X, 3) photograph's coarse copy, float (Y, X)."""
    return _shrunk(_brightness(photograph), stride)


def surround_of(photograph: np.ndarray, grey: np.ndarray, stride: int) -> Surround | None:
    """The surround of a photograph, or None; `grey` is its coarse brightness."""
    level, bright = min(_corner_levels(grey)), _bright_level(grey)
    if level <= max(DARK_LEVEL, DARK_SHARE * bright):
        return Surround(None, grey - level, _lit_level(bright - level))
    channels = _shrunk_channels(photograph, stride)
    corners = np.array([_corner_levels(channel) for channel in channels])
    if (np.ptp(corners, axis=1) > FLAT_STEP).any():
        return None
    colour = np.median(corners, axis=1)
    light = np.abs(channels - colour[:, np.newaxis, np.newaxis]).max(axis=0)
    return Surround(colour, light, _lit_level(_bright_level(light)))


def within_margins(photograph: np.ndarray, grey: np.ndarray, stride: int) -> tuple[slice, slice]:
    """Rows and columns of the coarse brightness without margins of one light colour."""
    whole = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    if not any(_is_margin(line[np.newaxis])[0] for line in (*grey[[0, -1]], *grey.T[[0, -1]])):
        return whole
    channels = _shrunk_channels(photograph, stride)  # saturated red alone is no margin
    rows = _after_margins(channels)
    if rows is None:
        return whole
    return rows, _after_margins(channels[:, rows].swapaxes(1, 2)) or whole[1]


def _after_margins(channels: np.ndarray) -> slice | None:
    """From the first to the last line of (C, lines, N) that is no margin; None without one."""
    inner = np.flatnonzero(~np.logical_and.reduce([_is_margin(one) for one in channels]))
    return slice(int(inner[0]), int(inner[-1]) + 1) if inner.size else None


def _is_margin(lines: np.ndarray) -> np.ndarray:
    """Which of the lines (lines, N) are of one level, and not dark."""
    return (np.ptp(lines, axis=1) <= FLAT_STEP) & (lines[:, 0] > LIGHT_LEVEL)


def _lit_level(level_range: float) -> float:
    """How far above the surround a pixel is lit, of the range between it and bright parts."""
    least = min(DARK_STEP, max(DARKEST_STEP, level_range / 5))
    return max(least, DARK_FRACTION * level_range)


def _bright_level(grey: np.ndarray) -> float:
    """The level of the bright parts of (Y, X): of every fourth pixel, which is as good."""
    return float(np.percentile(grey[::2, ::2], 95))


def _corner_levels(grey: np.ndarray) -> list[float]:
    """The median of each corner of (Y, X)."""
    corner = max(2, min(grey.shape) // 50)
    ends = slice(0, corner), slice(-corner, None)
    return [float(np.median(grey[ys, xs])) for ys in ends for xs in ends]


def _brightness(pixels: np.ndarray) -> np.ndarray:
    """The largest channel of uint8 (..., 3); three times as fast as max(axis=-1)."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


def _shrunk(grey: np.ndarray, stride: int) -> np.ndarray:
    """Block means of side `stride` of uint8 (Y, X), float (Y // stride, X // stride).

    The sums are whole numbers, so they may be taken in any order, and whole lines are fast.
    """
    height, width = (size // stride for size in grey.shape)
    blocks = grey[: height * stride, : width * stride].reshape(height, stride, width * stride)
    rows = np.add.reduce(blocks, axis=1, dtype=np.uint32)
    return sum(rows[:, first::stride] for first in range(stride)) / (stride * stride)


def _shrunk_channels(photograph: np.ndarray, stride: int) -> np.ndarray:
    """The block means of each channel, float (3, Y // stride, X // stride)."""
    return np.stack([_shrunk(channel, stride) for channel in np.moveaxis(photograph, 2, 0)])
