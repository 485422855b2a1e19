"""train: shards become a model folder; killed and started again it goes on where it was."""

import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.config import DEFAULT_THRESHOLD, Preset, config_hash, to_dict
from fundusseg.errors import EXIT_OK, InputError, Stopped
from fundusseg.io import models
from fundusseg.io.files import locked, output_folder
from fundusseg.io.history import History
from fundusseg.io.manifest import require_own_folder
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
    start_entry,
    training_data,
)
from fundusseg.stages.train_outputs import conclude, forget, is_finished, saved_state
from fundusseg.stages.train_workers import joined_workers, with_batch_of_all
from fundusseg.workers import Workers


def run_train(shard_folders: list[Path], out: Path, options: TrainOptions) -> int:
    """Train a model on the shards and write it to the folder `out`.

    Raises:
        FundussegError: if shards, configuration or folder are wrong, or a stop is asked for.
    """
    folders = [ShardFolder(path) for path in shard_folders]
    preset = configured(folders, options)
    initial = initial_model(options.start_from, preset, out)
    require_own_folder(out, "train")
    workers = joined_workers(options, preset.train.seed)
    preset = with_batch_of_all(preset, workers.replicas)
    with workers.stopped_by_a_loss(), ExitStack() as lock:
        workers.from_chief(lambda: _take(out, lock))
        inputs = workers.together(lambda: input_hashes(folders))
        order = [folder.header.data_set for folder in folders]  # of the frames, and so of draws
        config = {"preset": to_dict(preset), "split": options.split, **start_entry(initial)}
        config_sha256 = config_hash({**config, "inputs": inputs, "order": order})
        if workers.from_chief(lambda: _nothing_to_do(out, preset, config_sha256, options.force)):
            ui.log.info("%s is finished", out)
            return EXIT_OK
        data = workers.together(lambda: training_data(folders, options.split))
        Training(preset, data, out, config_sha256, options, workers, initial).run()
        config["sha256"] = config_sha256
        workers.from_chief(lambda: conclude(out, preset, config, inputs))
    return EXIT_OK


def _take(out: Path, lock: ExitStack) -> None:
    """Make the folder this training's own until `lock` is closed."""
    output_folder(out)
    lock.enter_context(locked(out))


def _nothing_to_do(out: Path, preset: Preset, config_sha256: str, force: bool) -> bool:
    if force:
        forget(out)
        return False
    return is_finished(out, config_sha256, preset.train.batch)


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
        workers: Workers,
        initial: models.Model | None,
    ):
        from fundusseg.nets import runtime
        from fundusseg.nets.training import Trainer

        self.preset, self.data, self.out, self.config_sha256 = preset, data, out, config_sha256
        self.workers = workers
        saved = workers.together(lambda: saved_state(out, config_sha256, preset.train.batch))
        state, notes = ({}, {}) if saved is None else saved
        workers.require_equal(
            lambda: models.state_digest(state) ^ int(config_sha256[:8], 16),
            f"{out}: the workers read different states, shards or settings; give all of them the "
            "same command and one shared file system",
        )
        # Threads and precision change the last digits, so a resume keeps those it began with.
        # (Several workers are started before any of them reads the state.)
        kept = notes.get("threads") if options.distribute == "none" else None
        self.jobs = options.jobs or kept or free_cores()
        runtime.start(self.jobs, seed=preset.train.seed)
        wanted = options.precision
        own = runtime.chosen_precision(
            notes.get("precision", wanted) if wanted == "auto" else wanted
        )
        in_bfloat16 = workers.from_chief(lambda: own == "bfloat16")
        self.precision = "bfloat16" if in_bfloat16 else "float32"
        ui.log.info("precision %s, %d threads", self.precision, self.jobs)
        self.batches_per_epoch = max(1, len(data.frames) // preset.train.batch)
        self.steps = (
            preset.train.epochs * self.batches_per_epoch
            if preset.train.epochs
            else preset.train.steps
        )
        self.trainer = Trainer(preset, self.steps, self.precision, workers.strategy)
        if initial is not None:
            try:
                self.trainer.start_from(initial.weights)
            except ValueError as error:
                raise InputError(initial.folder, str(error), "give another model") from error
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
                    self.workers.from_chief(lambda row=row: row.update(self._validate()))
                elif last:
                    self.workers.from_chief(self._write_unvalidated)
                if row:
                    self.history.add(step, step / self.batches_per_epoch, row)
                saving = last or step % train.checkpoint_every == 0
                stopping = self.workers.stop_requested(step, saving)
                if saving or stopping:
                    self.workers.from_chief(self._save)
                if stopping:
                    stop.check()
                    raise Stopped("another worker was asked to stop; the work so far is saved")

    def _batches(self):
        from fundusseg.nets.pipeline import draw_order, training_batches

        train = self.preset.train
        draws = self.steps * train.batch
        order = draw_order(self.data.set_sizes, draws, train.balance, train.seed)
        first = self.trainer.step
        return training_batches(
            self.data.frames,
            order,
            first,
            train.batch,
            self.preset.augment,
            train.seed,
            self.jobs,
            share=(self.workers.rank, self.workers.count),
        )

    def _log(self) -> dict[str, float]:
        """The mean losses since the last row, and the learning rate of the step just done."""
        from fundusseg.nets.training import learning_rate

        done = self.trainer.step
        since = done - self.history.last_step_with("generator_loss")
        row = self.trainer.mean_losses(since)
        if not all(map(math.isfinite, row.values())):
            problem = f"has diverged: its loss is no number at step {done}"
            remedy = "lower train.learning_rate (--config), and give --force"
            raise InputError(self.out, problem, remedy)
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
            "batch": self.preset.train.batch,
            "threads": self.jobs,
            "precision": self.precision,
            "best": self.best,
            "history": self.history.rows,
        }
        models.write_state(self.out, self.trainer.state(), notes)

    def _restore(self, state: dict[str, np.ndarray], notes: dict) -> None:
        try:
            self.trainer.restore(state)
            self.best, self.history.rows = notes["best"], notes["history"]
        except (KeyError, ValueError) as error:
            problem = f"does not fit this training ({' '.join(str(error).split())[:120]})"
            remedy = "give --force to begin anew"
            raise InputError(self.out / models.STATE, problem, remedy) from error
        ui.log.info("%s: going on at step %d of %d", self.out, self.trainer.step, self.steps)
