"""Layers and optimiser that do with a share of the global batch what plain ones do with it all.

The weights have the same names.
"""

import keras
import tensorflow as tf
from keras import layers

from fundusseg.nets.replicas import gathered, replica_count, replica_number


class SynchronisedBatchNormalization(layers.BatchNormalization):
    """BatchNorm whose mean and variance are those of the global batch.

    Keras' own `synchronized=True` takes the variance as E[x^2] - E[x]^2, which loses digits.
    """

    def _moments(self, inputs, mask):
        mean, variance = super()._moments(inputs, mask)
        if replica_count() == 1:
            return mean, variance
        means, variances = tf.unstack(gathered(tf.stack([mean, variance])), axis=1)
        mean = tf.reduce_mean(means, axis=0)
        return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)


class SynchronisedDropout(layers.Dropout):
    """Dropout whose random numbers are drawn for the global batch, each replica using its rows."""

    def call(self, inputs, training=False):
        if not training or replica_count() == 1:
            return super().call(inputs, training=training)
        share = tf.shape(inputs)[0]
        shape = tf.concat([[share * replica_count()], tf.shape(inputs)[1:]], axis=0)
        factors = super().call(tf.ones(shape, inputs.dtype), training=True)
        first = share * replica_number()
        return inputs * factors[first : first + share]


class SynchronisedAdam(keras.optimizers.Adam):
    """Adam that is given the gradient of the global batch: on several replicas Keras would add
    the replicas' gradients up only now, after they were clipped."""

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars
