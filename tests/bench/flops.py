"""Multiplications and additions of the generator's convolutions, counted from their shapes."""

from collections.abc import Callable

from fundusseg.config import GeneratorConfig
from fundusseg.nets.generator import u_net
from fundusseg.nets.layers import KERNEL
from fundusseg.nets.local_contrast import INPUT_CHANNELS

Shape = tuple[int, int]  # side in pixels, channels


def generator_flops(config: GeneratorConfig, frame_px: int) -> int:
    """Floating-point operations of one frame; activations and additions are not counted.

    A convolution has 2 * k * k * channels in * channels out for each pixel of its output, a
    transposed one for each pixel of its input.
    """
    counter = _Counter(config)
    u_net(counter, config, (frame_px, INPUT_CHANNELS[config.inputs]))
    return counter.total


class _Counter:
    """Makes layers that take and give shapes, for the blocks of `nets.generator`."""

    def __init__(self, config: GeneratorConfig):
        self.residual = config.residual
        self.total = 0

    def downsampling(self, filters: int, name: str, strides: int = 2) -> Callable:
        return self._convolution(filters, KERNEL, strides)

    def convolution(self, filters: int, kernel: int, name: str) -> Callable:
        return self._convolution(filters, kernel, 1)

    def upsampling(self, filters: int, name: str) -> Callable:
        def layer(shape: Shape) -> Shape:
            self.total += 2 * KERNEL**2 * shape[1] * filters * shape[0] ** 2
            return 2 * shape[0], filters

        return layer

    def concatenation(self, name: str) -> Callable:
        return lambda shapes: (shapes[0][0], sum(channels for _, channels in shapes))

    def addition(self, name: str) -> Callable:
        return lambda shapes: shapes[0]

    def normalisation(self, name: str) -> Callable:
        return lambda shape: shape

    leaky = relu = normalisation

    def dropout(self, rate: float, name: str) -> Callable:
        return lambda shape: shape

    def _convolution(self, filters: int, kernel: int, strides: int) -> Callable:
        def layer(shape: Shape) -> Shape:
            side = shape[0] // strides
            self.total += 2 * kernel**2 * shape[1] * filters * side**2
            return side, filters

        return layer
