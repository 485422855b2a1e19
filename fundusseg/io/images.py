"""Photographs and maps: image files in, arrays out, and back.

Pillow reads what fundus data sets come in, LZW-compressed TIFF and palette GIF included;
tifffile (through imageio) is the second try for TIFFs that Pillow cannot, such as 16-bit
colour in separate planes. One read of the file serves the decoder and the hash.
"""

import gzip
import hashlib
import logging
import re
import stat
import sys
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageOps

from fundusseg.errors import InputError, UnavailableError

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".gif",
    ".ppm",
    ".ppm.gz",
    ".pgm",
    ".bmp",
    ".webp",
)
SMALLEST_SIDE_PX = 32
LEAST_CONTRAST = 8  # grey levels of 255 between the darkest and the brightest pixel
MASK_THRESHOLD = 127
MOST_OVERSHOT = 2.0  # what a resampling may make of 1
MOST_VESSEL = 0.5  # of a mask's pixels; real ones have a tenth
COLOUR_SPREAD = 64  # between a pixel's channels; what JPEG does to grey is below
PROBABILITY_MARGIN = 0.1  # below 0 and above 1, where probabilities were resampled
MOST_COLOUR = 0.001  # of the pixels of a grey picture
MAKE_BINARY = "make vessels white and all else black"
PROBABILITY_SUFFIX = ".prob.png"
OVERLAY_SUFFIX = ".overlay.png"
# Measured (docs/speed.md): runs alone make vessel maps smaller than zlib's matches at level 6
# do, and probabilities in less time than level 1.
PNG_COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}

Image.MAX_IMAGE_PIXELS = 250_000_000
# Odd metadata is no concern of a user; what cannot be decoded comes as an error anyway.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_SUFFIX = re.compile(f"(?:{'|'.join(map(re.escape, SUFFIXES))})\\Z", re.ASCII | re.IGNORECASE)
_BITS_PER_SAMPLE = 258  # a TIFF tag
_GREY_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B")
_SWAPPED_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


@dataclass(frozen=True)
class Photograph:
    """pixels: uint8 (Y, X, 3) sRGB, upright. sha256: of the file's bytes."""

    pixels: np.ndarray
    sha256: str


def image_suffix(name: str) -> str:
    """The known image suffix that a file name (or path) ends in, as spelled; "" if none."""
    match = _SUFFIX.search(name)
    return sys.intern(match.group()) if match else ""


def without_suffix(path: str) -> str:
    """A path (with /) without its image suffix: the id of a sample."""
    return path[: len(path) - len(image_suffix(path))]


def read_photograph(path: Path) -> Photograph:
    """Read a photograph of any format, depth and colour model as upright 8-bit RGB.

    16-bit values are divided by 257; if none needs more than 12 bits, by 4095/255, since
    cameras store 12 bits in 16. Floating-point values go from 0 to 1 (or else 255); what is
    no number is black. Alpha is dropped, grey repeated, EXIF orientation obeyed.

    Raises:
        InputError: if the file cannot be read or decoded, or is smaller than 32 pixels.
    """
    data = _file_bytes(path)
    pixels = _decoded(data, path)
    if min(pixels.shape[:2]) < SMALLEST_SIDE_PX:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise InputError(path, f"is too small ({size}; the least is {SMALLEST_SIDE_PX} pixels)")
    return Photograph(_rgb8(pixels), hashlib.sha256(data).hexdigest())


def is_blank(pixels: np.ndarray) -> bool:
    """Whether a photograph, uint8 (Y, X, 3), is of one colour, as with the lens cap on."""
    coarse = pixels[::16, ::16]  # tells at once for nearly all; the whole costs a tenth of a second
    return all(
        int(np.ptp(part[..., channel])) < LEAST_CONTRAST
        for part in (coarse, pixels)
        for channel in range(3)
    )


