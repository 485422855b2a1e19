"""How the replicas of a training combine what each of them has computed, inside a step.

A replica holds its share of the global batch. What is a sum or a mean over the batch is
exchanged here, so that N replicas with B crops each learn what one learns from N x B.
Gradients pass through: each replica's loss is the loss of the global batch, so the mean of
the replicas' gradients is its gradient. With one replica everything comes back as it went in.
"""

import tensorflow as tf


def local_replicas(strategy: tf.distribute.Strategy) -> int:
    """How many of the replicas belong to this process."""
    if strategy.num_replicas_in_sync == 1:
        return 1
    return len(strategy.extended.worker_devices)


def shares(strategy: tf.distribute.Strategy, batch: tf.Tensor):
    """This process's batch (N, ...) as equal shares of its replicas, for `strategy.run`."""
    count = local_replicas(strategy)
    if count == 1:
        return batch
    parts = tf.split(batch, count)
    return strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group % count]
    )


def replica_count() -> int:
    """The number of replicas that take the present step; 1 outside a step."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def replica_number() -> int:
    """Which of the replicas of all workers this one is, from 0: the place of its share."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def summed(values):
    """A tensor, or a list of tensors, summed over the replicas."""
    return _reduced(tf.distribute.ReduceOp.SUM, values)


def averaged(values):
    """A tensor, or a list of tensors, averaged over the replicas."""
    return _reduced(tf.distribute.ReduceOp.MEAN, values)


def gathered(value: tf.Tensor) -> tf.Tensor:
    """The tensors (...) of all replicas stacked in their order, (replicas, ...)."""
    count = replica_count()
    own_place = tf.one_hot(replica_number(), count, dtype=value.dtype)
    return summed(tf.tensordot(own_place, value, axes=0))


def _reduced(operation, values):
    if replica_count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(operation, values)
