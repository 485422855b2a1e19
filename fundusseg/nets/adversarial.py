"""What generator and discriminator learn from each other (Pix2Pix's adversarial loss).

The terms are computed inside a training step and its gradient tape; the weight of the
generator's stands in `LossConfig`.
"""

import keras
import tensorflow as tf

from fundusseg.nets.one_replica import OneReplica


def adversarial_losses(
    discriminator: keras.Model,
    inputs: tf.Tensor,
    made_map: tf.Tensor,
    real_map: tf.Tensor,
    replicas: OneReplica,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The generator's adversarial loss and the discriminator's loss on one batch, float32.

    Args:
        inputs: the generator's input, float32 (N, Y, X, C).
        made_map, real_map: float32 (N, Y, X, 1) in [-1, 1].
        replicas: what the batch is dealt out to.
    """
    judged_made = discriminator([inputs, made_map], training=True)
    judged_real = discriminator([inputs, real_map], training=True)
    # The discriminator's own loss must not reach the generator.
    judged_fixed = discriminator([inputs, tf.stop_gradient(made_map)], training=True)
    return (
        generator_adversarial_loss(judged_made, replicas),
        discriminator_loss(judged_real, judged_fixed, replicas),
    )


def generator_adversarial_loss(judged_made: tf.Tensor, replicas: OneReplica) -> tf.Tensor:
    """Mean cross-entropy of judgements of made maps against "real": the non-saturating loss.

    Args:
        judged_made: float32 (N, y, x, 1), logits.
    """
    return _cross_entropy(judged_made, 1.0, replicas)


def discriminator_loss(
    judged_real: tf.Tensor, judged_made: tf.Tensor, replicas: OneReplica
) -> tf.Tensor:
    """Mean cross-entropy of judgements, half for real maps and half for made ones.

    Args:
        judged_real, judged_made: float32 (N, y, x, 1), logits.
    """
    real = _cross_entropy(judged_real, 1.0, replicas)
    return 0.5 * (real + _cross_entropy(judged_made, 0.0, replicas))


def _cross_entropy(logits: tf.Tensor, label: float, replicas: OneReplica) -> tf.Tensor:
    labels = tf.fill(tf.shape(logits), label)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return replicas.all_reduce_mean(tf.reduce_mean(losses))
