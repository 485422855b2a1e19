"""The loss terms, in float32, inside the field of view.

On several replicas each term is that of the global batch: see nets.replicas.
"""

import tensorflow as tf

from fundusseg.nets.replicas import averaged, summed


def cross_entropy(logits: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy over the field of view.

    Args:
        logits: float32 (N, Y, X, 1).
        target: float32 (N, Y, X, 1), vessel coverage in [0, 1].
        fovs: float32 (N, Y, X, 1), weights in [0, 1].
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
    total, weight = summed([tf.reduce_sum(losses * fovs), tf.reduce_sum(fovs)])
    return total / (weight + 1.0)


def soft_dice_loss(probability: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor) -> tf.Tensor:
    """1 - Dice of soft sets over the whole batch, with squares in the denominator.

    Milletari et al., V-Net, 3DV 2016, doi 10.1109/3DV.2016.79. Arguments as in
    `cross_entropy`, probabilities in place of logits.
    """
    shared = tf.reduce_sum(probability * target * fovs)
    sizes = tf.reduce_sum((tf.square(probability) + tf.square(target)) * fovs)
    shared, sizes = summed([shared, sizes])
    return 1.0 - (2.0 * shared + 1.0) / (sizes + 1.0)


def l1(output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference over whole frames, both in [-1, 1] (Pix2Pix's L1)."""
    return averaged(tf.reduce_mean(tf.abs(output - target)))


def judged_as(judgements: tf.Tensor, real: bool) -> tf.Tensor:
    """Binary cross-entropy of the discriminator's logits against "real" or "made"."""
    labels = tf.ones_like(judgements) if real else tf.zeros_like(judgements)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=judgements)
    return averaged(tf.reduce_mean(losses))
