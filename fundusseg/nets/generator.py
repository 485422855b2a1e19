"""The generator: Pix2Pix's U-Net, with or without residual pairs at each level.

Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017,
doi 10.1109/CVPR.2017.632. Encoder and decoder are the same functions for both presets;
`GeneratorConfig` says what differs. They ask a maker for their layers: `LayerMaker` makes
Keras layers, which learn; `nets.folded` makes the same layers for prediction alone.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from fundusseg.config import GeneratorConfig
from fundusseg.nets.contrast import INPUT_CHANNELS
from fundusseg.nets.synchronised import SynchronisedBatchNormalization, SynchronisedDropout

KERNEL = 4
SLOPE = 0.2
NORM_EPSILON = 1e-3


def build_generator(
    config: GeneratorConfig, policy: keras.DTypePolicy, size_px: int | None = None
) -> keras.Model:
    """The generator as a Keras model: (N, Y, X, C) float32 to (N, Y, X, networks) float32.

    Y and X must be multiples of `config.stride`. size_px fixes them (for `--summary`).
    """
    inputs = keras.Input((size_px, size_px, INPUT_CHANNELS[config.inputs]), name="photograph")
    make = LayerMaker(policy, config)
    drawn = logits_or_maps(make, config, inputs)
    x = drawn[0] if len(drawn) == 1 else make.concatenation("maps")(drawn)
    activation = "tanh" if config.output == "tanh" else "linear"
    x = layers.Activation(activation, dtype="float32", name="map")(x)
    return keras.Model(inputs, x, name="generator")


def logits_or_maps(make, config: GeneratorConfig, x) -> list:
    """All layers but the last activation: (N, Y, X, C) to (N, Y, X, 1), from a maker's layers.

    One result for each network in a row, the last one's last.
    """
    drawn = [u_net(make, config, x, prefix="")]
    for number in range(2, config.networks + 1):
        name = f"network_{number}"
        probability = make.sigmoid(name)(drawn[-1])
        seen = make.concatenation(name)([x, probability])
        drawn.append(u_net(make, config, seen, prefix=f"{name}_"))
    return drawn


def u_net(make, config: GeneratorConfig, x, prefix: str):
    """Encoder, bottleneck and decoder: (N, Y, X, C) to (N, Y, X, 1)."""
    skips = []
    for number, filters in enumerate(config.encoder_filters, start=1):
        name = f"{prefix}encoder_{number}"
        x = encoder_block(make, x, filters, name, normalise=number > 1)
        skips.append(x)
    x = bottleneck_block(make, x, config.bottleneck_filters, f"{prefix}bottleneck")
    dropout = dict(enumerate(config.dropout, start=1))
    decoder_filters = reversed(config.encoder_filters)
    for number, (filters, skip) in enumerate(
        zip(decoder_filters, reversed(skips), strict=True), start=1
    ):
        name = f"{prefix}decoder_{number}"
        x = decoder_block(make, x, skip, filters, name, dropout.get(number, 0.0))
    return make.upsampling(1, f"{prefix}output")(x)


def assign_weights(generator, weights: dict[str, np.ndarray]) -> None:
    """Give a generator its weights, by name.

    Raises:
        ValueError: if names or shapes are those of another network.
    """
    for variable in generator.weights:
        value = weights.get(variable.path)
        if value is None or value.shape != tuple(variable.shape):
            raise ValueError(f"the weights are of another network ({variable.path})")
        variable.assign(value.astype(np.float32))


class LayerMaker:
    """Makes the layers that all blocks share, with their names, policy and initial weights.

    In the scope of a strategy of several replicas they are those of nets.synchronised.
    """

    def __init__(self, policy: keras.DTypePolicy, config: GeneratorConfig):
        self.policy = policy
        self.initial_stddev = config.initial_stddev
        self.momentum = config.norm_momentum
        self.residual = config.residual
        self.synchronised = tf.distribute.get_strategy().num_replicas_in_sync > 1

    def initializer(self):
        """N(0, initial_stddev), or He's normal where that is 0; a new one for each layer."""
        if self.initial_stddev:
            return keras.initializers.RandomNormal(stddev=self.initial_stddev)
        return keras.initializers.HeNormal()

    def downsampling(self, filters: int, name: str, strides: int = 2) -> layers.Layer:
        """Conv2D 4x4, stride 2."""
        return layers.Conv2D(
            filters,
            KERNEL,
            strides=strides,
            padding="same",
            kernel_initializer=self.initializer(),
            dtype=self.policy,
            name=f"{name}_conv",
        )

    def upsampling(self, filters: int, name: str) -> layers.Layer:
        """Conv2DTranspose 4x4, stride 2."""
        return layers.Conv2DTranspose(
            filters,
            KERNEL,
            strides=2,
            padding="same",
            kernel_initializer=self.initializer(),
            dtype=self.policy,
            name=f"{name}_upconv",
        )

    def convolution(self, filters: int, kernel: int, name: str) -> layers.Layer:
        """Conv2D of stride 1, without bias (BatchNorm follows)."""
        return layers.Conv2D(
            filters,
            kernel,
            padding="same",
            use_bias=False,
            kernel_initializer=self.initializer(),
            dtype=self.policy,
            name=f"{name}_conv",
        )

    def normalisation(self, name: str) -> layers.Layer:
        """BatchNorm."""
        kind = SynchronisedBatchNormalization if self.synchronised else layers.BatchNormalization
        return kind(
            momentum=self.momentum, epsilon=NORM_EPSILON, dtype=self.policy, name=f"{name}_norm"
        )

    def dropout(self, rate: float, name: str) -> layers.Layer:
        """Dropout."""
        kind = SynchronisedDropout if self.synchronised else layers.Dropout
        return kind(rate, dtype=self.policy, name=f"{name}_dropout")

    def leaky(self, name: str) -> layers.Layer:
        """LeakyReLU 0.2."""
        return layers.LeakyReLU(SLOPE, dtype=self.policy, name=f"{name}_leaky")

    def relu(self, name: str) -> layers.Layer:
        """ReLU."""
        return layers.ReLU(dtype=self.policy, name=f"{name}_relu")

    def concatenation(self, name: str) -> layers.Layer:
        """Concatenation of channels."""
        return layers.Concatenate(dtype=self.policy, name=f"{name}_concatenate")

    def addition(self, name: str) -> layers.Layer:
        """Sum of two."""
        return layers.Add(dtype=self.policy, name=f"{name}_add")

    def sigmoid(self, name: str) -> layers.Layer:
        """Logits to probabilities."""
        return layers.Activation("sigmoid", dtype=self.policy, name=f"{name}_sigmoid")


