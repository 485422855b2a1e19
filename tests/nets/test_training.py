"""A training step, its state, and the learning rate."""

import dataclasses

import keras
import numpy as np
import pytest

from fundusseg.config import PIX2PIX, PRESETS, Preset, TrainConfig
from fundusseg.nets.training import LOSS_NAMES, Trainer, learning_rate
from tests.nets.tiny import tiny_preset

STEPS = 10


def batch(number: int) -> np.ndarray:
    values = np.random.default_rng(number).uniform(0, 1, (2, 64, 64, 5)).astype(np.float32)
    values[..., 3] = values[..., 3] > 0.9
    values[..., 4] = 1
    return values


def changed(preset: Preset, part: str, **values) -> Preset:
    """A preset with other values in one of its parts."""
    return dataclasses.replace(
        preset, **{part: dataclasses.replace(getattr(preset, part), **values)}
    )


# Without residual pairs a step is traced in half the time.
PRESET = changed(tiny_preset(), "generator", residual=False)


def trainer(preset: Preset = PRESET) -> Trainer:
    keras.utils.set_random_seed(4)
    return Trainer(preset, STEPS, "float32")


@dataclasses.dataclass(frozen=True)
class Unbroken:
    """A training of `STEPS` steps on one batch. start: the weights that would have been saved."""

    start: dict[str, np.ndarray]
    losses: list[dict[str, float]]
    learner: Trainer


@pytest.fixture(scope="module")
def unbroken() -> Unbroken:
    """Not to be trained further."""
    learner = trainer()
    start, losses = learner.saved_weights(), []
    for _ in range(STEPS):
        learner.run_step(batch(0))
        losses.append(learner.mean_losses(1))
    return Unbroken(start, losses, learner)


def test_learning_rate_rises_then_falls_to_zero_along_a_cosine():
    config = TrainConfig(learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(step, 110, config) for step in (0, 4, 10, 60, 109)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 0.5, 0.00025], abs=1e-4)


def test_constant_learning_rate():
    assert learning_rate(999, 1000, PIX2PIX.train) == 2e-4


def test_losses_fall_on_a_batch_that_repeats(unbroken):
    assert unbroken.losses[-1]["generator_loss"] < unbroken.losses[0]["generator_loss"]


def test_the_discriminator_joins_at_its_fraction_of_the_steps(unbroken):
    judged = [losses["discriminator_loss"] > 0 for losses in unbroken.losses]
    assert judged == [False] * 6 + [True] * 4


FROM_THE_START = changed(PRESET, "loss", adversarial_from=0.0)


def test_the_discriminator_learns_at_every_third_step_and_judges_at_all():
    learner = trainer(changed(FROM_THE_START, "discriminator", every=3))
    learnt = []
    for _ in range(6):
        before = learner.discriminator_weights()["block_1_conv/kernel"]
        learner.run_step(batch(0))
        assert learner.mean_losses(1)["adversarial_loss"] > 0
        after = learner.discriminator_weights()["block_1_conv/kernel"]
        learnt.append(not np.array_equal(before, after))
    assert learnt == [True, False, False] * 2


def test_the_discriminator_has_its_own_learning_rate():
    travelled = []
    for ratio in (1.0, 5.0):
        learner = trainer(changed(FROM_THE_START, "discriminator", learning_rate_ratio=ratio))
        before = learner.discriminator_weights()["block_1_conv/kernel"]
        learner.run_step(batch(0))
        after = learner.discriminator_weights()["block_1_conv/kernel"]
        travelled.append(np.abs(after - before).max())
    assert travelled[1] == pytest.approx(5 * travelled[0], rel=1e-3)


def test_both_networks_in_a_row_learn():
    learner = trainer(changed(PRESET, "generator", networks=2))
    names = ("encoder_1_conv", "network_2_encoder_1_conv")
    before = [learner.generator.get_layer(name).kernel.numpy() for name in names]
    losses = []
    for _ in range(STEPS):
        learner.run_step(batch(0))
        losses.append(learner.mean_losses(1)["segmentation_loss"])
    assert losses[-1] < losses[0]
    for name, kernel in zip(names, before, strict=True):
        assert np.abs(learner.generator.get_layer(name).kernel.numpy() - kernel).sum() > 0


def test_weight_zero_leaves_the_discriminator_alone():
    learner = trainer(dataclasses.replace(PRESET, loss=PRESETS["native"].loss))
    assert PRESET.loss.adversarial > 0
    before = learner.discriminator_weights()
    for _ in range(STEPS):
        learner.run_step(batch(0))
    for name, weights in learner.discriminator_weights().items():
        np.testing.assert_array_equal(weights, before[name])


def test_a_restored_training_goes_on_to_the_last_digit(unbroken):
    stop_at = 7  # the discriminator has begun by then
    first, second = trainer(), Trainer(PRESET, STEPS, "float32")
    for _ in range(stop_at):
        first.run_step(batch(0))
    second.restore(first.state())
    for _ in range(stop_at, STEPS):
        second.run_step(batch(0))
    found, expected = second.state(), unbroken.learner.state()
    sums = [sum(losses[name] for losses in unbroken.losses) for name in LOSS_NAMES]
    np.testing.assert_allclose(found.pop("loss_sums"), sums, rtol=1e-5)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_dropout_goes_on_too():
    """The random state of Pix2Pix's dropout belongs to the saved state."""
    preset = changed(PRESET, "generator", dropout=(0.5,))
    whole, first, second = trainer(preset), trainer(preset), Trainer(preset, STEPS, "float32")
    for step in range(4):
        whole.run_step(batch(step))
    for step in range(2):
        first.run_step(batch(step))
    second.restore(first.state())
    for step in range(2, 4):
        second.run_step(batch(step))
    for name, values in whole.saved_weights().items():
        np.testing.assert_array_equal(second.saved_weights()[name], values, err_msg=name)


def test_a_state_of_another_network_is_refused(unbroken):
    state = unbroken.learner.state()
    del state["average/0000"]
    with pytest.raises(ValueError, match="another network"):
        trainer().restore(state)


def test_moving_averages_lag_behind_the_weights(unbroken):
    start, learner = unbroken.start["output_upconv/kernel"], unbroken.learner
    now = learner.generator.get_layer("output_upconv").kernel.numpy()
    average = learner.saved_weights()["output_upconv/kernel"]
    assert 0 < np.abs(average - start).sum() < np.abs(now - start).sum()
