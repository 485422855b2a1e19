"""Decoders of image files: what a file shows, whatever its format, depth and colour model.

Pillow reads what fundus data sets come in, LZW-compressed TIFF and palette GIF included;
tifffile is the second try for TIFFs that Pillow cannot, such as 16-bit colour in separate planes.
"""

import ctypes
import gzip
import itertools
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageFile, ImageOps, _imaging

from fundusseg.errors import InputError, PictureFault, UnavailableError
from fundusseg.files.deep_pixels import (
    deep_colour,
    deep_grey_and_alpha,
    is_deep_colour,
    is_deep_grey_and_alpha,
)
from fundusseg.files.dicom import dicom_picture, is_dicom
from fundusseg.files.limits import (
    MOST_BYTES,
    require_few_bytes,
    require_few_pixels,
    too_many_pixels,
)
from fundusseg.files.pages import (
    MOST_PAGES,
    REDUCED_OR_MASK,
    full_pages,
    of_channels,
    one_picture,
    require_few_pages,
)
from fundusseg.files.regular import open_regular
from fundusseg.files.wholeness import require_whole_jpeg, require_whole_png

_STRIP_PX = 64  # rows that are computed with at once
MOST_OVERSHOT = 2.0  # what a resampling may make of 1
LEAST_WHITE = 128.0  # the brightest value of a photograph whose white is 255; per cent are below
NEARLY_ALL = 0.99  # of the values; a text that is burnt in covers less than the rest
OVERSHOT = 0.01  # of the largest value: what a resampling leaves below 0
MOST_BELOW = 0.01  # of the values; of whitened ones it is half

# Odd metadata is no concern of a user; what cannot be decoded comes as an error anyway.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)
with suppress(AttributeError):  # Pillow may be built without libtiff
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(None)  # it would write to stderr
    _libtiff.TIFFSetWarningHandler(None)

# TIFF tags
_ROWS, _PHOTOMETRIC = 257, 262
_DESCRIPTION, _ORIENTATION = 270, 274
_TURNS = range(2, 9)  # of the orientations; 1 is upright
_WHITE_IS_ZERO = 0
JPEG_FORMATS = ("JPEG", "MPO")
# Not all that Pillow knows (for EPS it runs a program); MPO it finds in JPEG.
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP")
_GREY_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B")


@dataclass(frozen=True)
class Picture:
    """The one picture in the image file `path`, upright.

    values: (Y, X, 1 or 3), grey or RGB in the depth of the file: bool, integer or floating point.
    More is brighter. What alpha hides is 0. alpha: uint8 (Y, X); None if it hides nothing, or all.
    is_turned: by an orientation in the file. is_jpeg: values next to each other may mean the same.
    pixel_um: the side of a pixel on the retina, where the file says it.
    """

    path: Path
    values: np.ndarray
    alpha: np.ndarray | None
    is_turned: bool
    is_jpeg: bool
    pixel_um: float | None = None

    def scaled_to_8_bit(self) -> np.ndarray:
        """The values as uint8 (Y, X, 1 or 3).

        Integers go from 0 to the smallest 2^n - 1, n at least 8, that holds the largest, since
        cameras store 10 to 14 bits in 16; hot pixels or a text of a full 16 bits aside.
        Floating-point values go from 0 to 1, or else as
        integers do; what is no number is 0.

        Raises:
            PictureFault: if values are below 0 by more than a resampling leaves.
        """
        values = self.values
        if values.dtype == np.uint8:
            return values
        if np.iscomplexobj(values):
            raise PictureFault("has complex values, no grey levels", "save their magnitudes")
        if np.issubdtype(values.dtype, np.floating):  # MATLAB may put NaN outside the field of view
            if not np.isfinite(values).any():
                raise PictureFault("has no value that is a number", "save it again")
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
            _require_known_range(float(values.max(initial=0)))
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        if low < 0 and (values < -OVERSHOT * max(high, -low)).mean() > MOST_BELOW:
            problem = f"has values from {low:g} to {high:g}, no grey levels"
            raise PictureFault(problem, "save it with values from 0 on")
        scale = 255.0 / _white_of_nearly_all(values)
        scaled = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), _STRIP_PX):  # of the whole, float64 would take gigabytes
            rows = slice(start, start + _STRIP_PX)
            scaled[rows] = np.clip(np.rint(values[rows] * scale), 0, 255)
        return scaled


