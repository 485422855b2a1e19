"""A trained generator applied to frames, in batches of one fixed shape."""

import numpy as np
import tensorflow as tf

from fundusseg.config import TILE_OVERLAP_PX, WHOLE_FRAME_MAX_PX, Preset
from fundusseg.fundus.tiles import tile_corners, tiled, untiled
from fundusseg.nets.folded import FoldedLayers
from fundusseg.nets.generator import u_net
from fundusseg.nets.local_contrast import INPUT_CHANNELS, network_input

FLIPS = ((), (1,), (2,), (1, 2))  # axes of (N, Y, X) that test-time augmentation turns over


class Predictor:
    """Score maps of frames.

    Traced once, here, for frames of all sizes.

    Args:
        preset: the model's configuration.
        weights: the generator's weights by name.
        precision: "float32" or "bfloat16".
        batch: frames (or tiles) that go through the network at once; short batches are
            padded. With more than one, the last digits may depend on a frame's place.
        tile_px: 0 for the whole frame at once where it is small enough; else tiles.
        test_time_augmentation: the mean over the frame, its mirror images left to right and
            top to bottom, and both at once.

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
        test_time_augmentation: bool = False,
    ):
        self.preset = preset
        self.batch = batch
        self.flips = FLIPS if test_time_augmentation else FLIPS[:1]
        # A field of view that touches the frame's border gets a dark surround there, too: without
        # it the network draws the border as a vessel.
        self.margin_px = 0 if preset.frame.kind == "whole" else preset.generator.stride // 2
        self.tile_px = tile_px or WHOLE_FRAME_MAX_PX
        if self.tile_px % preset.generator.stride:
            raise ValueError(f"tiles must be multiples of {preset.generator.stride} pixels")
        dtype = tf.bfloat16 if precision == "bfloat16" else tf.float32
        self._layers = FoldedLayers(weights, preset.generator.residual, dtype)
        channels = INPUT_CHANNELS[preset.generator.inputs]
        # Nothing here branches on a tensor; to have Autograph read it all takes half a second.
        self._prepare = tf.function(self._network_input, autograph=False).get_concrete_function(
            tf.TensorSpec((None, None, None, 3), tf.uint8),
            tf.TensorSpec((None, None, None), tf.uint8),
        )
        self._apply = tf.function(self._probability, autograph=False).get_concrete_function(
            tf.TensorSpec((None, None, None, channels), tf.float32)
        )
        self._layers.require_all_used()

    def scores(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """Scores of vessel, float32 (N, S, S) in [0, 1], before calibration.

        They are 0 outside the field of view, but for preset pix2pix, which sees whole photographs.

        Args:
            images: uint8 (N, S, S, 3) sRGB. fovs: uint8 (N, S, S) coverage.
        """
        maps = [
            np.flip(self._once(np.flip(images, axes), np.flip(fovs, axes)), axes)
            for axes in self.flips
        ]
        return sum(maps[1:], start=maps[0]) / np.float32(len(maps))

    def _once(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        size_px, margin_px = fovs.shape[1], self.margin_px
        surrounded = [_surrounded(values, margin_px) for values in (images, fovs)]
        if size_px <= self.tile_px:
            maps = self._frames(*surrounded)
        else:
            maps = np.stack([self._frame(*pair) for pair in zip(*surrounded, strict=True)])
        inner = slice(margin_px, margin_px + size_px)
        return self._inside(maps[:, inner, inner], fovs)

    def _frames(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """Whole frames, `batch` at a time."""
        maps = []
        for start in range(0, len(images), self.batch):
            inputs = self._prepare(
                tf.constant(_padded(images[start : start + self.batch], self.batch)),
                tf.constant(_padded(fovs[start : start + self.batch], self.batch)),
            )
            maps.append(self._apply(inputs).numpy())
        return np.concatenate(maps)[: len(images)]

    def _frame(self, image: np.ndarray, fov: np.ndarray) -> np.ndarray:
        """One frame in overlapping tiles; tiles without a lit pixel are not computed."""
        inputs = self._prepare(tf.constant(image[np.newaxis]), tf.constant(fov[np.newaxis]))
        corners = tile_corners(len(fov), self.tile_px, min(TILE_OVERLAP_PX, self.tile_px // 2))
        tiles = tiled(inputs.numpy()[0], corners, self.tile_px)
        lit = np.flatnonzero(tiled(fov, corners, self.tile_px).any(axis=(1, 2)))
        drawn = np.zeros(tiles.shape[:3], np.float32)
        for start in range(0, len(lit), self.batch):
            chosen = lit[start : start + self.batch]
            batch = tf.constant(_padded(tiles[chosen], self.batch))
            drawn[chosen] = self._apply(batch).numpy()[: len(chosen)]
        return untiled(drawn, corners, len(fov))

    def _inside(self, probability: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """0 outside the field of view; the preset "whole" is left as the network drew it."""
        return probability if self.preset.frame.kind == "whole" else probability * (fovs > 0)

    def _network_input(self, images: tf.Tensor, fovs: tf.Tensor) -> tf.Tensor:
        scaled = tf.cast(images, tf.float32) / 255.0
        coverage = tf.cast(fovs, tf.float32)[..., tf.newaxis] / 255.0
        return network_input(scaled, coverage, self.preset)

    def _probability(self, inputs: tf.Tensor) -> tf.Tensor:
        config = self.preset.generator
        output = u_net(self._layers, config, tf.cast(inputs, self._layers.dtype))
        output = tf.cast(output[..., 0], tf.float32)
        return (tf.tanh(output) + 1.0) / 2.0 if config.output == "tanh" else tf.sigmoid(output)


def _surrounded(values: np.ndarray, margin_px: int) -> np.ndarray:
    """Frames (N, Y, X, ...) with `margin_px` zeros on each side."""
    none = [(0, 0)] * (values.ndim - 3)
    return np.pad(values, [(0, 0), (margin_px, margin_px), (margin_px, margin_px), *none])


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """`values` with zeros appended along the first axis up to `count` entries."""
    missing = count - len(values)
    if not missing:
        return values
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])
