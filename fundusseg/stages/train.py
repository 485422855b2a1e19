"""train: shards become a model folder; killed and started again it goes on where it was."""

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.config import PRESETS, Preset, config_hash, to_dict, with_overrides
from fundusseg.errors import EXIT_OK, FundussegError, InputError, Stopped
from fundusseg.io import models
from fundusseg.io.files import locked, output_folder, read_json, sha256_of
from fundusseg.io.history import History
from fundusseg.io.manifest import require_own_folder
from fundusseg.io.shards import Sample, ShardFolder
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import Validation, platt_calibration, validation
from fundusseg.options import TrainOptions
from fundusseg.parallel import free_cores
from fundusseg.stages.train_outputs import conclude, forget, is_finished, saved_state
from fundusseg.stages.train_workers import joined_workers, with_batch_of_all
from fundusseg.workers import Alone


@dataclass(frozen=True)
class TrainingData:
    """frames: uint8 (S, S, 5), one data set after another. set_sizes: samples of each."""

    frames: tuple[np.ndarray, ...]
    set_sizes: tuple[int, ...]
    held_out: tuple[Sample, ...]
    inputs: dict[str, str]


def run_train(shard_folders: list[Path], out: Path, options: TrainOptions) -> int:
    """Train a model on the shards and write it to the folder `out`.

    Raises:
        FundussegError: if shards, configuration or folder are wrong, or a stop is asked for.
    """
    folders = [ShardFolder(path) for path in shard_folders]
    preset = configured(folders, options)
    require_own_folder(out, "train")
    workers = joined_workers(options, preset.train.seed)
    preset = with_batch_of_all(preset, workers.replicas)
    with workers.stopped_by_a_loss(), ExitStack() as lock:
        workers.from_chief(lambda: _take(out, lock))
        inputs = workers.together(lambda: _input_hashes(folders))
        order = [folder.header.data_set for folder in folders]  # of the frames, and so of draws
        config = {"preset": to_dict(preset), "split": options.split, "inputs": inputs}
        config_sha256 = config_hash({**config, "order": order})
        if workers.from_chief(lambda: _nothing_to_do(out, preset, config_sha256, options.force)):
            ui.log.info("%s is finished", out)
            return EXIT_OK
        data = workers.together(lambda: training_data(folders, options.split, inputs))
        Training(preset, data, out, config_sha256, options, workers).run()
        workers.from_chief(lambda: conclude(out, preset, config_sha256, options.split, inputs))
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


def configured(folders: list[ShardFolder], options: TrainOptions) -> Preset:
    """The preset that the shards carry, with what the command line and --config change.

    Raises:
        FundussegError: if the shards were prepared with different presets or frames, or the
            network does not fit the frame or the crops.
    """
    first = folders[0]
    for folder in folders[1:]:
        if (folder.header.preset, folder.header.frame) != (first.header.preset, first.header.frame):
            problem = f"was prepared with another preset or frame than {first.root}"
            raise InputError(folder.root, problem, "prepare both with the same preset")
    preset = PRESETS[first.header.preset]
    if options.config is not None:
        preset = with_overrides(preset, read_json(options.config), str(options.config))
    preset = dataclasses.replace(preset, frame=first.header.frame)
    changed = {"steps": options.steps, "epochs": options.epochs, "seed": options.seed}
    if options.steps is not None and options.epochs is None:
        changed["epochs"] = 0
    changed = {name: value for name, value in changed.items() if value is not None}
    preset = dataclasses.replace(preset, train=dataclasses.replace(preset.train, **changed))
    if options.adversarial_weight is not None:
        loss = dataclasses.replace(preset.loss, adversarial=options.adversarial_weight)
        preset = dataclasses.replace(preset, loss=loss)
    _require_fitting_sizes(preset)
    return preset


def _require_fitting_sizes(preset: Preset) -> None:
    stride = preset.generator.stride
    sizes = [("frame", size_px) for size_px in preset.frame.sizes_px]
    for name, size_px in (*sizes, ("crops", preset.augment.crop_px)):
        if size_px % stride:
            raise FundussegError(
                f"the {name} of {size_px} pixels cannot be halved {stride.bit_length() - 1} times, "
                f"as this network does; give multiples of {stride}"
            )
    if len(sizes) > 1 and not preset.augment.crop_px:
        raise FundussegError("frames of several sizes make no batch; give augment.crop_px")