def _require_known_range(largest: float) -> None:
    """Raise if floating-point values go neither from 0 to 1 nor from 0 to 255 or more.

    Raises:
        PictureFault: if so.
    """
    if MOST_OVERSHOT < largest < LEAST_WHITE:
        problem = f"has values up to {largest:g}, neither 0 to 1 nor 0 to 255"
        raise PictureFault(problem, "scale it")


def white_level(values: np.ndarray) -> float:
    """The value of white in a picture with these values; see `Picture.scaled_to_8_bit`."""
    if values.dtype == bool:
        return 1.0
    largest = float(values.max(initial=0))
    if np.issubdtype(values.dtype, np.floating) and largest <= MOST_OVERSHOT:
        return 1.0  # as scikit-image and MATLAB have it
    return 2.0 ** max(8, int(np.ceil(largest)).bit_length()) - 1


def _white_of_nearly_all(values: np.ndarray) -> float:
    """As `white_level`, but of `NEARLY_ALL` where these have 9 bits or more, and 3 bits less."""
    white = white_level(values)
    if white > 2**12:  # only so deep a picture can be meant
        most = white_level(np.percentile(values[::4, ::4], 100 * NEARLY_ALL))
        if 255 < most <= white / 7:
            return most
    return white


def decoded(data: bytes, path: Path) -> Picture:
    """The picture in `data`, the bytes of the file `path`.

    Raises:
        InputError: if it is damaged, or no image.
        PictureFault: if it is a JPEG or PNG that is not whole, or holds several pictures.
        UnavailableError: if it is a DICOM file, and nothing is installed that reads it.
        MemoryError: if there is not enough.
    """
    try:
        if is_dicom(data):
            return _of_dicom(data, path)
        if path.suffix.lower() == ".gz":
            with gzip.open(BytesIO(data)) as packed:
                data = packed.read(MOST_BYTES + 1)
            require_few_bytes(len(data))
        return _decoded(data, path)
    except (MemoryError, PictureFault, UnavailableError):
        raise
    except Image.DecompressionBombError as error:  # beyond Pillow's own limit, which is wider
        raise too_many_pixels() from error
    # Decoders raise whatever they like on a damaged file: it must cost this image only.
    except Exception as error:
        # An object's address in the message would make each run's status table differ.
        reason = re.sub(r"<[^>]*>", "", str(error))
        reason = " ".join(reason.split()) or type(error).__name__
        if "out of memory" in reason:  # as Pillow has it from libtiff
            raise MemoryError from error
        raise InputError(path, f"is no image that can be decoded ({reason[:120]})") from error


def is_turned(path: Path) -> bool:
    """Whether an orientation in the head of a file turns its picture; False if none is read."""
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            return image.getexif().get(_ORIENTATION, 1) in _TURNS
    except Exception:  # whoever reads the picture itself says what is wrong
        return False


def _decoded(data: bytes, path: Path) -> Picture:
    try:
        values, orientation, format = _by_pillow(data)
    except (MemoryError, PictureFault):
        raise
    except Exception:
        if not data.startswith((b"II*\0", b"MM\0*")):
            raise
        values, orientation, format = _by_tifffile(data)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    n_colours = 3 if values.shape[2] >= 3 else 1
    alpha = None
    if values.shape[2] > n_colours:
        alpha = values[..., n_colours]
        alpha = np.rint(alpha * (255.0 / white_level(alpha))).astype(np.uint8)
        alpha = alpha if (alpha < 128).any() and (alpha >= 128).any() else None
    values = values[..., :n_colours]
    if alpha is not None:
        values = np.where(alpha[..., np.newaxis] < 128, np.zeros((), values.dtype), values)
    return Picture(
        path, np.ascontiguousarray(values), alpha, orientation in _TURNS, format in JPEG_FORMATS
    )


def _of_dicom(data: bytes, path: Path) -> Picture:
    found = dicom_picture(data, path)
    values = np.atleast_3d(found.values)
    return Picture(path, values, None, False, found.is_jpeg, found.pixel_um)


def _by_pillow(data: bytes) -> tuple[np.ndarray, int, str]:
    """Values (Y, X) or (Y, X, channels), upright; the orientation that they had; the format."""
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        description = str(getattr(image, "tag_v2", {}).get(_DESCRIPTION, ""))
        numbers = full_pages(image)
        format = str(image.format)
    pages = [_pillow_page(data, number) for number in one_picture(numbers, description)]
    values, orientation = pages[0]
    if len(pages) > 1:
        values = of_channels([values for values, _ in pages])
    return values, orientation, format


