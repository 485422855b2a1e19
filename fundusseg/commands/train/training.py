"""The training of one process: read, then step, log, validate and save to the end."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fundusseg import stop, ui
from fundusseg.commands.train import outputs
from fundusseg.commands.train.inputs import TrainingData, input_hashes, training_data
from fundusseg.commands.train.job import Job
from fundusseg.commands.train.pictures import Pictures
from fundusseg.commands.train.validation import held_out_scores
from fundusseg.config import DEFAULT_THRESHOLD
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.atomic import output_folder
from fundusseg.files.history import History, read_history
from fundusseg.files.lock import locked
from fundusseg.wording import counted

if TYPE_CHECKING:
    from fundusseg.nets.event_log import EventLog
    from fundusseg.nets.one_replica import OneReplica

Numbers = TypeVar("Numbers", float, np.ndarray)


class Training:
    """The road from shards to a model folder; all that it knows on the way is in `state.h5`.

    Its public methods are the steps that several workers take in another way (shared.py).

    Args:
        replicas: what each batch is dealt out to (nets.one_replica); one by default.
    """

    share = (0, 1)  # this process's part of each batch, and of how many

    def __init__(self, job: Job, replicas: "OneReplica | None" = None):
        self.job, self.preset, self.out, self.options = job, job.preset, job.out, job.options
        self.replicas = replicas

    def run(self) -> None:
        """Train, unless the folder holds the finished model.

        Raises:
            InputError: if folder, shards or state are not what they should be.
            Stopped: after saving, if a stop was asked for.
        """
        with ExitStack() as lock:
            self.take_folder(lock)
            self.inputs = self.hash_inputs()
            self.config = self.job.settings()
            self.config_sha256 = self.job.sha256(self.inputs)
            if self.options.force:
                self.forget()
            if self.is_finished():
                ui.log.info("%s is finished", self.out)
                self.log_finished()
                return
            self.data = self.read_data()
            self.begin()
            from fundusseg.nets import runtime

            with runtime.out_of_memory_told(self.out):
                self.learn()
            self.conclude()

    def begin(self) -> None:
        """Build the networks, as they were in the saved state if there is one."""
        from fundusseg.nets import runtime
        from fundusseg.nets.training import Trainer

        train = self.preset.train
        saved = self.saved_state()
        notes = saved[1] if saved else {}
        # Threads and precision change the last digits, so a resume keeps those it began with.
        self.threads = self.options.jobs or notes.get("threads") or self.options.threads
        runtime.start(self.threads, seed=train.seed)
        self.precision = self.chosen_precision(notes)
        ui.log.info("precision %s, %s", self.precision, counted(self.threads, "thread"))
        self.batches_per_epoch = max(1, len(self.data.frames) // train.batch)
        self.steps = train.epochs * self.batches_per_epoch if train.epochs else train.steps
        sets = len(self.data.set_sizes)
        self.trainer = Trainer(self.preset, self.steps, self.precision, self.replicas, sets)
        self.history = History(self.out / models.HISTORY)
        self.pictures = Pictures(self.out, self.data.held_out, not self.job.adapting_part)
        self._events: EventLog | None = None
        self._logged_rows = 0
        self.best: float | None = None
        self.chosen: outputs.Generator | None = None
        self._written: outputs.Generator | None = None
        if (initial := self.job.initial) is not None:
            try:
                self.trainer.start_from(initial.weights)
            except ValueError as error:
                raise InputError(initial.folder, str(error), "give another model") from error
        if saved is not None:
            self._restore(*saved)

    def learn(self) -> None:
        """Train from the saved step to the last one; Stopped after saving, if that is asked for."""
        train = self.preset.train
        validate_every = train.validate_every or self.batches_per_epoch
        with (
            stop.interrupts_deferred(),
            ui.progress(f"train {self.out}", self.steps, "step") as bar,
        ):
            bar.passed(self.trainer.step)
            for batch in self._batches():
                self.trainer.run_step(batch)
                bar.advance()
                step = self.trainer.step
                last = step == self.steps
                row = self._mean_losses() if last or step % train.log_every == 0 else {}
                if self.data.held_out and (last or step % validate_every == 0):
                    row |= self.validate()
                elif last:
                    self.choose_unvalidated()
                if row:
                    self.history.add(step, step / self.batches_per_epoch, row)
                saving = last or step % train.checkpoint_every == 0
                stopping = self.is_stop_requested(saving)
                if saving or stopping:
                    self.save()
                if stopping:
                    self.stop()

    def take_folder(self, lock: ExitStack) -> None:
        """Make the folder this training's own until `lock` is closed."""
        output_folder(self.out)
        lock.enter_context(locked(self.out))
        if (folder := self.job.event_folder) is not None:
            output_folder(folder)

    def hash_inputs(self) -> dict[str, str]:
        """SHA-256 of every shard file."""
        return input_hashes(self.job.folders)

    def forget(self) -> None:
        """Begin anew (--force)."""
        outputs.forget(self.out)

    def is_finished(self) -> bool:
        """Whether this very training has ended in the folder."""
        return outputs.is_finished(self.out, self.config_sha256, self.preset.train.batch)

    def read_data(self) -> TrainingData:
        """The samples."""
        return training_data(self.job.folders, self.options.trained_part, self.job.initial)

    def saved_state(self) -> tuple[dict[str, np.ndarray], dict] | None:
        """The state and notes to go on from, if any."""
        return outputs.saved_state(self.out, self.config_sha256, self.preset.train.batch)

    def chosen_precision(self, notes: dict) -> str:
        """ "float32" or "bfloat16": as asked for, as begun, or as the hardware is."""
        from fundusseg.nets import runtime

        wanted = self.options.precision
        return runtime.chosen_precision(
            notes.get("precision", wanted) if wanted == "auto" else wanted
        )

    def validate(self) -> dict[str, float]:
        """Validate the averaged weights; the best so far become generator.weights.h5 (`save`)."""
        weights = self._finite(self.trainer.saved_weights())
        scores = held_out_scores(self.preset, weights, self.precision, self.data.held_out)
        figures = scores.figures
        self.pictures.add(self.trainer.step, scores.panels)
        score = figures.dice if self.preset.train.select == "dice" else -scores.l1
        held_out = {"validation_dice": figures.dice, "validation_auroc": figures.auroc}
        row = {**held_out, "validation_l1": scores.l1, "threshold": figures.threshold}
        if self.best is None or score > self.best:
            self.best = score
            source = "validation part, prepared size, inside the field of view"
            about = {**held_out, "threshold_from": source}
            self._choose(weights, about, figures.threshold, figures.calibration)
        said = "step %d: validation Dice %.4f, AUROC %.4f, L1 %.4f, threshold %.2f"
        ui.log.info(said, self.trainer.step, *row.values())
        return row

    def choose_unvalidated(self) -> None:
        """The last weights, where every photograph was trained on (--split all)."""
        about = {"threshold_from": "nothing: every photograph was trained on"}
        self._choose(self._finite(self.trainer.saved_weights()), about)

    def is_stop_requested(self, saving: bool) -> bool:
        """Whether to end after this step; `saving`: the state is written after it anyway."""
        return stop.requested()

    def save(self) -> None:
        """Write where the training stands; the state last, since a resume believes it."""
        state = self._finite(self.trainer.state()) | self.pictures.arrays()
        self._write_files()
        self._log_events()
        notes = {
            "config": self.config_sha256,
            "batch": self.preset.train.batch,
            "threads": self.threads,
            "precision": self.precision,
            "best": self.best,
            "history": self.history.rows,
        }
        if self.chosen is not None:
            notes["generator"] = self.chosen.notes()
            state |= self.chosen.arrays()
        models.write_state(self.out, state, notes)

    def mend_files(self) -> None:
        """Write the files that follow from the state anew before going on: they may be damaged."""
        self._write_files()
        self._log_events()

    def log_finished(self) -> None:
        """Write the whole history for TensorBoard, if that is asked for now, and was not before."""
        folder = self.job.event_folder
        if folder is not None and not _has_log(folder):
            self._event_log(folder).add(read_history(self.out / models.HISTORY))

    def _write_files(self) -> None:
        self.history.write()
        self.pictures.write()
        if self.chosen is not None and self.chosen is not self._written:
            self.chosen.write(self.out, self.preset)
            self._written = self.chosen
        if self.trainer.step == self.steps:
            models.write_weights(self.out / models.GENERATOR_LAST, self.trainer.saved_weights())
            if self.trainer.discriminator:
                weights = self.trainer.discriminator_weights()
                models.write_weights(self.out / models.DISCRIMINATOR, weights)

    def _log_events(self) -> None:
        """Write the history since the last state for TensorBoard, if that is asked for.

        All of it where no run has written any yet.
        """
        if (folder := self.job.event_folder) is None:
            return
        if not _has_log(folder):
            self._logged_rows = 0
        if rows := self.history.rows[self._logged_rows :]:
            self._events = self._events or self._event_log(folder)
            self._events.add(rows)
            self._logged_rows = len(self.history.rows)

    @staticmethod
    def _event_log(folder: Path) -> "EventLog":
        from fundusseg.nets.event_log import EventLog

        return EventLog(folder)

    def stop(self) -> None:
        """End before the last step; Stopped naming the signal."""
        stop.check()

    def conclude(self) -> None:
        """Write the manifest."""
        config = {**self.config, "sha256": self.config_sha256}
        names = outputs.written(self.preset, self.pictures.names)
        seen = self.data.photographs
        outputs.conclude(self.out, names, config, self.inputs, seen, self.options)

    def _batches(self) -> Iterable[Any]:
        from fundusseg.nets.pipeline import draw_order, training_batches

        train, sizes = self.preset.train, self.data.set_sizes
        return training_batches(
            self.data.frames,
            sizes,
            draw_order(sizes, self.steps * train.batch, train.balance, train.seed),
            self.trainer.step,
            train.batch,
            self.preset.augment,
            train.seed,
            self.threads,
            self.share,
        )

    def _mean_losses(self) -> dict[str, float]:
        """The mean losses since the last row, and the learning rate of the step just done."""
        from fundusseg.nets.training import learning_rate

        done = self.trainer.step
        since = done - self.history.last_step_with("generator_loss")
        row = self._finite(self.trainer.mean_losses(since))
        if self.trainer.set_offsets is not None:
            pairs = zip(self.data.set_names, self.trainer.centred_offsets(), strict=True)
            offsets = ", ".join(f"{name} {offset:+.3f}" for name, offset in pairs)
            losses = ", ".join(f"{name} {mean:.4f}" for name, mean in row.items())
            ui.log.info("step %d: %s; set offsets: %s", done, losses, offsets)
        return row | {"learning_rate": learning_rate(done - 1, self.steps, self.preset.train)}

    def _finite(self, values: dict[str, Numbers]) -> dict[str, Numbers]:
        """Losses or weights by name, as they came.

        InputError if one of them is infinite or no number.
        """
        if not all(np.isfinite(value).all() for value in values.values()):
            problem = f"has diverged: losses or weights are no numbers at step {self.trainer.step}"
            remedy = "lower train.learning_rate (--config), and give --force"
            raise InputError(self.out, problem, remedy)
        return values

    def _choose(
        self,
        weights: dict[str, np.ndarray],
        about: dict,
        threshold: float = DEFAULT_THRESHOLD,
        calibration: models.Calibration | None = None,
    ) -> None:
        training = {
            "step": self.trainer.step,
            "steps": self.steps,
            "train_photographs": len(self.data.frames),
            "validation_photographs": len(self.data.held_out),
            "precision": self.precision,
            "threads": self.threads,
            **about,
        }
        self.chosen = outputs.Generator(weights, threshold, calibration, training)

    def _restore(self, state: dict[str, np.ndarray], notes: dict) -> None:
        try:
            self.chosen = outputs.taken_generator(state, notes, self.out / models.STATE)
            self.pictures.take(state)
            self.trainer.restore(state)
            self.history.take(notes["history"])
            self.best = None if notes["best"] is None else float(notes["best"])
            self._logged_rows = len(self.history.rows)
            self.pictures.require_steps_of(self.history.rows)
            if not 0 <= self.trainer.step <= self.steps:
                raise ValueError(f"step {self.trainer.step} of {self.steps}")
        except (KeyError, TypeError, ValueError) as error:
            problem = f"does not fit this training ({' '.join(str(error).split())[:120]})"
            remedy = "give --force to begin anew"
            raise InputError(self.out / models.STATE, problem, remedy) from error
        ui.log.info("%s: going on at step %d of %d", self.out, self.trainer.step, self.steps)
        self.mend_files()


def _has_log(folder: Path) -> bool:
    """Whether event files stand in a folder."""
    return any(folder.glob("*.tfevents.*"))
