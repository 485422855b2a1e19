"""Layers and optimiser that do with a share of the global batch what plain ones do with it all.

The weights have the same names.
"""

import keras
import tensorflow as tf
from keras import layers

from fundusseg.nets.layers import LayerMaker


class SynchronisedBatchNormalization(layers.BatchNormalization):
    """BatchNorm whose mean and variance are those of the global batch.

    Keras' own `synchronized=True` takes the variance as E[x^2] - E[x]^2, which loses digits.
    """

    def _moments(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        mean, variance = super()._moments(inputs, mask)
        if _replica_count() == 1:
            return mean, variance
        means, variances = tf.unstack(all_gather(tf.stack([mean, variance])), axis=1)
        mean = tf.reduce_mean(means, axis=0)
        return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)


class SynchronisedDropout(layers.Dropout):
    """Dropout whose random numbers are drawn for the global batch, each replica using its rows."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or _replica_count() == 1:
            return super().call(inputs, training=training)
        share = tf.shape(inputs)[0]
        shape = tf.concat([[share * _replica_count()], tf.shape(inputs)[1:]], axis=0)
        factors = super().call(tf.ones(shape, inputs.dtype), training=True)
        first = share * _replica_number()
        return inputs * factors[first : first + share]


class SynchronisedAdam(keras.optimizers.Adam):
    """Adam that is given the gradient of the global batch: on several replicas Keras would add
    the replicas' gradients up only now, after they were clipped."""

    def _all_reduce_sum_gradients(self, grads_and_vars: list) -> list:
        return grads_and_vars


class SynchronisedLayers(LayerMaker):
    """Makes networks of these layers."""

    batch_normalisation = SynchronisedBatchNormalization
    dropout_layer = SynchronisedDropout


def all_gather(value: tf.Tensor) -> tf.Tensor:
    """The tensors (...) of all replicas stacked in their order, (replicas, ...); inside a step."""
    own_place = tf.one_hot(_replica_number(), _replica_count(), dtype=value.dtype)
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.tensordot(own_place, value, axes=0))


def _replica_count() -> int:
    """The number of replicas that take the present step; 1 outside a step."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _replica_number() -> int:
    """Which of the replicas of all workers this one is, from 0: the place of its share."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group
