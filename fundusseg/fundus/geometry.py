"""From a photograph to the square frame that the network sees, and back.

Both ways are one separable linear resampling: a small sparse matrix per axis, applied
from the left and from the right, strip by strip. The kernel is a triangle as wide as the
coarser of the two pixel grids, so it interpolates linearly when it enlarges and averages (no
aliasing) when it shrinks. Coordinates are pixel edges: pixel i covers [i, i + 1).
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csr_matrix

from fundusseg.fundus.field_of_view import FieldOfView

STRIP_PX = 32  # rows of the result that are resampled at once


@dataclass(frozen=True)
class Geometry:
    """Where a square frame lies in its source photograph.

    source_shape: (Y, X) pixels. box: (y0, x0, y1, x1), edges in source pixels; it may
    reach beyond the photograph. frame_px: side of the frame.
    """

    source_shape: tuple[int, int]
    box: tuple[float, float, float, float]
    frame_px: int


def canonical_geometry(
    kind: str, frame_px: int, source_shape: tuple[int, int], field_of_view: FieldOfView
) -> Geometry:
    """The geometry of a frame: kind "field-of-view" (its square box) or "whole" (all of it).

    Raises:
        ValueError: on another kind.
    """
    height, width = source_shape
    if kind == "whole":
        return Geometry((height, width), (0.0, 0.0, float(height), float(width)), frame_px)
    if kind != "field-of-view":
        raise ValueError(f"unknown kind of frame: {kind}")
    radius = field_of_view.diameter_px / 2
    y, x = field_of_view.y_px, field_of_view.x_px
    return Geometry((height, width), (y - radius, x - radius, y + radius, x + radius), frame_px)


def circle_in_frame(field_of_view: FieldOfView, geometry: Geometry) -> np.ndarray:
    """The [y, x, radius] of a field of view in pixels of a frame, float (3,)."""
    y0, x0, y1, x1 = geometry.box
    scale = geometry.frame_px / np.array([y1 - y0, x1 - x0, max(y1 - y0, x1 - x0)])
    from_edge = [field_of_view.y_px - y0, field_of_view.x_px - x0, field_of_view.diameter_px / 2]
    return np.array(from_edge) * scale


def to_frame(image: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Resample an image (Y, X) or (Y, X, C) of the source's size into the frame.

    Returns:
        float32 (frame_px, frame_px[, C]) in the units of `image`; 0 beyond the photograph.

    Raises:
        ValueError: if the image has not the source's size.
    """
    _require_shape(image, geometry.source_shape)
    y0, x0, y1, x1 = geometry.box
    rows = resampling_matrix(image.shape[0], geometry.frame_px, y0, y1)
    columns = resampling_matrix(image.shape[1], geometry.frame_px, x0, x1)
    return _resampled(image, rows, columns)


def from_frame(frame: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Resample a frame (frame_px, frame_px[, C]) to the source's own size and position.

    Returns:
        float32 (Y, X[, C]); 0 where the frame does not reach.

    Raises:
        ValueError: if the frame has not the geometry's size.
    """
    _require_shape(frame, (geometry.frame_px, geometry.frame_px))
    y0, x0, y1, x1 = geometry.box
    height, width = geometry.source_shape
    rows = _back_matrix(geometry.frame_px, height, y0, y1)
    columns = _back_matrix(geometry.frame_px, width, x0, x1)
    return _resampled(frame, rows, columns)


def resampling_matrix(size_in: int, size_out: int, start: float, stop: float) -> csr_matrix:
    """The weights (size_out, size_in) that resample the interval [start, stop) of an axis.

    Each row sums to 1, or is empty where its pixel's centre lies beyond the input.
    """
    step = (stop - start) / size_out
    reach = max(step, 1.0)
    centres = start + (np.arange(size_out) + 0.5) * step
    taps = int(np.ceil(reach)) * 2 + 1
    first = np.floor(centres - reach).astype(int)
    columns = first[:, np.newaxis] + np.arange(taps)
    weights = np.maximum(0, 1 - np.abs(columns + 0.5 - centres[:, np.newaxis]) / reach)
    weights *= (columns >= 0) & (columns < size_in)
    weights *= ((centres >= 0) & (centres <= size_in))[:, np.newaxis]
    sums = weights.sum(axis=1, keepdims=True)
    weights /= np.where(sums > 0, sums, 1)
    is_used = weights > 0
    values = weights[is_used].astype(np.float32)
    ends = np.concatenate([[0], np.cumsum(is_used.sum(axis=1))])
    return csr_matrix((values, columns[is_used], ends), shape=(size_out, size_in))


def _back_matrix(frame_px: int, size_out: int, start: float, stop: float) -> csr_matrix:
    """The matrix of the way back: the source's axis in the frame's coordinates."""
    pixels_per_source_pixel = frame_px / (stop - start)
    first = -start * pixels_per_source_pixel
    return resampling_matrix(frame_px, size_out, first, first + size_out * pixels_per_source_pixel)


def _resampled(image: np.ndarray, rows: csr_matrix, columns: csr_matrix) -> np.ndarray:
    """Apply `rows` to the first axis and `columns` to the second of (Y, X[, C]): float32.

    In strips that stay in the processor's cache: a float copy of the whole image would not.
    """
    channels = image.shape[2:]
    lines = image.reshape(len(image), -1)
    if channels:
        columns = sparse.kron(columns, sparse.identity(*channels, dtype=np.float32), format="csr")
    resampled = np.zeros((rows.shape[0], columns.shape[0]), np.float32)
    for first in range(0, len(resampled), STRIP_PX):
        ends = rows.indptr[first : first + STRIP_PX + 1]
        used = slice(ends[0], ends[-1])
        if used.start == used.stop:  # beyond the image
            continue
        start, stop = rows.indices[used].min(), rows.indices[used].max() + 1
        terms = (rows.data[used], rows.indices[used] - start, ends - ends[0])
        weights = csr_matrix(terms, shape=(len(ends) - 1, stop - start))
        part = weights @ lines[start:stop].astype(np.float32)
        resampled[first : first + STRIP_PX] = (columns @ np.ascontiguousarray(part.T)).T
    return resampled.reshape(rows.shape[0], -1, *channels)


def _require_shape(image: np.ndarray, shape: tuple[int, int]) -> None:
    if image.shape[:2] != tuple(shape):
        raise ValueError(f"image is {image.shape[:2]}, its geometry says {tuple(shape)}")
