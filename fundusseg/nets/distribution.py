"""A training spread over several GPUs or several processes, and what these tell each other.

Every replica holds all weights and takes its share of each global batch (nets.replicas); the
processes go from step to step together. One that dies leaves the others' exchange broken:
after about ten seconds they are told, and end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import tensorflow as tf

from fundusseg import stop, ui
from fundusseg.cluster import Cluster
from fundusseg.errors import FundussegError, Stopped
from fundusseg.nets.replicas import local_replicas
from fundusseg.workers import Workers

STOP_ASKED_EVERY = 8  # steps; each question is one more exchange between the workers

_LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


def joined(cluster: Cluster) -> Workers:
    """This process as one of a cluster's; a cluster of one is this machine with all its GPUs.

    tensorflow must have been started and not have computed yet. Waits for the other workers.

    Raises:
        Stopped: if they do not come.
    """
    count = len(cluster.addresses)
    if count == 1:
        return OneMachine(_mirrored())
    try:
        return ClusterWorkers(_multi_worker(cluster), count, cluster.rank)
    except _LOSSES as error:
        raise Stopped(
            "the workers did not all come together; try the same command again"
        ) from error


@cache  # the exchanges of a second strategy in one process would be taken for the first one's
def _mirrored() -> tf.distribute.Strategy:
    """A replica for each GPU, or for each (logical) CPU device where there is no GPU."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@cache
def _multi_worker(cluster: Cluster) -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.rank,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


class OneMachine(Workers):
    """One process with a replica for each of its GPUs."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync


class ClusterWorkers(OneMachine):
    """One of several processes, each with one or more replicas.

    Args:
        count: the processes. rank: which of them this is.
    """

    def __init__(self, strategy: tf.distribute.Strategy, count: int, rank: int):
        super().__init__(strategy)
        self.count, self.rank = count, rank
        self._exchange = tf.function(self._summed)

    def together(self, action: Callable[[], object]) -> object:
        """See `Workers`."""
        error, result = None, None
        try:
            result = action()
        except (FundussegError, OSError) as raised:
            error = raised
        self._require_no_failure(self._gathered([int(error is not None)])[:, 0], error)
        return result

    def from_chief(self, action: Callable[[], int | None]) -> int:
        """See `Workers`."""
        error, result = None, 0
        try:
            result = int(action() or 0) if self.is_chief else 0
        except (FundussegError, OSError) as raised:
            error = raised
        found = self._gathered([int(error is not None), result])
        self._require_no_failure(found[:, 0], error)
        return int(found[0, 1])

    def require_equal(self, number: Callable[[], int], problem: str) -> None:
        """See `Workers`."""
        if len(np.unique(self._gathered([number()]))) > 1:
            raise FundussegError(problem)

    def stop_requested(self, step: int, asked: bool = False) -> bool:
        """See `Workers`."""
        if not asked and step % STOP_ASKED_EVERY:
            return False
        return bool(self._gathered([int(stop.requested())]).any())

    @contextmanager
    def stopped_by_a_loss(self) -> Iterator[None]:
        """See `Workers`."""
        try:
            yield
        except _LOSSES as error:
            ui.log.debug("%s", error)
            raise Stopped(
                f"worker {self.rank} lost another worker; the same command goes on from the "
                "last state that was saved"
            ) from error

    def _require_no_failure(self, failed: np.ndarray, own: Exception | None) -> None:
        if own is not None:
            raise own
        if failed.any():
            names = ", ".join(map(str, np.flatnonzero(failed)))
            raise FundussegError(f"worker {names} of {self.count} failed; its own line says why")

    def _gathered(self, numbers: list[int]) -> np.ndarray:
        """The numbers of all workers, int64 (workers, numbers)."""
        table = np.zeros((self.count, len(numbers)), np.int64)
        table[self.rank] = numbers
        return self._exchange(tf.constant(table)).numpy()

    def _summed(self, table: tf.Tensor) -> tf.Tensor:
        """`table` summed over the workers, each of which counts once whatever its replicas."""

        def exchanged(table: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = self.rank * local_replicas(self.strategy)
            counts = tf.cast(tf.equal(context.replica_id_in_sync_group, first), table.dtype)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, table * counts)

        return self.strategy.experimental_local_results(self.strategy.run(exchanged, (table,)))[0]
