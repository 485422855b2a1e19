"""The batches that training sees: which samples in which order, cropped in parallel.

The order is a table computed beforehand from the seed, and the crops follow from (seed,
number of the draw): nothing has to be saved to go on at any step.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from fundusseg.config import AugmentConfig
from fundusseg.nets.augment import augmented


def stacked(image: np.ndarray, mask: np.ndarray, fov: np.ndarray) -> np.ndarray:
    """One sample (S, S, 5) uint8 from its sRGB (S, S, 3), mask and field of view (S, S)."""
    return np.concatenate([image, mask[..., np.newaxis], fov[..., np.newaxis]], axis=-1)


def draw_order(set_sizes: Sequence[int], draws: int, balance: float, seed: int) -> np.ndarray:
    """Which sample each draw takes, int32 (draws,); a longer order begins with a shorter one.

    Args:
        set_sizes: number of samples of each data set; samples are numbered through.
        balance: a data set's share goes with size ** balance. At 1 every sample comes once
            per round, shuffled; below, draws are with replacement.
    """
    total = sum(set_sizes)
    generator = np.random.default_rng([seed, 7])
    rounds = -(-draws // total)
    if balance == 1.0:
        order = [generator.permutation(total) for _ in range(rounds)]
    else:
        sizes = np.asarray(set_sizes, float)
        shares = np.repeat(sizes ** (balance - 1.0), set_sizes)
        probabilities = shares / shares.sum()
        order = [generator.choice(total, total, p=probabilities) for _ in range(rounds)]
    return np.concatenate(order)[:draws].astype(np.int32)


def training_batches(
    frames: Sequence[np.ndarray],
    set_sizes: Sequence[int],
    order: np.ndarray,
    first_step: int,
    batch: int,
    config: AugmentConfig,
    seed: int,
    jobs: int,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Batches of crops and the numbers of their data sets, from step `first_step` to the end.

    Crops are float32 (batch / N, crop, crop, 5) in [0, 1], data sets int32 (batch / N,).

    Args:
        frames: uint8 (S, S, 5) each, see `stacked`; of one size if whole frames are taken.
        set_sizes: number of frames of each data set, one set after another.
        order: int32, which frame each draw takes; batch draws make a step.
        jobs: crops that are made at once.
        share: (K, N) takes the K-th (from 0) of N equal parts of every batch. A crop follows
            from the number of its draw, so N processes together see what one alone does.
    """
    one_size = len({frame.shape for frame in frames}) == 1
    shape = frames[0].shape if one_size else (None, None, 5)
    with tf.device("CPU"):
        sets = tf.constant(np.repeat(np.arange(len(set_sizes), dtype=np.int32), set_sizes))
        taken = tf.constant(order)

    def crop(draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number = tf.cast(draw, tf.int32)
        drawn = taken[number]
        # One by one: of a tensor with all frames tf.data would make a copy.
        frame = tf.numpy_function(frames.__getitem__, [drawn], tf.uint8, stateful=False)
        seeds = tf.stack([tf.constant(seed), number])
        return augmented(tf.ensure_shape(frame, shape), seeds, config), sets[drawn]

    part, parts = share
    steps = len(order) // batch
    numbers = np.arange(steps * batch).reshape(steps, parts, batch // parts)
    draws = tf.data.Dataset.from_tensor_slices(numbers[first_step:, part].reshape(-1))
    crops = draws.map(crop, num_parallel_calls=jobs, deterministic=True)
    options = tf.data.Options()
    # All numbers are given, so there is nothing to tune; and the thread that would naps ever
    # longer, up to a minute, which every end of a training would wait for.
    options.autotune.enabled = False
    batches = crops.batch(batch // parts, drop_remainder=True).prefetch(2)
    return batches.with_options(options)
