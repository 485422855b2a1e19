"""The batches: their order, their crops, their repeatability."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from fundusseg.config import AugmentConfig
from fundusseg.nets.augment import augmented
from fundusseg.nets.pipeline import draw_order, stacked, training_batches
from fundusseg.presets import PIX2PIX

ROOT = Path(__file__).parents[2]
UNCHANGED = PIX2PIX.augment


def crops_of(frames, *arguments, **more) -> list[np.ndarray]:
    """The crops of all batches, the frames being of one data set."""
    batches = training_batches(frames, [len(frames)], *arguments, **more)
    return [crops.numpy() for crops, _ in batches]


@pytest.fixture
def frames() -> np.ndarray:
    """Three frames whose channels all hold one smooth picture inside a disc."""
    yy, xx = np.mgrid[:96, :96]
    disc = np.hypot(yy - 47.5, xx - 47.5) < 48
    waves = [128 + 100 * np.sin(yy / (6 + n)) * np.cos(xx / (9 - n)) for n in range(3)]
    pictures = [np.where(disc, wave, 0).astype(np.uint8) for wave in waves]
    return np.stack(
        [stacked(np.stack([p] * 3, -1), p, disc.astype(np.uint8) * 255) for p in pictures]
    )


def test_each_round_takes_every_sample_once():
    order = draw_order([3, 4], 21, 1.0, seed=5)
    assert [sorted(order[start : start + 7]) for start in (0, 7, 14)] == [list(range(7))] * 3


@pytest.mark.parametrize("balance", [1.0, 0.5])
def test_a_longer_order_begins_with_the_shorter_one(balance):
    longer = draw_order([3, 4], 50, balance, seed=5)
    np.testing.assert_array_equal(draw_order([3, 4], 20, balance, seed=5), longer[:20])


def test_balance_zero_gives_data_sets_equal_shares():
    order = draw_order([10, 90], 20_000, 0.0, seed=5)
    assert np.mean(order < 10) == pytest.approx(0.5, abs=0.02)


def test_without_changes_a_crop_is_the_frame(frames):
    crop = augmented(frames[0], np.array([1, 2], np.int32), UNCHANGED).numpy()
    np.testing.assert_allclose(crop, frames[0] / 255, atol=1e-6)


def test_photograph_and_mask_are_warped_alike(frames):
    config = dataclasses.replace(UNCHANGED, crop_px=48, rotate=True, mirror=True, log_scale=0.3)
    for draw in range(5):
        crop = augmented(frames[0], np.array([1, draw], np.int32), config).numpy()
        assert crop.shape == (48, 48, 5)
        inside = crop[..., 4] == 1
        np.testing.assert_allclose(crop[inside][:, 0], crop[inside][:, 3], atol=1 / 255)


def test_a_rotated_crop_keeps_the_picture(frames):
    """A quarter of the crops' pixels must come from inside: the warp is not a blank."""
    config = dataclasses.replace(UNCHANGED, crop_px=48, rotate=True)
    crops = [augmented(frames[0], np.array([1, d], np.int32), config).numpy() for d in range(8)]
    assert min(crop[..., 4].mean() for crop in crops) > 0.25
    assert np.std([crop[..., 3].mean() for crop in crops]) > 0


def test_all_changes_stay_in_range_and_all_but_rims_leave_the_mask_alone(frames):
    seeds = [np.array([3, draw], np.int32) for draw in range(20)]
    config = AugmentConfig(crop_px=64, rim_probability=0)
    bare = dataclasses.replace(UNCHANGED, crop_px=64, rotate=True, mirror=True, log_scale=0.35)
    for seed in seeds:
        crop = augmented(frames[1], seed, config).numpy()
        assert crop.min() >= 0 and crop.max() <= 1
        np.testing.assert_array_equal(
            crop[..., 3:], augmented(frames[1], seed, bare).numpy()[..., 3:]
        )


