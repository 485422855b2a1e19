"""The networks for other eyes: as a table of layers, and as a whole Keras model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

from fundusseg.config import Preset
from fundusseg.files.arrays import new_hdf5
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.generator import assign_weights, build_generator
from fundusseg.nets.runtime import policy


def layer_tables(preset: Preset) -> str:
    """Name, kind, output shape and number of weights of every layer, as text.

    A discriminator is there if the preset trains one; the sigmoid that ends Pix2Pix's is part of
    the loss here.
    """
    size_px = preset.augment.crop_px or preset.frame.sizes_px[0]
    networks = [build_generator(preset.generator, policy("float32"), size_px)]
    if preset.loss.adversarial:
        networks.append(
            build_discriminator(preset.discriminator, preset.generator, policy("float32"), size_px)
        )
    lines: list[str] = []
    for model in networks:
        model.summary(line_length=110, print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines) + "\n"


def save_whole_model(preset: Preset, weights: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a generator in Keras' own HDF5 format, which `keras.models.load_model` reads.

    It is built in float32 whatever it was trained in, so that it needs no bfloat16 where it is
    read. fundusseg itself never reads it: such files can hold code.

    Raises:
        ValueError: if the weights are of another network.
        InputError: if the file system refuses.
    """
    generator = build_generator(preset.generator, policy("float32"), preset.frame.sizes_px[0])
    assign_weights(generator, weights)
    with new_hdf5(path) as file:
        save_model_to_hdf5(generator, file)
