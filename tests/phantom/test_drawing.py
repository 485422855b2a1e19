"""Phantoms against their own truth: Murray's law, widths, areas, contrast, and same bytes."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from fundusseg.phantom.appearance import NATURAL, VARIED
from fundusseg.phantom.description import description
from fundusseg.phantom.drawing import Phantom, PhantomConfig, phantom
from fundusseg.phantom.raster import Projection, vessel_raster
from fundusseg.phantom.tree import Eye, Segment, Tree, murray_angles, murray_children

SMALL = PhantomConfig(size_px=256)
ARRAYS = ("photograph", "mask", "mask2", "fov")


@pytest.fixture(scope="module")
def default() -> Phantom:
    return phantom(PhantomConfig(), 1)


def segments(truth: dict) -> list[dict]:
    return [segment for tree in truth["trees"] for segment in tree["segments"]]


def straight_view() -> Projection:
    """One unit is one pixel, the disc at the middle of the grid."""
    eye = Eye(60.0, 150 + 0j, 0j, 240.0, 1 + 0j)
    return Projection(eye, centre=100 + 100j, unit_px=1.0, is_left=True, shape=(201, 201))


def test_same_seed_gives_same_bytes():
    first, second = phantom(SMALL, 5), phantom(SMALL, 5)
    assert all(getattr(first, a).tobytes() == getattr(second, a).tobytes() for a in ARRAYS)
    assert json.dumps(first.truth) == json.dumps(second.truth)


def test_other_seed_gives_other_bytes():
    first, second = phantom(SMALL, 5), phantom(SMALL, 6)
    assert all(getattr(first, a).tobytes() != getattr(second, a).tobytes() for a in ARRAYS[:3])


def test_global_random_state_is_neither_read_nor_moved():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    phantom(PhantomConfig(size_px=64), 0)
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(("size_px", "aspect"), [(64, 1.0), (100, 1.5), (131, 0.75)])
def test_shapes_and_dtypes(size_px, aspect):
    drawn = phantom(PhantomConfig(size_px=size_px, aspect=aspect), 3)
    shape = (size_px, round(size_px * aspect))
    assert drawn.photograph.shape == (*shape, 3)
    assert drawn.photograph.dtype == np.uint8
    for name in ARRAYS[1:]:
        assert getattr(drawn, name).shape == shape
        assert getattr(drawn, name).dtype == bool
        assert getattr(drawn, name).any()


def test_large_size_scales_lengths():
    large = phantom(PhantomConfig(size_px=1024), 1).truth
    small = phantom(PhantomConfig(size_px=512), 1).truth
    assert large["totals"]["length_px"] == pytest.approx(2 * small["totals"]["length_px"], rel=0.02)
    assert large["totals"]["segments"] == small["totals"]["segments"]


def test_murray_law_holds_at_every_branch_point(default):
    branches = [b for tree in default.truth["trees"] for b in tree["branch_points"]]
    assert len(branches) > 30
    for branch in branches:
        cubes = sum(width**3 for width in branch["child_widths_px"])
        assert cubes == pytest.approx(branch["parent_width_px"] ** 3, rel=0.005)
        assert 0 < branch["angle_deg"] < 120


def test_murray_children_of_equal_split():
    assert murray_children(2.0, 1.0) == pytest.approx((2 ** (2 / 3), 2 ** (2 / 3)))


def test_murray_angles_of_equal_split():
    # Murray 1926: two equal children part at 74.9 degrees.
    width = 2 ** (-1 / 3)
    assert sum(murray_angles(1.0, width, width)) == pytest.approx(math.radians(74.93), abs=1e-3)


def test_murray_children_refuses_what_is_out_of_range():
    with pytest.raises(ValueError, match="asymmetry"):
        murray_children(1.0, 1.5)


def test_truth_is_finite_json_with_all_trees(default):
    text = json.dumps(default.truth, allow_nan=False)
    assert json.loads(text) == default.truth
    names = {(t["kind"], t["vertical"], t["horizontal"]) for t in default.truth["trees"]}
    assert len(names) == 8
    totals = default.truth["totals"]
    assert totals["vessel_px"] == default.mask.sum()
    assert totals["field_of_view_px"] == default.fov.sum()


def test_vessels_taper_and_stay_in_the_range_of_widths(default):
    unit_px = default.truth["field_of_view"]["diameter_px"] / 480
    for segment in segments(default.truth):
        assert segment["width_end_px"] <= segment["width_start_px"] + 0.001
        assert 1.2 * unit_px * 0.99 <= segment["width_end_px"]
        assert segment["width_start_px"] <= 8.5 * unit_px * 1.07


@pytest.mark.parametrize("seed", range(6))
def test_masks_lie_in_the_field_of_view_and_fill_a_plausible_share(seed):
    drawn = phantom(SMALL, seed)
    assert not (drawn.mask & ~drawn.fov).any()
    assert not (drawn.mask2 & ~drawn.fov).any()
    assert 0.06 <= drawn.mask.sum() / drawn.fov.sum() <= 0.14


@pytest.mark.parametrize("seed", range(4))
def test_area_agrees_with_length_times_width(seed):
    # The sum counts crossings and branch points twice, so it is a little larger.
    drawn = phantom(PhantomConfig(), seed)
    assert 1.0 <= drawn.truth["totals"]["length_times_width_px2"] / drawn.mask.sum() <= 1.1


def test_hidden_is_what_lies_in_a_wider_vessel_of_the_other_kind():
    across, along = np.arange(-60, 61, 2) * 1j, np.arange(-60, 61, 2) + 0j
    trees = [
        Tree("vein", "superior", "temporal", [Segment(along, np.full(61, 20.0), -1)]),
        Tree("artery", "superior", "temporal", [Segment(across, np.full(61, 8.0), -1)]),
    ]
    view = straight_view()
    vessels = {tree.kind: vessel_raster([tree], view) for tree in trees}
    mask = vessels["vein"].outside_px <= 0
    totals = description(trees, view, vessels, mask, view.fov(), [])["totals"]
    assert totals["length_px"] == 240
    assert totals["hidden_px"] == pytest.approx(20, abs=2)


def test_straight_vessel_is_exact():
    points = np.arange(-60, 61, 2) * np.exp(0.3j)
    widths = np.linspace(9.0, 5.0, points.size)
    tree = Tree("vein", "superior", "temporal", [Segment(points, widths, -1)])
    drawn = vessel_raster([tree], straight_view()).outside_px <= 0
    y, x = np.mgrid[:201, :201]
    along_across = ((x - 100) - 1j * (y - 100)) * np.exp(-0.3j)  # the image's y points down
    half_width = np.interp(along_across.real, [-60, 60], [4.5, 2.5])
    is_between = np.abs(along_across.real) < 55
    expected = np.abs(along_across.imag) <= half_width
    assert np.array_equal(drawn[is_between], expected[is_between])


def test_map_without_vessels_is_empty():
    empty = vessel_raster([], straight_view())
    assert np.isinf(empty.outside_px).all()
    assert not empty.radius_px.any()


def test_widths_in_truth_match_the_mask():
    drawn = phantom(PhantomConfig(size_px=1024), 2)
    depth = ndimage.distance_transform_edt(drawn.mask)
    thick = [s for s in segments(drawn.truth) if 6 < s["width_end_px"] and s["length_px"] > 40]
    ratios = []
    for segment in thick:
        y, x = (round(c) for c in segment["end_px"])
        # The largest inscribed disc near the end; a crossing there makes it too large.
        measured = 2 * depth[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max() - 1
        ratios.append(measured / segment["width_end_px"])
    assert len(ratios) > 10
    assert np.median(ratios) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("seed", range(4))
def test_vessels_are_darker_than_their_surroundings_on_green(seed):
    drawn = phantom(PhantomConfig(noise=0.0), seed)
    green = drawn.photograph[..., 1].astype(float)
    inner = ndimage.binary_erosion(drawn.fov, iterations=6)
    ring = ndimage.binary_dilation(drawn.mask, iterations=5) & inner
    ring &= ~ndimage.binary_dilation(drawn.mask, iterations=2)
    assert green[drawn.mask & inner].mean() < 0.9 * green[ring].mean()


def test_thin_vessels_have_less_contrast_than_thick_ones(default):
    green = default.photograph[..., 1].astype(float)
    around = ndimage.median_filter(green, 25)
    contrast = 1 - green / np.maximum(around, 1)
    thick = ndimage.binary_opening(default.mask, iterations=2)
    thin = default.mask & ~ndimage.binary_dilation(thick, iterations=3)
    inner = ndimage.binary_erosion(default.fov, iterations=8)
    assert 0.02 < contrast[thin & inner].mean() < 0.7 * contrast[thick & inner].mean()


def test_frame_is_black_and_disc_is_bright(default):
    far = ~ndimage.binary_dilation(default.fov, iterations=3)
    assert default.photograph[far].max() < 10
    y, x = (round(c) for c in default.truth["disc"]["centre_px"])
    disc = default.photograph[y - 15 : y + 16, x - 15 : x + 16, 1]
    assert np.percentile(disc, 80) > 1.3 * default.photograph[default.fov][:, 1].mean()


def test_macula_lies_temporal_of_the_disc():
    eyes = set()
    for seed in range(8):
        truth = phantom(PhantomConfig(size_px=64), seed).truth
        distance = truth["macula"][1] - truth["disc"]["centre_px"][1]
        assert (distance > 0) == (truth["eye"] == "left")
        assert abs(distance) == pytest.approx(2.5 * truth["disc"]["diameter_px"], rel=0.1)
        eyes.add(truth["eye"])
    assert eyes == {"left", "right"}


def test_cut_circle_is_wider_than_high():
    fov = phantom(PhantomConfig(size_px=128, aspect=1.4, cut_probability=1.0), 0).fov
    rows, columns = fov.any(axis=1).sum(), fov.any(axis=0).sum()
    assert rows < 0.95 * columns


def test_lesions_change_the_photograph_but_not_the_masks():
    whole = phantom(PhantomConfig(appearance=replace(NATURAL, lesion_probability=0.0)), 45)
    sick = phantom(PhantomConfig(appearance=replace(NATURAL, lesion_probability=1.0)), 45)
    assert whole.truth["lesions"] == []
    assert len(sick.truth["lesions"]) > 3
    assert np.array_equal(whole.mask, sick.mask)
    assert not np.array_equal(whole.photograph, sick.photograph)
    for lesion in sick.truth["lesions"]:
        y, x = (round(c) for c in lesion["centre_px"])
        reach = round(lesion["diameter_px"] / 2)
        assert not sick.mask[y - reach : y + reach + 1, x - reach : x + reach + 1].any()


def test_a_varied_appearance_changes_the_photograph_but_not_the_vessels():
    natural, varied = phantom(SMALL, 12), phantom(replace(SMALL, appearance=VARIED), 12)
    for name in ("mask", "mask2", "fov"):
        assert np.array_equal(getattr(natural, name), getattr(varied, name))
    assert natural.truth["trees"] == varied.truth["trees"]
    assert not np.array_equal(natural.photograph, varied.photograph)


def test_varied_colours_go_beyond_natural_ones():
    def ratios(appearance):
        config = PhantomConfig(size_px=64, appearance=appearance)
        drawn = [phantom(config, seed) for seed in range(20)]
        colours = np.array([each.photograph[each.fov].mean(axis=0) for each in drawn])
        return colours[:, 1] / colours[:, 0]

    assert np.ptp(ratios(VARIED)) > 2 * np.ptp(ratios(NATURAL))


def test_second_observer_agrees_mostly():
    drawn = phantom(PhantomConfig(), 7)
    both = (drawn.mask & drawn.mask2).sum()
    dice = 2 * both / (drawn.mask.sum() + drawn.mask2.sum())
    assert 0.85 < dice < 0.98
    assert (drawn.mask & ~ndimage.binary_dilation(drawn.mask2, iterations=3)).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"size_px": 63},
        {"aspect": 0.1},
        {"aspect": math.nan},
        {"field_of_view_fraction": 1.1},
        {"narrowest_vessel_px": 9.0},
        {"noise": -0.1},
    ],
)
def test_config_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        phantom(PhantomConfig(**wrong), 0)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed"):
        phantom(SMALL, -1)