def _pillow_page(data: bytes, number: int) -> tuple[np.ndarray, int]:
    """Values of a page, upright: grey as it is, colour (palette, CMYK) as RGB; its orientation."""
    with _page_at(data, number) as image:
        if image.format == "PNG":
            require_whole_png(data)
        _require_all_rows(image)
        tags = getattr(image, "tag_v2", {})
        orientation = tags.get(_ORIENTATION, 1)  # which a TIFF loses when it is loaded
        is_inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and image.mode not in ("1", "L")
        if is_deep_grey_and_alpha(image):
            values = deep_grey_and_alpha(image)
            orientation = image.getexif().get(_ORIENTATION, 1)
        elif is_deep_colour(image):
            require_few_bytes(2 * image.width * image.height * len(image.mode))
            with _page_at(data, number) as again:
                values = deep_colour(image, again)
            orientation = max(orientation, image.getexif().get(_ORIENTATION, 1))
        else:
            image.load()
            if image.format in JPEG_FORMATS:
                require_whole_jpeg(data[getattr(image, "offset", 0) :], image)
            orientation = max(orientation, image.getexif().get(_ORIENTATION, 1))
            ImageOps.exif_transpose(image, in_place=True)
            values = _plain_values(image)
    return (_negative(values) if is_inverted else values), orientation


def _require_all_rows(image: ImageFile.ImageFile) -> None:
    """Raise PictureFault where a TIFF promises rows of which no strip or tile has a pixel.

    Pillow would fill them with zeros: of a flipped bit in the height, gigabytes.
    """
    promised = getattr(image, "tag_v2", {}).get(_ROWS, 0)
    rows = max((tile.extents[3] for tile in image.tile if tile.extents), default=promised)
    if rows < promised:
        raise PictureFault(f"is cut off ({rows} of its {promised} rows)", "fetch it again")


@contextmanager
def _page_at(data: bytes, number: int) -> Iterator[ImageFile.ImageFile]:
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        image.seek(number)
        require_few_pixels(image.size)
        yield image


def _plain_values(image: Image.Image) -> np.ndarray:
    if image.has_transparency_data and image.mode not in _GREY_MODES[2:]:
        return np.asarray(image.convert("RGBA"))
    is_plain = image.mode in (*_GREY_MODES, "RGB")
    return np.asarray(image if is_plain else image.convert("RGB"))


def _by_tifffile(data: bytes) -> tuple[np.ndarray, int, str]:
    """As `_by_pillow`."""
    with tifffile.TiffFile(BytesIO(data)) as file:
        # A damaged file may have millions.
        whole = [page.aspage() for page in itertools.islice(file.pages, MOST_PAGES + 1)]
        require_few_pages(len(whole))
        pages = [page for page in whole if not page.subfiletype & REDUCED_OR_MASK]
        chosen = one_picture(pages, pages[0].description if pages else "")
        values = [_tifffile_page(page) for page in chosen]
        tag = chosen[0].tags.get(_ORIENTATION)
    orientation = 1 if tag is None else int(tag.value)
    picture = np.dstack(values) if len(values) == 1 else of_channels(values)
    return _upright(picture, orientation), orientation, "TIFF"


def _tifffile_page(page: tifffile.TiffPage) -> np.ndarray:
    """Values (Y, X) or (Y, X, channels) as stored, white brightest, and alpha."""
    if page.photometric not in (0, 1, 2):
        raise ValueError(f"colour model {page.photometric}")
    require_few_pixels((int(page.imagewidth), int(page.imagelength)))  # they may be text
    require_few_bytes(page.nbytes)
    values = page.asarray()
    if values.ndim == 3 and page.axes == "SYX":  # colour in separate planes
        values = np.moveaxis(values, 0, 2)
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError("there is no picture in it")
    n_samples = 1 if values.ndim == 2 else values.shape[2]
    # Some programs write colours so, and call them shades of grey.
    n_colours = 3 if page.photometric == 2 or n_samples == 3 else 1
    has_alpha = page.extrasamples[:1] in ((1,), (2,))
    if page.photometric != 2 and n_samples not in (1, 1 + has_alpha, 3):
        raise PictureFault(f"has {n_samples} channels of unknown colours", "save it as RGB")
    if values.ndim == 3:
        values = values[..., : n_colours + has_alpha]
    return _negative(values) if page.photometric == _WHITE_IS_ZERO else values


def _negative(values: np.ndarray) -> np.ndarray:
    return (white_level(values) - values).astype(values.dtype)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Stored values (Y, X, channels) turned as TIFF's orientation 1 to 8 says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values[::-1] if orientation in (3, 4, 7, 8) else values
