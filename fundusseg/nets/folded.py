"""The generator's layers as plain operations for prediction, BatchNorm folded away.

In prediction BatchNorm is a factor and a shift per channel, and no activation stands between
it and the convolution before it: both go into that convolution's kernel and bias, exactly
but for rounding. oneDNN then runs convolution, bias and LeakyReLU as one, and in bfloat16
nothing goes through float32 on the way. Without Keras' layers there is less to build, too.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from fundusseg.nets.layers import NORM_EPSILON, SLOPE

NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")
Layer = Callable[[tf.Tensor], tf.Tensor]


def folded(weights: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias, float64, of each convolution with the BatchNorm that follows it.

    Args:
        weights: the generator's by name: `encoder_2_conv/kernel`, `encoder_2_norm/gamma`.

    Returns:
        By the convolution's name, such as `encoder_2_conv`.

    Raises:
        ValueError: if BatchNorm has no convolution, or is not whole.
    """
    left = {name: np.asarray(values, np.float64) for name, values in weights.items()}
    layers = {}
    for name in [name for name in left if name.endswith("/kernel")]:
        layer = name.removesuffix("/kernel")
        kernel = left.pop(name)
        # A transposed convolution's kernel is (Y, X, out, in), the other's (Y, X, in, out).
        is_transposed = layer.endswith("_upconv")
        bias = left.pop(f"{layer}/bias", np.zeros(kernel.shape[2 if is_transposed else 3]))
        norm = f"{layer.rpartition('_')[0]}_norm"
        names = [f"{norm}/{part}" for part in NORM_PARTS]
        values = [left.pop(name) for name in names if name in left]
        if len(values) == len(NORM_PARTS):
            gamma, beta, mean, variance = values
            factor = gamma / np.sqrt(variance + NORM_EPSILON)
            kernel = kernel * (factor[:, np.newaxis] if is_transposed else factor)
            bias = beta + (bias - mean) * factor
        elif values:
            raise ValueError(f"the weights are of another network ({norm})")
        layers[layer] = (kernel, bias)
    if left:
        raise ValueError(f"the weights are of another network ({min(left)})")
    return layers


class FoldedLayers:
    """Makes the layers that the blocks of `nets.generator` ask for.

    Args:
        weights: the generator's by name.
        residual: as in its `GeneratorConfig`.
        dtype: what convolutions are computed in.

    Raises:
        ValueError: see `folded`.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], residual: bool, dtype: tf.DType):
        self.residual = residual
        self.dtype = dtype
        self._unused = {
            layer: tuple(tf.constant(values, dtype) for values in pair)
            for layer, pair in folded(weights).items()
        }

    def require_all_used(self) -> None:
        """Raise ValueError if there are weights that no layer asked for, naming one of them."""
        if self._unused:
            raise ValueError(f"the weights are of another network ({min(self._unused)})")

    def downsampling(self, filters: int, name: str, strides: int = 2) -> Layer:
        """Conv2D, stride 2."""

        def layer(x: tf.Tensor) -> tf.Tensor:
            kernel, bias = self._taken(f"{name}_conv", (x.shape[-1], filters))
            return tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides, "SAME"), bias)

        return layer

    def convolution(self, filters: int, kernel: int, name: str) -> Layer:
        """Conv2D of stride 1."""
        return self.downsampling(filters, name, strides=1)

    def upsampling(self, filters: int, name: str) -> Layer:
        """Conv2DTranspose, stride 2."""

        def layer(x: tf.Tensor) -> tf.Tensor:
            kernel, bias = self._taken(f"{name}_upconv", (filters, x.shape[-1]))
            count, height, width, _ = tf.unstack(tf.shape(x))
            shape = [count, 2 * height, 2 * width, filters]
            return tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME"), bias)

        return layer

    def normalisation(self, name: str) -> Layer:
        """Nothing: it is in the convolution before."""
        return _unchanged

    def leaky(self, name: str) -> Layer:
        """LeakyReLU."""
        return lambda x: tf.nn.leaky_relu(x, SLOPE)

    def relu(self, name: str) -> Layer:
        """ReLU."""
        return tf.nn.relu

    def dropout(self, rate: float, name: str) -> Layer:
        """Nothing: in prediction all units count."""
        return _unchanged

    def concatenation(self, name: str) -> Layer:
        """Concatenation of channels."""
        return lambda parts: tf.concat(parts, axis=-1)

    def addition(self, name: str) -> Layer:
        """Sum of two."""
        return lambda parts: parts[0] + parts[1]

    def _taken(self, layer: str, channels: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
        """Kernel and bias of a layer, which asks for them once.

        ValueError if there are none, or the last two axes of the kernel are not `channels`.
        """
        kernel, bias = self._unused.pop(layer, (None, None))
        if kernel is None or tuple(kernel.shape[2:]) != channels:
            raise ValueError(f"the weights are of another network ({layer})")
        return kernel, bias


def _unchanged(x: tf.Tensor) -> tf.Tensor:
    return x
