"""Every default, once: frozen dataclasses and the two named presets.

A configuration is a tree of frozen dataclasses that JSON can hold. Shards carry the
frame they were prepared with, a model folder carries its whole `Preset`. Unknown keys
are refused, so that a typing error or a newer program's file never passes for a default.
"""

import dataclasses
import hashlib
import json
import typing
from dataclasses import dataclass, field
from typing import Literal

from fundusseg.errors import FundussegError


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
    networks: so many of these U-Nets in a row, with logits: each after the first sees the
        photograph and the probability that the one before it drew (Galdran et al.'s W-Net at
        2). All of them learn from the masks; the last one draws the map.
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
    networks: int = 1
    norm_momentum: float = 0.9
    initial_stddev: float = 0.0

    @property
    def stride(self) -> int:
        """The factor between the frame and the coarsest level, which must divide the frame."""
        return 2 ** (len(self.encoder_filters) + 1)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A PatchGAN: stride-2 blocks, one stride-1 block, one-channel map of judgements.

    One judgement sees 16, 34 or 70 pixels with 1, 2 or 3 stride-2 blocks.

    normalisation: "batch", or "spectral" (of the kernels, in place of BatchNorm).
    sees: the map; "half" the pair at half its size; the map "hardened" towards 0 and 1, so that
        shapes tell and soft values do not; or the map's soft "skeleton".
    real_smoothing: real maps are drawn towards grey by this fraction, so that their hard
        values alone do not give them away.
    every: the discriminator learns once in so many steps of the generator.
    learning_rate_ratio: its learning rate over the generator's (Heusel et al., two time-scale
        update rule, arXiv 1706.08500).
    """

    strided_filters: tuple[int, ...] = (12, 24, 48)
    last_filters: int = 96
    normalisation: Literal["batch", "spectral"] = "batch"
    sees: Literal["map", "half", "hardened", "skeleton"] = "map"
    real_smoothing: float = 0.0
    every: int = 1
    learning_rate_ratio: float = 1.0


@dataclass(frozen=True)
class LossConfig:
    """Weights of the generator's loss terms; a term of weight 0 is not computed.

    correlation: of 1 - Matthews' correlation coefficient of soft sets.
    skeleton_recall: of what is missed of the true vessels' centrelines.
    adversarial: of the discriminator's judgement; at 0, and without feature matching, there
        is no discriminator. None by default: of seventeen settings none drew better maps on
        data sets that were left out, and weight 0.1 drew worse ones (docs/adversary.md).
    adversarial_from: fraction of the steps after which the discriminator is trained and
        its term counts; before, the generator learns from the masks alone.
    adversarial_kind: what a judgement costs; with "cross-entropy" the generator's term is
        the non-saturating one.
    feature_matching: of the difference between the discriminator's layers on made and on
        real maps; counts where the adversarial term does.
    """

    cross_entropy: float = 1.0
    dice: float = 0.5
    correlation: float = 0.0
    skeleton_recall: float = 0.25
    l1: float = 0.0
    adversarial: float = 0.0
    adversarial_from: float = 0.6
    adversarial_kind: Literal["cross-entropy", "hinge", "least-squares"] = "cross-entropy"
    feature_matching: float = 0.0


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


@dataclass(frozen=True)
class TrainConfig:
    """The training loop. A step is one batch through generator and discriminator.

    epochs: if above 0, sets the number of steps (one epoch: as many samples as there are).
    warmup_steps: linear rise of the learning rate, then "cosine" to zero or "constant".
    clip_norm: bound on the gradient's global norm; 0: none.
    average_decay: decay of the moving average of weights that is validated and saved; 0: none.
    balance: the data sets' shares in the batches go with size ** balance (1: as they come,
        0: equal shares). Sampling is without replacement only at 1.
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
    average_decay: float = 0.99
    balance: float = 0.5
    select: Literal["dice", "l1"] = "dice"
    log_every: int = 100
    validate_every: int = 500
    checkpoint_every: int = 200
    seed: int = 1


