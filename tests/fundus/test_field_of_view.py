"""The field of view is found where it is: on drawn discs, on phantoms, on real photographs."""

import numpy as np
import pytest
from scipy import ndimage

from fundusseg.datasets import layouts
from fundusseg.errors import PictureFault
from fundusseg.files import images, masks
from fundusseg.fundus.field_of_view import field_of_view_of_mask, found_field_of_view, holds_light
from fundusseg.phantom.drawing import PhantomConfig, phantom


def disc(shape: tuple[int, int], y: float, x: float, diameter_px: float) -> np.ndarray:
    """The pixels (Y, X) whose centre lies within the circle; positions are pixel edges."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    return np.hypot(rows - y, columns - x) <= diameter_px / 2


def coverage(shape: tuple[int, int], y: float, x: float, diameter_px: float) -> np.ndarray:
    """How much of each pixel (Y, X) lies within the circle, 0 to 1."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    return np.clip(0.5 + diameter_px / 2 - np.hypot(rows - y, columns - x), 0, 1)


def photograph_of(fov: np.ndarray, level: float = 150, dark: float = 4) -> np.ndarray:
    """A reddish photograph: brightest in the middle, falling to half of it, noise everywhere.

    fov: bool (Y, X), or coverage, 0 to 1.
    """
    rows, columns = np.mgrid[-1 : 1 : fov.shape[0] * 1j, -1 : 1 : fov.shape[1] * 1j]
    light = level * (1 - 0.25 * (rows**2 + columns**2))
    grey = dark + fov * (light - dark)
    rng = np.random.default_rng(0)
    colour = grey[..., np.newaxis] * (1, 0.6, 0.3) + rng.normal(0, 1.5, (*fov.shape, 3))
    return np.clip(colour, 0, 255).astype(np.uint8)


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return (found & truth).sum() / (found | truth).sum()


DISCS = {
    "circle": ((400, 500), 200, 250, 370),
    "off the middle": ((400, 500), 190, 215, 360),
    "cut at top and bottom": ((300, 420), 150, 210, 390),
    "cut at one side": ((400, 400), 200, 150, 380),
    "wider than the frame": ((400, 400), 200, 200, 440),
    "touching the frame": ((400, 400), 200, 200, 400),
    "large, cut, sides of no multiple": ((883, 1317), 441, 660, 1202),
    "small": ((64, 64), 32, 32, 56),
}


@pytest.mark.parametrize("name", DISCS)
@pytest.mark.parametrize("level", [20, 40, 150, 250])
@pytest.mark.parametrize("blur", [0, 0.003], ids=["sharp", "blurred"])
def test_drawn_discs_are_found(name, level, blur):
    """To 0.15 % of the diameter, or a tenth of a pixel; the blur is a share of it, too."""
    shape, y, x, diameter_px = DISCS[name]
    truth = coverage(shape, y, x, diameter_px)
    blurred = ndimage.gaussian_filter(truth, blur * diameter_px, mode="nearest")
    found, mask = found_field_of_view(photograph_of(blurred, level))
    assert overlap(mask, truth >= 0.5) >= 0.99
    tolerance_px = max(0.1, 0.0015 * diameter_px)
    assert found.diameter_px == pytest.approx(diameter_px, abs=tolerance_px)
    assert (found.y_px, found.x_px) == pytest.approx((y, x), abs=tolerance_px)
    assert found.method == "circle"


@pytest.mark.parametrize("side", ["top", "bottom", "both", "left"])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_disc_that_the_camera_cuts_inside_the_picture(side, scale):
    truth = coverage((400 * scale, 500 * scale), 200 * scale, 250 * scale, 370 * scale)
    rows, columns = slice(None), slice(None)
    if side in ("top", "both"):
        rows = slice(50 * scale + 1, None)
    if side in ("bottom", "both"):
        rows = slice(rows.start, 345 * scale - 1)
    if side == "left":
        columns = slice(100 * scale + 1, None)
    cut = np.zeros_like(truth)
    cut[rows, columns] = truth[rows, columns]
    found, mask = found_field_of_view(photograph_of(cut))
    assert overlap(mask, cut >= 0.5) >= 0.998
    assert found.diameter_px == pytest.approx(370 * scale, rel=0.0015)
    lit = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    expected = np.flatnonzero(cut.any(axis=1)), np.flatnonzero(cut.any(axis=0))
    assert lit[0][0] == pytest.approx(expected[0][0], abs=1)
    assert lit[0][-1] == pytest.approx(expected[0][-1], abs=1)
    assert lit[1][0] == pytest.approx(expected[1][0], abs=1)


def test_burnt_in_text_outside_does_not_count():
    truth = disc((400, 500), 200, 250, 370)
    photograph = photograph_of(truth)
    photograph[10:30, 10:90:4] = 255
    photograph[370:392, 420:495] = 255
    found, mask = found_field_of_view(photograph)
    assert overlap(mask, truth) >= 0.98
    assert found.diameter_px == pytest.approx(370, rel=0.01)


