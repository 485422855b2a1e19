"""The networks for other eyes: as a table of layers, and as a whole Keras model."""

import logging
from pathlib import Path

import keras

from fundusseg.config import Preset
from fundusseg.io.files import atomic
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.generator import build_generator
from fundusseg.nets.runtime import policy


def layer_tables(preset: Preset) -> str:
    """Name, kind, output shape and number of weights of every layer, as text.

    The sigmoid that ends Pix2Pix's discriminator is part of the loss here.
    """
    size_px = preset.augment.crop_px or preset.frame.sizes_px[0]
    generator = build_generator(preset.generator, policy("float32"), size_px)
    discriminator = build_discriminator(
        preset.discriminator, preset.generator, policy("float32"), size_px
    )
    lines: list[str] = []
    for model in (generator, discriminator):
        model.summary(line_length=110, print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines) + "\n"


def save_whole_model(generator: keras.Model, path: Path) -> None:
    """Write a generator in Keras' own HDF5 format, which `keras.models.load_model` reads.

    fundusseg itself never reads it: such files can hold code.
    """
    # Keras calls the format "legacy" at every save; it is the one that the notebook reads.
    logging.getLogger("absl").setLevel(logging.ERROR)
    with atomic(path) as temporary:
        generator.save(temporary)
