"""What score is asked to do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ScoreOptions:
    """What the command line says beside PRED and TRUTH.

    split: "default" is test where the truth has splits, else all. threshold: in place of
    the model's; it does not touch binary maps. at: "native" or "prepared" (shards only).
    jobs: threads; 0 takes the free cores. legacy_size_px: side of the maps that MSE, SSIM
    and PSNR are computed on.
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
    legacy_size_px: int = 256
