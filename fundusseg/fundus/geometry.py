"""From a photograph to the square frame that the network sees, and back.

Both ways are one separable linear resampling: a small sparse matrix per axis, applied
from the left and from the right. The kernel is a triangle as wide as the coarser of the
two pixel grids, so it interpolates linearly when it enlarges and averages (no aliasing)
when it shrinks. Coordinates are pixel edges: pixel i covers [i, i + 1).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from fundusseg.fundus.field_of_view import FieldOfView

STRIP_PX = 32  # rows or columns that are resampled at once


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
    row, tap = np.nonzero(weights)
    values = weights[row, tap].astype(np.float32)
    return csr_matrix((values, (row, columns[row, tap])), shape=(size_out, size_in))


def _back_matrix(frame_px: int, size_out: int, start: float, stop: float) -> csr_matrix:
    """The matrix of the way back: the source's axis in the frame's coordinates."""
    pixels_per_source_pixel = frame_px / (stop - start)
    first = -start * pixels_per_source_pixel
    return resampling_matrix(frame_px, size_out, first, first + size_out * pixels_per_source_pixel)


def _resampled(image: np.ndarray, rows: csr_matrix, columns: csr_matrix) -> np.ndarray:
    """Apply `rows` to the first axis and `columns` to the second, the shrinking one first."""
    if rows.shape[0] * columns.shape[1] > rows.shape[1] * columns.shape[0]:
        return _along_first(rows, _along_second(columns, image))
    return _along_second(columns, _along_first(rows, image))


def _along_first(matrix: csr_matrix, image: np.ndarray) -> np.ndarray:
    """`matrix` applied to each column of an image (Y, X[, C]), float32.

    In strips that stay in the processor's cache: a float copy of the whole image would not.
    """
    found = np.empty((matrix.shape[0], *image.shape[1:]), np.float32)
    for strip in _strips(image.shape[1]):
        part = image[:, strip].astype(np.float32)
        found[:, strip] = (matrix @ part.reshape(len(part), -1)).reshape(found[:, strip].shape)
    return found


def _along_second(matrix: csr_matrix, image: np.ndarray) -> np.ndarray:
    """`matrix` applied to each row of an image (Y, X[, C]), float32; in strips, too."""
    found = np.empty((image.shape[0], matrix.shape[0], *image.shape[2:]), np.float32)
    for strip in _strips(image.shape[0]):
        part = image[strip].swapaxes(0, 1).astype(np.float32, order="C")
        product = (matrix @ part.reshape(len(part), -1)).reshape(len(found[0]), *part.shape[1:])
        found[strip] = product.swapaxes(0, 1)
    return found


def _strips(size: int) -> list[slice]:
    return [slice(start, start + STRIP_PX) for start in range(0, size, STRIP_PX)]


def _require_shape(image: np.ndarray, shape: tuple[int, int]) -> None:
    if image.shape[:2] != tuple(shape):
        raise ValueError(f"image is {image.shape[:2]}, its geometry says {tuple(shape)}")
