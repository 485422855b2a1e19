"""Trainings in this process: interrupted at a given step, read, and compared."""

import csv
import signal
from pathlib import Path

import numpy as np

from fundusseg.files import models
from fundusseg.files.arrays import read_arrays

WEIGHTS = (models.GENERATOR, models.GENERATOR_LAST, models.DISCRIMINATOR)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


def signal_at(monkeypatch, step: int, number: int) -> None:
    """Have this process get a signal when a training has done `step` steps."""
    from fundusseg.nets.training import Trainer

    whole = Trainer.run_step

    def run_step(self, batch):
        whole(self, batch)
        if self.step == step:
            signal.raise_signal(number)

    monkeypatch.setattr(Trainer, "run_step", run_step)


def require_equal_trainings(first: Path, second: Path) -> None:
    """Weights array for array; history, pictures, configuration, manifest byte for byte."""
    for name in WEIGHTS:
        expected, found = read_arrays(first / name)[0], read_arrays(second / name)[0]
        assert set(expected) == set(found)
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=f"{name} {key}")
    for name in ("history.csv", "curves.png", "samples.png", "config.json", "manifest.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