def test_the_same_draw_gives_the_same_crop_and_another_draw_another(frames):
    config = AugmentConfig(crop_px=64)
    first, again, other = (
        augmented(frames[1], np.array([3, draw], np.int32), config).numpy() for draw in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_frames_of_several_sizes_give_crops_of_one(frames):
    wide = np.repeat(np.repeat(frames[1], 2, axis=0), 2, axis=1)
    config = dataclasses.replace(UNCHANGED, crop_px=64, rotate=True)
    order = np.array([0, 1, 2, 1], np.int32)
    mixed = crops_of([frames[0], wide, frames[2]], order, 0, 2, config, 2, 1)
    alone = crops_of(frames, order, 0, 2, config, 2, 1)
    assert [batch.shape for batch in mixed] == [(2, 64, 64, 5)] * 2
    np.testing.assert_array_equal(mixed[0][0], alone[0][0])
    np.testing.assert_array_equal(mixed[1][0], alone[1][0])
    crop = augmented(wide, np.array([2, 1], np.int32), config)
    np.testing.assert_array_equal(mixed[0][1], crop)


@pytest.mark.parametrize("jobs", [1, 3])
def test_batches_from_the_middle_are_those_of_an_unbroken_run(frames, jobs):
    config = AugmentConfig(crop_px=64)
    order = draw_order([3], 20, 1.0, seed=2)
    whole = crops_of(frames, order, 0, 4, config, 2, 1)
    tail = crops_of(frames, order, 3, 4, config, 2, jobs)
    assert (len(whole), len(tail)) == (5, 2)
    for one, other in zip(whole[3:], tail, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_left_to_tensorflows_tuner(frames):
    """Its thread naps for up to a minute, and the end of a training would wait for it."""
    order = draw_order([3], 6, 1.0, seed=1)
    batches = training_batches(frames, [3], order, 0, 2, UNCHANGED, 1, 1)
    assert batches.options().autotune.enabled is False


def test_the_shares_of_two_processes_make_up_the_batches_of_one(frames):
    config = AugmentConfig(crop_px=64)
    order = draw_order([3], 20, 1.0, seed=2)
    whole = crops_of(frames, order, 1, 4, config, 2, 1)
    shares = [crops_of(frames, order, 1, 4, config, 2, 1, share=(part, 2)) for part in range(2)]
    for batch, *halves in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate(halves), batch)


def test_a_rim_darkens_the_border_of_the_field_of_view_alone():
    """Pixels deep inside stay, those on the border go dark, and no vessel is asked for in black."""
    disc = np.hypot(*(np.mgrid[:256, :256] - 127.5)) < 100
    bright = (disc * 200).astype(np.uint8)
    frame = stacked(np.stack([bright] * 3, -1), disc * np.uint8(255), disc * np.uint8(255))
    config = dataclasses.replace(UNCHANGED, rim_probability=1.0)
    depth = distance_transform_edt(disc)
    for draw in range(10):
        crop = augmented(frame, np.array([1, draw], np.int32), config).numpy()
        np.testing.assert_array_equal(crop[..., 4] > 0, disc)
        np.testing.assert_allclose(crop[depth > 60, 0], 200 / 255, atol=0.01)
        assert crop[(depth > 0) & (depth < 2), 0].mean() < 0.15
        assert not crop[(crop[..., 0] < 0.05) & disc, 3].any()
        assert crop[depth > 60, 3].all()


def test_a_crop_without_a_border_gets_no_rim():
    frame = np.full((64, 64, 5), 255, np.uint8)
    config = dataclasses.replace(UNCHANGED, rim_probability=1.0)
    crop = augmented(frame, np.array([1, 2], np.int32), config).numpy()
    np.testing.assert_allclose(crop, 1.0, atol=1e-5)


def test_every_crop_comes_with_the_number_of_its_data_set(frames):
    """Three frames: the first is one data set, the others are another one."""
    order = np.array([0, 1, 2, 0], np.int32)
    batches = training_batches(frames, [1, 2], order, 0, 2, UNCHANGED, 2, 1)
    assert [sets.numpy().tolist() for _, sets in batches] == [[0, 1], [1, 0]]


MEMORY = """
import sys
import numpy as np
from fundusseg.nets import runtime
from fundusseg.nets.pipeline import draw_order, stacked, training_batches
from fundusseg.presets import PRESETS

def highest_mib():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

count, size_px = int(sys.argv[1]), 512
runtime.start(1, seed=1)
picture = np.full((size_px, size_px), 100, np.uint8)
frames = [stacked(np.dstack([picture] * 3), picture, picture) for _ in range(count)]
order = draw_order([count], 8, 1.0, 1)
for _ in training_batches(frames, [count], order, 0, 2, PRESETS["native"].augment, 1, 1):
    pass
print(highest_mib())
"""


def test_frames_are_in_memory_once():
    """What 240 frames of 1.25 MiB take more than 40 do is their own size."""
    highest = [
        float(
            subprocess.run(
                [sys.executable, "-c", MEMORY, str(count)],
                cwd=ROOT, check=True, capture_output=True, text=True,
            ).stdout
        )
        for count in (40, 240)
    ]  # fmt: skip
    assert 0.9 * 250 < highest[1] - highest[0] < 1.3 * 250
