"""Small DICOM photographs of a person with a name, as cameras export them."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")

NAME = "Mustermann^Erika"
_EXPLICIT, _JPEG, _JPEG_2000 = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"),
    "1.2.840.10008.1.2.4.90",
)


def dicom_file(path: Path, pixels: np.ndarray, syntax: str = _EXPLICIT, **more: Any) -> Path:
    """Write uint8 or uint16 pixels, (Y, X) or (Y, X, 3), by default as they are; `path`.

    more: further elements by keyword, or others in place of those of a grey or RGB photograph.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, NAME, "19700101"
    dataset.InstitutionName = NAME
    is_colour, bits = pixels.ndim == 3, pixels.itemsize * 8
    dataset.SamplesPerPixel = 3 if is_colour else 1
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    data = encoded(pixels, syntax)
    if "PixelData" not in more:
        dataset.PixelData = encapsulate([data]) if syntax in (_JPEG, _JPEG_2000) else data
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def encoded(pixels: np.ndarray, syntax: str) -> bytes:
    """The bytes of a frame."""
    format = {_JPEG: "JPEG", _JPEG_2000: "JPEG2000"}.get(syntax)
    if format is None:
        return pixels.tobytes()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format=format)
    return buffer.getvalue()
