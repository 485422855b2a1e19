"""What an image file shows: pages, alpha, photometric interpretation, orientation, its end."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from fundusseg.errors import PictureFault
from fundusseg.files.decoders import decoded, is_turned
from tests.files.image_files import HEIGHT, WIDTH, png_16_bit, saved


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    """Smooth colour without symmetry, so that flips, turns and swapped channels show."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + 3 * x, 20 + 4 * y, 200 - 2 * x - y], axis=2).astype(np.uint8)


def picture(tmp_path, data: bytes, name: str = "x.tif"):
    return decoded(data, tmp_path / name)


def tiff(*pages: np.ndarray, **options) -> bytes:
    """A TIFF of pages; those smaller than the last are marked as its reduced copies."""
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for page in pages:
            kind = int(page.shape[0] < pages[-1].shape[0])
            file.write(page, subfiletype=kind, metadata=None, **options)
    return buffer.getvalue()


def pillow(pixels: np.ndarray, format: str, *more: np.ndarray, **options) -> bytes:
    buffer = BytesIO()
    others = [Image.fromarray(one) for one in more]
    if others:
        options |= {"save_all": True, "append_images": others}
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_reduced_pages_are_passed_over(tmp_path, rgb, dtype):
    rgb = rgb.astype(dtype)
    data = tiff(rgb[::2, ::2], rgb, photometric="rgb", planarconfig="contig")
    assert np.array_equal(picture(tmp_path, data).values, rgb)
    planes, reduced = np.moveaxis(rgb, 2, 0), np.moveaxis(rgb[::2, ::2], 2, 0)
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as file:  # Pillow reads no 16-bit planes
        file.write(reduced, photometric="rgb", planarconfig="separate", subfiletype=1)
        file.write(planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(picture(tmp_path, buffer.getvalue()).values, rgb)


def test_a_page_that_is_much_smaller_is_a_thumbnail_though_not_marked(tmp_path, rgb):
    data = pillow(rgb, "TIFF", rgb[::2, ::2].copy())
    assert np.array_equal(picture(tmp_path, data).values, rgb)


def test_previews_behind_a_camera_s_photograph_are_passed_over(tmp_path, rgb):
    """MPO holds them, at any size; two of one size are a stereo pair."""
    alone = picture(tmp_path, pillow(rgb, "JPEG", quality=95), "x.jpg").values
    data = pillow(rgb, "MPO", rgb[:-4, :-4].copy(), quality=95)
    assert np.array_equal(picture(tmp_path, data, "x.jpg").values, alone)


@pytest.mark.parametrize(
    ("format", "name"),
    [("TIFF", "x.tif"), ("MPO", "x.jpg"), ("GIF", "x.gif"), ("WEBP", "x.webp"), ("PNG", "x.png")],
)
def test_several_pictures_in_one_file_are_refused(tmp_path, rgb, format, name):
    data = pillow(rgb, format, rgb[::-1].copy())
    with pytest.raises(PictureFault, match="holds 2 pictures; save each as a file of its own"):
        picture(tmp_path, data, name)


def test_several_pages_that_only_tifffile_reads_are_refused(tmp_path, rgb):
    planes = np.moveaxis(rgb.astype(np.uint16), 2, 0)
    data = tiff(planes, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(PictureFault, match="holds 2 pictures"):
        picture(tmp_path, data)


def test_a_stack_of_three_colour_pictures_is_no_picture(tmp_path, rgb):
    """ImageJ says of it channels=3, which are those of each picture."""
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.stack([rgb, rgb[::-1], rgb]), imagej=True)
    with pytest.raises(PictureFault, match="holds 3 pictures"):
        picture(tmp_path, buffer.getvalue())


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.linspace(0, 3, HEIGHT * WIDTH, dtype=np.float32), "values up to 3, neither 0 to 1 nor"),
        (np.full(HEIGHT * WIDTH, np.nan, np.float32), "has no value that is a number"),
        (np.full(HEIGHT * WIDTH, 1j, np.complex64), "has complex values"),
    ],
)
def test_values_of_no_known_range_are_refused(tmp_path, values, problem):
    found = picture(tmp_path, tiff(values.reshape(HEIGHT, WIDTH)))
    with pytest.raises(PictureFault, match=problem):
        found.scaled_to_8_bit()


