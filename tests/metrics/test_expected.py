"""The Dice that a map may be expected to have."""

import numpy as np
import pytest

from fundusseg.metrics.expected import expected_dice, mean_entropy


def test_it_is_the_mean_dice_over_truths_drawn_from_the_probabilities():
    random = np.random.default_rng(5)
    probability = random.random(20_000) ** 3
    vessels = probability >= 0.4
    truths = random.random((30, probability.size)) < probability
    dice = [2 * (truth & vessels).sum() / (truth.sum() + vessels.sum()) for truth in truths]
    assert expected_dice(probability, vessels) == pytest.approx(np.mean(dice), abs=0.002)


def test_an_empty_map_is_expected_to_hit_nothing():
    probability = np.full(9, 0.3)
    assert expected_dice(probability, probability > 1) == 0
    assert expected_dice(np.zeros(9), probability > 1) is None


def test_the_entropy_is_a_bit_where_nothing_is_known_and_none_where_all_is():
    assert mean_entropy(np.full(9, 0.5, np.float32)) == pytest.approx(1)
    assert mean_entropy(np.array([0, 1], np.float32)) == pytest.approx(0, abs=1e-5)
    assert mean_entropy(np.array([0.25, 0.75])) == pytest.approx(2 - 0.75 * np.log2(3))
    assert mean_entropy(np.empty(0)) is None
