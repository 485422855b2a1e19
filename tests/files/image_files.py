"""Small image files, written as other programs write them."""

import struct
import zlib

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 56


def saved(path, pixels, mode=None, **options):
    """Write pixels, in another mode of Pillow's if one is given; `path`."""
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def png_16_bit(pixels: np.ndarray) -> bytes:
    """A PNG of uint16 (Y, X, 2 to 4), which Pillow cannot write."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
