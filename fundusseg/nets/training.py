"""One training step of generator and discriminator, and all the state that a resume needs."""

import math

import keras
import numpy as np
import tensorflow as tf

from fundusseg.config import Preset, TrainConfig
from fundusseg.nets import losses
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.generator import assign_weights, build_generator
from fundusseg.nets.local_contrast import network_input
from fundusseg.nets.one_replica import OneReplica
from fundusseg.nets.runtime import policy

LOSS_NAMES = (
    "generator_loss",
    "adversarial_loss",
    "segmentation_loss",
    "l1_loss",
    "discriminator_loss",
)
# The logits that 1 of a set's offset stands for. Adam moves all that is learnt by about the
# learning rate a step, and an offset has farther to go than a weight: ORVS' goes to -1.
SET_OFFSET_UNIT = 10.0


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """The learning rate of step `step` (from 0) of `steps`: a function of the step alone."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Trainer:
    """Generator, discriminator, their optimisers, and the moving average of the weights.

    There is a discriminator if the adversarial loss has a weight.

    Args:
        preset: what is trained, and how.
        steps: length of the whole training, which the learning rate depends on.
        precision: "float32" or "bfloat16" for the convolutions.
        replicas: what the batches are dealt out to.
        sets: number of data sets, each of which has an offset if the preset learns them.
    """

    def __init__(
        self,
        preset: Preset,
        steps: int,
        precision: str,
        replicas: OneReplica | None = None,
        sets: int = 1,
    ):
        self.preset = preset
        self.steps = steps
        self.step = 0
        self.replicas = replicas or OneReplica()
        maker = self.replicas.layer_maker
        self.discriminator = self.set_offsets = None
        with self.replicas.scope():
            self.generator = build_generator(preset.generator, policy(precision), layer_maker=maker)
            self._learnt = list(self.generator.trainable_variables)
            if preset.train.set_offsets and sets > 1 and preset.generator.output == "logit":
                self.set_offsets = keras.Variable(np.zeros(sets, np.float32), name="set_offsets")
                self._learnt.append(self.set_offsets)
            self.generator_optimizer = self._adam(self._learnt)
            if preset.loss.adversarial:
                self.discriminator = build_discriminator(
                    preset.discriminator, preset.generator, policy(precision), layer_maker=maker
                )
                self.discriminator_optimizer = self._adam(self.discriminator.trainable_variables)
        self.average = [tf.Variable(weight, trainable=False) for weight in self.generator.weights]
        self.loss_sums = tf.Variable(tf.zeros(len(LOSS_NAMES)), trainable=False)
        self._compiled = tf.function(self._learn, reduce_retracing=True)

    def start_from(self, weights: dict[str, np.ndarray]) -> None:
        """Begin with a generator's weights, by name, in place of random ones.

        ValueError if they are those of another network.
        """
        assign_weights(self.generator, weights)
        for average, weight in zip(self.average, self.generator.weights, strict=True):
            average.assign(weight)

    def run_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> None:
        """Learn from one batch of nets.pipeline: crops, and the numbers of their data sets.

        Where this process is one of several workers, the batch is its share.

        Args:
            batch: float32 (N, Y, X, 5) in [0, 1]; int32 (N,).
        """
        rate = learning_rate(self.step, self.steps, self.preset.train)
        self.generator_optimizer.learning_rate.assign(rate)
        if self.discriminator:
            self.discriminator_optimizer.learning_rate.assign(rate)
        begin = self.preset.loss.adversarial_from * self.steps
        adversarial = self.discriminator is not None and self.step >= begin
        decay = tf.constant(
            min(self.preset.train.ema_decay, (1 + self.step) / (10 + self.step)), tf.float32
        )
        self._compiled(self.replicas.dealt(batch), decay, adversarial)
        self.step += 1

    def mean_losses(self, count: int) -> dict[str, float]:
        """The losses' means over the last `count` steps, by name; starts the sums anew."""
        means = self.loss_sums.numpy() / max(1, count)
        self.loss_sums.assign(tf.zeros_like(self.loss_sums))
        return {name: float(mean) for name, mean in zip(LOSS_NAMES, means, strict=True)}

    def centred_offsets(self) -> np.ndarray:
        """What is added to the logits of each data set's crops, float32 (sets,); mean 0."""
        assert self.set_offsets is not None  # else nobody asks
        offsets = self.set_offsets.numpy() * SET_OFFSET_UNIT
        return offsets - offsets.mean()

    def saved_weights(self) -> dict[str, np.ndarray]:
        """The generator's weights that are validated and shipped (moving averages), by name."""
        source = self.average if self.preset.train.ema_decay else self.generator.weights
        return {
            weight.path: value.numpy()
            for weight, value in zip(self.generator.weights, source, strict=True)
        }

    def discriminator_weights(self) -> dict[str, np.ndarray]:
        """The discriminator's weights by name; empty without one."""
        weights = self.discriminator.weights if self.discriminator else []
        return {weight.path: weight.numpy() for weight in weights}

    def state(self) -> dict[str, np.ndarray]:
        """Everything that changes from step to step, by name."""
        return {name: variable.numpy() for name, variable in self._variables().items()} | {
            "step": np.array(self.step, np.int64)
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a state; ValueError if the state is of another network."""
        variables = self._variables()
        missing = sorted(set(variables) ^ (set(state) - {"step"}))
        if missing:
            raise ValueError(f"the saved state is of another network ({missing[0]})")
        for name, variable in variables.items():
            variable.assign(state[name])
        self.step = int(state["step"])

    def _variables(self) -> dict[str, tf.Variable]:
        """All variables by a name that does not depend on what was built before."""
        parts = {
            "generator": self.generator.variables,
            "generator_optimizer": self.generator_optimizer.variables,
            "average": self.average,
        }
        if self.discriminator:
            parts["discriminator"] = self.discriminator.variables
            parts["discriminator_optimizer"] = self.discriminator_optimizer.variables
        if self.set_offsets is not None:
            parts["set_offsets"] = [self.set_offsets]
        return {"loss_sums": self.loss_sums} | {
            f"{part}/{number:04d}": variable
            for part, variables in parts.items()
            for number, variable in enumerate(variables)
        }

    def _adam(self, variables: list) -> keras.optimizers.Adam:
        config = self.preset.train
        optimizer = self.replicas.adam(config.learning_rate, beta_1=config.beta1)
        optimizer.build(variables)
        return optimizer

    def _learn(
        self, batch: tuple[tf.Tensor, tf.Tensor], decay: tf.Tensor, adversarial: bool
    ) -> None:
        """A step of all replicas, whose weights stay equal; averages and sums of losses go on."""
        step_losses = self.replicas.run(self._update, batch, adversarial)
        for average, weight in zip(self.average, self.generator.weights, strict=True):
            average.assign(average * decay + weight * (1.0 - decay))
        self.loss_sums.assign_add(step_losses)

    def _update(self, batch: tuple[tf.Tensor, tf.Tensor], adversarial: bool) -> tf.Tensor:
        """Both networks learn from the same forward pass; the losses (see LOSS_NAMES).

        adversarial: the discriminator learns, and its judgement counts.
        """
        crops, sets = batch
        photograph, target, fovs = crops[..., :3], crops[..., 3:4], crops[..., 4:5]
        inputs = network_input(photograph, fovs, self.preset)
        judged = mistakes = tf.constant(0.0)
        with tf.GradientTape(persistent=adversarial) as tape:
            output = self.generator(inputs, training=True)
            if self.set_offsets is not None:
                output += self._offsets_of(sets)
            segmentation, l1, made_map = self._segmentation_terms(output, target, fovs)
            total = segmentation + self.preset.loss.l1 * l1
            if adversarial:
                real_map = target * 2.0 - 1.0
                judged, mistakes = losses.adversarial_losses(
                    self.discriminator, inputs, made_map, real_map, self.replicas
                )
                total += self.preset.loss.adversarial * judged
        self._apply(tape, total, self._learnt, self.generator_optimizer)
        if adversarial:
            assert self.discriminator is not None  # see `run_step`
            variables = self.discriminator.trainable_variables
            self._apply(tape, mistakes, variables, self.discriminator_optimizer)
        return tf.stack([total, judged, segmentation, l1, mistakes])

    def _offsets_of(self, sets: tf.Tensor) -> tf.Tensor:
        """The offsets of the data sets (N,), as (N, 1, 1, 1); those of all sets have mean 0."""
        offsets = tf.convert_to_tensor(self.set_offsets) * SET_OFFSET_UNIT
        centred = offsets - tf.reduce_mean(offsets)
        own = tf.one_hot(sets, offsets.shape[0]) @ centred[:, tf.newaxis]
        return own[:, :, tf.newaxis, tf.newaxis]

    def _segmentation_terms(
        self, output: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The weighted segmentation loss, the plain L1, and the map in [-1, 1] that is judged."""
        real_map = target * 2.0 - 1.0
        if self.preset.generator.output == "tanh":
            return tf.constant(0.0), losses.l1(output, real_map, self.replicas), output
        made_map = tf.sigmoid(output) * fovs * 2.0 - 1.0
        return (
            losses.segmentation_loss(self.preset.loss, output, target, fovs, self.replicas),
            losses.l1(made_map, real_map, self.replicas),
            made_map,
        )

    def _apply(
        self,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        variables: list,
        optimizer: keras.optimizers.Adam,
    ) -> None:
        gradients = self.replicas.all_reduce_mean(tape.gradient(loss, variables))
        if self.preset.train.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.preset.train.clip_norm)
        optimizer.apply(gradients, variables)
