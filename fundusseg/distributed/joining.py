"""How a process joins a training: it starts tensorflow, meets the others, and is told its place."""

import os
from typing import TYPE_CHECKING

from fundusseg import ui
from fundusseg.distributed.cluster import ONE_MACHINE, described_cluster
from fundusseg.distributed.rendezvous import meet

if TYPE_CHECKING:
    from fundusseg.distributed.workers import Workers
    from fundusseg.nets.one_replica import OneReplica


def joined(distribute: str, threads: int, seed: int) -> tuple["OneReplica", "Workers | None"]:
    """The replicas of a training, and the workers that this process is one of.

    Only the chief of several workers goes on talking.

    Args:
        distribute: "mirrored" or "multi-worker".
        threads: of one operation.

    Returns:
        Both; None for the workers where this process trains alone.

    Raises:
        FundussegError, Stopped: if no cluster is described, or the others do not come.
    """
    cluster = described_cluster(os.environ) if distribute == "multi-worker" else ONE_MACHINE
    from fundusseg.nets import runtime

    runtime.start(threads, seed=seed)
    from fundusseg.distributed.strategy import cluster_replicas, machine_replicas
    from fundusseg.distributed.workers import Workers

    count = len(cluster.addresses)
    if count == 1:
        return machine_replicas(), None
    meet(cluster)
    workers = Workers(cluster_replicas(cluster), count, cluster.rank)
    if cluster.rank:
        ui.quieten()
    return workers.replicas, workers
