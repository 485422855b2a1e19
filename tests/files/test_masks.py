"""Masks, maps and probabilities are read from any image that holds one; what is none is refused."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from fundusseg.errors import InputError, UnavailableError
from fundusseg.files import encoders, images, masks
from tests.files.image_files import HEIGHT, WIDTH, saved


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.hypot(y - 15, x - 20) < 12


@pytest.fixture(scope="module")
def vessels() -> np.ndarray:
    """Lines that a grid of blocks of 4 pixels holds, a tenth of the picture."""
    lines = np.zeros((60, 60), bool)
    lines[8:52, 16:20] = lines[24:28, 20:48] = True
    return lines


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_is_turned_as_its_photograph(tmp_path, disc, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = disc.astype(np.uint8) * np.uint8(255)
    mask = masks.read_mask(saved(tmp_path / "mask.png", grey, "RGB", exif=exif))
    grey = np.where(disc, 200, 0).astype(np.uint8)
    grey[0, 0] = 60  # a picture of two levels is no photograph
    path = saved(tmp_path / "photograph.png", grey, "RGB", exif=exif)
    assert np.array_equal(mask, images.read_photograph(path).pixels[..., 0] > 127)


def test_mask_in_a_gif_with_inverted_palette_is_read_by_its_colours(tmp_path, disc):
    image = Image.fromarray((~disc).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "x.gif")
    assert np.array_equal(masks.read_mask(tmp_path / "x.gif"), disc)


@pytest.mark.parametrize(
    ("high", "mode"), [(255, "L"), (255, "RGB"), (255, "RGBA"), (255, "1"), (1, "L"), (128, "L")]
)
def test_masks_of_any_kind_are_bool(tmp_path, disc, high, mode):
    path = saved(tmp_path / "x.png", disc.astype(np.uint8) * np.uint8(high), mode)
    mask = masks.read_mask(path)
    assert mask.dtype == bool
    assert np.array_equal(mask, disc)


def test_mask_threshold_is_above_127(tmp_path):
    path = saved(tmp_path / "x.png", np.array([[0, 0, 0, 1, 127, 128, 254, 255]], np.uint8))
    assert masks.read_mask(path).tolist() == [[False] * 5 + [True] * 3]


def test_16_bit_mask_is_read(tmp_path, disc):
    path = saved(tmp_path / "x.tif", disc.astype(np.uint16) * np.uint16(65535))
    assert np.array_equal(masks.read_mask(path), disc)


def test_map_is_0_and_255_and_comes_back(tmp_path, disc):
    (tmp_path / "x.png").write_bytes(encoders.map_png(disc))
    with Image.open(tmp_path / "x.png") as image:
        assert np.unique(image).tolist() == [0, 255]
    assert np.array_equal(masks.read_mask(tmp_path / "x.png"), disc)


def test_probability_comes_back_to_16_bits(tmp_path):
    probability = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    (tmp_path / "x.prob.png").write_bytes(encoders.probability_png(probability))
    back = masks.read_probability(tmp_path / "x.prob.png")
    assert back.dtype == np.float32
    assert np.abs(back - probability).max() <= 0.5 / 65535 + 1e-7


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_probability_of_an_8_bit_map(tmp_path, disc, mode):
    path = saved(tmp_path / "x.png", disc.astype(np.uint8) * np.uint8(255), mode)
    assert np.array_equal(masks.read_probability(path), disc.astype(np.float32))


@pytest.mark.parametrize("levels", [(0, 1), (0, 2), (0, 127), (0, 255), (100, 255), (30, 76)])
def test_of_two_levels_the_brighter_is_vessel(tmp_path, disc, levels):
    iio.imwrite(tmp_path / "mask.png", np.where(disc, levels[1], levels[0]).astype(np.uint8))
    assert np.array_equal(masks.read_mask(tmp_path / "mask.png"), disc)


def test_red_on_black_is_a_mask(tmp_path, disc):
    iio.imwrite(tmp_path / "mask.png", disc[..., None] * np.array([255, 0, 0], np.uint8))
    assert np.array_equal(masks.read_mask(tmp_path / "mask.png"), disc)


def test_labels_of_many_levels_are_no_mask_but_soft_edges_are(tmp_path):
    """Arteries, veins, crossings and what is unknown; and a mask at half its size."""
    y, x = np.mgrid[:80, :80]
    vessels = np.abs(np.hypot(y - 40, x - 37) - 25) < 3
    labels = np.where(vessels, 51 * (1 + y // 16), 0).astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="has 6 grey levels: labels, no mask or map"):
        masks.read_mask(tmp_path / "mask.png")
    half = np.uint8(255 * vessels.reshape(40, 2, 40, 2).mean(axis=(1, 3)))
    assert len(np.unique(half)) == 5
    Image.fromarray(half).save(tmp_path / "mask.png")
    assert np.array_equal(masks.read_mask(tmp_path / "mask.png"), half > 127)


@pytest.mark.parametrize(
    "levels", [(0, 1, 2), (0, 1, 255), (0, 128, 255), (0, 127, 255), (0, 85, 170, 255)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("reader", [masks.read_mask, masks.read_vessels])
def test_labels_are_no_mask(tmp_path, levels, dtype, reader):
    """Ignore areas, surrounds, codes of arteries and veins: three or four grey levels."""
    labels = np.array(levels, dtype)[np.arange(1600).reshape(40, 40) % len(levels)]
    iio.imwrite(tmp_path / "mask.png", labels)
    with pytest.raises(InputError, match=f"has {len(levels)} grey levels: labels, no mask or map"):
        reader(tmp_path / "mask.png")


@pytest.mark.parametrize("brightest", [4, 160])
def test_more_levels_of_which_none_is_white_are_no_mask(tmp_path, brightest):
    levels = np.arange(1600).reshape(40, 40) % 5 * (brightest // 4)
    iio.imwrite(tmp_path / "mask.png", levels.astype(np.uint8))
    with pytest.raises(InputError, match=f"of its 5 grey levels {brightest} is the brightest"):
        masks.read_mask(tmp_path / "mask.png")


def test_a_jpeg_of_few_levels_is_a_mask(tmp_path, vessels):
    """At the best quality it makes 0, 1, 254 and 255 of 0 and 255."""
    Image.fromarray(vessels.astype(np.uint8) * 255).save(tmp_path / "x.jpg", quality=100)
    assert np.array_equal(masks.read_vessels(tmp_path / "x.jpg"), vessels)


def test_soft_edges_are_a_mask(tmp_path, vessels):
    """Vessels that were drawn larger and scaled down: of many levels, half of it or more counts."""
    large = Image.fromarray(np.kron(vessels, np.ones((6, 6), bool)).astype(np.uint8) * 255)
    large.rotate(2).resize((60, 60), Image.Resampling.BOX).save(tmp_path / "x.png")
    coverage = np.asarray(Image.open(tmp_path / "x.png"))
    assert len(np.unique(coverage)) > 8
    assert np.array_equal(masks.read_vessels(tmp_path / "x.png"), coverage > 127)


@pytest.mark.parametrize("scale", [0.5, 1])
def test_a_grey_photograph_is_no_mask(tmp_path, scale):
    y, x = np.mgrid[0:60, 0:90]
    lit = np.hypot(y - 30, x - 45) < 29
    grey = np.where(lit, (200 * scale - x), 4).astype(np.uint8)
    iio.imwrite(tmp_path / "x.png", grey)
    with pytest.raises(InputError, match="is a grey picture, no mask|is the brightest"):
        masks.read_vessels(tmp_path / "x.png")


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_of_one_colour_alpha_is_the_mask(tmp_path, vessels, level, mode):
    pixels = np.full((*vessels.shape, 4), level, np.uint8)
    pixels[..., 3] = vessels * 255
    path = saved(tmp_path / "x.png", pixels, mode)
    assert np.array_equal(masks.read_vessels(path), vessels)
    assert np.array_equal(masks.read_probability(path), vessels.astype(np.float32))


def test_alpha_beside_colours_hides(tmp_path, vessels):
    """A transparent surround is none of the mask, whatever it holds."""
    pixels = np.repeat(vessels[..., None] * np.uint8(255), 4, axis=2)
    pixels[..., 3] = 255
    pixels[:8] = (255, 255, 255, 0)
    inside = vessels.copy()
    inside[:8] = False
    assert np.array_equal(masks.read_vessels(saved(tmp_path / "x.png", pixels)), inside)


def test_a_mask_without_vessels_is_warned_of(tmp_path, caplog):
    path = saved(tmp_path / "x.png", np.zeros((40, 40), np.uint8))
    assert not masks.read_vessels(path).any()
    assert f"{path}: is a mask without vessels" in caplog.text


@pytest.mark.parametrize("width", [60, 120])
def test_a_field_of_view_is_no_mask_of_vessels(tmp_path, width):
    y, x = np.mgrid[0:60, 0:width]
    field = np.hypot(y - 30, x - width // 2) < 29
    share = f"{field.mean():.0%}"
    path = saved(tmp_path / "x.png", field.astype(np.uint8) * 255)
    with pytest.raises(InputError, match=f"{share} white in one disc; is it a field of view?"):
        masks.read_vessels(path)


def test_a_surround_is_no_vessel(tmp_path, vessels):
    y, x = np.mgrid[0:60, 0:60]
    beside = np.hypot(y - 30, x - 30) > 29
    path = saved(tmp_path / "x.png", (vessels | beside).astype(np.uint8) * 255)
    with pytest.raises(InputError, match="is it a field of view?"):
        masks.read_vessels(path)


def test_an_inverted_mask_is_told_from_a_field_of_view(tmp_path, vessels):
    """What is left beside vessels is thin; beside a field of view it is not."""
    for mask in (~vessels, np.ones((60, 60), bool)):
        path = saved(tmp_path / "x.png", mask.astype(np.uint8) * 255)
        with pytest.raises(InputError, match=f"{mask.mean():.0%} of it is white; is it inverted?"):
            masks.read_vessels(path)


@pytest.mark.parametrize("scale", [1, 3])
def test_an_inverted_field_of_view_is_refused(tmp_path, scale):
    """Also where it is the smaller part."""
    y, x = np.mgrid[0:60, 0 : 60 * scale]
    field = np.hypot(y - 30, x - 30 * scale) < 29
    path = saved(tmp_path / "x.png", field.astype(np.uint8) * 255)
    assert np.array_equal(masks.read_field_of_view(path, field.shape), field)
    path = saved(tmp_path / "x.png", (~field).astype(np.uint8) * 255)
    with pytest.raises(InputError, match="is dark inside; is it inverted?"):
        masks.read_field_of_view(path, field.shape)


def test_a_field_of_view_of_another_photograph_is_refused(tmp_path):
    """One that takes a part of what is lit, or some of the surround with it, may be meant."""
    y, x = np.mgrid[0:80, 0:160]

    def disc(centre, radius):
        return np.hypot(y - 40, x - centre) < radius

    lit = images.Photograph(np.where(disc(45, 35), 120, 3)[..., None].repeat(3, 2).astype("u1"), "")
    for field in (disc(45, 35), disc(50, 35), disc(40, 12), disc(45, 50), y >= 0):
        path = saved(tmp_path / "x.png", field.astype(np.uint8) * 255)
        assert np.array_equal(masks.read_field_of_view(path, field.shape, lit), field)
    path = saved(tmp_path / "x.png", disc(80, 35).astype(np.uint8) * 255)
    with pytest.raises(InputError, match="lies beside what its photograph shows"):
        masks.read_field_of_view(path, (80, 160), lit)


@pytest.mark.parametrize("own", [None, 3])
def test_a_mask_that_is_not_turned_as_its_photograph_is_warned_of(tmp_path, vessels, own, caplog):
    exif = Image.Exif()
    if own:
        exif[274] = own
    path = saved(tmp_path / "x.png", vessels.astype(np.uint8) * 255, exif=exif)
    masks.read_vessels(path, vessels.shape, is_turned=False)
    assert caplog.text == ""
    masks.read_vessels(path, vessels.shape, is_turned=True)
    text = f"{path}: has no EXIF orientation, but its photograph is turned by one"
    assert (text in caplog.text) == (own is None)


def test_a_size_that_is_turned_names_exif(tmp_path):
    path = saved(tmp_path / "x.png", np.zeros((40, 56), np.uint8))
    with pytest.raises(InputError, match="is 56x40, its photograph 40x56; .*EXIF orientation"):
        masks.read_vessels(path, (56, 40))


def test_a_lack_of_memory_is_said(tmp_path, vessels, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    path = saved(tmp_path / "x.png", vessels.astype(np.uint8) * 255)
    monkeypatch.setattr(masks, "decoded", exhausted)
    for reader in (masks.read_vessels, masks.read_probability):
        with pytest.raises(UnavailableError, match="needs more memory than there is"):
            reader(path)


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
        masks.read_probability(tmp_path / "x.tif")


def coloured(disc, inside, outside=(0, 0, 0)):
    """A disc whose left half is of the first colour inside, the right half of the second."""
    left, right = (np.array(colour, np.uint8) for colour in inside)
    halves = np.where((np.arange(disc.shape[1]) < disc.shape[1] // 2)[:, None], left, right)
    return np.where(disc[..., None], halves, np.array(outside, np.uint8))


ARTERIES_AND_VEINS = ((255, 0, 0), (0, 0, 255)), ((255, 0, 0), (0, 255, 0))


@pytest.mark.parametrize("inside", ARTERIES_AND_VEINS)
@pytest.mark.parametrize("reader", [masks.read_mask, masks.read_vessels])
def test_arteries_and_veins_in_colours_are_no_mask(tmp_path, disc, inside, reader):
    iio.imwrite(tmp_path / "x.png", coloured(disc, inside))
    with pytest.raises(InputError, match="is a picture in colours, no mask or map; make vessels"):
        reader(tmp_path / "x.png")


def test_probabilities_in_colours_are_none(tmp_path, disc):
    iio.imwrite(tmp_path / "x.png", coloured(disc, ((200, 0, 0), (0, 0, 255)), (30, 30, 30)))
    with pytest.raises(InputError, match="is a picture in colours"):
        masks.read_probability(tmp_path / "x.png")


def test_a_grey_mask_may_be_a_colour_jpeg(tmp_path, vessels):
    grey = np.where(vessels, 255, 0).astype(np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "x.jpg", quality=40)
    assert np.array_equal(masks.read_vessels(tmp_path / "x.jpg", vessels.shape), vessels)


@pytest.mark.parametrize("shape", [None, (64, 64)])
def test_an_inverted_mask_is_none(tmp_path, shape):
    vessels = np.zeros((64, 64), bool)
    vessels[10:40:3] = True
    (tmp_path / "x.png").write_bytes(encoders.map_png(vessels))
    assert np.array_equal(masks.read_vessels(tmp_path / "x.png", shape), vessels)
    (tmp_path / "x.png").write_bytes(encoders.map_png(~vessels))
    with pytest.raises(InputError, match="84% of it is white; is it inverted?"):
        masks.read_vessels(tmp_path / "x.png", shape)


def test_a_probability_that_is_no_number_is_refused(tmp_path):
    probability = np.full((64, 64), 0.5, np.float32)
    probability[3, 4] = np.nan
    iio.imwrite(tmp_path / "x.tif", probability, plugin="tifffile")
    with pytest.raises(InputError, match="values that are no numbers"):
        masks.read_probability(tmp_path / "x.tif")