@pytest.mark.parametrize("kind", ["imagej", "ome"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_channels_in_pages_are_channels_and_slices_are_none(tmp_path, rgb, kind, dtype):
    channels = np.moveaxis(rgb, 2, 0).astype(dtype)
    for axes in ("CYX", "ZYX"):
        buffer = BytesIO()
        metadata = {"axes": axes}
        tifffile.imwrite(
            buffer, channels, photometric="minisblack", metadata=metadata, **{kind: True}
        )
        if axes == "CYX":
            assert np.array_equal(picture(tmp_path, buffer.getvalue()).values, rgb)
        else:
            with pytest.raises(PictureFault, match="holds 3 pictures"):
                picture(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_three_channels_that_are_called_grey_are_colours(tmp_path, rgb, planes, dtype):
    """And five are none that are known."""

    def stored(pixels: np.ndarray) -> bytes:
        channels = pixels if planes == "contig" else np.moveaxis(pixels, 2, 0)
        buffer = BytesIO()
        options = {"photometric": "minisblack", "planarconfig": planes, "metadata": None}
        tifffile.imwrite(buffer, channels.astype(dtype), **options)
        return buffer.getvalue()

    assert np.array_equal(picture(tmp_path, stored(rgb)).values, rgb)
    with pytest.raises(PictureFault, match="has 5 channels of unknown colours; save it as RGB"):
        picture(tmp_path, stored(rgb[..., [0, 1, 2, 0, 1]]))


def test_two_channels_without_alpha_are_no_grey_picture(tmp_path, rgb):
    buffer, planes = BytesIO(), np.moveaxis(rgb[..., :2], 2, 0)
    tifffile.imwrite(buffer, planes, photometric="minisblack", planarconfig="separate")
    with pytest.raises(PictureFault, match="has 2 channels of unknown colours; save it as RGB"):
        picture(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("by_tifffile", [False, True])
def test_white_is_zero_is_turned_round_at_any_depth(tmp_path, rgb, bits, by_tifffile, monkeypatch):
    grey = (rgb[..., 1] * ((2**bits - 1) / 255)).astype(np.uint8 if bits == 8 else np.uint16)
    grey[0, 0] = 0
    stored = (2**bits - 1 - grey).astype(grey.dtype)
    data = tiff(stored, photometric="miniswhite")
    if by_tifffile:
        monkeypatch.setattr(Image, "open", lambda _: 1 / 0)
    assert np.array_equal(picture(tmp_path, data).values[..., 0], grey)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tifffile_s_pictures_are_upright_as_pillow_s_are(tmp_path, rgb, orientation):
    tag = (274, 3, 1, orientation, True)
    plain = picture(tmp_path, tiff(rgb, photometric="rgb", extratags=[tag]))
    planes = np.moveaxis(rgb.astype(np.uint16), 2, 0)
    options = {"photometric": "rgb", "planarconfig": "separate", "extratags": [tag]}
    deep = picture(tmp_path, tiff(planes, **options))
    assert deep.values.dtype == np.uint16
    assert np.array_equal(deep.values, plain.values)
    assert deep.is_turned == plain.is_turned == (orientation > 1)


def test_an_orientation_is_told_from_the_head_of_a_file(tmp_path, rgb):
    exif = Image.Exif()
    exif[274] = 6
    assert is_turned(saved(tmp_path / "x.jpg", rgb, exif=exif))
    assert not is_turned(saved(tmp_path / "y.jpg", rgb))
    assert not is_turned(tmp_path / "gone.jpg")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_what_alpha_hides_is_black(tmp_path, rgb, grey, deep):
    """Whatever the pixels below it hold."""
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[10:30, 10:40], alpha[:10] = 255, 127
    expected = np.where(alpha[..., None] > 127, rgb[..., :1] if grey else rgb, 0)
    for hidden in (0, 255, np.random.default_rng(0).integers(0, 256, expected.shape)):
        stored = np.where(alpha[..., None] > 127, expected, hidden).astype(np.uint8)
        stored = np.concatenate([stored, alpha[..., None]], axis=2)
        if deep:
            data = png_16_bit(stored * np.uint16(257))
            found = picture(tmp_path, data, "x.png").values
            assert np.array_equal(found, expected * np.uint16(257))
        else:
            data = pillow(stored, "PNG")
            found = picture(tmp_path, data, "x.png").values
            assert np.array_equal(found, np.broadcast_to(expected, found.shape))


@pytest.mark.parametrize("level", [0, 127, 128, 255])
def test_alpha_that_hides_all_or_nothing_is_ignored(tmp_path, rgb, level):
    alpha = np.full((HEIGHT, WIDTH, 1), level, np.uint8)
    found = picture(tmp_path, pillow(np.concatenate([rgb, alpha], axis=2), "PNG"), "x.png")
    assert np.array_equal(found.values, rgb)
    assert found.alpha is None


def test_16_bit_grey_with_alpha_keeps_its_low_bits(tmp_path):
    grey = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH, 1)
    data = png_16_bit(np.concatenate([grey, np.full_like(grey, 65535)], axis=2))
    assert np.array_equal(picture(tmp_path, data, "x.png").values, grey)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """Of a size that is no multiple of its blocks, with noise, as a photograph has it."""
    rng = np.random.default_rng(0)
    return pillow(rng.integers(60, 200, (251, 243, 3), np.uint8), "JPEG", quality=90)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("rest", [b"\xff\xd9", bytes(200_000), bytes(200) + b"\xff\xd9"])
def test_a_jpeg_that_ends_early_is_refused(tmp_path, jpeg, kept, rest):
    """Else its lower rows are grey, or what zeros make of them."""
    cut = jpeg[: int(kept * len(jpeg))] + rest
    with Image.open(BytesIO(cut)) as image:
        assert image.convert("RGB").size == (243, 251)  # Pillow says nothing
    with pytest.raises(PictureFault, match="is a JPEG that is not whole"):
        picture(tmp_path, cut, "x.jpg")


def test_a_whole_jpeg_may_have_bytes_behind_its_end(tmp_path, jpeg):
    whole = picture(tmp_path, jpeg, "x.jpg").values
    assert np.array_equal(picture(tmp_path, jpeg + bytes(5000), "x.jpg").values, whole)


def test_a_surround_of_middle_grey_is_no_early_end(tmp_path):
    """As the preparation of one popular competition leaves it."""
    pixels = np.full((64, 64, 3), 128, np.uint8)
    pixels[16:48, 16:48] = 40
    assert picture(tmp_path, pillow(pixels, "JPEG", quality=95), "x.jpg").values.shape == (
        64,
        64,
        3,
    )


def test_a_tiff_that_promises_more_rows_than_it_has_is_refused(tmp_path, rgb):
    """Pillow would fill them with zeros: of one flipped bit, gigabytes."""
    data = bytearray(pillow(rgb, "TIFF"))
    entry = bytes((1, 1, 4, 0, 1, 0, 0, 0, HEIGHT, 0, 0, 0))  # ImageLength, one LONG
    data[data.index(entry) + 10] = 1
    with pytest.raises(PictureFault, match=f"is cut off \\({HEIGHT} of its 65576 rows\\)"):
        picture(tmp_path, bytes(data), "x.tif")
