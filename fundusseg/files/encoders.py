"""Arrays as the bytes of image files: vessel maps, probabilities and pictures."""

import zlib
from io import BytesIO

import numpy as np
from PIL import Image

PROBABILITY_SUFFIX = ".prob.png"
OVERLAY_SUFFIX = ".overlay.png"
THUMBNAIL_PX = 240
# Measured (docs/speed.md): runs alone make vessel maps smaller than zlib's matches at level 6
# do, and probabilities in less time than level 1.
PNG_COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}
_FORMATS: dict[str, tuple[str, dict]] = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {"quality": 95}),
    "tif": ("TIFF", {"compression": "tiff_lzw"}),
    "gif": ("GIF", {}),
    "ppm": ("PPM", {}),
}


def map_png(vessels: np.ndarray) -> bytes:
    """A bool (Y, X) vessel map as a PNG of 0 and 255."""
    return rgb_png(vessels.astype(np.uint8) * np.uint8(255))


def probability_png(probability: np.ndarray) -> bytes:
    """Float (Y, X) probabilities in [0, 1] as a 16-bit grey PNG."""
    return rgb_png(np.rint(probability * 65535).astype(np.uint16))


def rgb_png(pixels: np.ndarray) -> bytes:
    """A uint8 (Y, X, 3) picture, or a grey one of 8 or 16 bit, as a PNG."""
    return _saved(Image.fromarray(pixels), "PNG", PNG_COMPRESSION)


def thumbnail(pixels: np.ndarray) -> bytes:
    """A uint8 (Y, X, 3) picture or a bool (Y, X) map as a JPEG, `THUMBNAIL_PX` its longer side."""
    image = _image(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return _saved(image, "JPEG", {"quality": 80})


def picture_bytes(pixels: np.ndarray, path: str) -> bytes:
    """A uint8 (Y, X, 3) or bool (Y, X) picture in the format that the path's suffix names.

    Raises:
        KeyError: on another suffix than .png, .jpg, .tif, .gif and .ppm.
    """
    return _saved(_image(pixels), *_FORMATS[path.rpartition(".")[2]])


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255)


def _saved(image: Image.Image, format: str, options: dict) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()