def test_a_notch_and_dark_lesions_inside_count():
    truth = disc((400, 500), 200, 250, 370)
    photograph = photograph_of(truth)
    photograph[180:220, 60:90] = 4  # a notch at the edge
    photograph[100:180, 200:330] = 4  # a bleeding
    found, mask = found_field_of_view(photograph)
    assert overlap(mask, truth) >= 0.98
    assert found.diameter_px == pytest.approx(370, rel=0.01)


def test_a_grey_frame_is_a_frame():
    truth = disc((400, 500), 200, 250, 370)
    _, mask = found_field_of_view(photograph_of(truth, level=200, dark=30))
    assert overlap(mask, truth) >= 0.98


@pytest.mark.parametrize("surround", [30, 60, 255])
@pytest.mark.parametrize("name", ["circle", "cut at top and bottom", "wider than the frame"])
def test_a_surround_may_be_grey_or_white(name, surround):
    shape, y, x, diameter_px = DISCS[name]
    truth = disc(shape, y, x, diameter_px)
    photograph = photograph_of(truth, level=200)
    photograph[~truth] = surround
    found, mask = found_field_of_view(photograph)
    assert found.method == "circle"
    assert overlap(mask, truth) >= 0.98
    assert found.diameter_px == pytest.approx(diameter_px, rel=0.01)


@pytest.mark.parametrize("sides", [(60, 60, 60, 60), (0, 120, 0, 0), (0, 0, 45, 0), (5, 5, 5, 5)])
def test_light_margins_are_left_out(sides):
    top, bottom, left, right = sides
    margins = ((top, bottom), (left, right))
    truth = np.pad(disc((700, 900), 350, 450, 660), margins)
    photograph = photograph_of(disc((700, 900), 350, 450, 660))
    photograph = np.pad(photograph, (*margins, (0, 0)), constant_values=255)
    found, mask = found_field_of_view(photograph)
    assert found.method == "circle"
    assert overlap(mask, truth) >= 0.98
    assert found.diameter_px == pytest.approx(660, rel=0.01)


def test_within_margins_a_photograph_without_surround_is_all_there_is():
    photograph = photograph_of(np.ones((300, 400), bool))
    photograph = np.pad(photograph, ((20, 20), (30, 0), (0, 0)), constant_values=255)
    found, mask = found_field_of_view(photograph)
    assert (found.y_px, found.x_px, found.diameter_px) == (170, 230, 400)
    assert mask.sum() == 300 * 400


def test_a_square_window_is_its_hull():
    truth = np.zeros((400, 500), bool)
    truth[40:350, 60:430] = True
    found, mask = found_field_of_view(photograph_of(truth))
    assert found.method == "hull"
    assert overlap(mask, truth) >= 0.98
    assert found.diameter_px == pytest.approx(370, abs=3)


def test_a_photograph_without_a_frame_is_its_own_field_of_view():
    found, mask = found_field_of_view(photograph_of(np.ones((300, 400), bool)))
    assert mask.all()
    assert (found.y_px, found.x_px, found.diameter_px) == (150, 200, 400)
    assert found.method == "frame"


@pytest.mark.parametrize("power", [1, 2, 4])
def test_retina_in_the_corners_is_no_surround(power):
    """Light falls to a quarter towards the corners of a part cut out of a photograph."""
    rows, columns = np.mgrid[-1:1:500j, -1:1:500j]
    light = 1 - 0.75 * (np.hypot(rows, columns) / np.sqrt(2)) ** power
    photograph = photograph_of(np.ones((500, 500), bool), level=220) * light[..., np.newaxis]
    found, mask = found_field_of_view(photograph.astype(np.uint8))
    assert found.method == "frame"
    assert mask.all()


def test_an_edge_that_is_nearly_straight_is_no_circle():
    truth = disc((400, 500), 2540, 250, 5000)  # of the disc's edge, 24 rows in the picture
    found, mask = found_field_of_view(photograph_of(truth))
    assert found.method == "hull"
    assert overlap(mask, truth) >= 0.98
    assert found.diameter_px == pytest.approx(500, abs=5)


@pytest.mark.parametrize("level", [0, 3, 255])
@pytest.mark.parametrize(
    "shape", [(300, 400), (32, 32), (1, 1), (1, 50), (3, 700), (32, 30_000), (30_000, 33)]
)
def test_where_nothing_is_to_see_the_frame_is_taken(level, shape):
    found, mask = found_field_of_view(np.full((*shape, 3), level, np.uint8))
    assert mask.shape == shape
    assert mask.all()
    assert found.method == "frame"
    assert found.diameter_px == max(shape)


@pytest.mark.parametrize("seed", range(8))
def test_phantoms_fields_of_view_are_found(seed):
    drawn = phantom(PhantomConfig(size_px=256, aspect=1.2, cut_probability=0.5), seed)
    found, mask = found_field_of_view(drawn.photograph)
    assert overlap(mask, drawn.fov) >= 0.98
    truth_px = drawn.truth["field_of_view"]["diameter_px"]
    assert found.diameter_px == pytest.approx(truth_px, rel=0.01)


