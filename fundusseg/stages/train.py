"""train: shards become a model folder; killed and started again it goes on where it was."""

from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.config import DEFAULT_THRESHOLD, Preset, config_hash, to_dict
from fundusseg.errors import EXIT_OK, InputError
from fundusseg.io import models
from fundusseg.io.files import locked, output_folder, sha256_of
from fundusseg.io.history import History
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import manifest, read_manifest, require_own_folder, write_manifest
from fundusseg.io.shards import ShardFolder
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import Validation, platt_calibration, pooled, validation
from fundusseg.options import TrainOptions
from fundusseg.parallel import free_cores
from fundusseg.stages.train_inputs import (
    TrainingData,
    configured,
    initial_model,
    input_hashes,
    training_data,
)


def run_train(shard_folders: list[Path], out: Path, options: TrainOptions) -> int:
    """Train a model on the shards and write it to the folder `out`.

    Raises:
        FundussegError: if shards, configuration or folder are wrong, or a stop is asked for.
    """
    folders = [ShardFolder(path) for path in shard_folders]
    preset = configured(folders, options)
    initial = initial_model(options.start_from, preset)
    require_own_folder(out, "train")
    output_folder(out)
    with locked(out):
        inputs = input_hashes(folders)
        order = [folder.header.data_set for folder in folders]  # of the frames, and so of draws
        config = {"preset": to_dict(preset), "split": options.split, "inputs": inputs}
        config |= _start(initial)
        config_sha256 = config_hash({**config, "order": order})
        if options.force:
            _forget(out)
        elif _is_finished(out, config_sha256):
            ui.log.info("%s is finished", out)
            return EXIT_OK
        data = training_data(folders, options.split, inputs)
        Training(preset, data, out, config_sha256, options, initial).run()
        _conclude(out, preset, config_sha256, options, inputs, initial)
    return EXIT_OK


def summary(shard_folders: list[Path], options: TrainOptions) -> str:
    """The layers of generator and discriminator with their shapes, for --summary."""
    from fundusseg.nets.export import layer_tables

    return layer_tables(configured([ShardFolder(path) for path in shard_folders], options))


