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
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return _png(width, height, 16, {2: 4, 3: 2, 4: 6}[channels], zlib.compress(rows))


def lying_png(width: int, height: int, packed: bytes) -> bytes:
    """A PNG of 8-bit colour that says it has this size; packed: by zlib, what it has."""
    return _png(width, height, 8, 2, packed)


def _png(width: int, height: int, bits: int, kind: int, packed: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
