"""The workers of one training, and what these processes tell each other between its steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from fundusseg import stop, ui
from fundusseg.distributed.replicas import StrategyReplicas
from fundusseg.distributed.strategy import LOSSES
from fundusseg.errors import FundussegError, Stopped

STOP_ASKED_EVERY = 8  # steps; each question is one more exchange between the workers


class Workers:
    """This process among those that train together. All of them must ask the same, in one order.

    Args:
        replicas: those of all workers.
        count: the processes. rank: which of them this is; the chief, 0, validates and writes.
    """

    def __init__(self, replicas: StrategyReplicas, count: int, rank: int):
        self.replicas, self.count, self.rank = replicas, count, rank
        self._exchange = tf.function(self._summed)

    def by_all(self, action: Callable, *arguments: Any) -> Any:
        """What `action` returns, run by every worker; if it fails on one, all end.

        Raises:
            FundussegError: of this worker, or saying that another one failed.
        """
        error = result = None
        try:
            result = action(*arguments)
        except (FundussegError, OSError) as raised:
            error = raised
        failed = self._all_gather(int(error is not None))
        if error is not None:
            raise error
        if failed.any():
            names = ", ".join(map(str, np.flatnonzero(failed)))
            raise FundussegError(f"worker {names} of {self.count} failed; its own line says why")
        return result

    def by_chief(self, action: Callable, *arguments: Any) -> Any:
        """What `action` returns on the chief, which alone runs it, and None elsewhere; errors as in
        `by_all`.
        """
        return self.by_all(action if self.rank == 0 else _nothing, *arguments)

    def of_chief(self, number: int) -> int:
        """The chief's number (64 bit, signed)."""
        return int(self._all_gather(number)[0])

    def require_equal(self, number: int, problem: str) -> None:
        """Raise FundussegError with `problem` unless all workers give one `number` (64 bit)."""
        if len(np.unique(self._all_gather(number))) > 1:
            raise FundussegError(problem)

    def is_stop_requested(self, step: int, asked: bool) -> bool:
        """Whether a worker was asked to stop, the same answer for all after the same step.

        asked: the question may not wait for a later step.
        """
        if not asked and step % STOP_ASKED_EVERY:
            return False
        return bool(self._all_gather(int(stop.requested())).any())

    @contextmanager
    def stopped_by_a_loss(self) -> Iterator[None]:
        """Raise `Stopped` from the body if a worker is lost during it."""
        try:
            yield
        except LOSSES as error:
            ui.log.debug("%s", error)
            raise Stopped(
                f"worker {self.rank} lost another worker; the same command goes on from the "
                "last state that was saved"
            ) from error

    def _all_gather(self, number: int) -> np.ndarray:
        """The numbers of all workers, int64 (workers,)."""
        table = np.zeros(self.count, np.int64)
        table[self.rank] = number
        return self._exchange(tf.constant(table)).numpy()

    def _summed(self, table: tf.Tensor) -> tf.Tensor:
        """`table` summed over the workers, each of which counts once whatever its replicas."""

        def exchanged(table: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = self.rank * self.replicas.local_count
            counts = tf.cast(tf.equal(context.replica_id_in_sync_group, first), table.dtype)
            return self.replicas.all_reduce_sum(table * counts)

        return self.replicas.run(exchanged, table)


def _nothing(*_: Any) -> None:
    """What those do who wait for the chief."""