def training_data(folders: list[ShardFolder], split: str, inputs: dict[str, str]) -> TrainingData:
    """Read the labelled samples of the train (or train and test) and validation parts.

    Raises:
        FundussegError: if one of the two parts has no labelled sample.
    """
    from fundusseg.nets.pipeline import stacked

    wanted = ("train",) if split == "train" else ("train", "test")
    frames, sizes, held_out = [], [], []
    for folder in folders:
        refs = [ref for ref in folder.refs if ref.labelled]
        chosen = [folder.read(ref) for ref in refs if ref.split in wanted]
        frames += [stacked(sample.image, sample.mask, sample.fov) for sample in chosen]
        sizes.append(len(chosen))
        held_out += [folder.read(ref) for ref in refs if ref.split == "validation"]
    names = ", ".join(str(folder.root) for folder in folders)
    if not frames or not held_out:
        part = "validation" if frames else "train"
        raise FundussegError(f"{names}: no photograph with a mask in the {part} part")
    return TrainingData(tuple(frames), tuple(filter(None, sizes)), tuple(held_out), inputs)


class Training:
    """The loop: learn, log, validate, save; all that it knows is in `state.h5`."""

    def __init__(
        self,
        preset: Preset,
        data: TrainingData,
        out: Path,
        config_sha256: str,
        options: TrainOptions,
        workers: Alone,
    ):
        from fundusseg.nets import runtime
        from fundusseg.nets.prediction import Predictor
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
        self.predictor = Predictor(preset, self.trainer.saved_weights(), self.precision)
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
                if last or step % validate_every == 0:
                    self.workers.from_chief(lambda row=row: row.update(self._validate()))
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
        return row | {"learning_rate": learning_rate(done - 1, self.steps, self.preset.train)}

    def _validate(self) -> dict[str, float]:
        """Validate the averaged weights; the best so far become generator.weights.h5."""
        from fundusseg.nets.prediction import assign_weights

        weights = self.trainer.saved_weights()
        assign_weights(self.predictor.generator, weights)
        histograms, l1 = self._held_out_scores()
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

    def _held_out_scores(self) -> tuple[list[ScoreHistogram], float]:
        """A histogram per validation photograph, and the mean L1 of [-1, 1] maps, whole frames."""
        histograms, l1 = [], []
        for sample in self.data.held_out:
            stack = self.predictor.probabilities(sample.image[np.newaxis], sample.fov[np.newaxis])
            probability, truth = stack[0], sample.mask > 127
            histograms.append(ScoreHistogram.of(probability, truth, sample.fov > 127))
            l1.append(2.0 * np.abs(probability - sample.mask / 255.0).mean())
        return histograms, float(np.mean(l1))

    def _write_best(
        self, weights: dict[str, np.ndarray], found: Validation, histograms: list[ScoreHistogram]
    ) -> None:
        pooled = histograms[0]
        for histogram in histograms[1:]:
            pooled = pooled + histogram
        calibration = models.Calibration(*platt_calibration(pooled))
        training = {
            "step": self.trainer.step,
            "steps": self.steps,
            "train_photographs": len(self.data.frames),
            "validation_photographs": len(self.data.held_out),
            "validation_dice": found.dice,
            "validation_auroc": found.auroc,
            "threshold_from": "validation part, prepared size, inside the field of view",
        }
        models.write_weights(self.out / models.GENERATOR, weights)
        models.write_config(self.out, self.preset, found.threshold, calibration, training)
        if self.preset.name == "pix2pix":
            from fundusseg.nets.export import save_whole_model

            save_whole_model(self.predictor.generator, self.out / models.KERAS_GENERATOR)

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
        self.trainer.restore(state)
        self.best = notes["best"]
        self.history.rows = notes["history"]
        ui.log.info("%s: going on at step %d of %d", self.out, self.trainer.step, self.steps)


def _input_hashes(folders: list[ShardFolder]) -> dict[str, str]:
    """SHA-256 of every shard file, by the name of its data set and its own.

    Data sets of one name are numbered from the second on.
    """
    found: dict[str, str] = {}
    for number, folder in enumerate(folders, start=1):
        for path in sorted({ref.path for ref in folder.refs}):
            name = f"{folder.header.data_set}/{path.relative_to(folder.root)}"
            found[f"{number}/{name}" if name in found else name] = sha256_of(path)
    return found
