"""A training step, its state, and the learning rate."""

import dataclasses

import keras
import numpy as np
import pytest

from fundusseg.config import Preset, TrainConfig
from fundusseg.nets.prediction import Predictor
from fundusseg.nets.training import LOSS_NAMES, Trainer, learning_rate
from fundusseg.presets import PIX2PIX, PRESETS
from tests.nets.tiny import tiny_preset

STEPS = 10


def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Two crops, one of each of two data sets."""
    values = np.random.default_rng(number).uniform(0, 1, (2, 64, 64, 5)).astype(np.float32)
    values[..., 3] = values[..., 3] > 0.9
    values[..., 4] = 1
    return values, np.array([0, 1], np.int32)


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


def test_weight_zero_has_no_discriminator():
    preset = dataclasses.replace(PRESET, loss=PRESETS["native"].loss)
    assert PRESET.loss.adversarial > 0
    learner = trainer(preset)
    learner.run_step(batch(0))
    assert learner.discriminator_weights() == {}
    assert not [name for name in learner.state() if name.startswith("discriminator")]
    assert [name for name in trainer().state() if name.startswith("discriminator")]
    with_one, without = trainer().saved_weights(), trainer(preset).saved_weights()
    for name, weights in with_one.items():
        np.testing.assert_array_equal(without[name], weights)


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


OFFSETS = changed(PRESET, "train", set_offsets=True, learning_rate=2e-2, warmup_steps=0)


def offsets_trainer() -> Trainer:
    keras.utils.set_random_seed(4)
    return Trainer(OFFSETS, STEPS, "float32", sets=2)


def thin_and_thick() -> tuple[np.ndarray, np.ndarray]:
    """The same vessel in two data sets, whose masks draw it 2 and 10 pixels wide."""
    values = np.zeros((2, 64, 64, 5), np.float32)
    values[..., :3], values[..., 4] = 0.5, 1
    values[:, :, 30:34, :3] = 0.2
    values[0, :, 31:33, 3] = 1
    values[1, :, 27:37, 3] = 1
    return values, np.array([0, 1], np.int32)


@pytest.fixture(scope="module")
def with_offsets() -> Trainer:
    """Not to be trained further."""
    learner = offsets_trainer()
    for _ in range(STEPS):
        learner.run_step(thin_and_thick())
    return learner


def test_thin_and_thick_masks_give_their_sets_offsets_of_opposite_sign(with_offsets):
    thin, thick = with_offsets.centred_offsets()
    assert thin < -0.02 and thick > 0.02
    assert thin + thick == pytest.approx(0, abs=1e-6)


def test_an_offset_moves_the_loss_of_its_own_set():
    """With one crop thin and one thick, the right offsets are better than their opposites."""
    found = []
    for offsets in ([-2.0, 2.0], [2.0, -2.0]):
        learner = offsets_trainer()
        learner.set_offsets.assign(offsets)
        learner.run_step(thin_and_thick())
        found.append(learner.mean_losses(1)["segmentation_loss"])
    assert found[0] < found[1] - 0.1


def test_offsets_are_0_at_prediction(with_offsets):
    """The generator is the same without them."""
    image = np.random.default_rng(3).integers(0, 255, (1, 96, 96, 3), dtype=np.uint8)
    fov = np.full((1, 96, 96), 255, np.uint8)
    weights = with_offsets.saved_weights()
    assert weights.keys() == trainer().saved_weights().keys()
    drawn = Predictor(OFFSETS, weights).scores(image, fov)
    again = offsets_trainer()
    again.restore(with_offsets.state())
    again.set_offsets.assign([7.0, -7.0])
    unmoved = Predictor(OFFSETS, again.saved_weights()).scores(image, fov)
    np.testing.assert_array_equal(drawn, unmoved)


def test_offsets_go_on_to_the_last_digit(with_offsets):
    first, second = offsets_trainer(), offsets_trainer()
    for _ in range(4):
        first.run_step(thin_and_thick())
    second.restore(first.state())
    for _ in range(4, STEPS):
        second.run_step(thin_and_thick())
    found = second.state()
    assert np.abs(found["set_offsets/0000"]).sum() > 0
    for name, values in with_offsets.state().items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_without_the_setting_sets_make_no_difference():
    learner, other = trainer(), trainer()
    crops, sets = batch(0)
    learner.run_step((crops, sets))
    other.run_step((crops, sets[::-1].copy()))
    assert not [name for name in learner.state() if "offset" in name]
    for name, values in learner.state().items():
        np.testing.assert_array_equal(other.state()[name], values, err_msg=name)
