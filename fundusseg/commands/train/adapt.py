"""train --adapt: a trained model is fitted to a few annotated photographs of another camera.

The photographs are dealt out by person into two halves. For each half the model goes on with the
other one for a while, and draws the half itself, which that training has not seen: these maps say
which threshold and calibration fit, and whether training helped at all. Then it goes on with all of
them. Each time the weights end between those that it had and those that it comes to, so that what
few photographs teach wrongly weighs less. Where there are too few persons, or training does not
help, the model keeps its weights, and threshold and calibration alone are fitted.
"""

import dataclasses
import shutil
from contextlib import ExitStack

import numpy as np

from fundusseg import ui
from fundusseg.commands.train import outputs
from fundusseg.commands.train.inputs import (
    TrainingData,
    adapting_data,
    adapting_samples,
    input_hashes,
    photographs_seen,
)
from fundusseg.commands.train.job import Job
from fundusseg.commands.train.training import Training
from fundusseg.commands.train.validation import held_out_scores
from fundusseg.config import Preset
from fundusseg.datasets.samples import Sample
from fundusseg.files import models
from fundusseg.files.atomic import output_folder
from fundusseg.files.lock import locked
from fundusseg.files.manifest import STATE_FOLDER
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import Validation, validation
from fundusseg.nets import runtime
from fundusseg.wording import counted

FOLDS = 2
LEAST_PERSONS = 3
# The mean of the weights before and after sees better than either (Wortsman et al. 2022, "Robust
# fine-tuning of zero-shot models", arXiv 2109.01903; docs/adapt.md). The share of those after:
LEARNT_SHARE = 0.7
FOLD_STEPS = 3  # a fold's training is this many times shorter than the last one
# The threshold known before weighs as much as that of this many photographs.
PRIOR_PHOTOGRAPHS = 5
# What a training's threshold is drawn towards: cross-entropy alone would give 0.5, and the lowest
# threshold that is nearly best is some 0.07 lower (docs/adapt.md).
TRAINED_SCORE = 0.43
Weights = dict[str, np.ndarray]


