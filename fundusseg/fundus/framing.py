"""A photograph and its field of view brought to the square frame that the network sees."""

from dataclasses import dataclass

import numpy as np

from fundusseg.config import FrameConfig
from fundusseg.fundus.field_of_view import FieldOfView, field_of_view_of_mask, found_field_of_view
from fundusseg.fundus.geometry import Geometry, canonical_geometry, to_frame


@dataclass(frozen=True)
class Framed:
    """image: uint8 (S, S, 3) sRGB. fov: uint8 (S, S), coverage, 255 = all of the pixel.

    native_fov: bool (Y, X), the field of view at the photograph's own size.
    """

    image: np.ndarray
    fov: np.ndarray
    native_fov: np.ndarray
    geometry: Geometry
    field_of_view: FieldOfView


def framed(pixels: np.ndarray, given_fov: np.ndarray | None, frame: FrameConfig) -> Framed:
    """Bring a photograph to its frame.

    Args:
        pixels: uint8 (Y, X, 3) sRGB.
        given_fov: bool (Y, X), or None to have the field of view found.
        frame: what part of the photograph the frame takes, and how large it is.

    Raises:
        ValueError: if the given field of view is empty or of another size.
        PictureFault: if several are found.
    """
    if given_fov is None:
        field_of_view, mask = found_field_of_view(pixels)
    else:
        field_of_view, mask = field_of_view_of_mask(given_fov), given_fov
    size_px = frame.size_px(field_of_view.diameter_px)
    geometry = canonical_geometry(frame.kind, size_px, pixels.shape[:2], field_of_view)
    image = _rounded(to_frame(pixels, geometry))
    return Framed(image, coverage(mask, geometry), mask, geometry, field_of_view)


def coverage(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """How much of each pixel of the frame a bool (Y, X) mask covers: uint8, 255 = all of it."""
    return _rounded(to_frame(mask, geometry) * 255)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values, out=values).astype(np.uint8)