@dataclass(frozen=True)
class MapConfig:
    """How probabilities become a map.

    smallest_part_px: connected parts of a smaller area, in pixels of the frame, are left out;
        0 keeps all. On six sets left out in turn 15 changed clDice by 0 to +0.006, Dice by
        -0.001 to +0.001, and left about a quarter of the parts.
    """

    smallest_part_px: int = 15


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


PIX2PIX = Preset(
    name="pix2pix",
    frame=FrameConfig(kind="whole", sizes_px=(256,)),
    generator=GeneratorConfig(
        encoder_filters=(64, 128, 256, 512, 512, 512, 512),
        bottleneck_filters=512,
        residual=False,
        dropout=(0.5, 0.5, 0.5),
        inputs="rgb",
        output="tanh",
        norm_momentum=0.99,
        initial_stddev=0.02,
    ),
    discriminator=DiscriminatorConfig(strided_filters=(64, 128, 256, 512), last_filters=512),
    loss=LossConfig(
        cross_entropy=0.0,
        dice=0.0,
        skeleton_recall=0.0,
        l1=100.0,
        adversarial=1.0,
        adversarial_from=0.0,
    ),
    augment=AugmentConfig(
        crop_px=0,
        rotate=False,
        mirror=False,
        log_scale=0.0,
        log_gamma=0.0,
        channel_gain=0.0,
        grey_probability=0.0,
        shrink_probability=0.0,
        blur_probability=0.0,
        noise=0.0,
        jpeg_probability=0.0,
        rim_probability=0.0,
    ),
    train=TrainConfig(
        epochs=40,
        batch=1,
        learning_rate=2e-4,
        beta1=0.5,
        warmup_steps=0,
        schedule="constant",
        clip_norm=0.0,
        average_decay=0.0,
        balance=1.0,
        select="l1",
        validate_every=200,
    ),
    map=MapConfig(smallest_part_px=0),
)

PRESETS = {"native": Preset(), "pix2pix": PIX2PIX}
DEFAULT_PRESET = "native"
DEFAULT_MODEL = "default"
DEFAULT_THRESHOLD = 0.5  # where neither a validation nor a manifest tells a better one
LARGEST_SEED = 2**31 - 1  # tensorflow's stateless random numbers take an int32
SHARD_SAMPLES = 32  # samples in one shard, unless the number of shards is given
# A frame up to this size goes through the network whole, a larger one in tiles of this size.
WHOLE_FRAME_MAX_PX = 1536
TILE_OVERLAP_PX = 64


def to_dict(config) -> dict:
    """The configuration as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(kind: type, values: dict, where: str):
    """Rebuild a configuration dataclass; `where` names the file in errors.

    Raises:
        FundussegError: on an unknown key or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise FundussegError(
            f"{where}: unknown key {', '.join(unknown)} in {kind.__name__}; "
            f"known are {', '.join(hints)}"
        )
    return kind(
        **{key: _value(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    )


def with_overrides(config, values: dict, where: str):
    """`config` with the (nested) keys of `values` replaced; the same errors as `from_dict`."""
    merged = _merge(to_dict(config), values)
    return from_dict(type(config), merged, where)


def _merge(base: dict, values: dict) -> dict:
    merged = dict(base)
    for key, value in values.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if nested else value
    return merged


def _value(hint, value, where: str):
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise FundussegError(f"{where}: should be a table of keys")
        return from_dict(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise FundussegError(f"{where}: should be a list")
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in value)
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            names = ", ".join(typing.get_args(hint))
            raise FundussegError(f"{where}: should be one of {names}, is {value!r}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise FundussegError(f"{where}: should be {hint.__name__}, is {value!r}")
    return value


def canonical_json(values) -> str:
    """JSON with sorted keys and no spare spaces: equal values, equal text."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def config_hash(values) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `values`."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()
