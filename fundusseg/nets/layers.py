"""The Keras layers that generator and discriminator are made of."""

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

    def initializer(self) -> keras.Initializer:
        """N(0, initial_stddev), or He's normal where that is 0; a new one for each layer."""
        if self.initial_stddev:
            return keras.initializers.RandomNormal(stddev=self.initial_stddev)
        return keras.initializers.HeNormal()

    def downsampling(self, filters: int, name: str, strides: int = 2) -> layers.Layer:
        """Conv2D 4x4, stride 2."""
        return layers.Conv2D(
            filters,
            KERNEL,
            strides=strides,
            padding="same",
            kernel_initializer=self.initializer(),
            dtype=self.policy,
            name=f"{name}_conv",
        )

    def upsampling(self, filters: int, name: str) -> layers.Layer:
        """Conv2DTranspose 4x4, stride 2."""
        return layers.Conv2DTranspose(
            filters,
            KERNEL,
            strides=2,
            padding="same",
            kernel_initializer=self.initializer(),
            dtype=self.policy,
            name=f"{name}_upconv",
        )

    def convolution(self, filters: int, kernel: int, name: str) -> layers.Layer:
        """Conv2D of stride 1, without bias (BatchNorm follows)."""
        return layers.Conv2D(
            filters,
            kernel,
            padding="same",
            use_bias=False,
            kernel_initializer=self.initializer(),
            dtype=self.policy,
            name=f"{name}_conv",
        )

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
