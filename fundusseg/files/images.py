"""Image files: their suffixes, their bytes, and photographs.

One read of a file serves the decoder and the hash.
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg.errors import InputError, blamed_on
from fundusseg.files.decoders import decoded
from fundusseg.files.regular import regular_bytes
from fundusseg.files.wholeness import require_no_hole

SUFFIXES = tuple(
    ".png .jpg .jpeg .jpe .jfif .tif .tiff .gif .ppm .ppm.gz .pgm .bmp .webp .dcm .dicom".split()
)
SMALLEST_SIDE_PX = 32
LEAST_SHOWN = 0.15  # opaque share of a picture with alpha; if less is, alpha is a mask of vessels
LEAST_CONTRAST = 8  # grey levels of 255 between the darkest and the brightest pixel
SOFT_RANGE = 32, 224  # what is neither black nor white
LEAST_BETWEEN = 0.1  # of the pixels of a photograph, in one of its channels; real ones have 0.4
LEAST_OF_A_MASK = 0.02  # of the pixels of a mask; real ones have 0.03 and more
HOT_PIXELS = 0.001  # of all, with the lens cap on; more are a vessel

_SUFFIX = re.compile(f"(?:{'|'.join(map(re.escape, SUFFIXES))})\\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Photograph:
    """pixels: uint8 (Y, X, 3) sRGB, upright. sha256: of the file's bytes.

    is_turned: an orientation in the file (EXIF) has turned the pixels. pixel_um: the side of a
    pixel on the retina; None where the file, other than of DICOM, does not say.
    """

    pixels: np.ndarray
    sha256: str
    is_turned: bool = False
    pixel_um: float | None = None


def image_suffix(name: str) -> str:
    """The known image suffix that a file name (or path) ends in, as spelled; "" if none."""
    match = _SUFFIX.search(name)
    return sys.intern(match.group()) if match else ""


def without_suffix(path: str) -> str:
    """A path (with /) without its image suffix: the id of a sample."""
    return path[: len(path) - len(image_suffix(path))]


def read_photograph(path: Path) -> Photograph:
    """Read a photograph of any format, depth and colour model as upright 8-bit RGB.

    Values are scaled as `Picture.scaled_to_8_bit` says, what alpha hides is black, grey is
    repeated, EXIF orientation obeyed.

    Raises:
        InputError: if the file cannot be read or decoded, is smaller than 32 pixels, black and
            white, or all but hidden by alpha, or has a hole.
    """
    with blamed_on(path):
        data = regular_bytes(path)
        picture = decoded(data, path)
        height, width, channels = picture.values.shape
        if min(height, width) < SMALLEST_SIDE_PX:
            size = f"{width}x{height}"
            raise InputError(path, f"is too small ({size}; the least is {SMALLEST_SIDE_PX} pixels)")
        if picture.alpha is not None and (share := (picture.alpha >= 128).mean()) < LEAST_SHOWN:
            problem = f"shows {share:.0%} of itself, alpha hides the rest"
            raise InputError(path, problem, "save it without alpha")
        pixels = picture.scaled_to_8_bit()
        _require_no_mask(path, pixels)
        require_no_hole(data, pixels, picture.values.itemsize * 8)
        if channels == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        sha256 = hashlib.sha256(data).hexdigest()
        return Photograph(pixels, sha256, picture.is_turned, picture.pixel_um)


def _require_no_mask(path: Path, pixels: np.ndarray) -> None:
    """Raise if a picture, uint8 (Y, X, C), has two levels, as vessel maps and masks have.

    Or nearly so, as they have in a JPEG or at another size.

    Raises:
        InputError: if so.
    """
    few = pixels[:: max(1, len(pixels) // 64), :: max(1, pixels.shape[1] // 64)]
    is_between = (few >= SOFT_RANGE[0]) & (few < SOFT_RANGE[1])
    is_white = few.max(axis=2) >= SOFT_RANGE[1]
    if is_between.mean(axis=(0, 1)).max() < LEAST_BETWEEN and LEAST_OF_A_MASK < is_white.mean() < 1:
        problem = "is black and white alone: a mask or a vessel map, no photograph"
        raise InputError(path, problem, "give the photograph")
    for part in (few, pixels):  # the first tells at once for nearly all
        low, high = int(part.min()), int(part.max())
        if ((part != low) & (part != high)).any():
            return
    if high - low >= LEAST_CONTRAST and (pixels == high).mean() > HOT_PIXELS:  # else it is blank
        problem = "has two grey levels: a mask or a vessel map, no photograph"
        raise InputError(path, problem, "give the photograph")


def is_blank(pixels: np.ndarray) -> bool:
    """Whether a photograph, uint8 (Y, X, 3), is of one colour, as with the lens cap on."""
    coarse = pixels[::16, ::16]  # tells at once for nearly all; the whole costs a tenth of a second
    return all(
        int(np.ptp(part[..., channel])) < LEAST_CONTRAST
        for part in (coarse, pixels)
        for channel in range(3)
    )
