"""Pictures of which a part is missing, though Pillow decodes them."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fundusseg.errors import InputError, PictureFault
from fundusseg.files.images import read_photograph
from fundusseg.files.wholeness import require_whole_jpeg, require_whole_png

END = b"\xff\xd9"
FORMS = {
    "baseline": {"noise": 140},  # a hole of zeros has about as many blocks as what was there
    "optimised": {"optimize": True},  # it is a flat area, and codes are left over
    "progressive": {"progressive": True, "noise": 20},
    "restarts": {"restart_marker_rows": 1, "optimize": True},
    "grey": {"mode": "L"},
    "subsampled": {"subsampling": 0},
}


def jpeg(mode: str = "RGB", surround: int = 0, noise: int = 5, **options) -> bytes:
    """A bright disc with noise in a surround of one level."""
    y, x = np.mgrid[:500, :470]
    pixels = np.full((500, 470, 3), surround, np.uint8)
    inside = (y - 250) ** 2 + (x - 235) ** 2 < 200**2
    pixels[inside] = np.random.default_rng(0).integers(60, 60 + noise, (inside.sum(), 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", quality=85, **options)
    return buffer.getvalue()


def check(data: bytes) -> None:
    with Image.open(BytesIO(data)) as image:
        image.load()  # Pillow says nothing
        require_whole_jpeg(data, image)


@pytest.mark.parametrize("surround", [0, 128])
@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_a_whole_jpeg_is_whole(options, surround):
    data = jpeg(surround=surround, **options)
    check(data)
    check(data[:-2] + b"\xff" * 9 + bytes(20) + END + data)  # fill bytes; another picture behind


@pytest.mark.parametrize("surround", [0, 128])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_a_jpeg_that_was_cut_and_closed_again_is_not(options, kept, surround):
    data = jpeg(surround=surround, **options)
    with pytest.raises(PictureFault, match="is a JPEG that is not whole"):
        check(data[: int(kept * len(data))] + END)


@pytest.mark.parametrize(
    "form", sorted(FORMS.keys() - {"progressive"})
)  # there a small one may fit
def test_a_hole_of_zeros_is_found(form):
    data = jpeg(**FORMS[form])
    middle = len(data) // 2
    with pytest.raises(PictureFault, match="is a JPEG that is not whole"):
        check(data[:middle] + bytes(512) + data[middle + 512 :])


def test_what_is_no_code_between_two_restarts_is_found():
    data = jpeg(restart_marker_rows=1)
    middle, noise = len(data) // 2, np.random.default_rng(1).integers(0, 255, 60, np.uint8)
    with pytest.raises(PictureFault, match="is a JPEG that is not whole"):
        check(data[:middle] + noise.tobytes() + data[middle + 60 :])


def test_a_progressive_jpeg_without_its_last_scans_is_not_whole():
    data = jpeg(progressive=True)
    with pytest.raises(PictureFault, match="is a JPEG that is not whole"):
        check(data[: data.rindex(b"\xff\xc4")] + END)


def test_a_png_whose_checksums_do_not_hold_is_not_whole():
    buffer = BytesIO()
    y, x = np.mgrid[:300, :300]
    pixels = np.uint8(np.hypot(y - 150, x - 150) < 120) * np.uint8(90 + x % 50)
    Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    require_whole_png(data)
    require_whole_png(data + b"more")
    for kept in (len(data) - 5, len(data) // 2):
        cut = data[:kept] + bytes(len(data) - kept)
        with pytest.raises(PictureFault, match="is a PNG that is not whole"):
            require_whole_png(cut)
        with pytest.raises(PictureFault, match="is a PNG that is not whole"):
            require_whole_png(data[:kept])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_whose_end_is_zeros_is_no_photograph(tmp_path, dtype):
    """Pillow takes it, and leaves the lower rows black."""
    pixels = np.random.default_rng(0).integers(0, 9, (64, 64), dtype)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[: len(data) * 3 // 4].ljust(len(data), b"\0"))
    with Image.open(tmp_path / "x.png") as image:
        assert not np.array_equal(np.asarray(image), pixels)
    with pytest.raises(InputError, match="is a PNG that is not whole"):
        read_photograph(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "tif"])
@pytest.mark.parametrize("hole_bytes", [None, 4200, 70_500])
def test_a_hole_of_zeros_in_plain_pixels_is_no_photograph(tmp_path, suffix, hole_bytes):
    """The end of the file, a page, or many pages, from the middle of the field of view on."""
    path = tmp_path / f"x.{suffix}"
    with Image.open(BytesIO(jpeg())) as image:
        image.save(path)
    read_photograph(path)
    data = bytearray(path.read_bytes())
    row_bytes = 1412 if suffix == "bmp" else 1410
    start = len(data) - 252 * row_bytes + 600
    hole = slice(start, start + hole_bytes if hole_bytes else len(data))
    data[hole] = bytes(len(data[hole]))
    path.write_bytes(data)
    with pytest.raises(InputError, match="has a hole of zeros in its picture; copy it again"):
        read_photograph(path)


@pytest.mark.parametrize("is_cut", ["below", "beside", "in a corner"])
def test_what_is_black_by_itself_is_no_hole(tmp_path, is_cut):
    """A field of view that is cut off, and a black box over a name."""
    with Image.open(BytesIO(jpeg())) as image:
        pixels = np.array(image)
    pixels[(pixels < 40).all(axis=2)] = 0
    pixels[
        {"below": np.s_[350:], "beside": np.s_[:, 300:], "in a corner": np.s_[300:, 200:]}[is_cut]
    ] = 0
    Image.fromarray(pixels).save(tmp_path / "x.bmp")
    read_photograph(tmp_path / "x.bmp")