def encoder_block(make, x, filters: int, name: str, normalise: bool):
    """Conv2D 4x4 stride 2, BatchNorm (not in the first block), LeakyReLU; then a residual pair."""
    x = make.downsampling(filters, name)(x)
    if normalise:
        x = make.normalisation(name)(x)
    x = make.leaky(name)(x)
    return residual_pair(make, x, filters, f"{name}_pair") if make.residual else x


def bottleneck_block(make, x, filters: int, name: str):
    """The coarsest level: Pix2Pix's Conv2D and ReLU, or an encoder block like the others."""
    if make.residual:
        return encoder_block(make, x, filters, name, normalise=True)
    return make.relu(name)(make.downsampling(filters, name)(x))


def decoder_block(make, x, skip, filters: int, name: str, dropout: float):
    """Conv2DTranspose, BatchNorm, Dropout, Concatenate with the skip, ReLU.

    With residual pairs a 1x1 convolution after the concatenation takes ReLU's place.
    """
    x = make.normalisation(name)(make.upsampling(filters, name)(x))
    if dropout:
        x = make.dropout(dropout, name)(x)
    x = make.concatenation(name)([x, skip])
    if not make.residual:
        return make.relu(name)(x)
    x = make.convolution(filters, 1, f"{name}_join")(x)
    x = make.leaky(f"{name}_join")(make.normalisation(f"{name}_join")(x))
    return residual_pair(make, x, filters, f"{name}_pair")


def residual_pair(make, x, filters: int, name: str):
    """x + (3x3, BatchNorm, LeakyReLU, 3x3, BatchNorm), then LeakyReLU.

    He et al., Deep residual learning for image recognition, CVPR 2016,
    doi 10.1109/CVPR.2016.90.
    """
    y = make.convolution(filters, 3, f"{name}_1")(x)
    y = make.leaky(f"{name}_1")(make.normalisation(f"{name}_1")(y))
    y = make.normalisation(f"{name}_2")(make.convolution(filters, 3, f"{name}_2")(y))
    return make.leaky(name)(make.addition(name)([x, y]))
