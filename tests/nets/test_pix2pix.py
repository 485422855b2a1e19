"""Preset pix2pix layer by layer, as the notebook's text has it, and what it writes for Keras."""

import dataclasses
import hashlib

import keras
import numpy as np
import pytest

from fundusseg.config import Preset
from fundusseg.nets.discriminator import build_discriminator
from fundusseg.nets.export import save_whole_model
from fundusseg.nets.generator import build_generator
from fundusseg.nets.prediction import Predictor
from fundusseg.nets.runtime import policy
from fundusseg.presets import PIX2PIX

SIZE_PX = 256
GENERATOR_WEIGHTS = 54_425_217  # 54,429,315 of the three-channel original, less 2 x 2,049
DISCRIMINATOR_WEIGHTS = 6_966_209
# Every layer in order: kind, side of its output, channels, and what is particular to it.
GENERATOR = """
InputLayer 256 3
Conv2D 128 64 4x4/2
LeakyReLU 128 64 0.2
Conv2D 64 128 4x4/2
BatchNormalization 64 128
LeakyReLU 64 128 0.2
Conv2D 32 256 4x4/2
BatchNormalization 32 256
LeakyReLU 32 256 0.2
Conv2D 16 512 4x4/2
BatchNormalization 16 512
LeakyReLU 16 512 0.2
Conv2D 8 512 4x4/2
BatchNormalization 8 512
LeakyReLU 8 512 0.2
Conv2D 4 512 4x4/2
BatchNormalization 4 512
LeakyReLU 4 512 0.2
Conv2D 2 512 4x4/2
BatchNormalization 2 512
LeakyReLU 2 512 0.2
Conv2D 1 512 4x4/2
ReLU 1 512
Conv2DTranspose 2 512 4x4/2
BatchNormalization 2 512
Dropout 2 512 0.5
Concatenate 2 1024 decoder_1 encoder_7
ReLU 2 1024
Conv2DTranspose 4 512 4x4/2
BatchNormalization 4 512
Dropout 4 512 0.5
Concatenate 4 1024 decoder_2 encoder_6
ReLU 4 1024
Conv2DTranspose 8 512 4x4/2
BatchNormalization 8 512
Dropout 8 512 0.5
Concatenate 8 1024 decoder_3 encoder_5
ReLU 8 1024
Conv2DTranspose 16 512 4x4/2
BatchNormalization 16 512
Concatenate 16 1024 decoder_4 encoder_4
ReLU 16 1024
Conv2DTranspose 32 256 4x4/2
BatchNormalization 32 256
Concatenate 32 512 decoder_5 encoder_3
ReLU 32 512
Conv2DTranspose 64 128 4x4/2
BatchNormalization 64 128
Concatenate 64 256 decoder_6 encoder_2
ReLU 64 256
Conv2DTranspose 128 64 4x4/2
BatchNormalization 128 64
Concatenate 128 128 decoder_7 encoder_1
ReLU 128 128
Conv2DTranspose 256 1 4x4/2
Activation 256 1 tanh
"""
DISCRIMINATOR = """
InputLayer 256 3
InputLayer 256 1
Concatenate 256 4 photograph map
Conv2D 128 64 4x4/2
LeakyReLU 128 64 0.2
Conv2D 64 128 4x4/2
BatchNormalization 64 128
LeakyReLU 64 128 0.2
Conv2D 32 256 4x4/2
BatchNormalization 32 256
LeakyReLU 32 256 0.2
Conv2D 16 512 4x4/2
BatchNormalization 16 512
LeakyReLU 16 512 0.2
Conv2D 16 512 4x4/1
BatchNormalization 16 512
LeakyReLU 16 512 0.2
Conv2D 16 1 4x4/1
Activation 16 1 linear
"""


