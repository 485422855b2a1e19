"""What the notebook leaves open: BatchNorm at prediction, measured on a model's validation part.

    python -m tests.bench.batchnorm MODEL SHARDS...

Prints a Markdown table. Moving averages are what fundusseg uses; the original Pix2Pix takes the
statistics of the photograph itself, with dropout on. L1 is of maps in [-1, 1], whole frames.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from fundusseg.config import Preset
from fundusseg.datasets.samples import Sample
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files import models
from fundusseg.files.arrays import read_arrays
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import validation
from fundusseg.nets import runtime
from fundusseg.nets.generator import assign_weights, build_generator
from fundusseg.nets.local_contrast import network_input
from fundusseg.report import markdown

CHOICES = (
    ("moving averages, no dropout", False, False),
    ("the photograph's own statistics, no dropout", True, False),
    ("the photograph's own statistics, dropout", True, True),
)


def main(model: Path, folders: list[Path]) -> int:
    """One row for each choice."""
    runtime.start(threads_per_operation=1, seed=1)
    preset = models.read_config(model)[0]
    weights, _ = read_arrays(model / models.GENERATOR)
    samples = [
        folder.read(ref)
        for folder in map(ShardFolder, folders)
        for ref in folder.of_split("validation")
        if ref.labelled
    ]
    rows = [(name, *row(preset, weights, samples, *how)) for name, *how in CHOICES]
    header = ("BatchNorm at prediction", "L1", "AUROC", "Dice at the best threshold")
    title = f"BatchNorm at prediction, on {len(samples)} validation photographs"
    sys.stdout.write(f"# {title}\n\n{markdown.table(header, rows)}")
    return 0


def row(
    preset: Preset,
    weights: dict[str, np.ndarray],
    samples: list[Sample],
    own_statistics: bool,
    dropout: bool,
) -> tuple[str, ...]:
    """The figures of one choice as cells."""
    config = preset.generator if dropout else dataclasses.replace(preset.generator, dropout=())
    generator = build_generator(config, runtime.policy("float32"))
    assign_weights(generator, weights)
    histograms, l1 = [], []
    for sample in samples:
        image = sample.image[np.newaxis].astype(np.float32) / 255
        inputs = network_input(image, np.ones_like(image[..., :1]), preset)
        drawn = (generator(inputs, training=own_statistics).numpy()[0, ..., 0] + 1) / 2
        l1.append(2 * np.abs(drawn - sample.mask / 255).mean())
        histograms.append(ScoreHistogram.of(drawn, sample.mask > 127, sample.fov > 127))
    found = validation(histograms)
    return tuple(f"{value:.4f}" for value in (np.mean(l1), found.auroc, found.dice))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]]))
