"""Pixels of 16 bits in colour, or with alpha, of which Pillow by itself keeps the high bytes."""

import sys

import numpy as np
from PIL import ImageFile, ImageOps

_BITS_PER_SAMPLE = 258  # a TIFF tag
_SWAPPED_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Whether an image that is not loaded yet has 16 bits a colour."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    is_deep = max(bits) == 16 or any(";16" in str(tile.args) for tile in image.tile)
    return is_deep and image.mode in ("RGB", "RGBA")


def is_deep_grey_and_alpha(image: ImageFile.ImageFile) -> bool:
    """Whether an image that is not loaded yet is a PNG of grey and alpha, 16 bits each."""
    return any(tile.args == "LA;16B" for tile in image.tile)


def deep_colour(image: ImageFile.ImageFile, again: ImageFile.ImageFile) -> np.ndarray:
    """uint16 (Y, X, 3 or 4), upright.

    Args:
        image, again: the same one, opened twice. Told the other byte order, Pillow keeps the low
            bytes.
    """
    values = np.asarray(ImageOps.exif_transpose(image)) * np.uint16(256)
    again.tile = [tile._replace(args=_other_byte_order(tile.args)) for tile in again.tile]
    values += np.asarray(ImageOps.exif_transpose(again))
    return values


def deep_grey_and_alpha(image: ImageFile.ImageFile) -> np.ndarray:
    """uint16 (Y, X, 2), upright. As four channels Pillow keeps all bytes."""
    image._mode = "RGBA"
    image.tile = [tile._replace(args="RGBA") for tile in image.tile]
    pairs = np.asarray(ImageOps.exif_transpose(image))
    return pairs[..., 0::2] * np.uint16(256) + pairs[..., 1::2]


def _other_byte_order(args: str | tuple | None) -> str | tuple:
    """A decoder's arguments with, say, RGB;16L in place of RGB;16B."""
    order, *rest = args if isinstance(args, tuple) else (args,)
    name, _, bits = str(order).partition(";16")
    if bits not in _SWAPPED_ORDER:
        raise ValueError(f"16-bit colour stored as {order}")
    swapped = f"{name};16{_SWAPPED_ORDER[bits]}"
    return (swapped, *rest) if isinstance(args, tuple) else swapped