def test_a_given_mask_has_its_larger_extent_as_diameter():
    found = field_of_view_of_mask(disc((300, 420), 150, 210, 390))
    assert (found.y_px, found.x_px, found.diameter_px) == (150, 210, 390)
    assert found.method == "given"


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        field_of_view_of_mask(np.zeros((5, 5), bool))


def beside(*parts: np.ndarray, gap_px: int, axis: int = 1) -> np.ndarray:
    """Photographs in one picture, a black gap between them."""
    shape = list(parts[0].shape)
    shape[axis] = gap_px
    joined = [piece for part in parts for piece in (part, np.zeros(shape, np.uint8))]
    return np.concatenate(joined[:-1], axis=axis)


@pytest.mark.parametrize("gap_px", [0, 16])
@pytest.mark.parametrize("cut", [1, 0.8], ids=["round", "cut at the sides"])
@pytest.mark.parametrize("scale", [1, 3])
def test_several_eyes_in_one_picture_are_refused(gap_px, cut, scale):
    """Also where they touch, or are of two sizes."""
    height, width = 240 * scale, int(240 * cut) * scale
    eye = photograph_of(disc((height, width), height / 2, width / 2, height - 6))
    sheet = beside(*[beside(eye, eye, gap_px=gap_px)] * 2, gap_px=gap_px, axis=0)
    small = photograph_of(disc((height, width), height / 2, width / 2, 0.78 * height))
    for several, count in ((beside(eye, eye, gap_px=gap_px), 2), (sheet, 4)):
        with pytest.raises(PictureFault, match=f"shows {count} fields of view; cut it into one"):
            found_field_of_view(several)
    with pytest.raises(PictureFault, match="shows 2 fields of view"):
        found_field_of_view(beside(eye, small, gap_px=16))


def test_several_eyes_on_white_are_refused():
    eye = photograph_of(disc((240, 240), 120, 120, 230))
    page = np.full((400, 620, 3), 255, np.uint8)
    page[80:320, 40:280] = page[80:320, 340:580] = eye
    with pytest.raises(PictureFault, match="shows 2 fields of view"):
        found_field_of_view(page)


def test_a_small_picture_beside_an_eye_is_no_second_one():
    eye = photograph_of(disc((240, 240), 120, 120, 230))
    thumbnail = photograph_of(disc((240, 240), 120, 120, 150))
    found, _ = found_field_of_view(beside(eye, thumbnail, gap_px=10))
    assert found.diameter_px == pytest.approx(230, rel=0.02)


def test_an_eye_with_a_dark_band_is_one():
    """Two halves of a disc are no discs."""
    photograph = photograph_of(disc((300, 300), 150, 150, 290))
    photograph[140:160] = 2
    found, _ = found_field_of_view(photograph)
    assert found.x_px == pytest.approx(150, abs=3)


def test_the_light_of_a_photograph_is_held_by_its_field_of_view():
    lit = disc((300, 460), 150, 160, 280)
    photograph = photograph_of(lit)
    assert holds_light(lit, photograph)
    assert holds_light(np.ones_like(lit), photograph)
    assert holds_light(disc(lit.shape, 150, 130, 90), photograph)
    assert not holds_light(disc(lit.shape, 150, 310, 280), photograph)
    assert not holds_light(~lit, photograph)


def test_of_several_eyes_a_given_field_of_view_may_be_one():
    lit = disc((240, 240), 120, 120, 230)
    eye = photograph_of(lit)
    assert holds_light(np.pad(lit, ((0, 0), (0, 256))), beside(eye, eye, gap_px=16))


@pytest.mark.parametrize(("name", "step"), [("CHASE_DB1", 7), ("LES-AV", 6), ("HRF", 16)])
def test_real_fields_of_view_are_found(real_data, name, step):
    data_set = layouts.data_set(real_data / name)
    for entry in data_set.entries[::step]:
        truth = masks.read_mask(data_set.root / entry.fov)
        photograph = images.read_photograph(data_set.root / entry.photograph).pixels
        found, mask = found_field_of_view(photograph)
        assert overlap(mask, truth) >= 0.98, entry.id
        given_px = field_of_view_of_mask(truth).diameter_px
        assert found.diameter_px == pytest.approx(given_px, rel=0.01), entry.id


def test_real_photographs_with_a_grey_surround(real_data):
    """Of ARIA's photographs, 768 pixels wide, eight have a surround of grey level 56."""
    for number in range(558, 574, 2):
        path = real_data / f"ARIA/all/images/{number}.png"
        found, mask = found_field_of_view(images.read_photograph(path).pixels)
        assert found.method == "circle", path
        assert 710 <= found.diameter_px <= 768, path
        assert 0.7 < mask.mean() < 0.95, path
