"""A training that several workers share: the layer around the training of one process."""

from contextlib import ExitStack
from typing import get_args

import numpy as np

from fundusseg.commands.train.inputs import TrainingData
from fundusseg.commands.train.training import Job, Training
from fundusseg.distributed.workers import Workers
from fundusseg.errors import Stopped
from fundusseg.files import models
from fundusseg.options import Precision


class SharedTraining(Training):
    """All workers learn, each from its share of every batch; the chief alone validates and writes.

    What fails on one of them ends all, and all stop after the same step.
    """

    def __init__(self, job: Job, workers: Workers):
        super().__init__(job, workers.replicas)
        self.workers = workers
        self.share = (workers.rank, workers.count)

    def run(self) -> None:
        """See `Training`.

        Raises:
            Stopped: also if a worker is lost.
        """
        with self.workers.stopped_by_a_loss():
            super().run()

    def take_folder(self, lock: ExitStack) -> None:
        self.workers.by_chief(super().take_folder, lock)

    def hash_inputs(self) -> dict[str, str]:
        return self.workers.by_all(super().hash_inputs)

    def forget(self) -> None:
        self.workers.by_chief(super().forget)

    def is_finished(self) -> bool:
        return bool(self.workers.of_chief(bool(self.workers.by_chief(super().is_finished))))

    def read_data(self) -> TrainingData:
        return self.workers.by_all(super().read_data)

    def saved_state(self) -> tuple[dict[str, np.ndarray], dict] | None:
        saved = self.workers.by_all(super().saved_state)
        self.workers.require_equal(
            models.state_digest(saved[0] if saved else {}) ^ int(self.config_sha256[:8], 16),
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

    def write_unvalidated(self) -> None:
        self.workers.by_chief(super().write_unvalidated)

    def is_stop_requested(self, saving: bool) -> bool:
        return self.workers.is_stop_requested(self.trainer.step, saving)

    def save(self) -> None:
        self.workers.by_chief(super().save)

    def stop(self) -> None:
        super().stop()
        raise Stopped("another worker was asked to stop; the work so far is saved")

    def conclude(self) -> None:
        self.workers.by_chief(super().conclude)
