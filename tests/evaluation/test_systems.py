"""Pools add up counts; the oracle is the best threshold on the images that are counted."""

import math

import numpy as np
import pytest

from fundusseg.datasets.maps import VesselMap
from fundusseg.datasets.truth import TruthImage
from fundusseg.evaluation.image import SWEEP_THRESHOLDS, Reference, image_score, rethresholded
from fundusseg.evaluation.systems import MAPS, System, best_threshold
from fundusseg.metrics.overlap import Counts, dice

SHAPE = (32, 32)


def _image(seed):
    """A mask, and a probability whose best threshold is not 0.5."""
    rng = np.random.default_rng(seed)
    mask = rng.random(SHAPE) < 0.3
    probability = np.clip(0.2 + 0.2 * mask + 0.1 * rng.normal(size=SHAPE), 0, 1)
    return mask, (np.rint(probability * 65535) / 65535).astype(np.float32)


def _system(n_images=2):
    system = System("m", MAPS)
    for seed in range(n_images):
        mask, probability = _image(seed)
        reference = Reference.of(TruthImage(mask, None, None, 32.0, ""), whole_frame=True)
        score, histogram = image_score(VesselMap(probability >= 0.5, probability), reference)
        system.scores.append(score)
        system.pool.add(score, histogram)
    return system


@pytest.mark.parametrize("number", [9, 59, 99, 149])
def test_rethresholded_counts_are_those_of_the_map_at_that_threshold(number):
    mask, probability = _image(0)
    vessels = probability >= SWEEP_THRESHOLDS[number]
    assert rethresholded(_system(1).scores[0], number) == Counts.of(vessels, mask)


def test_the_best_threshold_has_the_best_mean_dice_of_the_counted_images():
    system = _system()
    best = best_threshold(system, [True, True])
    means = {
        threshold: np.mean([dice(rethresholded(score, number)) for score in system.scores])
        for number, threshold in enumerate(SWEEP_THRESHOLDS)
    }
    assert means[best] == max(means.values())


def test_images_that_are_not_counted_do_not_choose_the_threshold():
    assert best_threshold(_system(), [True, False]) == best_threshold(_system(1), [True])


def test_a_system_is_binary_by_its_maps_alone():
    system = System("m", MAPS)
    system.scores.append(None)
    assert not system.is_binary
    system.add_counts(Counts(1, 1, 1, 1))
    assert system.is_binary and not _system().is_binary


def test_there_is_no_oracle_where_a_map_is_missing():
    system = _system()
    system.scores[1] = None
    assert best_threshold(system, [True, True]) is None
    assert best_threshold(system, [False, False]) is None


def test_a_pool_has_the_counts_of_all_images():
    system = _system()
    first, second = (score.counts for score in system.scores)
    assert system.pool.counts == first + second
    assert system.pooled["dice"] == dice(first + second)


def test_a_figure_that_no_image_has_does_not_apply():
    system = _system()
    assert system.column("no such figure", [True, True]) is None
    system.scores[0] = None
    assert math.isnan(system.column("dice", [True, True])[0])
