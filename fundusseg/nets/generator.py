"""The generator: Pix2Pix's U-Net, with or without residual pairs at each level.

Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017,
doi 10.1109/CVPR.2017.632. Encoder and decoder are the same functions for both presets;
`GeneratorConfig` says what differs. They ask a maker for their layers: `nets.layers` makes
Keras layers, which learn; `nets.folded` makes the same layers for prediction alone.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from fundusseg.config import GeneratorConfig
from fundusseg.nets.folded import FoldedLayers
from fundusseg.nets.layers import LayerMaker
from fundusseg.nets.local_contrast import INPUT_CHANNELS

Maker = LayerMaker | FoldedLayers


def build_generator(
    config: GeneratorConfig,
    policy: keras.DTypePolicy,
    size_px: int | None = None,
    layer_maker: type[LayerMaker] = LayerMaker,
) -> keras.Model:
    """The generator as a Keras model: (N, Y, X, C) float32 to (N, Y, X, 1) float32.

    Y and X must be multiples of `config.stride`. size_px fixes them (for `--summary`).
    """
    inputs = keras.Input((size_px, size_px, INPUT_CHANNELS[config.inputs]), name="photograph")
    x = u_net(layer_maker(policy, config), config, inputs)
    activation = "tanh" if config.output == "tanh" else "linear"
    x = layers.Activation(activation, dtype="float32", name="map")(x)
    return keras.Model(inputs, x, name="generator")


def u_net(make: Maker, config: GeneratorConfig, x: tf.Tensor) -> tf.Tensor:
    """All layers but the last activation: (N, Y, X, C) to (N, Y, X, 1), from a maker's layers."""
    skips = []
    for number, filters in enumerate(config.encoder_filters, start=1):
        x = encoder_block(make, x, filters, f"encoder_{number}", normalise=number > 1)
        skips.append(x)
    x = bottleneck_block(make, x, config.bottleneck_filters, "bottleneck")
    dropout = dict(enumerate(config.dropout, start=1))
    decoder_filters = reversed(config.encoder_filters)
    for number, (filters, skip) in enumerate(
        zip(decoder_filters, reversed(skips), strict=True), start=1
    ):
        name = f"decoder_{number}"
        x = decoder_block(make, x, skip, filters, name, dropout.get(number, 0.0))
    return make.upsampling(1, "output")(x)


def assign_weights(generator: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Give a generator its weights, by name.

    ValueError if names or shapes are those of another network.
    """
    for variable in generator.weights:
        value = weights.get(variable.path)
        if value is None or value.shape != tuple(variable.shape):
            raise ValueError(f"the weights are of another network ({variable.path})")
        variable.assign(value.astype(np.float32))


def encoder_block(make: Maker, x: tf.Tensor, filters: int, name: str, normalise: bool) -> tf.Tensor:
    """Conv2D 4x4 stride 2, BatchNorm (not in the first block), LeakyReLU; then a residual pair."""
    x = make.downsampling(filters, name)(x)
    if normalise:
        x = make.normalisation(name)(x)
    x = make.leaky(name)(x)
    return residual_pair(make, x, filters, f"{name}_pair") if make.residual else x


def bottleneck_block(make: Maker, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """The coarsest level: Pix2Pix's Conv2D and ReLU, or an encoder block like the others."""
    if make.residual:
        return encoder_block(make, x, filters, name, normalise=True)
    return make.relu(name)(make.downsampling(filters, name)(x))


def decoder_block(
    make: Maker, x: tf.Tensor, skip: tf.Tensor, filters: int, name: str, dropout: float
) -> tf.Tensor:
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


def residual_pair(make: Maker, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """x + (3x3, BatchNorm, LeakyReLU, 3x3, BatchNorm), then LeakyReLU.

    He et al., Deep residual learning for image recognition, CVPR 2016,
    doi 10.1109/CVPR.2016.90.
    """
    y = make.convolution(filters, 3, f"{name}_1")(x)
    y = make.leaky(f"{name}_1")(make.normalisation(f"{name}_1")(y))
    y = make.normalisation(f"{name}_2")(make.convolution(filters, 3, f"{name}_2")(y))
    return make.leaky(name)(make.addition(name)([x, y]))
