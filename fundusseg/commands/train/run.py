"""train: shards become a model folder; killed and started again it goes on where it was."""

import dataclasses
from pathlib import Path

from fundusseg import ui
from fundusseg.commands.train.inputs import (
    configured,
    initial_model,
    require_distinct,
    with_batch_of_all,
)
from fundusseg.commands.train.job import Job
from fundusseg.commands.train.training import Training
from fundusseg.datasets.shards import ShardFolder, standing_header
from fundusseg.distributed.joining import joined
from fundusseg.errors import EXIT_OK
from fundusseg.files import models
from fundusseg.files.manifest import require_own_folder
from fundusseg.options import TrainOptions
from fundusseg.wording import counted


def run_train(shard_folders: list[Path], out: Path, options: TrainOptions) -> int:
    """Train a model on the shards and write it to the folder `out`.

    Raises:
        FundussegError: if shards, configuration or folder are wrong, or a stop is asked for.
    """
    require_distinct(shard_folders)
    folders = [ShardFolder(path) for path in shard_folders]
    preset = configured(folders, options)
    initial = initial_model(options.adapted_model, preset, out)
    # A state says itself whose it is, when it is read.
    is_ours = options.force or (out / models.STATE).exists()
    require_own_folder(out, "train", () if is_ours else models.WRITTEN)
    job = Job(preset, folders, initial, out, options)
    if options.adapt:
        from fundusseg.commands.train.adapt import Adaptation

        Adaptation(job).run()
    else:
        _training(job).run()
    return EXIT_OK


def summary(shard_folders: list[Path], out: Path, options: TrainOptions) -> str:
    """The layers of generator and discriminator with their shapes, for --summary.

    out: the model folder, or one more of shards.
    """
    from fundusseg.nets.export import layer_tables

    is_shards = not shard_folders or standing_header(out) is not None
    folders = [*shard_folders, *([out] if is_shards else [])]
    return layer_tables(configured([ShardFolder(path) for path in folders], options))


def _training(job: Job) -> Training:
    """The job as this process does it: alone, on all its GPUs, or as one of several workers."""
    if job.options.distribute == "none":
        return Training(job)
    # Threads are set before a saved state, which may know better, is read.
    options = dataclasses.replace(job.options, jobs=job.options.threads)
    replicas, workers = joined(options.distribute, options.jobs, job.preset.train.seed)
    preset = with_batch_of_all(job.preset, replicas.count)
    if replicas.count > 1:
        crops = counted(preset.train.batch, "crop")
        ui.log.info("%d replicas, %s a step", replicas.count, crops)
    job = dataclasses.replace(job, preset=preset, options=options)
    if workers is None:
        return Training(job, replicas)
    from fundusseg.commands.train.shared import SharedTraining

    return SharedTraining(job, workers)
