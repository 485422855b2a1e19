"""How a training step is run where there is one replica: everything comes back as it went in.

`Trainer` and the loss terms ask this object for all that depends on the number of replicas.
`distributed.replicas` has the same for several, which share each batch.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from fundusseg.nets.layers import LayerMaker


class OneReplica:
    """All of each batch is computed in one place.

    Attributes:
        count: the replicas of all processes.
        layer_maker: makes the networks' layers.
        adam: makes their optimisers.
    """

    count = 1
    layer_maker = LayerMaker
    adam = keras.optimizers.Adam

    def scope(self) -> AbstractContextManager:
        """Where networks and optimisers are built."""
        return nullcontext()

    def dealt(self, batch: Any) -> Any:
        """This process's tensors (N, ...), nested, as the replicas' shares, for `run`."""
        return batch

    def run(self, update: Callable, *arguments: Any) -> Any:
        """What `update` returns, run by each replica on its share; the first replica's."""
        return update(*arguments)

    def all_reduce_sum(self, values: Any) -> Any:
        """A tensor, or a list of tensors, summed over the replicas; inside `run`."""
        return values

    def all_reduce_mean(self, values: Any) -> Any:
        """A tensor, or a list of tensors, averaged over the replicas; inside `run`."""
        return values
