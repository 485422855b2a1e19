"""The native generator; Pix2Pix's is in test_pix2pix.py."""

import numpy as np

from fundusseg.nets.generator import build_generator
from fundusseg.nets.runtime import policy
from fundusseg.presets import PRESETS

FLOAT32 = policy("float32")


def test_native_generator_keeps_the_frame_size_and_has_no_full_resolution_convolution():
    config = PRESETS["native"].generator
    generator = build_generator(config, FLOAT32)
    frame = np.zeros((1, 2 * config.stride, 3 * config.stride, 3), np.float32)
    assert generator(frame).shape == (*frame.shape[:3], 1)
    full_size = [
        layer.name
        for layer in build_generator(config, FLOAT32, 64).layers
        if getattr(layer, "kernel_size", None) and layer.output.shape[1] == 64
    ]
    assert full_size == ["output_upconv"]


def test_mixed_precision_keeps_weights_and_output_in_float32():
    generator = build_generator(PRESETS["native"].generator, policy("bfloat16"))
    assert {weight.dtype for weight in generator.weights} == {"float32"}
    assert generator(np.zeros((1, 32, 32, 3), np.float32)).dtype == "float32"
