"""What defines a model and its training: frozen dataclasses, each with its own ranges.

Shards carry the frame they were prepared with, a model folder carries its whole `Preset`.
The values of the two presets stand in presets.py; serial.py reads and writes all of them.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from fundusseg.errors import FundussegError

DEFAULT_PRESET = "native"
DEFAULT_MODEL = "default"
DEFAULT_THRESHOLD = 0.5  # where neither a validation nor a manifest tells a better one
LARGEST_SEED = 2**31 - 1  # tensorflow's stateless random numbers take an int32
SHARD_SAMPLES = 32  # samples in one shard, unless the number of shards is given
LARGEST_CROP_PX = 4096
# A frame up to this size goes through the network whole, a larger one in tiles of this size.
WHOLE_FRAME_MAX_PX = 1536
TILE_OVERLAP_PX = 64


class OutOfRangeError(FundussegError):
    """A value of a configuration that cannot be; the message names key, value and range."""


def _require(section: str, config: object, low: float, high: float, *keys: str) -> None:
    """Raise unless every number under `keys` is from `low` to `high`; tuples hold numbers.

    Raises:
        OutOfRangeError: naming the first that is not.
    """
    ends = {_NO_BOUND: "or more", _BELOW_ONE: "to below 1"}
    span = f"{low} {ends.get(high, f'to {high}')}"
    for key in keys:
        value = getattr(config, key)
        for number in value if isinstance(value, tuple) else (value,):
            if not low <= number <= high or math.isinf(number):
                raise OutOfRangeError(f"{section}.{key} is {number}; give {span}")


_NO_BOUND = float("inf")
_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True)
class FrameConfig:
    """How a photograph becomes the square that the network sees.

    kind "field-of-view": the square box around the field of view, so that a vessel has
    about the same width whatever camera took it. kind "whole": the whole photograph,
    its aspect not kept.

    sizes_px: sides that a frame can have, ascending. A photograph takes the largest one that
        its field of view is at least twice as wide as, or else the first: finer frames hold
        the thin vessels of large photographs.
    """

    kind: Literal["field-of-view", "whole"] = "field-of-view"
    sizes_px: tuple[int, ...] = (704, 1024, 1280)

    def __post_init__(self) -> None:
        if not self.sizes_px:
            raise OutOfRangeError("frame.sizes_px is empty; give one side or more")
        _require("frame", self, 1, _NO_BOUND, "sizes_px")

    def size_px(self, diameter_px: float) -> int:
        """The side of the frame of a photograph whose field of view is `diameter_px` wide."""
        fitting = [size for size in self.sizes_px if 2 * size <= diameter_px]
        return max(fitting, default=self.sizes_px[0])


@dataclass(frozen=True)
class GeneratorConfig:
    """A U-Net of stride-2 convolutions and transposed convolutions (Pix2Pix's generator).

    encoder_filters: filters of the stride-2 blocks from the outside in.
    residual: a residual pair of 3x3 convolutions at each level and a 1x1 convolution
        after each concatenation; without it the layers are Pix2Pix's alone.
    dropout: rate in the decoder blocks from the inside out; missing ones are 0.
    inputs: "rgb" ([-1, 1]), "normalised" (local contrast) or "both" (six channels).
    output: "logit" or "tanh".
    norm_momentum: of BatchNorm's moving mean and variance.
    initial_stddev: of the normal distribution of the initial kernels, the discriminator's
        too; 0: He's.
    """

    encoder_filters: tuple[int, ...] = (16, 32, 64, 128)
    bottleneck_filters: int = 128
    residual: bool = True
    dropout: tuple[float, ...] = ()
    inputs: Literal["rgb", "normalised", "both"] = "normalised"
    output: Literal["logit", "tanh"] = "logit"
    norm_momentum: float = 0.9
    initial_stddev: float = 0.0

    def __post_init__(self) -> None:
        _require("generator", self, 1, _NO_BOUND, "encoder_filters", "bottleneck_filters")
        _require("generator", self, 0, _BELOW_ONE, "dropout", "norm_momentum")
        _require("generator", self, 0, _NO_BOUND, "initial_stddev")

    @property
    def stride(self) -> int:
        """The factor between the frame and the coarsest level, which must divide the frame."""
        return 2 ** (len(self.encoder_filters) + 1)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A PatchGAN: stride-2 blocks, one stride-1 block, one-channel map of judgements.

    One judgement sees 16, 34 or 70 pixels with 1, 2 or 3 stride-2 blocks.
    """

    strided_filters: tuple[int, ...] = (12, 24, 48)
    last_filters: int = 96

    def __post_init__(self) -> None:
        _require("discriminator", self, 1, _NO_BOUND, "strided_filters", "last_filters")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the generator's loss terms; a term of weight 0 is not computed.

    skeleton_recall: of what is missed of the true vessels' centrelines. Off: on cameras never seen
        0.25 costs 0.005 to 0.009 Dice at the best threshold (docs/recipe.md).
    adversarial: of the discriminator's judgement; at 0 there is no discriminator. None by
        default: of seventeen settings none drew better maps on data sets that were left out,
        and weight 0.1 drew worse ones (docs/adversary.md).
    adversarial_from: fraction of the steps after which the discriminator is trained and
        its term counts; before, the generator learns from the masks alone.
    """

    cross_entropy: float = 1.0
    dice: float = 0.5
    skeleton_recall: float = 0.0
    l1: float = 0.0
    adversarial: float = 0.0
    adversarial_from: float = 0.6

    def __post_init__(self) -> None:
        terms = ("cross_entropy", "dice", "skeleton_recall", "l1", "adversarial")
        _require("loss", self, 0, _NO_BOUND, *terms)
        _require("loss", self, 0, 1, "adversarial_from")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training crops; strength 0 switches a change off.

    crop_px: side of the square crops; 0 takes the whole frame.
    log_scale: the scale is exp(u) with u uniform in +-log_scale.
    shrink_min: strongest down-and-up resampling (imitates poor cameras).
    rim_probability: of a field of view that fades, or ends before its border.
    """

    crop_px: int = 256
    rotate: bool = True
    mirror: bool = True
    log_scale: float = 0.35
    log_gamma: float = 0.4
    channel_gain: float = 0.15
    grey_probability: float = 0.1
    shrink_probability: float = 0.3
    shrink_min: float = 0.35
    blur_probability: float = 0.2
    noise: float = 0.04
    jpeg_probability: float = 0.2
    rim_probability: float = 0.3

    def __post_init__(self) -> None:
        _require("augment", self, 0, LARGEST_CROP_PX, "crop_px")
        _require("augment", self, 0, _NO_BOUND, "log_scale", "log_gamma", "channel_gain", "noise")
        chances = ("grey", "shrink", "blur", "jpeg", "rim")
        _require("augment", self, 0, 1, *(f"{name}_probability" for name in chances), "shrink_min")


@dataclass(frozen=True)
class TrainConfig:
    """The training loop. A step is one batch through generator and discriminator.

    epochs: if above 0, sets the number of steps (one epoch: as many samples as there are).
    warmup_steps: linear rise of the learning rate, then "cosine" to zero or "constant".
    clip_norm: bound on the gradient's global norm; 0: none.
    ema_decay: of the moving average of weights that is validated and saved; 0: none.
    balance: the data sets' shares in the batches go with size ** balance (1: as they come,
        0: equal shares). Sampling is without replacement only at 1.
    set_offsets: of several data sets, each has a learnt logit offset, 0 at prediction: how thick
        its masks are drawn is learnt beside the network, not by it. Only where it gives logits.
    select: "dice" (highest at the best threshold) or "l1" (lowest), on the validation part.
    validate_every: steps between validations; 0: once an epoch.
    """

    steps: int = 3000
    epochs: int = 0
    batch: int = 4
    learning_rate: float = 2e-3
    beta1: float = 0.9
    warmup_steps: int = 100
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = 5.0
    ema_decay: float = 0.99
    balance: float = 0.5
    set_offsets: bool = True
    select: Literal["dice", "l1"] = "dice"
    log_every: int = 100
    validate_every: int = 500
    checkpoint_every: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        counts = ("batch", "log_every", "checkpoint_every")
        _require("train", self, 1, _NO_BOUND, *counts, *(() if self.epochs else ("steps",)))
        amounts = ("epochs", "warmup_steps", "validate_every", "learning_rate", "clip_norm")
        _require("train", self, 0, _NO_BOUND, *amounts, "balance")
        _require("train", self, 0, _BELOW_ONE, "beta1", "ema_decay")
        _require("train", self, 0, LARGEST_SEED, "seed")


@dataclass(frozen=True)
class MapConfig:
    """How probabilities become a map.

    longest_gap_px: gaps between components are closed where the probability carries on, at half
        the threshold at least, over no more than this, in pixels of the frame; 0 closes none.
    smallest_object_px: connected components of a smaller area than this, in pixels of the frame,
        are left out, after that; 0 keeps all, and closes no gaps.

    Both were chosen on sets left out in turn (docs/recipe.md, "Topology").
    """

    longest_gap_px: int = 10
    smallest_object_px: int = 60

    def __post_init__(self) -> None:
        _require("map", self, 0, _NO_BOUND, "longest_gap_px", "smallest_object_px")


@dataclass(frozen=True)
class Preset:
    """All that defines a model and its training."""

    name: str = "native"
    frame: FrameConfig = field(default_factory=FrameConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    map: MapConfig = field(default_factory=MapConfig)


# Keys of older files that are no settings any more, accepted only with the value that is now built
# in. At commit 158e046 other values can be trained.
RETIRED: dict[type, dict[str, object]] = {
    GeneratorConfig: {"networks": 1},
    DiscriminatorConfig: {
        "normalisation": "batch",
        "sees": "map",
        "real_smoothing": 0.0,
        "every": 1,
        "learning_rate_ratio": 1.0,
    },
    LossConfig: {"correlation": 0.0, "adversarial_kind": "cross-entropy", "feature_matching": 0.0},
}
# Former names of keys, which older files have.
RENAMED: dict[type, dict[str, str]] = {
    TrainConfig: {"average_decay": "ema_decay"},
    MapConfig: {"smallest_part_px": "smallest_object_px"},
}
