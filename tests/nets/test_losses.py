"""The loss terms at points that can be computed by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from fundusseg.config import LossConfig
from fundusseg.metrics.overlap import Counts, matthews
from fundusseg.nets import losses

LEFT = np.zeros((1, 8, 8, 1), np.float32)
LEFT[:, :, :4] = 1
ALL = np.ones_like(LEFT)


def test_cross_entropy_of_undecided_logits_is_log_two():
    wide = np.ones((1, 400, 400, 1), np.float32)
    assert float(losses.cross_entropy(wide * 0, wide, wide)) == pytest.approx(np.log(2), rel=1e-4)


def test_cross_entropy_looks_only_inside_the_field_of_view():
    right_there = np.full_like(LEFT, 20.0)
    assert float(losses.cross_entropy(right_there, LEFT, LEFT)) == pytest.approx(0, abs=1e-4)
    assert losses.cross_entropy(right_there, LEFT, ALL) > 5


def test_soft_dice_loss_of_equal_and_disjoint_sets():
    assert float(losses.soft_dice_loss(LEFT, LEFT, ALL)) == pytest.approx(0, abs=1e-6)
    assert float(losses.soft_dice_loss(1 - LEFT, LEFT, ALL)) == pytest.approx(1 - 1 / 65, abs=1e-6)


def test_l1_is_the_mean_absolute_difference():
    assert float(losses.l1(LEFT * 2 - 1, ALL)) == pytest.approx(1.0)


@pytest.mark.parametrize(("probability", "expected"), [(LEFT, 0), (1 - LEFT, 2), (ALL / 2, 1)])
def test_correlation_loss_of_equal_opposite_and_unrelated_sets(probability, expected):
    found = losses.correlation_loss(probability, LEFT, ALL)
    assert float(found) == pytest.approx(expected, abs=0.07)  # the area counts one pixel more


def test_correlation_loss_is_that_of_the_metrics():
    draw = np.random.default_rng(1)
    truth = draw.uniform(size=(1, 300, 300, 1)) > 0.8
    made = truth ^ (draw.uniform(size=truth.shape) > 0.9)
    fovs = draw.uniform(size=truth.shape) > 0.3
    expected = 1 - matthews(Counts.of(made, truth, fovs))
    arrays = [values.astype(np.float32) for values in (made, truth, fovs)]
    assert float(losses.correlation_loss(*arrays)) == pytest.approx(expected, abs=1e-3)


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
    missed_thin = losses.skeleton_recall_loss(bars(0, 9), truth, whole)
    missed_wide = losses.skeleton_recall_loss(bars(1, 0), truth, whole)
    assert float(losses.skeleton_recall_loss(truth, truth, whole)) < 0.4  # the tube is 3 px wide
    assert float(missed_thin) == pytest.approx(0.5, abs=0.05)
    assert float(missed_wide) > float(missed_thin)


def test_a_term_of_weight_0_does_not_count():
    logits = np.random.default_rng(2).normal(size=LEFT.shape).astype(np.float32)
    probability = 1 / (1 + np.exp(-logits))
    plain = LossConfig(cross_entropy=0.0, dice=0.0, skeleton_recall=0.0)
    assert float(losses.segmentation_loss(plain, logits, LEFT, ALL)) == 0
    for name, term in (
        ("dice", losses.soft_dice_loss),
        ("correlation", losses.correlation_loss),
        ("skeleton_recall", losses.skeleton_recall_loss),
    ):
        weights = dataclasses.replace(plain, **{name: 0.5})
        found = losses.segmentation_loss(weights, logits, LEFT, ALL)
        assert float(found) == pytest.approx(0.5 * float(term(probability, LEFT, ALL)), rel=1e-5)
