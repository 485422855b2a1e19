"""What each command can be told beside its paths; every default of the command line, once."""

from dataclasses import dataclass
from pathlib import Path

from fundusseg.config import DEFAULT_MODEL, DEFAULT_PRESET


@dataclass(frozen=True)
class PrepOptions:
    """What the command line says beside SRC and OUT.

    shard: this job-array task (0-based), or None for all shards. num_shards: 0 lets the
    number of samples decide.
    """

    layout: str = "auto"
    preset: str = DEFAULT_PRESET
    format: str = "h5"
    split: str = "auto"
    subjects: Path | None = None
    shard: int | None = None
    num_shards: int = 0
    jobs: int = 0
    force: bool = False
    verify: bool = False


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says beside SHARDS and OUT; None leaves the preset's value.

    split: "train", or "all" for every photograph (a final model: nothing is validated, the
    last weights count). start_from: a model whose weights to begin with.
    distribute: "none", "mirrored" (all GPUs of this machine) or "multi-worker" (all processes
    of a cluster).
    """

    config: Path | None = None
    start_from: str | None = None
    steps: int | None = None
    epochs: int | None = None
    adversarial_weight: float | None = None
    seed: int | None = None
    split: str = "train"
    precision: str = "auto"
    distribute: str = "none"
    jobs: int = 0
    force: bool = False


@dataclass(frozen=True)
class InferOptions:
    """What the command line says beside IN and OUT.

    threshold: None is the model's own. batch: frames that go through the network at once
    on a GPU; 0 is 8.
    """

    model: str = DEFAULT_MODEL
    threshold: float | None = None
    keep_specks: bool = False
    fov: Path | None = None
    format: str = "png"
    probability: bool = False
    overlay: bool = False
    layout: str = "auto"
    split: str = "all"
    keep_suffix: bool = False
    null_separated: bool = False
    tile_px: int = 0
    test_time_augmentation: bool = False
    precision: str = "auto"
    batch: int = 0
    jobs: int = 0
    shard: int = 0
    num_shards: int = 1
    force: bool = False
    verify: bool = False


@dataclass(frozen=True)
class ScoreOptions:
    """What the command line says beside PRED and TRUTH.

    split: "default" is test where the truth has splits, else all. threshold: in place of
    the model's; it does not touch binary maps. at: "native" or "prepared" (shards only).
    jobs: threads; 0 takes the free cores.
    """

    out: Path | None = None
    split: str = "default"
    threshold: float | None = None
    whole_frame: bool = False
    at: str = "native"
    fov: Path | None = None
    groups: Path | None = None
    floor: bool = False
    json: bool = False
    layout: str = "auto"
    subjects: Path | None = None
    jobs: int = 0
    seed: int = 1
    force: bool = False


@dataclass(frozen=True)
class PhantomOptions:
    """What the command line says beside OUT."""

    count: int = 24
    layout: str = "pairs"
    size_px: int = 512
    seed: int = 1
    jobs: int = 0
    force: bool = False
