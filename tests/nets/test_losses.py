"""The loss terms at points that can be computed by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from fundusseg.config import LossConfig
from fundusseg.nets import losses
from fundusseg.nets.one_replica import OneReplica

LEFT = np.zeros((1, 8, 8, 1), np.float32)
LEFT[:, :, :4] = 1
ALL = np.ones_like(LEFT)
ONE = OneReplica()


def test_cross_entropy_of_undecided_logits_is_log_two():
    wide = np.ones((1, 400, 400, 1), np.float32)
    assert float(losses.cross_entropy(wide * 0, wide, wide, ONE)) == pytest.approx(
        np.log(2), rel=1e-4
    )


def test_cross_entropy_looks_only_inside_the_field_of_view():
    right_there = np.full_like(LEFT, 20.0)
    assert float(losses.cross_entropy(right_there, LEFT, LEFT, ONE)) == pytest.approx(0, abs=1e-4)
    assert losses.cross_entropy(right_there, LEFT, ALL, ONE) > 5


def test_soft_dice_loss_of_equal_and_disjoint_sets():
    assert float(losses.soft_dice_loss(LEFT, LEFT, ALL, ONE)) == pytest.approx(0, abs=1e-6)
    assert float(losses.soft_dice_loss(1 - LEFT, LEFT, ALL, ONE)) == pytest.approx(
        1 - 1 / 65, abs=1e-6
    )


def test_l1_is_the_mean_absolute_difference():
    assert float(losses.l1(LEFT * 2 - 1, ALL, ONE)) == pytest.approx(1.0)


def bars(*widths: int) -> np.ndarray:
    """Upright bars of these widths, 16 px apart, in (1, 64, 64, 1)."""
    maps = np.zeros((1, 64, 64, 1), np.float32)
    for number, width in enumerate(widths):
        maps[:, :, 6 + 16 * number : 6 + 16 * number + width] = 1
    return maps


def test_the_soft_skeleton_of_bars_is_their_middle():
    found = losses.soft_skeleton(bars(1, 3, 9)).numpy()[0, 10:54, :, 0]
    np.testing.assert_array_equal(
        found, (bars(1) + np.roll(bars(1), 17, 2) + np.roll(bars(1), 36, 2))[0, 10:54, :, 0]
    )


def test_the_soft_skeleton_can_be_learnt_from():
    maps = tf.Variable(bars(5) * 0.7)
    with tf.GradientTape() as tape:
        length = tf.reduce_sum(losses.soft_skeleton(maps))
    assert np.abs(tape.gradient(length, maps).numpy()).sum() > 0


def test_skeleton_recall_counts_a_thin_vessel_as_much_as_a_wide_one():
    truth, whole = bars(1, 9), np.ones((1, 64, 64, 1), np.float32)
    missed_thin = losses.skeleton_recall_loss(bars(0, 9), truth, whole, ONE)
    missed_wide = losses.skeleton_recall_loss(bars(1, 0), truth, whole, ONE)
    assert (
        float(losses.skeleton_recall_loss(truth, truth, whole, ONE)) < 0.4
    )  # the tube is 3 px wide
    assert float(missed_thin) == pytest.approx(0.5, abs=0.05)
    assert float(missed_wide) > float(missed_thin)


def test_a_term_of_weight_0_does_not_count():
    logits = np.random.default_rng(2).normal(size=LEFT.shape).astype(np.float32)
    probability = 1 / (1 + np.exp(-logits))
    plain = LossConfig(cross_entropy=0.0, dice=0.0, skeleton_recall=0.0)
    assert float(losses.segmentation_loss(plain, logits, LEFT, ALL, ONE)) == 0
    for name, term in (
        ("dice", losses.soft_dice_loss),
        ("skeleton_recall", losses.skeleton_recall_loss),
    ):
        weights = dataclasses.replace(plain, **{name: 0.5})
        found = losses.segmentation_loss(weights, logits, LEFT, ALL, ONE)
        assert float(found) == pytest.approx(
            0.5 * float(term(probability, LEFT, ALL, ONE)), rel=1e-5
        )
