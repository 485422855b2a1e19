"""To the frame and back: identity, means, edges, and Pillow as a second implementation."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.transform import resize

from fundusseg.datasets import layouts
from fundusseg.files import masks
from fundusseg.fundus.field_of_view import FieldOfView, field_of_view_of_mask
from fundusseg.fundus.geometry import Geometry, canonical_geometry, from_frame, to_frame


def whole(shape: tuple[int, int], frame_px: int) -> Geometry:
    return canonical_geometry("whole", frame_px, shape, FieldOfView(0, 0, 1, "frame"))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


def smooth(*shape: int) -> np.ndarray:
    return ndimage.gaussian_filter(noise(*shape), 6)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.mark.parametrize("channels", [(), (3,)])
def test_same_size_is_the_identity_both_ways(channels):
    image = noise(40, 40, *channels)
    assert np.array_equal(to_frame(image, whole((40, 40), 40)), image)
    assert np.array_equal(from_frame(image, whole((40, 40), 40)), image)


def test_whole_pixels_are_cut_out_untouched():
    image = noise(50, 60)
    geometry = Geometry((50, 60), (7.0, 11.0, 27.0, 31.0), 20)
    assert np.array_equal(to_frame(image, geometry), image[7:27, 11:31])
    back = from_frame(to_frame(image, geometry), geometry)
    assert np.array_equal(back[7:27, 11:31], image[7:27, 11:31])
    back[7:27, 11:31] = 0
    assert not back.any()


@pytest.mark.parametrize("frame_px", [13, 40, 128])
def test_a_constant_stays_a_constant(frame_px):
    frame = to_frame(np.full((40, 50), 7, np.uint8), whole((40, 50), frame_px))
    assert frame.dtype == np.float32
    assert frame == pytest.approx(7, abs=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_shrinking_keeps_the_mean(factor):
    image = np.zeros((96, 96), np.float32)
    image[24:72, 24:72] = noise(48, 48)
    frame = to_frame(image, whole((96, 96), 96 // factor))
    assert frame.sum() * factor**2 == pytest.approx(image.sum(), rel=1e-5)


@pytest.mark.parametrize("factor", [2, 4])
def test_shrinking_does_not_alias(factor):
    """Of a checkerboard, its mean is left: picking pixels would give 0 or 1."""
    board = np.indices((64, 64)).sum(axis=0) % 2
    frame = to_frame(board, whole((64, 64), 64 // factor))
    assert frame[1:-1, 1:-1] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("frame_px", "off_px"), [(33, 1e-3), (90, 1e-3), (17, 0.1)])
def test_a_ramp_is_read_at_pixel_centres(frame_px, off_px):
    """Exactly so when it enlarges; a tenth of a pixel off where the ratio is no whole number."""
    y, x = np.mgrid[0:50, 0:60] + 0.5
    geometry = Geometry((50, 60), (10.3, 12.1, 40.7, 42.5), frame_px)
    step = (40.7 - 10.3) / frame_px
    centres = (np.arange(frame_px) + 0.5) * step
    frame = to_frame(100 * y + x, geometry)
    expected = 100 * (10.3 + centres[:, np.newaxis]) + 12.1 + centres
    assert np.abs(frame - expected).max() < 101 * off_px


def test_whole_frames_do_not_keep_the_aspect():
    image = np.zeros((40, 80), np.float32)
    image[:, 40:] = 1
    frame = to_frame(image, whole((40, 80), 20))
    assert frame.shape == (20, 20)
    assert frame[:, :9].max() == 0
    assert frame[:, 11:] == pytest.approx(1)


def test_zeros_beyond_the_photograph():
    geometry = Geometry((20, 30), (-10.0, -5.0, 30.0, 35.0), 40)
    frame = to_frame(np.ones((20, 30)), geometry)
    assert frame[10:30, 5:35] == pytest.approx(1)
    frame[10:30, 5:35] = 0
    assert not frame.any()


@pytest.mark.parametrize("frame_px", [31, 60, 97])
def test_a_box_beyond_the_photograph_comes_back_whole(frame_px):
    geometry = Geometry((40, 60), (-10.0, 0.0, 50.0, 60.0), frame_px)
    back = from_frame(to_frame(np.ones((40, 60)), geometry), geometry)
    assert back.shape == (40, 60)
    assert back[2:-2, 2:-2] == pytest.approx(1, abs=1e-5)


def test_zeros_where_the_frame_does_not_reach():
    geometry = Geometry((40, 60), (5.0, 15.0, 35.0, 45.0), 17)
    back = from_frame(np.ones((17, 17)), geometry)
    assert back[5:35, 15:45] == pytest.approx(1)
    back[5:35, 15:45] = 0
    assert not back.any()


@pytest.mark.parametrize("frame_px", [60, 100, 150])
def test_smooth_images_come_back(frame_px):
    image = smooth(90, 110)
    geometry = Geometry((90, 110), (-11.5, -1.5, 101.5, 111.5), frame_px)
    back = from_frame(to_frame(image, geometry), geometry)
    inside = (slice(5, -5), slice(5, -5))
    assert np.abs(back[inside] - image[inside]).max() < 0.03 * np.ptp(image)


def test_enlarging_is_skimages_linear_interpolation():
    image = noise(30, 42)
    expected = resize(image, (77, 77), order=1, mode="edge", anti_aliasing=False)
    assert to_frame(image, whole((30, 42), 77)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("frame_px", [9, 20, 37, 60, 101])
def test_any_box_is_resampled_as_pillow_does(frame_px):
    image = noise(80, 95)
    geometry = Geometry((80, 95), (8.25, 10.5, 68.0, 70.25), frame_px)
    expected = Image.fromarray(image).resize(
        (frame_px, frame_px), Image.Resampling.BILINEAR, box=(10.5, 8.25, 70.25, 68.0)
    )
    assert to_frame(image, geometry) == pytest.approx(np.asarray(expected), abs=2e-5)


def test_channels_are_resampled_alike():
    image = noise(30, 40, 3)
    geometry = Geometry((30, 40), (-3.2, 1.7, 31.0, 35.9), 21)
    frame = to_frame(image, geometry)
    assert frame.shape == (21, 21, 3)
    for channel in range(3):
        assert np.array_equal(frame[..., channel], to_frame(image[..., channel], geometry))


def test_the_box_is_the_square_around_the_field_of_view():
    geometry = canonical_geometry(
        "field-of-view", 704, (960, 999), FieldOfView(479.0, 493.5, 920.0, "given")
    )
    assert geometry == Geometry((960, 999), (19.0, 33.5, 939.0, 953.5), 704)


def test_another_kind_of_frame_is_refused():
    with pytest.raises(ValueError, match="unknown kind of frame: half"):
        canonical_geometry("half", 704, (10, 10), FieldOfView(5, 5, 10, "frame"))


def test_another_size_than_the_sources_is_refused():
    with pytest.raises(ValueError, match=r"\(39, 40\)"):
        to_frame(np.zeros((39, 40)), whole((40, 40), 20))
    with pytest.raises(ValueError, match=r"\(19, 19\)"):
        from_frame(np.zeros((19, 19)), whole((40, 40), 20))


def half_size_and_back(mask: np.ndarray, field_of_view: FieldOfView) -> np.ndarray:
    frame_px = round(field_of_view.diameter_px / 2)
    geometry = canonical_geometry("field-of-view", frame_px, mask.shape, field_of_view)
    return from_frame(to_frame(mask, geometry), geometry) > 0.5


def test_thin_curves_survive_half_size_and_back():
    """Curves as wide as HRF's vessels, 5 to 16 pixels, across a field of view wider than high."""
    y, x = np.mgrid[0:1000, 0:1500]
    mask = np.zeros((1000, 1500), bool)
    for number, width_px in enumerate(np.linspace(5, 16, 8)):
        course = 120 * number + 60 + 40 * np.sin(x / (60 + 10 * number))
        slope = 40 / (60 + 10 * number) * np.cos(x / (60 + 10 * number))
        mask |= np.abs(y - course) < width_px / 2 * np.hypot(1, slope)
    mask &= np.hypot(y - 500, x - 750) < 700
    back = half_size_and_back(mask, FieldOfView(500, 750, 1400, "given"))
    assert dice(back, mask) >= 0.97


def test_hrf_masks_survive_half_size_and_back(real_data):
    found = layouts.data_set(real_data / "HRF")
    for entry in found.entries[::15]:
        mask = masks.read_mask(found.root / entry.mask)
        fov = masks.read_mask(found.root / entry.fov)
        mask &= fov
        assert dice(half_size_and_back(mask, field_of_view_of_mask(fov)), mask) >= 0.97
