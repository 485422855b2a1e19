"""The threshold that a validation chooses, and the calibration that follows."""

import numpy as np
import pytest

from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts, dice
from fundusseg.metrics.validation import across_sets, platt_calibration, pooled, validation


def image(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that the truth follows, pushed up or down on the logit's axis by `shift`."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1.5, 1.5, (80, 80))
    truth = random.random(logit.shape) < 1 / (1 + np.exp(-logit))
    return 1 / (1 + np.exp(-(logit + shift))), truth


def histograms(seeds, shift: float = 0.0) -> list[ScoreHistogram]:
    return [ScoreHistogram.of(*image(seed, shift)) for seed in seeds]


def mean_dice(seeds, threshold: float) -> float:
    pairs = [image(seed) for seed in seeds]
    return np.mean([dice(Counts.of(scores >= threshold, truth)) for scores, truth in pairs])


def test_the_threshold_has_the_highest_mean_dice():
    found = validation(histograms(range(3)))
    assert found.dice == pytest.approx(mean_dice(range(3), found.threshold), abs=1e-3)
    for other in (0.1, 0.2, 0.3, 0.5, 0.7):
        assert found.dice >= mean_dice(range(3), other) - 1e-3


def test_no_image_is_an_error():
    for function in (validation, pooled, across_sets):
        with pytest.raises(ValueError, match="no "):
            function([])
    with pytest.raises(ValueError, match="no image"):
        across_sets([histograms(range(2)), []])


def test_sets_count_alike_however_many_images_they_hold():
    large, small = histograms(range(9), shift=1.0), histograms(range(9, 10), shift=-1.0)
    found = across_sets([large, small])
    alone = [validation(large).threshold, validation(small).threshold]
    assert min(alone) < found.threshold < max(alone)
    assert found.dice == pytest.approx(np.mean(found.set_dice))
    again = across_sets([large, small * 5])
    assert (again.threshold, again.dice) == (found.threshold, pytest.approx(found.dice))
    np.testing.assert_allclose(again.pooled.positives, found.pooled.positives, atol=1)


def test_the_calibration_undoes_a_shift_of_the_scores():
    slope, intercept = platt_calibration(pooled(histograms(range(6), shift=0.8)))
    assert slope == pytest.approx(1.0, abs=0.05)
    assert intercept == pytest.approx(-0.8, abs=0.08)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0, 4.0, 6.0, 40.0])
def test_scores_however_sharp_are_calibrated(sharpness):
    """The likelihood's two derivatives are zero: what is promised is what is there."""
    rng = np.random.default_rng(0)
    vessels = rng.random(200_000) < 0.1
    logits = np.where(vessels, rng.normal(2, 2, vessels.size), rng.normal(-4, 2, vessels.size))
    scores = 1 / (1 + np.exp(-sharpness * logits))
    slope, intercept = platt_calibration(ScoreHistogram.of(scores.astype(np.float32), vessels))
    clipped = np.clip(scores, 0.5 / 65536, 1 - 0.5 / 65536)
    stretched = np.log(clipped / (1 - clipped))
    promised = 1 / (1 + np.exp(-(slope * stretched + intercept)))
    assert promised.mean() == pytest.approx(vessels.mean(), rel=0.01)
    assert (promised * stretched).mean() == pytest.approx((vessels * stretched).mean(), abs=0.05)


def test_without_vessels_nothing_is_calibrated():
    scores = np.full((9, 9), 0.25)
    assert platt_calibration(ScoreHistogram.of(scores, scores > 1)) == (1.0, 0.0)
