"""How good a generator is on the photographs that are held out for validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fundusseg.commands.train.pictures import panel
from fundusseg.config import Preset
from fundusseg.datasets.samples import Sample
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import Validation, validation


@dataclass(frozen=True)
class HeldOutScores:
    """Figures of prepared frames inside the field of view; l1 of whole frames in [-1, 1].

    l1, histograms and panels, one an image, are of scores that are not calibrated.
    """

    figures: Validation
    l1: float
    histograms: list[ScoreHistogram]
    panels: list[np.ndarray]


def held_out_scores(
    preset: Preset, weights: dict[str, np.ndarray], precision: str, samples: Sequence[Sample]
) -> HeldOutScores:
    """Draw the maps of the samples and compare them with their masks."""
    from fundusseg.nets.prediction import Predictor

    predictor = Predictor(preset, weights, precision)
    histograms, l1, panels = [], [], []
    for sample in samples:
        stack = predictor.scores(sample.image[np.newaxis], sample.fov[np.newaxis])
        scores, truth = stack[0], sample.labelled_mask > 127
        panels.append(panel(255 * scores))
        histograms.append(ScoreHistogram.of(scores, truth, sample.fov > 127))
        l1.append(2.0 * np.abs(scores - sample.labelled_mask / 255.0).mean())
    return HeldOutScores(validation(histograms), float(np.mean(l1)), histograms, panels)
