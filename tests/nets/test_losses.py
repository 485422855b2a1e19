"""The loss terms at points that can be computed by hand."""

import numpy as np
import pytest

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


def test_judgements_cost_nothing_where_they_are_right():
    sure = np.full((1, 2, 2, 1), 20, np.float32)
    assert float(losses.judged_as(sure, real=True)) == pytest.approx(0, abs=1e-6)
    assert float(losses.judged_as(sure, real=False)) == pytest.approx(20, rel=1e-6)