class Adaptation:
    """What `train --adapt` does; job.initial is the model that is adapted."""

    def __init__(self, job: Job):
        assert job.initial is not None  # the command line's default
        self.job, self.out, self.initial = job, job.out, job.initial
        self.trainings = job.out / STATE_FOLDER / "trainings"

    def run(self) -> None:
        """Write the adapted model, unless the folder holds it.

        Raises:
            FundussegError: if folder, shards or a fold's state are not what they should be.
            Stopped: after saving, if a stop was asked for.
        """
        job = self.job
        with ExitStack() as lock:
            output_folder(self.out)
            lock.enter_context(locked(self.out))
            inputs = input_hashes(job.folders)
            sha256 = job.sha256(inputs)
            if job.options.force:
                outputs.forget(self.out)
                shutil.rmtree(self.trainings, ignore_errors=True)
            if outputs.is_finished(self.out, sha256, job.preset.train.batch):
                ui.log.info("%s is finished", self.out)
            else:
                self._adapt(inputs, sha256)
            shutil.rmtree(self.trainings, ignore_errors=True)

    def _adapt(self, inputs: dict[str, str], sha256: str) -> None:
        job = self.job
        samples = adapting_samples(job.folders, job.options.split)
        runtime.start(job.options.threads, seed=job.preset.train.seed)
        self.precision = runtime.chosen_precision(job.options.precision)
        with runtime.out_of_memory_told(self.out):
            fitted = self._fitted(samples)
        self._write(*fitted, len(samples))
        config = {**job.settings(), "sha256": sha256}
        names = (models.CONFIG, models.GENERATOR)
        seen = photographs_seen(self.initial, {sample.source_sha256 for sample in samples})
        outputs.conclude(self.out, names, config, inputs, seen, job.options)

    def _fitted(self, samples: list[Sample]) -> tuple[Weights, Validation, str]:
        """Weights; figures with their threshold and calibration; what was fitted."""
        initial = self.initial
        as_it_was = validation(self._scores(initial.weights, samples))
        before = initial.threshold
        if initial.calibration:
            before = float(initial.calibration.inverse(np.array(before)))
        as_it_was = with_prior(as_it_was, before, len(samples))
        persons = sorted({sample.subject for sample in samples})
        if len(persons) < LEAST_PERSONS:
            how = f"threshold alone: training takes photographs of {LEAST_PERSONS} persons, "
            how += f"and these are of {len(persons)}"
            return initial.weights, as_it_was, how
        folds = [self._fold_scores(fold, persons[fold::FOLDS], samples) for fold in range(FOLDS)]
        held_out = validation([histogram for fold in folds for histogram in fold])
        if not helped(as_it_was, held_out):
            return initial.weights, as_it_was, "threshold alone: training did not help"
        weights = self._trained("all", samples, self.job.preset)
        return weights, with_prior(held_out, TRAINED_SCORE, len(samples)), "weights and threshold"

    def _fold_scores(
        self, fold: int, persons: list[str], samples: list[Sample]
    ) -> list[ScoreHistogram]:
        """Train on the other persons' photographs, and draw these persons' own."""
        train = self.job.preset.train
        steps = max(1, train.steps // FOLD_STEPS)
        preset = dataclasses.replace(self.job.preset, train=dataclasses.replace(train, steps=steps))
        held_out = [sample for sample in samples if sample.subject in persons]
        others = [sample for sample in samples if sample.subject not in persons]
        weights = self._trained(f"fold {fold + 1} of {FOLDS}", others, preset)
        return self._scores(weights, held_out)

    def _trained(self, part: str, samples: list[Sample], preset: Preset) -> Weights:
        """The mean of the weights before and after a training on some of the photographs.

        The training goes on if it was begun.
        """
        out = self.trainings / part.replace(" ", "-")
        job = dataclasses.replace(self.job, preset=preset, out=out, adapting_part=part)
        photographs = counted(len(samples), "photograph")
        ui.log.info("%s: %s, %s", part, photographs, counted(preset.train.steps, "step"))
        _PartTraining(job, adapting_data(samples)).run()
        return models.mean_weights(
            self.initial.weights, models.read_model(out).weights, LEARNT_SHARE
        )

    def _scores(self, weights: Weights, samples: list[Sample]) -> list[ScoreHistogram]:
        return held_out_scores(self.job.preset, weights, self.precision, samples).histograms

    def _write(self, weights: Weights, figures: Validation, how: str, photographs: int) -> None:
        ui.log.info("fitted: %s (%.2f)", how, figures.threshold)
        about = {
            "fitted": how,
            "train_photographs": photographs,
            "precision": self.precision,
            "validation_dice": figures.dice,
            "validation_auroc": figures.auroc,
            "threshold_from": "the same photographs, each drawn by a model that has not seen it",
        }
        chosen = outputs.Generator(weights, figures.threshold, figures.calibration, about)
        chosen.write(self.out, self.job.preset)


class _PartTraining(Training):
    """A training on some of the photographs; nothing validates, the last weights count."""

    def __init__(self, job: Job, data: TrainingData):
        super().__init__(job)
        self._data = data

    def read_data(self) -> TrainingData:
        return self._data


def with_prior(figures: Validation, score: float, photographs: int) -> Validation:
    """The figures with their threshold drawn towards a score that was right before.

    One camera's best threshold differs between its photographs by up to 0.1 (docs/recipe.md).
    """
    calibration = figures.calibration
    best = np.array(figures.threshold)
    best = calibration.inverse(best) if calibration else best
    weights = (photographs, PRIOR_PHOTOGRAPHS)
    drawn = np.array(np.average([best, score], weights=weights))
    threshold = float(calibration(drawn) if calibration else drawn)
    return dataclasses.replace(figures, threshold=round(threshold, 4))


def helped(before: Validation, after: Validation) -> bool:
    """Whether the maps of photographs that a training has not seen became better."""
    ui.log.info("Dice of photographs held out: %.4f, before %.4f", after.dice, before.dice)
    return after.dice > before.dice
