"""What the discriminator is shown, and what its judgements cost whom."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from fundusseg.config import DiscriminatorConfig, LossConfig
from fundusseg.nets.adversary import (
    adversarial_terms,
    feature_matching_loss,
    fooling_loss,
    judging_loss,
)
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.runtime import policy
from tests.nets.tiny import tiny_preset

TINY = tiny_preset()
DRAW = np.random.default_rng(1)
INPUTS = tf.constant(DRAW.normal(size=(2, 64, 64, 3)).astype(np.float32))
REAL = tf.constant(np.where(DRAW.uniform(size=(2, 64, 64, 1)) > 0.9, 1, -1).astype(np.float32))
MADE = tf.constant(DRAW.uniform(-1, 1, size=(2, 64, 64, 1)).astype(np.float32))


def judgements(value: float) -> tf.Tensor:
    return tf.fill((1, 2, 2, 1), value)


# Judged as real at 2: what that costs the discriminator for a real and for a made map, and the
# generator that made it.
@pytest.mark.parametrize(
    ("kind", "real", "made", "fooled"),
    [
        ("cross-entropy", np.log1p(np.exp(-2)), np.log1p(np.exp(2)), np.log1p(np.exp(-2))),
        ("hinge", 0, 3, -2),
        ("least-squares", 1, 4, 1),
    ],
)
def test_judgements_cost_what_the_formula_says(kind, real, made, fooled):
    assert float(judging_loss(judgements(2.0), True, kind)) == pytest.approx(real, rel=1e-5)
    assert float(judging_loss(judgements(2.0), False, kind)) == pytest.approx(made, rel=1e-5)
    assert float(fooling_loss(judgements(2.0), kind)) == pytest.approx(fooled, rel=1e-5)


def test_feature_matching_is_the_mean_over_layers_and_teaches_the_generator_alone():
    made, real = (
        [tf.Variable([1.0, 3.0]), tf.Variable([5.0])],
        [tf.Variable([2.0]), tf.Variable([2.0])],
    )
    with tf.GradientTape() as tape:
        found = feature_matching_loss(made, real)
    assert float(found) == pytest.approx((1 + 3) / 2)
    gradients = tape.gradient(found, [*made, *real])
    assert [gradient is None for gradient in gradients] == [False, False, True, True]


def discriminator(**changes) -> tuple[keras.Model, DiscriminatorConfig]:
    config = dataclasses.replace(TINY.discriminator, **changes)
    keras.utils.set_random_seed(1)
    return build_discriminator(config, TINY.generator, policy("float32")), config


def terms(loss: LossConfig, judging: bool = True, made=MADE, real=REAL, **changes):
    model, config = discriminator(**changes)
    return adversarial_terms(model, config, loss, INPUTS, made, real, judging)


def test_weights_stand_before_the_generators_terms_only():
    plain = terms(LossConfig(adversarial=1.0))
    heavy = terms(LossConfig(adversarial=10.0, feature_matching=2.0))
    assert float(plain.generator) == float(plain.fooling) == float(heavy.fooling)
    assert float(plain.discriminator) == float(heavy.discriminator) > 0
    assert float(heavy.generator) > 10 * float(plain.generator)


def test_a_discriminator_that_does_not_learn_still_judges():
    idle = terms(LossConfig(adversarial=1.0), judging=False)
    assert float(idle.discriminator) == 0
    assert float(idle.fooling) == float(terms(LossConfig(adversarial=1.0)).fooling)


def test_features_match_in_a_step_in_which_the_discriminator_does_not_learn():
    loss = LossConfig(adversarial=0.0, feature_matching=1.0)
    assert float(terms(loss, judging=False).generator) == float(terms(loss).generator) > 0


@pytest.mark.parametrize(
    ("sees", "hidden", "seen"),
    [
        ("half", tf.concat([MADE[:, :, 1::-1], MADE[:, :, 2:]], axis=2), -MADE),
        ("hardened", tf.where(tf.abs(MADE) > 0.97, tf.sign(MADE), MADE), -MADE),
    ],
)
def test_what_it_does_not_see_does_not_count(sees, hidden, seen):
    """At half size the order within a pair of columns is lost; hardened, how sure a map is."""
    loss = LossConfig(adversarial=1.0)
    expected = float(terms(loss, sees=sees).fooling)
    assert float(terms(loss, sees=sees, made=hidden).fooling) == pytest.approx(expected, rel=1e-5)
    assert float(terms(loss, sees=sees, made=seen).fooling) != pytest.approx(expected, rel=1e-5)


def test_the_skeleton_of_wide_and_narrow_vessels_is_the_same():
    narrow, wide = np.full((2, 2, 64, 64, 1), -1, np.float32)
    narrow[:, :, 30], wide[:, :, 27:34] = 1, 1
    loss = LossConfig(adversarial=1.0)
    found = [
        float(terms(loss, sees="skeleton", made=tf.constant(m)).fooling) for m in (narrow, wide)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_smoothing_takes_the_hard_values_from_real_maps_alone():
    loss = LossConfig(adversarial=1.0)
    smoothed = terms(loss, real_smoothing=0.25)
    assert float(smoothed.discriminator) == float(terms(loss, real=REAL * 0.75).discriminator)
    assert float(smoothed.fooling) == float(terms(loss).fooling)


@pytest.mark.parametrize(("strided", "field_px"), [((4,), 16), ((4, 4), 34), ((4, 4, 4), 70)])
def test_a_judgement_sees_16_34_or_70_pixels(strided, field_px):
    model, _ = discriminator(strided_filters=strided, normalisation="spectral")
    pair = [tf.Variable(INPUTS[:1]), tf.Variable(MADE[:1])]
    wide = [tf.Variable(tf.tile(part, [1, 3, 3, 1])) for part in pair]
    with tf.GradientTape() as tape:
        judgement, *_ = model(wide)
        middle = judgement[0, judgement.shape[1] // 2, judgement.shape[2] // 2, 0]
    rows = np.abs(tape.gradient(middle, wide[0]).numpy()).sum(axis=(0, 2, 3)) > 0
    assert rows.sum() == field_px


def test_spectral_normalisation_bounds_every_kernel():
    model, config = discriminator(normalisation="spectral")
    assert not [
        layer for layer in model.layers if "norm" in layer.name and "spectral" not in layer.name
    ]
    for layer in (layer for layer in model.layers if "conv" in layer.name):
        layer.layer.kernel.assign(layer.layer.kernel * 50)
    for _ in range(30):
        model([INPUTS, MADE], training=True)
    for layer in (layer for layer in model.layers if "conv" in layer.name):
        kernel = layer.layer.kernel.numpy()
        largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        assert largest == pytest.approx(1, abs=0.02)
