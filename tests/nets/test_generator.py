"""The generators: Pix2Pix's exactly, and the native one."""

import keras
import numpy as np
import pytest

from fundusseg.config import PIX2PIX, PRESETS
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.generator import build_generator
from fundusseg.nets.runtime import policy

FLOAT32 = policy("float32")
PIX2PIX_GENERATOR_WEIGHTS = 54_425_217  # 54,429,315 of the three-channel original, less 2 x 2,049
PIX2PIX_DISCRIMINATOR_WEIGHTS = 6_966_209


@pytest.fixture(scope="module")
def pix2pix() -> keras.Model:
    return build_generator(PIX2PIX.generator, FLOAT32, 256)


def layers_of(model: keras.Model, kind: type) -> list[keras.Layer]:
    return [layer for layer in model.layers if type(layer) is kind]


def test_pix2pix_encoder_filters_and_strides(pix2pix):
    convolutions = layers_of(pix2pix, keras.layers.Conv2D)
    assert [layer.filters for layer in convolutions] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert {(layer.kernel_size, layer.strides) for layer in convolutions} == {((4, 4), (2, 2))}


def test_pix2pix_decoder_filters_and_strides(pix2pix):
    upconvolutions = layers_of(pix2pix, keras.layers.Conv2DTranspose)
    assert [layer.filters for layer in upconvolutions] == [512, 512, 512, 512, 256, 128, 64, 1]
    assert {(layer.kernel_size, layer.strides) for layer in upconvolutions} == {((4, 4), (2, 2))}


def test_pix2pix_first_block_and_bottleneck_have_no_batchnorm(pix2pix):
    assert len(layers_of(pix2pix, keras.layers.BatchNormalization)) == 6 + 7


def test_pix2pix_dropout_stands_in_the_first_three_decoder_blocks(pix2pix):
    dropouts = layers_of(pix2pix, keras.layers.Dropout)
    assert [(layer.name, layer.rate) for layer in dropouts] == [
        (f"decoder_{number}_dropout", 0.5) for number in (1, 2, 3)
    ]


def test_pix2pix_layer_order_in_a_decoder_block(pix2pix):
    names = [layer.name for layer in pix2pix.layers if layer.name.startswith("decoder_1_")]
    kinds = ("upconv", "norm", "dropout", "concatenate", "relu")
    assert names == [f"decoder_1_{kind}" for kind in kinds]


def test_pix2pix_parameter_counts(pix2pix):
    discriminator = build_discriminator(PIX2PIX.discriminator, PIX2PIX.generator, FLOAT32, 256)
    assert pix2pix.count_params() == PIX2PIX_GENERATOR_WEIGHTS
    assert discriminator.count_params() == PIX2PIX_DISCRIMINATOR_WEIGHTS


def test_pix2pix_output_is_tanh_of_one_channel_and_initial_weights_are_small(pix2pix):
    assert pix2pix.output_shape == (None, 256, 256, 1)
    assert pix2pix.layers[-1].activation is keras.activations.tanh
    kernel = pix2pix.get_layer("encoder_4_conv").kernel.numpy()
    assert kernel.std() == pytest.approx(0.02, rel=0.02)


def test_pix2pix_discriminator_judges_patches():
    discriminator = build_discriminator(PIX2PIX.discriminator, PIX2PIX.generator, FLOAT32, 256)
    convolutions = layers_of(discriminator, keras.layers.Conv2D)
    assert [layer.filters for layer in convolutions] == [64, 128, 256, 512, 512, 1]
    assert [layer.strides[0] for layer in convolutions] == [2, 2, 2, 2, 1, 1]
    assert discriminator.output_shape == (None, 16, 16, 1)
    assert len(layers_of(discriminator, keras.layers.BatchNormalization)) == 4


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