def read_mask(path: Path) -> np.ndarray:
    """Read a mask of any format as bool (Y, X).

    Of two grey levels, whatever they are (0 and 1, or red on black), the brighter one is True;
    of more, what is above 127 in 8 bits.

    Raises:
        InputError: if the file cannot be read or decoded, is a picture in colours (arteries red
            and veins blue), or has several grey levels and none above 127, as labels have.
    """
    data = _file_bytes(path)
    grey = _decoded(data, path, mode="L")
    if grey.ndim == 3:
        grey = grey[..., 0]
    if grey.dtype != np.uint8:
        grey = _scaled_to_8_bit(grey)
    levels = np.flatnonzero(np.bincount(grey.reshape(-1), minlength=256))
    if len(levels) == 2:
        return grey == levels[1]
    if len(levels) > 2:
        _require_grey(path, _decoded(data, path))
    if len(levels) > 2 and levels[-1] <= MASK_THRESHOLD:
        problem = f"is no mask: it has {len(levels)} grey levels, and none above {MASK_THRESHOLD}"
        raise InputError(path, problem, MAKE_BINARY)
    return grey > (0 if grey.max(initial=0) == 1 else MASK_THRESHOLD)


def read_mask_of(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the mask of a photograph of `shape` (Y, X), bool.

    Raises:
        InputError: as `read_mask`, or if the mask has another size.
    """
    mask = read_mask(path)
    require_shape(path, mask, shape)
    return mask


def read_vessels(path: Path, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Read a manual mask of vessels, of a photograph of `shape` (Y, X) if given, bool.

    Raises:
        InputError: as `read_mask_of`, or if more than half is vessel, as in an inverted mask.
    """
    mask = read_mask(path) if shape is None else read_mask_of(path, shape)
    if mask.mean() > MOST_VESSEL:
        problem = f"is no mask of vessels: {mask.mean():.0%} of it is white; is it inverted?"
        raise InputError(path, problem, MAKE_BINARY)
    return mask


def require_shape(path: Path, mask: np.ndarray, shape: tuple[int, int]) -> None:
    """Raise if a mask (Y, X) has not the shape of its photograph.

    Raises:
        InputError: naming both sizes.
    """
    if mask.shape != shape:
        sizes = f"{mask.shape[1]}x{mask.shape[0]}, its photograph {shape[1]}x{shape[0]}"
        raise InputError(path, f"is {sizes}", "masks must have their photograph's size")


def read_field_of_view(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the given field of view of a photograph of `shape` (Y, X), bool.

    Raises:
        InputError: as `read_mask_of`, or if it is empty.
    """
    mask = read_mask_of(path, shape)
    if not mask.any():
        raise InputError(path, "is an empty field of view", "remove it to have one found")
    return mask


def read_probability(path: Path) -> np.ndarray:
    """Read a grey image as float32 (Y, X) probabilities in [0, 1], by its full bit depth.

    Raises:
        InputError: if the file cannot be read or decoded, is a picture in colours, or has
            values that are no probabilities.
    """
    grey = _decoded(_file_bytes(path), path)
    if grey.ndim == 3:
        if not is_binary(grey[..., 0]):  # else it may be a mask, of red on black
            _require_grey(path, grey)
        grey = grey[..., 0]
    if not np.issubdtype(grey.dtype, np.integer):
        if not np.isfinite(grey).all():
            raise InputError(path, "has values that are no numbers")
        low, high = grey.min(initial=0), grey.max(initial=0)
        if low < -PROBABILITY_MARGIN or high > 1 + PROBABILITY_MARGIN:
            problem = f"has values from {low:g} to {high:g}, no probabilities from 0 to 1"
            raise InputError(path, problem)
        return np.clip(grey, 0, 1).astype(np.float32)
    depth = 255 if grey.dtype == np.uint8 else 65535
    highest = int(grey.max(initial=0))
    if (
        grey.min(initial=0) < 0
        or highest > depth
        or (highest <= 255 < depth and not is_binary(grey))
    ):
        problem = f"has values up to {highest} and no probabilities of 16 bits (0 to 65535)"
        raise InputError(path, problem, "save it with 8 bits, or scale it")
    return (grey / depth).astype(np.float32)


def _require_grey(path: Path, pixels: np.ndarray) -> None:
    """Raise if a picture (Y, X) or (Y, X, 1 to 4) has colours that mean something."""
    channels = _scaled_to_8_bit(np.atleast_3d(pixels)[..., :3])
    if channels.shape[2] == 3:
        spread = channels.max(axis=2) - channels.min(axis=2)
        if (spread > COLOUR_SPREAD).mean() > MOST_COLOUR:
            raise InputError(path, "is a picture in colours, no mask or map", MAKE_BINARY)


def is_binary(grey: np.ndarray) -> bool:
    """Whether a picture (Y, X) has two levels at most."""
    return bool(((grey == grey.min()) | (grey == grey.max())).all())


def map_png(vessels: np.ndarray) -> bytes:
    """A bool (Y, X) vessel map as a PNG of 0 and 255."""
    return _png(vessels.astype(np.uint8) * np.uint8(255))


def probability_png(probability: np.ndarray) -> bytes:
    """Float (Y, X) probabilities in [0, 1] as a 16-bit grey PNG."""
    return _png(np.rint(probability * 65535).astype(np.uint16))


def rgb_png(pixels: np.ndarray) -> bytes:
    """A uint8 (Y, X, 3) picture as a PNG."""
    return _png(pixels)


def _png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", **PNG_COMPRESSION)
    return buffer.getvalue()


def _file_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would keep us waiting for ever
            raise InputError(path, "is no regular file")
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(path, f"cannot be read ({error.strerror})") from error


def _decoded(data: bytes, path: Path, mode: str | None = None) -> np.ndarray:
    """The first picture in `data`: through Pillow, or through tifffile where that fails."""
    try:
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
        try:
            return _pillow_decoded(data, mode)
        except Image.DecompressionBombError:
            raise
        except Exception:
            if not data.startswith((b"II*\0", b"MM\0*")):
                raise
            return _first_page(iio.imread(data, plugin="tifffile", index=0))
    # Decoders raise whatever they like on a damaged file: it must cost this image only.
    except Exception as error:
        # An object's address in the message would make each run's status table differ.
        reason = re.sub(r"<[^>]*>", "", str(error))
        reason = " ".join(reason.split()) or type(error).__name__
        raise InputError(path, f"is no image that can be decoded ({reason[:120]})") from error


def _pillow_decoded(data: bytes, mode: str | None) -> np.ndarray:
    """The first picture, upright: grey as it is, colour (palette, CMYK, alpha) in `mode` or RGB."""
    with Image.open(BytesIO(data)) as image:
        if mode is None and _is_16_bit_colour(image):
            return _16_bit_colour(data)
        ImageOps.exif_transpose(image, in_place=True)
        wanted = image.mode if image.mode in _GREY_MODES else mode or "RGB"
        return np.asarray(image if image.mode == wanted else image.convert(wanted))


def _is_16_bit_colour(image: Image.Image) -> bool:
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    deep = max(bits) == 16 or any(";16" in str(tile.args) for tile in image.tile)
    return deep and image.mode in ("RGB", "RGBA")


def _16_bit_colour(data: bytes) -> np.ndarray:
    """uint16 (Y, X, 3 or 4). Pillow keeps the high bytes; told the other byte order, the low."""
    with Image.open(BytesIO(data)) as image:
        high = np.asarray(ImageOps.exif_transpose(image))
    with Image.open(BytesIO(data)) as image:
        image.tile = [tile._replace(args=_other_byte_order(tile.args)) for tile in image.tile]
        low = np.asarray(ImageOps.exif_transpose(image))
    return high * np.uint16(256) + low


def _other_byte_order(args):
    """A decoder's arguments with, say, RGB;16L in place of RGB;16B."""
    order, *rest = (args,) if isinstance(args, str) else args
    name, _, bits = order.partition(";16")
    if bits not in _SWAPPED_ORDER:
        raise ValueError(f"16-bit colour stored as {order}")
    swapped = f"{name};16{_SWAPPED_ORDER[bits]}"
    return swapped if isinstance(args, str) else (swapped, *rest)


def _first_page(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim < 2 or pixels.size == 0:
        raise ValueError("there is no picture in it")
    if pixels.ndim == 3 and pixels.shape[0] in (3, 4):  # colour in separate planes
        return np.moveaxis(pixels, 0, 2)
    while pixels.ndim > 3 or (pixels.ndim == 3 and pixels.shape[2] > 4):
        pixels = pixels[0]
    return pixels


def _rgb8(pixels: np.ndarray) -> np.ndarray:
    pixels = _scaled_to_8_bit(pixels)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.shape[2] < 3:
        return np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def _scaled_to_8_bit(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    is_floating = np.issubdtype(pixels.dtype, np.floating)
    if is_floating:  # NaN is what MATLAB may put outside the field of view
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(pixels.max(initial=0))
    if is_floating and largest <= MOST_OVERSHOT:  # 0 to 1, as scikit-image and MATLAB have it
        return np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
    full = 255.0 if largest <= 255 else 4095.0 if largest <= 4095 else 65535.0
    return np.clip(np.rint(pixels * (255.0 / full)), 0, 255).astype(np.uint8)
