"""The threshold and calibration of several data sets, which count alike."""

import numpy as np
import pytest

from bin.across_sets import across_sets
from fundusseg.metrics.validation import validation
from tests.metrics.test_validation import histograms


def test_no_set_and_no_image_are_errors():
    with pytest.raises(ValueError, match="no data set"):
        across_sets([])
    with pytest.raises(ValueError, match="no image"):
        across_sets([histograms(range(2)), []])


def cut(found) -> float:
    """The score from which on a pixel is vessel."""
    return found.calibration.inverse(np.array(found.threshold))


def test_sets_count_alike_however_many_images_they_hold(monkeypatch):
    monkeypatch.setattr("bin.across_sets.DICE_TOLERANCE", 0.0)
    large, small = histograms(range(9), shift=1.0), histograms(range(9, 10), shift=-1.0)
    found = across_sets([large, small])
    alone = [cut(validation(large)), cut(validation(small))]
    assert min(alone) < cut(found) < max(alone)
    assert found.dice == pytest.approx(np.mean([each.dice for each in found.sets]))
    of_large, of_small = found.sets
    assert of_large.best_dice > of_large.dice and of_small.best_dice > of_small.dice
    assert of_small.best_threshold < found.threshold < of_large.best_threshold
    again = across_sets([large, small * 5])
    assert (again.threshold, again.dice) == (found.threshold, pytest.approx(found.dice))
    assert again.calibration.intercept == pytest.approx(found.calibration.intercept, abs=1e-6)


def test_of_thresholds_that_cost_little_dice_the_lowest_is_taken(monkeypatch):
    sets = [histograms(range(4)), histograms(range(4, 8), shift=0.3)]
    found = across_sets(sets)
    monkeypatch.setattr("bin.across_sets.DICE_TOLERANCE", 0.0)
    best = across_sets(sets)
    assert found.threshold < best.threshold
    assert best.dice - 0.006 <= found.dice < best.dice
