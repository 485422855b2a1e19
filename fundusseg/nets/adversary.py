"""What the discriminator is shown, and what it makes the two networks learn.

The terms are computed inside a training step and its gradient tape; which of them count,
and how much, stands in `LossConfig` and `DiscriminatorConfig`.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from fundusseg.config import DiscriminatorConfig, LossConfig
from fundusseg.nets import losses
from fundusseg.nets.replicas import averaged

# Of a hardened map: a probability of 0.8 becomes as good as 1, one of 0.5 stays.
STEEPNESS = 5.0


class AdversarialTerms(NamedTuple):
    """Scalars, float32.

    fooling: what the generator's maps cost by the discriminator's judgement, unweighted.
    generator: all that the discriminator adds to the generator's loss, weighted.
    discriminator: the discriminator's own loss; 0 in a step in which it does not learn.
    """

    fooling: tf.Tensor
    generator: tf.Tensor
    discriminator: tf.Tensor


def adversarial_terms(
    discriminator: keras.Model,
    config: DiscriminatorConfig,
    loss: LossConfig,
    inputs: tf.Tensor,
    made_map: tf.Tensor,
    real_map: tf.Tensor,
    judging: bool,
) -> AdversarialTerms:
    """The terms of one batch.

    Args:
        inputs: the generator's input, float32 (N, Y, X, C).
        made_map, real_map: float32 (N, Y, X, 1) in [-1, 1].
        judging: the discriminator learns in this step.
    """
    made = _shown(inputs, made_map, config.sees)
    judgement, *made_features = discriminator(made, training=True)
    fooling = fooling_loss(judgement, loss.adversarial_kind)
    generator = loss.adversarial * fooling
    if not (judging or loss.feature_matching):
        return AdversarialTerms(fooling, generator, tf.constant(0.0))
    real = _shown(inputs, real_map * (1.0 - config.real_smoothing), config.sees)
    real_judgement, *real_features = discriminator(real, training=True)
    if loss.feature_matching:
        matching = feature_matching_loss(made_features, real_features)
        generator += loss.feature_matching * matching
    if not judging:
        return AdversarialTerms(fooling, generator, tf.constant(0.0))
    kept = [tf.stop_gradient(part) for part in made]
    kept_judgement, *_ = discriminator(kept, training=True)
    mistakes = 0.5 * (
        judging_loss(real_judgement, True, loss.adversarial_kind)
        + judging_loss(kept_judgement, False, loss.adversarial_kind)
    )
    return AdversarialTerms(fooling, generator, mistakes)


def judging_loss(judgements: tf.Tensor, real: bool, kind: str) -> tf.Tensor:
    """What the discriminator's judgements of real, or of made, maps cost it.

    Args:
        judgements: float32 (N, y, x, 1), logits.
        real: whether they are of real maps.
        kind: "cross-entropy" of the logits; "hinge" max(0, 1 - j) or max(0, 1 + j) (Lim and
            Ye, Geometric GAN, arXiv 1705.02894); "least-squares" (j - 1)^2 or j^2 (Mao et
            al., ICCV 2017, doi 10.1109/ICCV.2017.304).
    """
    if kind == "hinge":
        found = tf.nn.relu(1.0 - judgements if real else 1.0 + judgements)
    elif kind == "least-squares":
        found = tf.square(judgements - float(real))
    else:
        labels = tf.fill(tf.shape(judgements), float(real))
        found = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=judgements)
    return averaged(tf.reduce_mean(found))


def fooling_loss(judgements: tf.Tensor, kind: str) -> tf.Tensor:
    """What the generator pays for its maps not being judged real; arguments as above.

    With "hinge" the judgement itself, else what a real map would cost the discriminator.
    """
    if kind == "hinge":
        return averaged(-tf.reduce_mean(judgements))
    return judging_loss(judgements, True, kind)


def feature_matching_loss(made: list[tf.Tensor], real: list[tf.Tensor]) -> tf.Tensor:
    """Mean absolute difference of the discriminator's layers on made and real maps.

    The mean over the layers of each one's own mean; it teaches the generator alone. Wang et
    al., pix2pixHD, CVPR 2018, doi 10.1109/CVPR.2018.00917.
    """
    differences = [
        tf.reduce_mean(
            tf.abs(tf.cast(one, tf.float32) - tf.cast(tf.stop_gradient(other), tf.float32))
        )
        for one, other in zip(made, real, strict=True)
    ]
    return averaged(tf.add_n(differences) / len(differences))


def _shown(inputs: tf.Tensor, vessel_map: tf.Tensor, sees: str) -> list[tf.Tensor]:
    """The pair that the discriminator judges."""
    if sees == "half":
        return [tf.nn.avg_pool2d(part, 2, 2, "SAME") for part in (inputs, vessel_map)]
    if sees == "hardened":
        return [inputs, tf.tanh(STEEPNESS * vessel_map)]
    if sees == "skeleton":
        return [inputs, losses.soft_skeleton((vessel_map + 1.0) / 2.0) * 2.0 - 1.0]
    return [inputs, vessel_map]
