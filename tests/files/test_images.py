"""Every format, depth and colour model comes as upright 8-bit RGB; damage costs one line."""

import gzip
import hashlib
import re
from io import BytesIO

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from fundusseg.errors import InputError, UnavailableError
from fundusseg.files import images
from fundusseg.files.decoders import Picture
from tests.files.image_files import HEIGHT, WIDTH, png_16_bit, saved


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    """Smooth colour without symmetry, so that flips, turns and swapped channels show."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + 3 * x, 20 + 4 * y, 200 - 2 * x - y], axis=2).astype(np.uint8)


def tiff(pixels: np.ndarray, **options) -> bytes:
    return iio.imwrite("<bytes>", pixels, extension=".tif", plugin="tifffile", **options)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("png", {}),
        ("tif", {}),
        ("tiff", {"compression": "tiff_lzw"}),
        ("TIF", {"compression": "tiff_deflate"}),
        ("ppm", {}),
        ("bmp", {}),
        ("webp", {"lossless": True}),
    ],
)
def test_lossless_formats_keep_every_value(tmp_path, rgb, suffix, options):
    path = saved(tmp_path / f"x.{suffix}", rgb, **options)
    assert np.array_equal(images.read_photograph(path).pixels, rgb)


def test_jpeg_keeps_values_nearly(tmp_path, rgb):
    path = saved(tmp_path / "x.jpg", rgb, quality=95)
    assert np.abs(images.read_photograph(path).pixels.astype(int) - rgb).mean() < 2


def test_gzipped_ppm_is_unpacked(tmp_path, rgb):
    plain = saved(tmp_path / "x.ppm", rgb)
    packed = tmp_path / "x.ppm.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(images.read_photograph(packed).pixels, rgb)


def test_palette_gif_gives_its_colours_not_its_indices(tmp_path):
    colours = np.array([[200, 30, 10], [10, 20, 220]], np.uint8)
    indices = np.tile(np.array([0, 1, 1], np.uint8), (HEIGHT, WIDTH // 3))
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "x.gif")
    assert np.array_equal(images.read_photograph(tmp_path / "x.gif").pixels, colours[indices])


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_colour_models_come_as_rgb_and_upright(tmp_path, rgb, mode, orientation):
    image = Image.fromarray(rgb).convert(mode)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image.save(path, exif=exif)
    expected = image.convert("RGB")
    expected.getexif()[0x0112] = orientation or 1
    expected = np.asarray(ImageOps.exif_transpose(expected))
    assert np.array_equal(images.read_photograph(path).pixels, expected)


def test_orientation_is_the_one_that_a_camera_means(tmp_path, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    path = saved(tmp_path / "x.png", rgb, exif=exif)
    assert np.array_equal(images.read_photograph(path).pixels, np.rot90(rgb, -1))


@pytest.mark.parametrize("bits", [16, 12, 8])
@pytest.mark.parametrize("form", ["png", "tif", "png rgb", "png rgba", "tif rgb", "tif planar"])
def test_deep_photographs_are_scaled_by_the_bits_they_use(tmp_path, rgb, form, bits):
    full = 2**bits - 1
    deep = np.rint(rgb.astype(float) / 255 * full).astype(np.uint16)
    deep[0, 0] = full
    if form == "png rgb":
        data = png_16_bit(deep)
    elif form == "png rgba":
        data = png_16_bit(np.concatenate([deep, np.full_like(deep[..., :1], full)], axis=2))
    elif form == "tif rgb":
        data = tiff(deep, photometric="rgb")
    elif form == "tif planar":
        data = tiff(np.moveaxis(deep, 2, 0), photometric="rgb", planarconfig="separate")
    else:
        deep = deep[..., :1]
        buffer = BytesIO()
        Image.fromarray(deep[..., 0]).save(buffer, {"png": "PNG", "tif": "TIFF"}[form])
        data = buffer.getvalue()
    path = tmp_path / f"x.{form[:3]}"
    path.write_bytes(data)
    expected = np.broadcast_to(deep.astype(float) * 255 / full, rgb.shape)
    pixels = images.read_photograph(path).pixels
    assert pixels.dtype == np.uint8
    assert np.abs(pixels - expected).max() <= 0.51


def test_hash_is_that_of_the_file(tmp_path, rgb):
    path = saved(tmp_path / "x.png", rgb)
    assert images.read_photograph(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "ppm", "bmp", "webp", "gif"])
@pytest.mark.parametrize("kept", [0, 0.02, 0.6])
def test_truncated_file_is_one_line(tmp_path, rgb, suffix, kept):
    noisy = rgb ^ np.random.default_rng(0).integers(0, 32, rgb.shape, dtype=np.uint8)
    options = {"compression": "tiff_lzw"} if suffix == "tif" else {}
    whole = saved(tmp_path / f"whole.{suffix}", noisy, **options).read_bytes()
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert_one_line(path)


def test_text_named_png_is_one_line(tmp_path):
    (tmp_path / "x.png").write_text("this is\nno picture\n")
    assert_one_line(tmp_path / "x.png")


def test_a_single_pixel_is_too_small(tmp_path):
    path = saved(tmp_path / "x.png", np.zeros((1, 1, 3), np.uint8))
    assert "too small (1x1" in assert_one_line(path)


def test_folder_named_png_is_one_line(tmp_path):
    (tmp_path / "x.png").mkdir()
    assert "is no regular file" in assert_one_line(tmp_path / "x.png")


def test_missing_file_is_one_line(tmp_path):
    assert "No such file" in assert_one_line(tmp_path / "x.png")


def test_damaged_gzip_is_one_line(tmp_path, rgb):
    path = tmp_path / "x.ppm.gz"
    path.write_bytes(gzip.compress(saved(tmp_path / "x.ppm", rgb).read_bytes())[:-200])
    assert_one_line(path)


def test_name_with_a_newline_is_one_line(tmp_path):
    (tmp_path / "x\ny.png").write_bytes(b"")
    assert_one_line(tmp_path / "x\ny.png")


def assert_one_line(path) -> str:
    with pytest.raises(InputError) as caught:
        images.read_photograph(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path).replace("\n", "\\n"))
    return message


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("x.png", ".png"),
        ("x.JPG", ".JPG"),
        ("im0001.ppm.gz", ".ppm.gz"),
        ("im0001.ah.ppm", ".ppm"),
        ("a.b.tiff", ".tiff"),
        ("x.gz", ""),
        ("png", ""),
        ("notes.txt", ""),
    ],
)
def test_image_suffix(name, suffix):
    assert images.image_suffix(name) == suffix
    assert images.without_suffix(f"a.png/{name}") == f"a.png/{name.removesuffix(suffix)}"


def test_floating_point_up_to_one_is_the_whole_range(tmp_path, rgb):
    iio.imwrite(tmp_path / "x.tif", (rgb / 255).astype(np.float32), plugin="tifffile")
    assert np.array_equal(images.read_photograph(tmp_path / "x.tif").pixels, rgb)


@pytest.mark.parametrize(("odd", "read"), [(np.nan, 0), (1.003, 255), (-0.1, 0), (np.inf, 0)])
def test_one_odd_value_costs_that_value(tmp_path, rgb, odd, read):
    pixels = (rgb / 255).astype(np.float32)
    pixels[3, 4, 1] = odd
    iio.imwrite(tmp_path / "x.tif", pixels, plugin="tifffile")
    expected = rgb.copy()
    expected[3, 4, 1] = read
    assert np.array_equal(images.read_photograph(tmp_path / "x.tif").pixels, expected)


@pytest.mark.parametrize("bits", [9, 10, 13, 14, 15])
def test_the_white_level_is_the_least_that_holds_the_largest_value(tmp_path, rgb, bits):
    full = 2**bits - 1
    deep = np.rint(rgb / 255 * full).astype(np.uint16)
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(deep, photometric="rgb"))
    assert np.array_equal(images.read_photograph(path).pixels, rgb)


def test_hot_pixels_and_texts_do_not_make_12_bits_16(tmp_path, rgb):
    deep = rgb.astype(np.uint16) * 16
    deep[1, 1:8] = 65535
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(deep, photometric="rgb"))
    expected = rgb.copy()
    expected[1, 1:8] = 255
    assert np.abs(images.read_photograph(path).pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("largest", [2.5, 100])
def test_floating_point_of_another_scale_is_no_photograph(tmp_path, rgb, largest):
    """Per cent are no grey levels up to 255."""
    per_cent = (rgb / rgb.max() * largest).astype(np.float32)
    iio.imwrite(tmp_path / "x.tif", per_cent, plugin="tifffile")
    line = assert_one_line(tmp_path / "x.tif")
    assert f"has values up to {largest}, neither 0 to 1 nor 0 to 255; scale it" in line


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_values_below_zero_are_no_photograph(tmp_path, rgb, dtype):
    whitened = (rgb[..., 1] - rgb[..., 1].mean()) / rgb[..., 1].std()
    iio.imwrite(tmp_path / "x.tif", (whitened * 100).astype(dtype), plugin="tifffile")
    line = assert_one_line(tmp_path / "x.tif")
    assert re.search(r"has values from -1\d\d.* to 1\d\d.*, no grey levels; save it with", line)


@pytest.mark.parametrize("what", ["decoded", "scaled"])
def test_a_lack_of_memory_is_said_and_tells_nothing_of_the_file(tmp_path, rgb, monkeypatch, what):
    """So that an earlier map stays, and a later run tries again."""

    def exhausted(*_, **__):
        raise MemoryError("no room")

    path = saved(tmp_path / "x.png", rgb)
    step = {"decoded": (ImageFile.ImageFile, "load"), "scaled": (Picture, "scaled_to_8_bit")}
    monkeypatch.setattr(*step[what], exhausted)
    with pytest.raises(UnavailableError, match="needs more memory than there is"):
        images.read_photograph(path)


@pytest.mark.parametrize("suffix", ["jfif", "jpe"])
def test_other_suffixes_of_jpeg_are_known(suffix):
    assert images.without_suffix(f"x.{suffix}") == "x"


def test_a_photograph_of_one_colour_is_blank(rgb):
    assert images.is_blank(np.full((40, 40, 3), (128, 60, 20), np.uint8))
    assert not images.is_blank(rgb)


@pytest.mark.parametrize("levels", [(0, 255), (3, 90)])
def test_a_map_or_mask_is_no_photograph(tmp_path, levels):
    pixels = np.full((40, 40), levels[0], np.uint8)
    images.read_photograph(saved(tmp_path / "blank.png", pixels))
    pixels[7, 3:20] = levels[0] + 1
    images.read_photograph(saved(tmp_path / "noise of a blank.png", pixels))
    pixels[7, 3:20] = levels[1]
    for values in (pixels, np.dstack([pixels] * 3)):
        with pytest.raises(InputError, match="has two grey levels: a mask or a vessel map"):
            images.read_photograph(saved(tmp_path / "map.png", values))
    pixels[0, 0] = levels[1] - 2
    images.read_photograph(saved(tmp_path / "photograph.png", pixels))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_mask_as_a_jpeg_or_resized_is_no_photograph(tmp_path, suffix):
    mask = np.zeros((300, 300, 3), np.uint8)
    mask[100:112, 20:280, :2] = 255  # yellow on black
    image = Image.fromarray(mask)
    (image if suffix == "jpg" else image.resize((201, 201))).save(tmp_path / f"x.{suffix}")
    with pytest.raises(InputError, match="is black and white alone: a mask or a vessel map"):
        images.read_photograph(tmp_path / f"x.{suffix}")
    mask[:, 200:, 1] = 100  # a field of view whose red is too bright
    images.read_photograph(saved(tmp_path / f"y.{suffix}", mask))


def test_a_photograph_whose_alpha_is_its_vessels_is_refused(tmp_path, rgb):
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    alpha[10:40, 10:40] = 255
    images.read_photograph(saved(tmp_path / "x.png", np.dstack([rgb, alpha])))
    alpha[:, :38] = 0
    with pytest.raises(InputError, match="shows 3% of itself, alpha hides the rest; save it with"):
        images.read_photograph(saved(tmp_path / "x.png", np.dstack([rgb, alpha])))
