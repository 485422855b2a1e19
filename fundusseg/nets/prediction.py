"""A trained generator applied to frames, in batches of one fixed shape."""

import numpy as np
import tensorflow as tf

from fundusseg.config import TILE_OVERLAP_PX, WHOLE_FRAME_MAX_PX, Preset
from fundusseg.fundus.tiles import tile_corners, tiled, untiled
from fundusseg.nets.contrast import network_input
from fundusseg.nets.generator import build_generator
from fundusseg.nets.runtime import policy


class Predictor:
    """Probability maps of frames.

    Args:
        preset: the model's configuration.
        weights: the generator's weights by name.
        precision: "float32" or "bfloat16".
        batch: frames (or tiles) that go through the network at once; short batches are
            padded, so the graph is traced once for each size of frame and the bytes never
            depend on the grouping.
        tile_px: 0 for the whole frame at once where it is small enough; else tiles.

    Raises:
        ValueError: if the weights are of another network, or tile_px does not fit it.
    """

    def __init__(
        self,
        preset: Preset,
        weights: dict[str, np.ndarray],
        precision: str = "float32",
        batch: int = 1,
        tile_px: int = 0,
    ):
        self.preset = preset
        self.batch = batch
        self.tile_px = tile_px or WHOLE_FRAME_MAX_PX
        if self.tile_px % preset.generator.stride:
            raise ValueError(f"tiles must be multiples of {preset.generator.stride} pixels")
        self.generator = build_generator(preset.generator, policy(precision))
        assign_weights(self.generator, weights)
        self._prepare = tf.function(self._network_input)
        self._apply = tf.function(self._probability)

    def probabilities(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """Vessel probabilities, float32 (N, S, S) in [0, 1], 0 outside the field of view.

        Args:
            images: uint8 (N, S, S, 3) sRGB. fovs: uint8 (N, S, S) coverage.
        """
        if fovs.shape[1] <= self.tile_px:
            return self._frames(images, fovs)
        return np.stack([self._frame(*pair) for pair in zip(images, fovs, strict=True)])

    def _frames(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """Whole frames, `batch` at a time."""
        found = []
        for start in range(0, len(images), self.batch):
            inputs = self._prepare(
                _padded(images[start : start + self.batch], self.batch),
                _padded(fovs[start : start + self.batch], self.batch),
            )
            found.append(self._apply(inputs).numpy())
        return self._inside(np.concatenate(found)[: len(images)], fovs)

    def _frame(self, image: np.ndarray, fov: np.ndarray) -> np.ndarray:
        """One frame in overlapping tiles; tiles without a lit pixel are not computed."""
        inputs = self._prepare(image[np.newaxis], fov[np.newaxis]).numpy()[0]
        corners = tile_corners(len(fov), self.tile_px, min(TILE_OVERLAP_PX, self.tile_px // 2))
        tiles = tiled(inputs, corners, self.tile_px)
        lit = np.flatnonzero(tiled(fov, corners, self.tile_px).any(axis=(1, 2)))
        found = np.zeros(tiles.shape[:3], np.float32)
        for start in range(0, len(lit), self.batch):
            chosen = lit[start : start + self.batch]
            found[chosen] = self._apply(_padded(tiles[chosen], self.batch)).numpy()[: len(chosen)]
        return self._inside(untiled(found, corners, len(fov)), fov)

    def _inside(self, probability: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """0 outside the field of view; the preset "whole" is left as the network drew it."""
        return probability if self.preset.frame.kind == "whole" else probability * (fovs > 0)

    def _network_input(self, images: tf.Tensor, fovs: tf.Tensor) -> tf.Tensor:
        scaled = tf.cast(images, tf.float32) / 255.0
        coverage = tf.cast(fovs, tf.float32)[..., tf.newaxis] / 255.0
        if self.preset.frame.kind != "whole":
            scaled *= tf.cast(coverage > 0, tf.float32)
        return network_input(scaled, coverage, self.preset.generator.inputs)

    def _probability(self, inputs: tf.Tensor) -> tf.Tensor:
        output = self.generator(inputs, training=False)[..., 0]
        return (
            (output + 1.0) / 2.0 if self.preset.generator.output == "tanh" else tf.sigmoid(output)
        )


def assign_weights(generator, weights: dict[str, np.ndarray]) -> None:
    """Give a generator its weights, by name.

    Raises:
        ValueError: if names or shapes are those of another network.
    """
    for variable in generator.weights:
        value = weights.get(variable.path)
        if value is None or value.shape != tuple(variable.shape):
            raise ValueError(f"the weights are of another network ({variable.path})")
        variable.assign(value.astype(np.float32))


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """`values` with zeros appended along the first axis up to `count` entries."""
    missing = count - len(values)
    if not missing:
        return values
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])
