"""What the discriminator's judgements cost whom."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fundusseg.config import DiscriminatorConfig
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.losses import (
    adversarial_losses,
    discriminator_loss,
    generator_adversarial_loss,
)
from fundusseg.nets.one_replica import OneReplica
from fundusseg.nets.runtime import policy
from tests.nets.tiny import tiny_preset

TINY = tiny_preset()
ONE = OneReplica()
DRAW = np.random.default_rng(1)
INPUTS = tf.constant(DRAW.normal(size=(2, 64, 64, 3)).astype(np.float32))
REAL = tf.constant(np.where(DRAW.uniform(size=(2, 64, 64, 1)) > 0.9, 1, -1).astype(np.float32))
MADE = tf.constant(DRAW.uniform(-1, 1, size=(2, 64, 64, 1)).astype(np.float32))


def judgements(value: float) -> tf.Tensor:
    return tf.fill((1, 2, 2, 1), value)


def discriminator(config: DiscriminatorConfig = TINY.discriminator) -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_discriminator(config, TINY.generator, policy("float32"))


def test_judgements_cost_their_cross_entropy():
    """Judged as real at 2: wrong for a made map, right for a real one and for its maker."""
    right, wrong = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    both = discriminator_loss(judgements(2.0), judgements(2.0), ONE)
    assert float(both) == pytest.approx((right + wrong) / 2, rel=1e-5)
    assert float(discriminator_loss(judgements(2.0), judgements(-2.0), ONE)) == pytest.approx(
        right, rel=1e-5
    )
    assert float(generator_adversarial_loss(judgements(2.0), ONE)) == pytest.approx(right, rel=1e-5)


def test_each_network_learns_from_its_own_loss_alone():
    """The discriminator's loss does not reach the map; the generator's does."""
    made = tf.Variable(MADE)
    with tf.GradientTape(persistent=True) as tape:
        generators, discriminators = adversarial_losses(discriminator(), INPUTS, made, REAL, ONE)
    assert tape.gradient(discriminators, made) is None
    assert np.abs(tape.gradient(generators, made).numpy()).sum() > 0


def test_the_photograph_is_judged_with_the_map():
    losses = [
        float(adversarial_losses(discriminator(), inputs, MADE, REAL, ONE)[0])
        for inputs in (INPUTS, -INPUTS)
    ]
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(("strided", "field_px"), [((4,), 16), ((4, 4), 34), ((4, 4, 4), 70)])
def test_a_judgement_sees_16_34_or_70_pixels(strided, field_px):
    model = discriminator(DiscriminatorConfig(strided, last_filters=4))
    pair = [tf.Variable(tf.tile(part[:1], [1, 3, 3, 1])) for part in (INPUTS, MADE)]
    with tf.GradientTape() as tape:
        judgement = model(pair)
        middle = judgement[0, judgement.shape[1] // 2, judgement.shape[2] // 2, 0]
    rows = np.abs(tape.gradient(middle, pair[0]).numpy()).sum(axis=(0, 2, 3)) > 0
    assert rows.sum() == field_px
