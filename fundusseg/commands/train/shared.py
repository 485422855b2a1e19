"""A training that several workers share: the layer around the training of one process."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from fundusseg.commands.train.job import Job
from fundusseg.commands.train.training import Training
from fundusseg.distributed.workers import Workers
from fundusseg.errors import Stopped
from fundusseg.files.arrays import crc32_of
from fundusseg.options import Precision


def _by_chief(step: Callable) -> Callable[..., Any]:
    """A step of `Training` that the chief takes, while the others wait."""
    return lambda self, *arguments: self.workers.by_chief(step, self, *arguments)


def _by_all(step: Callable) -> Callable[..., Any]:
    """A step of `Training` that ends all if it fails on one."""
    return lambda self, *arguments: self.workers.by_all(step, self, *arguments)


class SharedTraining(Training):
    """All workers learn, each from its share of every batch; the chief alone validates and writes.

    What fails on one of them ends all, and all stop after the same step.
    """

    take_folder = _by_chief(Training.take_folder)
    hash_inputs = _by_all(Training.hash_inputs)
    forget = _by_chief(Training.forget)
    read_data = _by_all(Training.read_data)
    mend_files = _by_chief(Training.mend_files)
    log_finished = _by_chief(Training.log_finished)
    save = _by_chief(Training.save)
    conclude = _by_chief(Training.conclude)

    def __init__(self, job: Job, workers: Workers):
        super().__init__(job, workers.replicas)
        self.workers = workers
        self.share = (workers.rank, workers.count)

    def run(self) -> None:
        """See `Training`; raises Stopped also if a worker is lost."""
        with self.workers.stopped_by_a_loss():
            super().run()

    def is_finished(self) -> bool:
        return bool(self.workers.of_chief(bool(self.workers.by_chief(super().is_finished))))

    def saved_state(self) -> tuple[dict[str, np.ndarray], dict] | None:
        self.workers.by_chief(super().saved_state)  # which puts an earlier one in its place
        saved = self.workers.by_all(super().saved_state)
        self.workers.require_equal(
            crc32_of(saved[0] if saved else {}) ^ int(self.config_sha256[:8], 16),
            f"{self.out}: the workers read different states, shards or settings; give all of them "
            "the same command and one shared file system",
        )
        return saved

    def chosen_precision(self, notes: dict) -> str:
        own = super().chosen_precision(notes)
        words = get_args(Precision)
        return words[self.workers.of_chief(words.index(own))]

    def validate(self) -> dict[str, float]:
        return self.workers.by_chief(super().validate) or {}

    def is_stop_requested(self, saving: bool) -> bool:
        return self.workers.is_stop_requested(self.trainer.step, saving)

    def stop(self) -> None:
        super().stop()
        raise Stopped("another worker was asked to stop; the work so far is saved")
