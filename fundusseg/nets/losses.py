"""The loss terms, in float32: of maps against masks, inside the field of view, and adversarial.

Each term is that of the global batch: `replicas` adds up what several of them hold a share of.
"""

import keras
import tensorflow as tf

from fundusseg.config import LossConfig
from fundusseg.nets.one_replica import OneReplica

WIDEST_RADIUS_PX = 6  # of a vessel in a 704-px frame


def segmentation_loss(
    weights: LossConfig,
    logits: tf.Tensor,
    target: tf.Tensor,
    fovs: tf.Tensor,
    replicas: OneReplica,
) -> tf.Tensor:
    """The weighted sum of the terms that compare a map with the mask; arguments as below."""
    probability = tf.sigmoid(logits)
    total = weights.cross_entropy * cross_entropy(logits, target, fovs, replicas)
    for weight, term in (
        (weights.dice, soft_dice_loss),
        (weights.skeleton_recall, skeleton_recall_loss),
    ):
        if weight:
            total += weight * term(probability, target, fovs, replicas)
    return total


def cross_entropy(
    logits: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor, replicas: OneReplica
) -> tf.Tensor:
    """Mean binary cross-entropy over the field of view.

    Args:
        logits: float32 (N, Y, X, 1).
        target: float32 (N, Y, X, 1), vessel coverage in [0, 1].
        fovs: float32 (N, Y, X, 1), weights in [0, 1].
        replicas: what the batch is dealt out to.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
    total, weight = replicas.all_reduce_sum([tf.reduce_sum(losses * fovs), tf.reduce_sum(fovs)])
    return total / (weight + 1.0)


def soft_dice_loss(
    probability: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor, replicas: OneReplica
) -> tf.Tensor:
    """1 - Dice of soft sets over the whole batch, with squares in the denominator.

    Milletari et al., V-Net, 3DV 2016, doi 10.1109/3DV.2016.79. Arguments as in
    `cross_entropy`, probabilities in place of logits.
    """
    shared = tf.reduce_sum(probability * target * fovs)
    sizes = tf.reduce_sum((tf.square(probability) + tf.square(target)) * fovs)
    shared, sizes = replicas.all_reduce_sum([shared, sizes])
    return 1.0 - (2.0 * shared + 1.0) / (sizes + 1.0)


def l1(output: tf.Tensor, target: tf.Tensor, replicas: OneReplica) -> tf.Tensor:
    """Mean absolute difference over whole frames, both in [-1, 1] (Pix2Pix's L1)."""
    return replicas.all_reduce_mean(tf.reduce_mean(tf.abs(output - target)))


def skeleton_recall_loss(
    probability: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor, replicas: OneReplica
) -> tf.Tensor:
    """1 - the share of the true centrelines, three pixels wide, that the soft set covers.

    Kirchhoff et al., Skeleton recall loss, ECCV 2024, doi 10.1007/978-3-031-72980-5_13, with
    the centrelines of `soft_skeleton`. Arguments as in `soft_dice_loss`.
    """
    tubes = tf.stop_gradient(_dilated(soft_skeleton(target))) * fovs
    covered, length = replicas.all_reduce_sum(
        [tf.reduce_sum(probability * tubes), tf.reduce_sum(tubes)]
    )
    return 1.0 - (covered + 1.0) / (length + 1.0)


def adversarial_losses(
    discriminator: keras.Model,
    inputs: tf.Tensor,
    made_map: tf.Tensor,
    real_map: tf.Tensor,
    replicas: OneReplica,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The generator's adversarial loss and the discriminator's own on one batch (Pix2Pix).

    Args:
        inputs: the generator's input, float32 (N, Y, X, C).
        made_map, real_map: float32 (N, Y, X, 1) in [-1, 1].
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
    """Mean cross-entropy of judgements (logits) of made maps against "real": non-saturating."""
    return _judgement_loss(judged_made, 1.0, replicas)


def discriminator_loss(
    judged_real: tf.Tensor, judged_made: tf.Tensor, replicas: OneReplica
) -> tf.Tensor:
    """Mean cross-entropy of judgements (logits), half for real maps and half for made ones."""
    real = _judgement_loss(judged_real, 1.0, replicas)
    return 0.5 * (real + _judgement_loss(judged_made, 0.0, replicas))


def _judgement_loss(logits: tf.Tensor, label: float, replicas: OneReplica) -> tf.Tensor:
    labels = tf.fill(tf.shape(logits), label)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return replicas.all_reduce_mean(tf.reduce_mean(losses))


def soft_skeleton(maps: tf.Tensor) -> tf.Tensor:
    """Centrelines of soft sets: float32 (N, Y, X, 1) in [0, 1], differentiable.

    What each of a series of erosions leaves that an opening would remove; Shit et al.,
    clDice, CVPR 2021, doi 10.1109/CVPR46437.2021.01629.
    """
    skeleton = tf.zeros_like(maps)
    for _ in range(WIDEST_RADIUS_PX + 1):
        eroded = _eroded(maps)
        ridge = tf.nn.relu(maps - _dilated(eroded))
        skeleton += tf.nn.relu(ridge - skeleton * ridge)
        maps = eroded
    return skeleton


def _dilated(maps: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(maps, 3, 1, "SAME")


def _eroded(maps: tf.Tensor) -> tf.Tensor:
    """The minimum over a cross of five pixels."""
    rows = tf.nn.max_pool2d(-maps, (3, 1), 1, "SAME")
    columns = tf.nn.max_pool2d(-maps, (1, 3), 1, "SAME")
    return -tf.maximum(rows, columns)
