"""What a training is asked for, and the hash of it that its state and its manifest hold."""

from dataclasses import dataclass
from pathlib import Path

from fundusseg.config import Preset
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files import models
from fundusseg.options import TrainOptions
from fundusseg.serial import config_hash, to_dict


@dataclass(frozen=True)
class Job:
    """What is asked for.

    preset: with the batch of all replicas. initial: weights to begin with. adapting_part: which
    of the trainings of an adaptation it is; empty if of none.
    """

    preset: Preset
    folders: list[ShardFolder]
    initial: models.Model | None
    out: Path
    options: TrainOptions
    adapting_part: str = ""

    def settings(self) -> dict:
        """What determines the training beside its samples, for the manifest."""
        return {
            "preset": to_dict(self.preset),
            "split": self.options.trained_part,
            **({} if self.initial is None else {"start_from": self.initial.sha256}),
            **({"adapt": True} if self.options.adapt else {}),
            **({"part": self.adapting_part} if self.adapting_part else {}),
        }

    def sha256(self, inputs: dict[str, str]) -> str:
        """The hash of the settings and of the samples, whose shards' SHA-256 are given."""
        # The order of the data sets is that of the frames, and so of the draws.
        order = [folder.header.data_set for folder in self.folders]
        return config_hash({**self.settings(), "inputs": inputs, "order": order})

    @property
    def event_folder(self) -> Path | None:
        """Where event files go (--tensorboard): each training of an adaptation has its own."""
        folder = self.options.tensorboard
        return folder / self.out.name if folder and self.adapting_part else folder
