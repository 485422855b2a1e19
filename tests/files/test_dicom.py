"""DICOM photographs show what PNGs of the same pixels show, or say why not; never who it is."""

import sys
import traceback

import numpy as np
import pytest

from fundusseg.errors import InputError, UnavailableError
from fundusseg.files.encoders import rgb_png
from fundusseg.files.images import read_photograph
from tests.files.dicom_files import NAME, dicom_file, encoded, pydicom
from tests.files.image_files import HEIGHT, WIDTH

PLAIN, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.fixture
def rgb() -> np.ndarray:
    """A smooth picture, uint8 (Y, X, 3), that a JPEG hardly changes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([100 + y, 60 + x, 40 + (x + y) // 2], axis=2).astype(np.uint8)


def _read(path):
    return read_photograph(path).pixels.astype(int)


@pytest.mark.parametrize(
    ("syntax", "most"), [(PLAIN, 0), (JPEG_2000, 0), (JPEG, 6)], ids=["plain", "2000", "jpeg"]
)
def test_colours_are_those_of_the_picture(tmp_path, rgb, syntax, most):
    model = "YBR_FULL_422" if syntax == JPEG else "YBR_RCT" if syntax == JPEG_2000 else "RGB"
    path = dicom_file(tmp_path / "a.dcm", rgb, syntax, PhotometricInterpretation=model)
    assert np.abs(_read(path) - rgb).max() <= most


def test_rle_and_planes_are_read(tmp_path, rgb):
    planes = np.ascontiguousarray(np.moveaxis(rgb, 2, 0)).tobytes()
    path = dicom_file(tmp_path / "p.dcm", rgb, PlanarConfiguration=1, PixelData=planes)
    np.testing.assert_array_equal(_read(path), rgb)
    dataset = pydicom.dcmread(dicom_file(tmp_path / "r.dcm", rgb))
    dataset.compress(RLE)
    dataset.save_as(tmp_path / "r.dcm")
    np.testing.assert_array_equal(_read(tmp_path / "r.dcm"), rgb)


def test_ybr_is_made_rgb(tmp_path, rgb):
    from PIL import Image

    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    path = dicom_file(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL")
    assert np.abs(_read(path) - rgb).max() <= 3


def test_grey_is_brighter_where_there_is_more_or_less(tmp_path, rgb):
    grey = rgb[..., 0].astype(np.uint16) * 16
    some = {"BitsStored": 12, "HighBit": 11}
    up = _read(dicom_file(tmp_path / "2.dcm", grey, **some))
    down = dicom_file(
        tmp_path / "1.dcm", 4095 - grey, PhotometricInterpretation="MONOCHROME1", **some
    )
    np.testing.assert_array_equal(up, _read(down))
    assert np.abs(up[..., 0] - rgb[..., 0]).max() <= 1


def test_a_palette_is_looked_up(tmp_path, rgb):
    index, colours = rgb[..., 0], np.arange(256, dtype=np.uint16) * 257
    tables = {}
    for colour, table in zip(
        ("Red", "Green", "Blue"), (colours, colours[::-1], colours), strict=True
    ):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    path = dicom_file(
        tmp_path / "a.dcm", index, PhotometricInterpretation="PALETTE COLOR", **tables
    )
    expected = np.stack([index, 255 - index, index], axis=2)
    assert np.abs(_read(path) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("spacing", "pixel_um"),
    [
        (["0.0062", "0.0062"], 6.2),
        (["0.006", "0.012"], None),
        (["0", "0"], None),
        ("0.006", None),
        (None, None),
    ],
)
def test_the_spacing_of_square_pixels_is_taken_over(tmp_path, rgb, spacing, pixel_um):
    more = {} if spacing is None else {"PixelSpacing": spacing}
    found = read_photograph(dicom_file(tmp_path / "a.dcm", rgb, **more)).pixel_um
    assert found is None if pixel_um is None else found == pytest.approx(pixel_um)


def test_only_a_dicom_file_has_a_spacing(tmp_path, rgb):
    (tmp_path / "a.png").write_bytes(rgb_png(rgb))
    assert read_photograph(tmp_path / "a.png").pixel_um is None


def _error(path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_photograph(path)
    assert NAME not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"NumberOfFrames": 3}, "holds 3 pictures"),
        ({"BurnedInAnnotation": "YES"}, "has a text burnt into its picture"),
        ({"PhotometricInterpretation": "HSV"}, "of a colour model that is not read"),
        ({"PixelData": b"\1" * 12}, "is a DICOM file that is damaged"),
        ({"Rows": 65535, "Columns": 65535}, "is too large (more than 64 million pixels)"),
        ({"SamplesPerPixel": 7}, "is a DICOM file that is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused_in_words_of_our_own(tmp_path, rgb, more, said):
    assert said in str(_error(dicom_file(tmp_path / "a.dcm", rgb, **more)))


def test_a_file_without_pixels_or_of_another_compression_is_refused(tmp_path, rgb):
    path = dicom_file(tmp_path / "a.dcm", rgb)
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    assert "without a picture" in str(_error(path))
    data = dicom_file(path, rgb).read_bytes().replace(PLAIN.encode() + b"\0", JPEG_LS.encode()[:20])
    path.write_bytes(data)
    assert "that is not read" in str(_error(path)) or "damaged" in str(_error(path))


@pytest.mark.parametrize("syntax", [PLAIN, JPEG])
@pytest.mark.parametrize("left", [0.98, 0.5, 0.2])
def test_a_file_that_is_cut_off_is_refused(tmp_path, rgb, syntax, left):
    path = dicom_file(tmp_path / "a.dcm", rgb, syntax)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    _error(path)


def test_a_jpeg_in_it_that_is_cut_off_is_refused(tmp_path, rgb):
    from pydicom.encaps import encapsulate

    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    frame = encoded(noise, JPEG)
    cut = frame[: len(frame) // 2] + b"\xff\xd9"
    model = {"PhotometricInterpretation": "YBR_FULL_422"}
    assert read_photograph(dicom_file(tmp_path / "a.dcm", noise, JPEG, **model))
    _error(dicom_file(tmp_path / "b.dcm", noise, JPEG, PixelData=encapsulate([cut]), **model))


def test_without_pydicom_the_remedy_is_named(tmp_path, rgb, monkeypatch):
    path = dicom_file(tmp_path / "a.dcm", rgb)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    error = _error(path)
    assert isinstance(error, UnavailableError)  # so that it is tried again when it is there
    assert "pip install 'fundusseg[dicom]'" in str(error)
