"""Random crops and changes of training samples, inside the graph.

One affine warp takes the crop, rotates, mirrors and scales it, photograph, mask and field
of view at once; colour, sharpness and noise are changed after it. Every random number
follows from (seed, number of the draw), so a training resumed at any step sees the very
crops that an unbroken one would.
"""

import math

import numpy as np
import tensorflow as tf

from fundusseg.config import AugmentConfig

_DRAWS = 20  # random numbers in [0, 1) that one sample may use
RIM_COARSE = 4  # pixels in a cell of the grid that a rim is computed on
RIM_RADIUS_CELLS = 10


def augmented(frame: tf.Tensor, seed: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """A random crop of a frame.

    Args:
        frame: uint8 (S, S, 5): sRGB, mask coverage, field-of-view coverage.
        seed: int32 (2,): the training's seed and the number of the draw.

    Returns:
        float32 (crop, crop, 5) in [0, 1].
    """
    draws = tf.unstack(tf.random.stateless_uniform([_DRAWS], seed))
    crop = _warped(frame, draws, config)
    masks = tf.cast(crop[..., 3:], tf.float32) / 255.0
    photograph = _recoloured(crop[..., :3], draws, config)
    if config.rim_probability:
        photograph, masks = tf.cond(
            draws[18] < config.rim_probability,
            lambda: _rimmed(photograph, masks, draws[18] / config.rim_probability, draws[19]),
            lambda: (photograph, masks),
        )
    return tf.concat([_degraded(photograph, draws, config), masks], axis=-1)


def _warped(frame: tf.Tensor, draws: list[tf.Tensor], config: AugmentConfig) -> tf.Tensor:
    """The crop: rotated, mirrored, scaled about a random point of the field of view's disc."""
    crop = config.crop_px or frame.shape[0]
    if crop == frame.shape[0] and not (config.rotate or config.mirror or config.log_scale):
        return frame
    size = tf.cast(tf.shape(frame)[0], tf.float32)
    angle = 2 * math.pi * draws[0] if config.rotate else tf.constant(0.0)
    scale = tf.exp(_symmetric(draws[1]) * config.log_scale)
    mirror = tf.where(draws[2] < 0.5, -1.0, 1.0) if config.mirror else tf.constant(1.0)
    reach = tf.maximum(0.0, size / 2 - 0.35 * crop)
    distance, bearing = reach * tf.sqrt(draws[3]), 2 * math.pi * draws[4]
    centre_x = size / 2 + distance * tf.cos(bearing)
    centre_y = size / 2 + distance * tf.sin(bearing)
    a, b = mirror * tf.cos(angle) / scale, -tf.sin(angle) / scale
    c, d = mirror * tf.sin(angle) / scale, tf.cos(angle) / scale
    middle = (crop - 1) / 2
    shift_x = centre_x - 0.5 - middle * (a + b)
    shift_y = centre_y - 0.5 - middle * (c + d)
    zero = tf.constant(0.0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=frame[tf.newaxis],
        transforms=tf.stack([a, b, shift_x, c, d, shift_y, zero, zero])[tf.newaxis],
        output_shape=[crop, crop],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def _recoloured(pixels: tf.Tensor, draws: list[tf.Tensor], config: AugmentConfig) -> tf.Tensor:
    """uint8 sRGB to [0, 1] with gamma and a gain per channel, and grey now and then.

    There are 3 x 256 answers, so they are computed once and looked up.
    """
    gamma = tf.exp(_symmetric(draws[5]) * config.log_gamma)
    gains = 1.0 + config.channel_gain * tf.stack([_symmetric(draw) for draw in draws[6:9]])
    levels = tf.pow(tf.range(256, dtype=tf.float32) / 255.0, gamma)
    answers = tf.clip_by_value(gains[:, tf.newaxis] * levels, 0.0, 1.0)
    places = tf.cast(pixels, tf.int32) + tf.constant([0, 256, 512])
    photograph = tf.gather(tf.reshape(answers, [-1]), places)
    if not config.grey_probability:
        return photograph
    return tf.cond(
        draws[9] < config.grey_probability,
        lambda: tf.repeat(tf.reduce_mean(photograph, axis=-1, keepdims=True), 3, axis=-1),
        lambda: photograph,
    )


def _rimmed(
    photograph: tf.Tensor, masks: tf.Tensor, width_draw: tf.Tensor, sharpness_draw: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A dark rim inside the field of view, up to 40 pixels wide; no vessel where it is black.

    Found fields of view often hold the lens's own border, and a network that has not seen such
    rims draws them as vessels.
    """
    fov = masks[tf.newaxis, ..., 1:]
    kernel = _gaussian(1.0 + 4.0 * width_draw, RIM_RADIUS_CELLS)
    beyond = [RIM_RADIUS_CELLS] * 2
    # Beyond the crop the field of view goes on, so its border is repeated there.
    cells = tf.nn.avg_pool2d(fov, RIM_COARSE, RIM_COARSE, "SAME")
    cells = tf.pad(cells, [[0, 0], beyond, beyond, [0, 0]], "SYMMETRIC")
    cells = tf.nn.conv2d(cells, kernel, 1, "VALID")
    cells = tf.nn.conv2d(cells, tf.transpose(kernel, [1, 0, 2, 3]), 1, "VALID")
    # 0 on the border, where half of the neighbourhood is outside, and 1 far inside.
    depth = tf.clip_by_value(2.0 * cells - 1.0, 0.0, 1.0)
    depth = tf.image.resize(depth, tf.shape(photograph)[:2], "bilinear")[0]
    steepness = 1.0 + 9.0 * tf.square(sharpness_draw)
    light = tf.clip_by_value(depth * steepness - 0.5 * (steepness - 1.0), 0.0, 1.0)
    is_lit = tf.cast(light > 0.1, tf.float32)
    return photograph * light, tf.concat([masks[..., :1] * is_lit, masks[..., 1:]], axis=-1)


def _degraded(photograph: tf.Tensor, draws: list[tf.Tensor], config: AugmentConfig) -> tf.Tensor:
    """What poorer cameras do: fewer pixels, blur, noise, JPEG."""
    if config.shrink_probability:
        factor = config.shrink_min + (1 - config.shrink_min) * draws[11]
        photograph = tf.cond(
            draws[10] < config.shrink_probability,
            lambda: _shrunk_and_enlarged(photograph, factor),
            lambda: photograph,
        )
    if config.blur_probability:
        photograph = tf.cond(
            draws[12] < config.blur_probability,
            lambda: _blurred(photograph, 0.5 + 1.2 * draws[13]),
            lambda: photograph,
        )
    if config.noise:
        strength = config.noise * tf.square(draws[14])
        noisy = photograph + strength * _normal_noise(photograph.shape, draws[17])
        photograph = tf.clip_by_value(noisy, 0.0, 1.0)
    if config.jpeg_probability:
        quality = tf.cast(40 + 55 * draws[16], tf.int32)
        photograph = tf.cond(
            draws[15] < config.jpeg_probability,
            lambda: tf.image.adjust_jpeg_quality(photograph, quality),
            lambda: photograph,
        )
    return photograph


def _normal_noise(shape: tf.TensorShape, draw: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers of a given shape: a stretch, chosen by `draw`, of a fixed bank.

    Drawing them anew took a third of the time of the whole crop.
    """
    count = shape.num_elements()
    bank = np.random.default_rng(0).standard_normal(3 * count).astype(np.float32)
    start = tf.cast(draw * 2 * count, tf.int32)
    return tf.reshape(tf.constant(bank)[start : start + count], shape)


def _symmetric(draw: tf.Tensor) -> tf.Tensor:
    """From [0, 1) to [-1, 1)."""
    return 2.0 * draw - 1.0


def _shrunk_and_enlarged(photograph: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    size = tf.shape(photograph)[:2]
    small = tf.cast(tf.cast(size, tf.float32) * factor, tf.int32)
    shrunk = tf.image.resize(photograph, small, "bilinear", antialias=True)
    return tf.ensure_shape(tf.image.resize(shrunk, size, "bilinear"), photograph.shape)


def _blurred(photograph: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    kernel = tf.repeat(_gaussian(sigma, radius=4), 3, axis=2)
    rows = tf.nn.depthwise_conv2d(photograph[tf.newaxis], kernel, [1, 1, 1, 1], "SAME")
    return tf.nn.depthwise_conv2d(rows, tf.transpose(kernel, [1, 0, 2, 3]), [1, 1, 1, 1], "SAME")[0]


def _gaussian(sigma: tf.Tensor, radius: int) -> tf.Tensor:
    """Taps that sum to 1 as a column, (2 * radius + 1, 1, 1, 1)."""
    offsets = tf.range(-float(radius), radius + 1.0)
    taps = tf.exp(-tf.square(offsets) / (2 * tf.square(sigma)))
    return tf.reshape(taps / tf.reduce_sum(taps), [2 * radius + 1, 1, 1, 1])
