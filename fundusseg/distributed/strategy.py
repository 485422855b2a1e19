"""tensorflow's strategies: the GPUs of this machine, or all workers of a cluster.

Every replica holds all weights and takes its share of each global batch; the processes go from
step to step together.
"""

from functools import cache

import tensorflow as tf

from fundusseg.distributed.cluster import Cluster
from fundusseg.distributed.replicas import StrategyReplicas
from fundusseg.errors import Stopped
from fundusseg.nets.one_replica import OneReplica

# What a broken exchange ends in. A worker that dies leaves one: after about ten seconds the
# others are told.
LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


@cache  # the exchanges of a second strategy in one process would be taken for the first one's
def machine_replicas() -> OneReplica:
    """A replica for each GPU, or for each (logical) CPU device where there is no GPU.

    tensorflow must have been started and not have computed yet.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return OneReplica()
    return StrategyReplicas(tf.distribute.MirroredStrategy([device.name for device in devices]))


@cache
def cluster_replicas(cluster: Cluster) -> StrategyReplicas:
    """The replicas of all workers; waits for them, and raises Stopped if they do not come.

    tensorflow must have been started and not have computed yet.
    """
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.rank,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
    try:
        return StrategyReplicas(tf.distribute.MultiWorkerMirroredStrategy(resolver))
    except LOSSES as error:
        raise Stopped(
            "the workers did not all come together; try the same command again"
        ) from error