def described(layer: keras.Layer) -> str:
    """A line as in the tables above."""
    shape = layer.output.shape
    words = [type(layer).__name__, shape[1], shape[3]]
    if hasattr(layer, "kernel_size"):
        words.append("{}x{}/{}".format(*layer.kernel_size, layer.strides[0]))
    elif isinstance(layer, keras.layers.LeakyReLU):
        words.append(layer.negative_slope)
    elif isinstance(layer, keras.layers.Dropout):
        words.append(layer.rate)
    elif isinstance(layer, keras.layers.Concatenate):
        sources = (tensor._keras_history.operation.name for tensor in layer.input)
        words += ["_".join(name.split("_")[:2]) for name in sources]
    elif isinstance(layer, keras.layers.Activation):
        words.append(layer.activation.__name__)
    return " ".join(map(str, words))


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return build_generator(PIX2PIX.generator, policy("float32"), SIZE_PX)


def test_the_generator_layer_by_layer(generator):
    assert list(map(described, generator.layers)) == GENERATOR.strip().splitlines()
    assert generator.count_params() == GENERATOR_WEIGHTS


def test_the_discriminator_layer_by_layer():
    """Its sigmoid is part of the loss."""
    config = PIX2PIX.discriminator
    discriminator = build_discriminator(config, PIX2PIX.generator, policy("float32"), SIZE_PX)
    assert list(map(described, discriminator.layers)) == DISCRIMINATOR.strip().splitlines()
    assert discriminator.count_params() == DISCRIMINATOR_WEIGHTS


def test_initial_weights_are_normal_with_deviation_002(generator):
    for name in ("encoder_4_conv", "decoder_3_upconv"):
        kernel = generator.get_layer(name).kernel.numpy()
        assert kernel.std() == pytest.approx(0.02, rel=0.02)
        assert abs(kernel.mean()) < 1e-4


def test_the_training_is_the_notebooks():
    train, loss = PIX2PIX.train, PIX2PIX.loss
    assert (train.learning_rate, train.beta1, train.batch, train.epochs) == (2e-4, 0.5, 1, 40)
    assert (train.schedule, train.warmup_steps, train.ema_decay) == ("constant", 0, 0)
    assert (loss.l1, loss.adversarial, loss.adversarial_from) == (100, 1, 0)
    assert (loss.cross_entropy, loss.dice, train.clip_norm) == (0, 0, 0)


def test_mixed_precision_normalises_in_float32():
    """The mean of 4,096 values, of which bfloat16 sums would keep two digits."""
    generator = build_generator(PIX2PIX.generator, policy("bfloat16"), SIZE_PX)
    layer = generator.get_layer("encoder_2_norm")
    assert layer.compute_dtype == "bfloat16"
    inputs = np.random.default_rng(5).normal(3, 0.1, (1, 64, 64, 128)).astype(np.float32)
    seen = keras.ops.cast(inputs, "bfloat16")
    layer(seen, training=True)
    mean = np.asarray(keras.ops.cast(seen, "float32")).mean(axis=(0, 1, 2))
    expected = mean * (1 - layer.momentum)
    np.testing.assert_allclose(layer.moving_mean.numpy(), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def small() -> tuple[Preset, dict[str, np.ndarray]]:
    """Pix2pix with few filters, and weights for it."""
    generator = dataclasses.replace(
        PIX2PIX.generator, encoder_filters=(4,) * 7, bottleneck_filters=4
    )
    preset = dataclasses.replace(PIX2PIX, generator=generator)
    built = build_generator(generator, policy("bfloat16"), SIZE_PX)
    draw = np.random.default_rng(1)
    return preset, {w.path: draw.uniform(0.1, 0.5, w.shape) for w in built.weights}


def test_keras_reads_the_whole_model_and_it_draws_the_same_map(small, tmp_path):
    """Without any of our code, in float32, whatever it was trained in."""
    preset, weights = small
    path = tmp_path / "generator.h5"
    save_whole_model(preset, weights, path)
    loaded = keras.models.load_model(path, compile=False)
    image = np.random.default_rng(2).integers(0, 255, (1, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    fov = np.full(image.shape[:3], 255, np.uint8)
    ours = Predictor(preset, weights).scores(image, fov)
    theirs = loaded.predict(image / np.float32(127.5) - 1, verbose=0)[..., 0]
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    np.testing.assert_allclose((theirs + 1) / 2, ours, atol=1e-5)


def test_the_same_weights_give_the_same_file(small, tmp_path):
    paths = [tmp_path / name for name in ("first.h5", "second.h5")]
    for path in paths:
        save_whole_model(*small, path)
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    assert first == second
