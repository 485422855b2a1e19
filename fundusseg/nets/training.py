"""One training step of generator and discriminator, and all the state that a resume needs."""

import math

import keras
import numpy as np
import tensorflow as tf

from fundusseg.config import Preset, TrainConfig
from fundusseg.nets import losses
from fundusseg.nets.adversary import adversarial_terms
from fundusseg.nets.contrast import network_input
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.generator import assign_weights, build_generator
from fundusseg.nets.replicas import averaged, shares
from fundusseg.nets.runtime import policy
from fundusseg.nets.synchronised import SynchronisedAdam

LOSS_NAMES = (
    "generator_loss",
    "adversarial_loss",
    "segmentation_loss",
    "l1_loss",
    "discriminator_loss",
)


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

    Args:
        preset: what is trained, and how.
        steps: length of the whole training, which the learning rate depends on.
        precision: "float32" or "bfloat16" for the convolutions.
        strategy: what shares the batches out to replicas; by default there is one replica.
    """

    def __init__(
        self,
        preset: Preset,
        steps: int,
        precision: str,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.preset = preset
        self.steps = steps
        self.step = 0
        self.strategy = strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            self.generator = build_generator(preset.generator, policy(precision))
            self.discriminator = build_discriminator(
                preset.discriminator, preset.generator, policy(precision)
            )
            self.generator_optimizer = self._adam(self.generator)
            self.discriminator_optimizer = self._adam(self.discriminator)
        self.average = [tf.Variable(weight, trainable=False) for weight in self.generator.weights]
        self.loss_sums = tf.Variable(tf.zeros(len(LOSS_NAMES)), trainable=False)
        self._compiled = tf.function(self._learn, reduce_retracing=True)

    def start_from(self, weights: dict[str, np.ndarray]) -> None:
        """Begin with a generator's weights, by name, in place of random ones.

        Raises:
            ValueError: if they are those of another network.
        """
        assign_weights(self.generator, weights)
        for average, weight in zip(self.average, self.generator.weights, strict=True):
            average.assign(weight)

    def run_step(self, batch: tf.Tensor) -> None:
        """Learn from one batch: float32 (N, Y, X, 5) in [0, 1], see nets.pipeline.

        Where this process is one of several workers, the batch is its share.
        """
        rate = learning_rate(self.step, self.steps, self.preset.train)
        self.generator_optimizer.learning_rate.assign(rate)
        ratio = self.preset.discriminator.learning_rate_ratio
        self.discriminator_optimizer.learning_rate.assign(rate * ratio)
        loss = self.preset.loss
        is_judged = loss.adversarial > 0 or loss.feature_matching > 0
        adversarial = is_judged and self.step >= loss.adversarial_from * self.steps
        judging = adversarial and self.step % self.preset.discriminator.every == 0
        decay = tf.constant(
            min(self.preset.train.average_decay, (1 + self.step) / (10 + self.step)), tf.float32
        )
        self._compiled(shares(self.strategy, batch), decay, adversarial, judging)
        self.step += 1

    def mean_losses(self, count: int) -> dict[str, float]:
        """The losses' means over the last `count` steps, by name; starts the sums anew."""
        means = self.loss_sums.numpy() / max(1, count)
        self.loss_sums.assign(tf.zeros_like(self.loss_sums))
        return {name: float(mean) for name, mean in zip(LOSS_NAMES, means, strict=True)}

    def saved_weights(self) -> dict[str, np.ndarray]:
        """The generator's weights that are validated and shipped (moving averages), by name."""
        source = self.average if self.preset.train.average_decay else self.generator.weights
        return {
            weight.path: value.numpy()
            for weight, value in zip(self.generator.weights, source, strict=True)
        }

    def discriminator_weights(self) -> dict[str, np.ndarray]:
        """The discriminator's weights by name."""
        return {weight.path: weight.numpy() for weight in self.discriminator.weights}

    def state(self) -> dict[str, np.ndarray]:
        """Everything that changes from step to step, by name."""
        return {name: variable.numpy() for name, variable in self._variables().items()} | {
            "step": np.array(self.step, np.int64)
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a state.

        Raises:
            ValueError: if the state is of another network.
        """
        variables = self._variables()
        missing = sorted(set(variables) ^ (set(state) - {"step"}))
        if missing:
            raise ValueError(f"the saved state is of another network ({missing[0]})")
        for name, variable in variables.items():
            variable.assign(state[name])
        self.step = int(state["step"])

    def _variables(self) -> dict[str, tf.Variable]:
        """All variables by a name that does not depend on what was built before."""
        named = {}
        for part, variables in (
            ("generator", self.generator.variables),
            ("discriminator", self.discriminator.variables),
            ("generator_optimizer", self.generator_optimizer.variables),
            ("discriminator_optimizer", self.discriminator_optimizer.variables),
            ("average", self.average),
        ):
            for number, variable in enumerate(variables):
                named[f"{part}/{number:04d}"] = variable
        return named | {"loss_sums": self.loss_sums}

    def _adam(self, model: keras.Model) -> keras.optimizers.Adam:
        config = self.preset.train
        optimizer = SynchronisedAdam(config.learning_rate, beta_1=config.beta1)
        optimizer.build(model.trainable_variables)
        return optimizer

    def _learn(self, batch, decay: tf.Tensor, adversarial: bool, judging: bool) -> None:
        """A step of all replicas, whose weights stay equal; averages and sums of losses go on."""
        found = self.strategy.run(self._update, args=(batch, adversarial, judging))
        for average, weight in zip(self.average, self.generator.weights, strict=True):
            average.assign(average * decay + weight * (1.0 - decay))
        self.loss_sums.assign_add(self.strategy.experimental_local_results(found)[0])

    def _update(self, batch: tf.Tensor, adversarial: bool, judging: bool) -> tf.Tensor:
        """Both networks learn from the same forward pass; the losses (see LOSS_NAMES).

        adversarial: the discriminator's judgement counts. judging: it learns, too.
        """
        photograph, target, fovs = batch[..., :3], batch[..., 3:4], batch[..., 4:5]
        inputs = network_input(photograph, fovs, self.preset)
        with tf.GradientTape(persistent=adversarial) as tape:
            output = self.generator(inputs, training=True)
            segmentation, l1, made_map = self._segmentation_terms(output, target, fovs)
            loss = self.preset.loss
            total = segmentation + loss.l1 * l1
            fooling = mistakes = tf.constant(0.0)
            if adversarial:
                fooling, added, mistakes = adversarial_terms(
                    self.discriminator,
                    self.preset.discriminator,
                    loss,
                    inputs,
                    made_map,
                    target * 2.0 - 1.0,
                    judging,
                )
                total += added
        self._apply(tape, total, self.generator, self.generator_optimizer)
        if judging:
            self._apply(tape, mistakes, self.discriminator, self.discriminator_optimizer)
        return tf.stack([total, fooling, segmentation, l1, mistakes])

    def _segmentation_terms(self, output: tf.Tensor, target: tf.Tensor, fovs: tf.Tensor):
        """The weighted segmentation loss, the plain L1, and the map in [-1, 1] that is judged."""
        if self.preset.generator.output == "tanh":
            return tf.constant(0.0), losses.l1(output, target * 2.0 - 1.0), output
        logits = tf.split(output, self.preset.generator.networks, axis=-1)
        terms = [losses.segmentation_loss(self.preset.loss, one, target, fovs) for one in logits]
        made_map = tf.sigmoid(logits[-1]) * fovs * 2.0 - 1.0
        return tf.add_n(terms) / len(terms), losses.l1(made_map, target * 2.0 - 1.0), made_map

    def _apply(self, tape: tf.GradientTape, loss: tf.Tensor, model, optimizer) -> None:
        variables = model.trainable_variables
        gradients = averaged(tape.gradient(loss, variables))
        if self.preset.train.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.preset.train.clip_norm)
        optimizer.apply(gradients, variables)
