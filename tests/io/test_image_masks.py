"""Masks, maps and probabilities are read from any image that holds one; what is none is refused."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from fundusseg.errors import InputError
from fundusseg.io import images
from tests.io.image_files import HEIGHT, WIDTH, saved


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.hypot(y - 15, x - 20) < 12


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_is_turned_as_its_photograph(tmp_path, disc, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = disc.astype(np.uint8) * np.uint8(255)
    path = saved(tmp_path / "x.png", grey, "RGB", exif=exif)
    assert np.array_equal(images.read_mask(path), images.read_photograph(path).pixels[..., 0] > 127)


def test_mask_in_a_gif_with_inverted_palette_is_read_by_its_colours(tmp_path, disc):
    image = Image.fromarray((~disc).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "x.gif")
    assert np.array_equal(images.read_mask(tmp_path / "x.gif"), disc)


@pytest.mark.parametrize(
    ("high", "mode"), [(255, "L"), (255, "RGB"), (255, "RGBA"), (255, "1"), (1, "L"), (128, "L")]
)
def test_masks_of_any_kind_are_bool(tmp_path, disc, high, mode):
    path = saved(tmp_path / "x.png", disc.astype(np.uint8) * np.uint8(high), mode)
    mask = images.read_mask(path)
    assert mask.dtype == bool
    assert np.array_equal(mask, disc)


def test_mask_threshold_is_above_127(tmp_path):
    path = saved(tmp_path / "x.png", np.array([[0, 127, 128, 255]], np.uint8))
    assert images.read_mask(path).tolist() == [[False, False, True, True]]


def test_16_bit_mask_is_read(tmp_path, disc):
    path = saved(tmp_path / "x.tif", disc.astype(np.uint16) * np.uint16(65535))
    assert np.array_equal(images.read_mask(path), disc)


def test_map_is_0_and_255_and_comes_back(tmp_path, disc):
    (tmp_path / "x.png").write_bytes(images.map_png(disc))
    with Image.open(tmp_path / "x.png") as image:
        assert sorted(set(image.get_flattened_data())) == [0, 255]
    assert np.array_equal(images.read_mask(tmp_path / "x.png"), disc)


def test_probability_comes_back_to_16_bits(tmp_path):
    probability = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    (tmp_path / "x.prob.png").write_bytes(images.probability_png(probability))
    back = images.read_probability(tmp_path / "x.prob.png")
    assert back.dtype == np.float32
    assert np.abs(back - probability).max() <= 0.5 / 65535 + 1e-7


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_probability_of_an_8_bit_map(tmp_path, disc, mode):
    path = saved(tmp_path / "x.png", disc.astype(np.uint8) * np.uint8(255), mode)
    assert np.array_equal(images.read_probability(path), disc.astype(np.float32))


@pytest.mark.parametrize("levels", [(0, 1), (0, 2), (0, 127), (0, 255), (100, 255), (30, 76)])
def test_of_two_levels_the_brighter_is_vessel(tmp_path, disc, levels):
    iio.imwrite(tmp_path / "mask.png", np.where(disc, levels[1], levels[0]).astype(np.uint8))
    assert np.array_equal(images.read_mask(tmp_path / "mask.png"), disc)


def test_red_on_black_is_a_mask(tmp_path, disc):
    iio.imwrite(tmp_path / "mask.png", disc[..., None] * np.array([255, 0, 0], np.uint8))
    assert np.array_equal(images.read_mask(tmp_path / "mask.png"), disc)


def test_labels_are_no_mask(tmp_path):
    iio.imwrite(tmp_path / "mask.png", (np.arange(1600).reshape(40, 40) % 3).astype(np.uint8))
    with pytest.raises(InputError, match="is no mask: it has 3 grey levels, and none above 127"):
        images.read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0, 255, 1600, dtype=np.float32),
        np.linspace(-9, 9, 1600, dtype=np.float32),
        np.linspace(0, 255, 1600).astype(np.uint16),
        np.linspace(0, 100_000, 1600).astype(np.int32),
        np.linspace(-50, 50, 1600).astype(np.int32),
    ],
    ids=["percent", "logits", "8 of 16 bits", "32 bits", "negative"],
)
def test_values_that_are_no_probabilities_are_refused(tmp_path, values):
    """Else they would be cut off, and scored as something else without a word."""
    iio.imwrite(tmp_path / "x.tif", values.reshape(40, 40))
    with pytest.raises(InputError, match="no probabilities"):
        images.read_probability(tmp_path / "x.tif")


def coloured(disc, inside, outside=(0, 0, 0)):
    """A disc whose left half is of the first colour inside, the right half of the second."""
    left, right = (np.array(colour, np.uint8) for colour in inside)
    halves = np.where((np.arange(disc.shape[1]) < disc.shape[1] // 2)[:, None], left, right)
    return np.where(disc[..., None], halves, np.array(outside, np.uint8))


ARTERIES_AND_VEINS = ((255, 0, 0), (0, 0, 255)), ((255, 0, 0), (0, 255, 0))


@pytest.mark.parametrize("inside", ARTERIES_AND_VEINS)
@pytest.mark.parametrize("reader", [images.read_mask, images.read_vessels])
def test_arteries_and_veins_in_colours_are_no_mask(tmp_path, disc, inside, reader):
    iio.imwrite(tmp_path / "x.png", coloured(disc, inside))
    with pytest.raises(InputError, match="is a picture in colours, no mask or map; make vessels"):
        reader(tmp_path / "x.png")


def test_probabilities_in_colours_are_none(tmp_path, disc):
    iio.imwrite(tmp_path / "x.png", coloured(disc, ((200, 0, 0), (0, 0, 255)), (30, 30, 30)))
    with pytest.raises(InputError, match="is a picture in colours"):
        images.read_probability(tmp_path / "x.png")


def test_a_grey_mask_may_be_a_colour_jpeg(tmp_path, disc):
    grey = np.where(disc, 255, 0).astype(np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "x.jpg", quality=40)
    assert np.array_equal(images.read_vessels(tmp_path / "x.jpg", disc.shape), disc)


@pytest.mark.parametrize("shape", [None, (64, 64)])
def test_an_inverted_mask_is_none(tmp_path, shape):
    vessels = np.zeros((64, 64), bool)
    vessels[10:20] = True
    (tmp_path / "x.png").write_bytes(images.map_png(vessels))
    assert np.array_equal(images.read_vessels(tmp_path / "x.png", shape), vessels)
    (tmp_path / "x.png").write_bytes(images.map_png(~vessels))
    with pytest.raises(InputError, match="84% of it is white; is it inverted?"):
        images.read_vessels(tmp_path / "x.png", shape)


def test_a_probability_that_is_no_number_is_refused(tmp_path):
    probability = np.full((64, 64), 0.5, np.float32)
    probability[3, 4] = np.nan
    iio.imwrite(tmp_path / "x.tif", probability, plugin="tifffile")
    with pytest.raises(InputError, match="values that are no numbers"):
        images.read_probability(tmp_path / "x.tif")
