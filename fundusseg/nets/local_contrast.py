"""What the generator sees of a photograph, computed inside the graph.

Local contrast takes lamp, camera and fundus colour out: each channel minus its weighted
local mean, over its weighted local deviation, the field of view being the weight. The
blur is a Gaussian on an 8 times coarser grid, enlarged linearly. Training crops and whole
frames go through the same function.
"""

import numpy as np
import tensorflow as tf

from fundusseg.config import Preset

COARSE = 8  # pixels of the frame in one cell of the coarse grid
SIGMA_CELLS = 2.5  # of the Gaussian: 20 px, about three times the widest vessel of a 704-px frame
RADIUS_CELLS = 7
NOISE_FLOOR = 0.004  # added to the deviation: one grey level of 255
LIMIT = 5.0  # local contrast is cut at so many deviations

INPUT_CHANNELS = {"rgb": 3, "normalised": 3, "both": 6}


def network_input(images: tf.Tensor, fovs: tf.Tensor, preset: Preset) -> tf.Tensor:
    """The generator's input, in training and prediction.

    Args:
        images: float32 (N, Y, X, 3) in [0, 1].
        fovs: float32 (N, Y, X, 1), coverage by the field of view in [0, 1].
        preset: what of them it sees. RGB is black outside the field of view, but for frames of
            the whole photograph, which stay as they are.

    Returns:
        float32 (N, Y, X, C); RGB in [-1, 1], local contrast in deviations.
    """
    kind = preset.generator.inputs
    if kind == "normalised":
        return local_contrast(images, fovs)
    inside = 1.0 if preset.frame.kind == "whole" else tf.cast(fovs > 0, tf.float32)
    rgb = images * inside * 2.0 - 1.0
    return rgb if kind == "rgb" else tf.concat([rgb, local_contrast(images, fovs)], axis=-1)


def local_contrast(images: tf.Tensor, fovs: tf.Tensor) -> tf.Tensor:
    """Local contrast of images (N, Y, X, 3) within fovs (N, Y, X, 1); 0 outside."""
    weighted = images * fovs
    # Pooled one by one and concatenated afterwards: twice as fast as pooling the concatenation.
    sums = tf.concat([_pooled(fovs), _pooled(weighted), _pooled(weighted * images)], axis=-1)
    sums = _blurred(sums)
    weight = tf.maximum(sums[..., :1], 1e-6)
    mean = sums[..., 1:4] / weight
    variance = tf.maximum(sums[..., 4:] / weight - tf.square(mean), 0.0)
    size = tf.shape(images)[1:3]
    fine_mean = tf.image.resize(mean, size, "bilinear")
    fine_deviation = tf.image.resize(tf.sqrt(variance) + NOISE_FLOOR, size, "bilinear")
    deviations = (images - fine_mean) / fine_deviation
    return tf.clip_by_value(deviations, -LIMIT, LIMIT) * fovs


def _pooled(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(values, COARSE, COARSE, "SAME")


def _blurred(sums: tf.Tensor) -> tf.Tensor:
    """A separable Gaussian over (N, Y, X, 7) sums; what lies beyond the border counts nothing."""
    offsets = np.arange(-RADIUS_CELLS, RADIUS_CELLS + 1)
    taps = np.exp(-(offsets**2) / (2 * SIGMA_CELLS**2))
    kernel = np.repeat((taps / taps.sum()).astype(np.float32)[:, None, None, None], 7, axis=2)
    rows = tf.nn.depthwise_conv2d(sums, kernel, [1, 1, 1, 1], "SAME")
    return tf.nn.depthwise_conv2d(rows, kernel.transpose(1, 0, 2, 3), [1, 1, 1, 1], "SAME")
