"""The discriminator: Pix2Pix's PatchGAN on pairs of (photograph, map).

Each value of its output judges one patch of the pair: above 0 for "drawn by a person",
below for "made by the generator". The sigmoid is part of the loss.
"""

import keras
from keras import layers

from fundusseg.config import DiscriminatorConfig, GeneratorConfig
from fundusseg.nets.layers import LayerMaker
from fundusseg.nets.local_contrast import INPUT_CHANNELS


def build_discriminator(
    config: DiscriminatorConfig,
    generator: GeneratorConfig,
    policy: keras.DTypePolicy,
    size_px: int | None = None,
    layer_maker: type[LayerMaker] = LayerMaker,
) -> keras.Model:
    """A Keras model: [(N, Y, X, C) photograph, (N, Y, X, 1) map in [-1, 1]] to logits (N, y, x, 1).

    Blocks of Conv2D 4x4 -> BatchNorm (not in the first) -> LeakyReLU 0.2: stride 2 for
    config.strided_filters, stride 1 for config.last_filters; then one 4x4 channel. What it
    sees of the photograph, and its initial weights, are the generator's.
    """
    make = layer_maker(policy, generator)
    channels = INPUT_CHANNELS[generator.inputs]
    photograph = keras.Input((size_px, size_px, channels), name="photograph")
    vessel_map = keras.Input((size_px, size_px, 1), name="map")
    x = layers.Concatenate(dtype=policy, name="pair")([photograph, vessel_map])
    blocks = [(filters, 2) for filters in config.strided_filters] + [(config.last_filters, 1)]
    for number, (filters, strides) in enumerate(blocks, start=1):
        name = f"block_{number}"
        x = make.downsampling(filters, name, strides)(x)
        if number > 1:
            x = make.normalisation(name)(x)
        x = make.leaky(name)(x)
    x = make.downsampling(1, "judgement", strides=1)(x)
    x = layers.Activation("linear", dtype="float32", name="judgement")(x)
    return keras.Model([photograph, vessel_map], x, name="discriminator")