class Training:
    """The loop: learn, log, validate, save; all that it knows is in `state.h5`."""

    def __init__(
        self,
        preset: Preset,
        data: TrainingData,
        out: Path,
        config_sha256: str,
        options: TrainOptions,
        initial: models.Model | None,
    ):
        from fundusseg.nets import runtime
        from fundusseg.nets.training import Trainer

        self.preset, self.data, self.out, self.config_sha256 = preset, data, out, config_sha256
        saved = models.read_state(out)
        notes = {} if saved is None else saved[1]
        # Threads and precision change the last digits, so a resume keeps those it began with.
        self.jobs = options.jobs or notes.get("threads") or free_cores()
        runtime.start(self.jobs, seed=preset.train.seed)
        wanted = options.precision
        self.precision = runtime.chosen_precision(
            notes.get("precision", wanted) if wanted == "auto" else wanted
        )
        ui.log.info("precision %s, %d threads", self.precision, self.jobs)
        self.batches_per_epoch = max(1, len(data.frames) // preset.train.batch)
        self.steps = (
            preset.train.epochs * self.batches_per_epoch
            if preset.train.epochs
            else preset.train.steps
        )
        self.trainer = Trainer(preset, self.steps, self.precision)
        if initial is not None:
            self.trainer.start_from(initial.weights)
        self.history = History(out / models.HISTORY)
        self.best: float | None = None
        if saved is not None:
            self._restore(*saved)

    def run(self) -> None:
        """Train from the saved step to the last one.

        Raises:
            Stopped: after saving, if a stop was asked for.
        """
        train = self.preset.train
        validate_every = train.validate_every or self.batches_per_epoch
        with ui.progress(f"train {self.out}", self.steps, "steps") as bar:
            bar.advance(self.trainer.step)
            for batch in self._batches():
                self.trainer.run_step(batch)
                bar.advance()
                step = self.trainer.step
                last = step == self.steps
                row = self._log() if last or step % train.log_every == 0 else {}
                if self.data.held_out and (last or step % validate_every == 0):
                    row |= self._validate()
                elif last:
                    self._write_unvalidated()
                if row:
                    self.history.add(step, step / self.batches_per_epoch, row)
                if last or step % train.checkpoint_every == 0 or stop.requested():
                    self._save()
                    stop.check()

    def _batches(self):
        from fundusseg.nets.pipeline import draw_order, training_batches

        train = self.preset.train
        draws = self.steps * train.batch
        order = draw_order(self.data.set_sizes, draws, train.balance, train.seed)
        first = self.trainer.step
        augment = self.preset.augment
        return training_batches(
            self.data.frames, order, first, train.batch, augment, train.seed, self.jobs
        )

    def _log(self) -> dict[str, float]:
        """The mean losses since the last row, and the learning rate of the step just done."""
        from fundusseg.nets.training import learning_rate

        done = self.trainer.step
        since = done - self.history.last_step_with("generator_loss")
        row = self.trainer.mean_losses(since)
        return row | {"learning_rate": learning_rate(done - 1, self.steps, self.preset.train)}

    def _validate(self) -> dict[str, float]:
        """Validate the averaged weights; the best so far become generator.weights.h5."""
        weights = self.trainer.saved_weights()
        histograms, l1 = self._held_out_scores(weights)
        found = validation(histograms)
        score = found.dice if self.preset.train.select == "dice" else -l1
        if self.best is None or score > self.best:
            self.best = score
            self._write_best(weights, found, histograms)
        ui.log.info(
            "step %d: validation Dice %.4f, AUROC %.4f, L1 %.4f, threshold %.2f",
            self.trainer.step,
            found.dice,
            found.auroc,
            l1,
            found.threshold,
        )
        return {
            "validation_dice": found.dice,
            "validation_auroc": found.auroc,
            "validation_l1": l1,
            "threshold": found.threshold,
        }

    def _held_out_scores(
        self, weights: dict[str, np.ndarray]
    ) -> tuple[list[ScoreHistogram], float]:
        """A histogram per validation photograph, and the mean L1 of [-1, 1] maps, whole frames."""
        from fundusseg.nets.prediction import Predictor

        predictor = Predictor(self.preset, weights, self.precision)
        histograms, l1 = [], []
        for sample in self.data.held_out:
            stack = predictor.probabilities(sample.image[np.newaxis], sample.fov[np.newaxis])
            probability, truth = stack[0], sample.mask > 127
            histograms.append(ScoreHistogram.of(probability, truth, sample.fov > 127))
            l1.append(2.0 * np.abs(probability - sample.mask / 255.0).mean())
        return histograms, float(np.mean(l1))

    def _write_best(
        self, weights: dict[str, np.ndarray], found: Validation, histograms: list[ScoreHistogram]
    ) -> None:
        about = {
            "validation_dice": found.dice,
            "validation_auroc": found.auroc,
            "threshold_from": "validation part, prepared size, inside the field of view",
        }
        calibration = models.Calibration(*platt_calibration(pooled(histograms)))
        self._write_model(weights, found.threshold, calibration, about)

    def _write_unvalidated(self) -> None:
        """The last weights, where every photograph was trained on (--split all)."""
        about = {"threshold_from": "nothing: every photograph was trained on"}
        self._write_model(self.trainer.saved_weights(), DEFAULT_THRESHOLD, None, about)

    def _write_model(
        self,
        weights: dict[str, np.ndarray],
        threshold: float,
        calibration: models.Calibration | None,
        about: dict,
    ) -> None:
        training = {
            "step": self.trainer.step,
            "steps": self.steps,
            "train_photographs": len(self.data.frames),
            "validation_photographs": len(self.data.held_out),
            "precision": self.precision,
            "threads": self.jobs,
            **about,
        }
        models.write_weights(self.out / models.GENERATOR, weights)
        models.write_config(self.out, self.preset, threshold, calibration, training)
        if self.preset.name == "pix2pix":
            from fundusseg.nets.export import save_whole_model

            save_whole_model(self.preset, weights, self.out / models.KERAS_GENERATOR)

    def _save(self) -> None:
        """Write where the training stands; the state last, since a resume believes it."""
        self.history.write()
        if self.trainer.step == self.steps:
            models.write_weights(self.out / models.GENERATOR_LAST, self.trainer.saved_weights())
            models.write_weights(
                self.out / models.DISCRIMINATOR, self.trainer.discriminator_weights()
            )
        notes = {
            "config": self.config_sha256,
            "threads": self.jobs,
            "precision": self.precision,
            "best": self.best,
            "history": self.history.rows,
        }
        models.write_state(self.out, self.trainer.state(), notes)

    def _restore(self, state: dict[str, np.ndarray], notes: dict) -> None:
        if notes["config"] != self.config_sha256:
            _refuse(self.out)
        self.trainer.restore(state)
        self.best = notes["best"]
        self.history.rows = notes["history"]
        ui.log.info("%s: going on at step %d of %d", self.out, self.trainer.step, self.steps)


def _is_finished(out: Path, config_sha256: str) -> bool:
    if not (out / MANIFEST).is_file():
        return False
    found = read_manifest(out / MANIFEST)
    if found["config"].get("sha256") != config_sha256:
        _refuse(out)
    missing = [name for name in found["outputs"] if not (out / name).is_file()]
    if missing:
        problem = f"is missing {', '.join(missing)} of a finished training"
        raise InputError(out, problem, "put it back, or give --force to train anew")
    return True


def _refuse(out: Path) -> None:
    problem = "holds a training on other data or with other settings"
    raise InputError(out, problem, "choose another folder, or give --force to begin anew")


def _forget(out: Path) -> None:
    """Begin anew (--force): the manifest goes first, so that the rest never looks finished."""
    for name in (MANIFEST, models.STATE, models.GENERATOR, models.CONFIG, models.HISTORY):
        (out / name).unlink(missing_ok=True)


def _start(initial: models.Model | None) -> dict[str, str]:
    """The entry of hash and manifest for a training that does not begin with random weights."""
    return {} if initial is None else {"start_from": initial.sha256}


def _conclude(
    out: Path,
    preset: Preset,
    config_sha256: str,
    options: TrainOptions,
    inputs: dict[str, str],
    initial: models.Model | None,
) -> None:
    """Write the manifest: the training is complete."""
    names = [models.CONFIG, models.GENERATOR, models.GENERATOR_LAST]
    names += [models.DISCRIMINATOR, models.HISTORY]
    names += [models.KERAS_GENERATOR] if preset.name == "pix2pix" else []
    outputs = {name: sha256_of(out / name) for name in names}
    config = {"preset": to_dict(preset), "split": options.split, "sha256": config_sha256}
    config |= _start(initial)
    more = {"model_sha256": models.model_sha256(out)}
    write_manifest(out / MANIFEST, manifest("train", config, inputs, outputs, {}, **more))
