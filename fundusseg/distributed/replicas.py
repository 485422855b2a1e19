"""The replicas of a tf.distribute strategy, which take a share of each global batch each.

What is a sum or a mean over the batch is exchanged inside a step, so that N replicas with B
crops each learn what one learns from N x B. Gradients pass through the exchanges: each
replica's loss is the loss of the global batch, so the mean of their gradients is its gradient.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from fundusseg.distributed.synchronised import SynchronisedAdam, SynchronisedLayers
from fundusseg.nets.one_replica import OneReplica


class StrategyReplicas(OneReplica):
    """All replicas of a strategy, in this process and in others."""

    layer_maker = SynchronisedLayers
    adam = SynchronisedAdam

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync

    @property
    def local_count(self) -> int:
        """How many of them belong to this process."""
        return len(self.strategy.extended.worker_devices)

    def scope(self) -> AbstractContextManager:
        """See `OneReplica`."""
        return self.strategy.scope()

    def dealt(self, batch: Any) -> Any:
        """See `OneReplica`."""
        if self.local_count == 1:
            return batch
        return tf.nest.map_structure(self._dealt, batch)

    def run(self, update: Callable, *arguments: Any) -> Any:
        """See `OneReplica`."""
        return self.strategy.experimental_local_results(self.strategy.run(update, arguments))[0]

    def all_reduce_sum(self, values: Any) -> Any:
        """See `OneReplica`."""
        return _all_reduce(tf.distribute.ReduceOp.SUM, values)

    def all_reduce_mean(self, values: Any) -> Any:
        """See `OneReplica`."""
        return _all_reduce(tf.distribute.ReduceOp.MEAN, values)

    def _dealt(self, values: tf.Tensor) -> Any:
        parts = tf.split(values, self.local_count)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group % self.local_count]
        )


def _all_reduce(operation: tf.distribute.ReduceOp, values: Any) -> Any:
    return tf.distribute.get_replica_context().all_reduce(operation, values)
