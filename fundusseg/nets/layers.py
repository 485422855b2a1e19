"""The Keras layers that generator and discriminator are made of."""

from typing import Any

import keras
from keras import layers

from fundusseg.config import GeneratorConfig

KERNEL = 4
SLOPE = 0.2
NORM_EPSILON = 1e-3


class LayerMaker:
    """Makes the layers that all blocks share, with their names, policy and initial weights.

    Attributes:
        batch_normalisation, dropout_layer: the layers that see more of a batch than one crop.
    """

    batch_normalisation = layers.BatchNormalization
    dropout_layer = layers.Dropout

    def __init__(self, policy: keras.DTypePolicy, config: GeneratorConfig):
        self.policy = policy
        self.initial_stddev = config.initial_stddev
        self.momentum = config.norm_momentum
        self.residual = config.residual

    def _made(
        self, kind: type[layers.Layer], filters: int, kernel: int, name: str, **more: Any
    ) -> layers.Layer:
        """A convolution; its initial kernel is N(0, initial_stddev), He's where that is 0."""
        initializer = (
            keras.initializers.RandomNormal(stddev=self.initial_stddev)
            if self.initial_stddev
            else keras.initializers.HeNormal()
        )
        common = {"padding": "same", "kernel_initializer": initializer, "dtype": self.policy}
        return kind(filters, kernel, name=name, **common, **more)

    def downsampling(self, filters: int, name: str, strides: int = 2) -> layers.Layer:
        """Conv2D 4x4, stride 2."""
        return self._made(layers.Conv2D, filters, KERNEL, f"{name}_conv", strides=strides)

    def upsampling(self, filters: int, name: str) -> layers.Layer:
        """Conv2DTranspose 4x4, stride 2."""
        return self._made(layers.Conv2DTranspose, filters, KERNEL, f"{name}_upconv", strides=2)

    def convolution(self, filters: int, kernel: int, name: str) -> layers.Layer:
        """Conv2D of stride 1, without bias (BatchNorm follows)."""
        return self._made(layers.Conv2D, filters, kernel, f"{name}_conv", use_bias=False)

    def normalisation(self, name: str) -> layers.Layer:
        """BatchNorm."""
        return self.batch_normalisation(
            momentum=self.momentum, epsilon=NORM_EPSILON, dtype=self.policy, name=f"{name}_norm"
        )

    def dropout(self, rate: float, name: str) -> layers.Layer:
        """Dropout."""
        return self.dropout_layer(rate, dtype=self.policy, name=f"{name}_dropout")

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
