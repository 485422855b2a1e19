"""DICOM photographs, which the extra `dicom` reads: their pixels and the size of one, no more.

Only the elements that `_READ` names are taken from a file, so that nothing of a person is ever in
memory; and pydicom's own words, which may quote a file, are never passed on.
"""

import logging
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from fundusseg.errors import PictureFault, UnavailableError
from fundusseg.files.limits import require_few_pixels
from fundusseg.files.wholeness import require_whole_jpeg

_MARK_AT, _MARK = 128, b"DICM"
_READ = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *("PixelSpacing", "BurnedInAnnotation"),
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
)
_PALETTE, _INVERTED = "PALETTE COLOR", "MONOCHROME1"
_MODELS = (
    *(_PALETTE, _INVERTED, "MONOCHROME2", "RGB"),
    *("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),  # which pydicom makes RGB of
)
_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")  # syntaxes of libjpeg's JPEGs
_SQUARE = 0.01  # the sides of a pixel are equal but for so much
_UM_PER_MM = 1000
_AGAIN = "export it again, or as PNG"


@dataclass(frozen=True)
class DicomPicture:
    """values: integers (Y, X) or RGB (Y, X, 3), more is brighter. pixel_um: None if unknown.

    is_jpeg: as of `Picture`.
    """

    values: np.ndarray
    pixel_um: float | None
    is_jpeg: bool


def is_dicom(data: bytes) -> bool:
    """Whether the bytes of a file are DICOM's."""
    return data[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK


def dicom_picture(data: bytes, path: Path) -> DicomPicture:
    """The one picture in `data`, the bytes of the file `path`.

    Raises:
        UnavailableError: if pydicom is not installed.
        PictureFault: if there is no picture, or more than one; if it is damaged, of a colour model
            or compression that is not read, or has a text burnt in by what the file says itself.
    """
    pydicom = _pydicom(path)
    try:
        dataset = pydicom.dcmread(BytesIO(data), specific_tags=list(_READ))
        _require_one_picture(dataset)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        values = _values(pydicom, dataset, syntax)
        return DicomPicture(values, _pixel_um(dataset), syntax in _JPEG)
    except (MemoryError, PictureFault):
        raise
    except Exception:
        # Not `from` pydicom's error: a traceback would quote the file.
        raise PictureFault("is a DICOM file that is damaged", _AGAIN) from None


def _pydicom(path: Path) -> ModuleType:
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        remedy = "pip install 'fundusseg[dicom]'"
        raise UnavailableError(path, "is a DICOM file, which takes pydicom", remedy) from error
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


def _require_one_picture(dataset: Any) -> None:
    """Raise PictureFault if a file has no picture, several, a huge one, or one with a text."""
    if "PixelData" not in dataset:
        raise PictureFault("is a DICOM file without a picture", _AGAIN)
    count = int(dataset.get("NumberOfFrames") or 1)
    if count != 1:
        raise PictureFault(f"holds {count} pictures", "save each as a file of its own")
    if dataset.get("BurnedInAnnotation") == "YES":
        problem = "has a text burnt into its picture, maybe a name, as its BurnedInAnnotation says"
        raise PictureFault(problem, "blacken it, and set that to NO")
    if dataset.PhotometricInterpretation not in _MODELS:
        raise PictureFault("is a DICOM file of a colour model that is not read", _AGAIN)
    require_few_pixels((dataset.Rows, dataset.Columns))


def _values(pydicom: ModuleType, dataset: Any, syntax: str) -> np.ndarray:
    """The pixels, as of `DicomPicture`."""
    if syntax in _JPEG:
        frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
        with Image.open(BytesIO(frame), formats=("JPEG",)) as image:
            image.load()
            require_whole_jpeg(frame, image)
    elif dataset.file_meta.TransferSyntaxUID.is_compressed and not _has_decoder(pydicom, syntax):
        raise PictureFault("is a DICOM file of a compression that is not read", _AGAIN)
    values = pydicom.pixels.pixel_array(dataset)
    if dataset.PhotometricInterpretation == _PALETTE:
        return pydicom.pixels.apply_color_lut(values, dataset)
    if dataset.PhotometricInterpretation == _INVERTED:
        return (2**dataset.BitsStored - 1 - values.astype(np.int64)).astype(values.dtype)
    return values


def _has_decoder(pydicom: ModuleType, syntax: str) -> bool:
    try:
        return pydicom.pixels.get_decoder(syntax).is_available
    except NotImplementedError:  # of a syntax that it does not know
        return False


def _pixel_um(dataset: Any) -> float | None:
    """The side of a pixel on the retina; None where the file does not say, or it is not square."""
    try:
        y_mm, x_mm = map(float, dataset.PixelSpacing)
    except (AttributeError, TypeError, ValueError):
        return None
    is_square = 0 < y_mm < np.inf and abs(x_mm / y_mm - 1) <= _SQUARE
    return y_mm * _UM_PER_MM if is_square else None
