"""The threshold that a validation chooses, and the calibration that follows."""

import numpy as np
import pytest

from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts, dice
from fundusseg.metrics.validation import (
    DICE_TOLERANCE,
    THRESHOLDS,
    platt_calibration,
    pooled,
    validation,
)


def image(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that the truth follows, pushed up or down on the logit's axis by `shift`."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1.5, 1.5, (80, 80))
    truth = random.random(logit.shape) < 1 / (1 + np.exp(-logit))
    return 1 / (1 + np.exp(-(logit + shift))), truth


def histograms(seeds, shift: float = 0.0) -> list[ScoreHistogram]:
    return [ScoreHistogram.of(*image(seed, shift)) for seed in seeds]


@pytest.mark.parametrize("shift", [-2.0, 0.0, 1.5])
def test_the_threshold_is_the_lowest_with_nearly_the_highest_mean_dice(shift):
    """Of maps that are cut from the calibrated probabilities."""
    found = validation(histograms(range(3), shift))
    pairs = [image(seed, shift) for seed in range(3)]
    pairs = [(found.calibration(scores), truth) for scores, truth in pairs]

    def mean_dice(threshold: float) -> float:
        return np.mean([dice(Counts.of(p >= threshold, truth)) for p, truth in pairs])

    means = [mean_dice(threshold) for threshold in THRESHOLDS]
    assert found.dice == pytest.approx(max(means), abs=1e-3)
    assert found.threshold == pytest.approx(0.27, abs=0.05)  # whatever the shift
    assert mean_dice(found.threshold) >= max(means) - DICE_TOLERANCE - 1e-3
    lower = [mean_dice(threshold) for threshold in THRESHOLDS if threshold < found.threshold]
    assert max(lower) < max(means) - DICE_TOLERANCE + 1e-3


def test_no_image_is_an_error():
    for function in (validation, pooled):
        with pytest.raises(ValueError, match="no image"):
            function([])


def test_the_calibration_undoes_a_shift_of_the_scores():
    found = platt_calibration(pooled(histograms(range(6), shift=0.8)))
    assert found.slope == pytest.approx(1.0, abs=0.05)
    assert found.intercept == pytest.approx(-0.8, abs=0.08)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0, 4.0, 6.0, 40.0])
def test_scores_however_sharp_are_calibrated(sharpness):
    """The likelihood's two derivatives are zero: what is promised is what is there."""
    rng = np.random.default_rng(0)
    vessels = rng.random(200_000) < 0.1
    logits = np.where(vessels, rng.normal(2, 2, vessels.size), rng.normal(-4, 2, vessels.size))
    scores = 1 / (1 + np.exp(-sharpness * logits))
    clipped = np.clip(scores, 0.5 / 65536, 1 - 0.5 / 65536)
    stretched = np.log(clipped / (1 - clipped))
    promised = platt_calibration(ScoreHistogram.of(scores.astype(np.float32), vessels))(clipped)
    assert promised.mean() == pytest.approx(vessels.mean(), rel=0.01)
    assert (promised * stretched).mean() == pytest.approx((vessels * stretched).mean(), abs=0.05)


def test_without_vessels_and_upside_down_nothing_is_calibrated():
    scores, truth = image(0)
    assert platt_calibration(ScoreHistogram.of(scores, scores > 1)) is None
    inverted = ScoreHistogram.of(1 - scores, truth)
    assert platt_calibration(inverted) is None and validation([inverted]).calibration is None
