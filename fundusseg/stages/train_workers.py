"""The workers of a training, and the batch that all of them together take."""

import dataclasses
import os

from fundusseg import ui
from fundusseg.cluster import ONE_MACHINE, described_cluster
from fundusseg.config import Preset
from fundusseg.options import TrainOptions
from fundusseg.parallel import free_cores
from fundusseg.rendezvous import meet
from fundusseg.workers import Workers


def joined_workers(options: TrainOptions, seed: int) -> Workers:
    """This process alone, or as one of those that train together; only the chief goes on talking.

    Raises:
        FundussegError, Stopped: if there are no others, or they do not come.
    """
    if options.distribute == "none":
        return Workers()
    several = options.distribute == "multi-worker"
    cluster = described_cluster(os.environ) if several else ONE_MACHINE
    from fundusseg.nets import distribution, runtime

    runtime.start(options.jobs or free_cores(), seed=seed)
    if several:
        meet(cluster)
    workers = distribution.joined(cluster)
    if not workers.is_chief:
        ui.quieten()
    return workers


def with_batch_of_all(preset: Preset, replicas: int) -> Preset:
    """The preset that one replica would have to train with to get the same: with the batch of all.

    The batch that is configured is that of each replica. All else is written and hashed with the
    batch of a step, so a training goes on with any number of replicas that leaves it the same.
    """
    train = dataclasses.replace(preset.train, batch=preset.train.batch * replicas)
    if replicas > 1:
        ui.log.info("%d replicas, %d crops a step", replicas, train.batch)
    return dataclasses.replace(preset, train=train)
