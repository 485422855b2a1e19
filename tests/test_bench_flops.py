"""The count of the network's operations, which the bench divides by."""

import dataclasses

import pytest
from keras import layers

from fundusseg.config import GeneratorConfig
from fundusseg.nets.generator import build_generator
from fundusseg.nets.runtime import policy
from fundusseg.presets import PRESETS
from tests.bench.flops import generator_flops

PIX2PIX = PRESETS["pix2pix"].generator
SMALL_PIX2PIX = dataclasses.replace(PIX2PIX, encoder_filters=(4, 8), bottleneck_filters=8)


def test_of_one_level_by_hand():
    config = GeneratorConfig(encoder_filters=(5,), bottleneck_filters=7, residual=False)
    down = 2 * 16 * 3 * 5 * 8**2 + 2 * 16 * 5 * 7 * 4**2
    up = 2 * 16 * 7 * 5 * 4**2 + 2 * 16 * (5 + 5) * 1 * 8**2
    assert generator_flops(config, 16) == down + up


@pytest.mark.parametrize("config", [PRESETS["native"].generator, SMALL_PIX2PIX])
def test_of_keras_layers_by_their_shapes(config):
    """A second count: kernels' sizes times pixels, from a Keras model's own shapes."""
    total = 0
    for layer in build_generator(config, policy("float32"), 64).layers:
        if isinstance(layer, layers.Conv2DTranspose):
            total += 2 * layer.kernel.shape.num_elements() * layer.input.shape[1] ** 2
        elif isinstance(layer, layers.Conv2D):
            total += 2 * layer.kernel.shape.num_elements() * layer.output.shape[1] ** 2
    assert generator_flops(config, 64) == total
