"""A trained model goes into the package, its threshold chosen on photographs it did not learn.

Not a command: `bin/ship-model` runs it, and `make reproduce-default`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.io import models
from fundusseg.io.maps import MapFolder
from fundusseg.io.truth import ShardTruth
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import across_sets, platt_calibration
from fundusseg.script import run_script


def run_ship(trained: Path, folder: Path, chosen_on: Sequence[tuple[Path, Path]]) -> None:
    """Write a trained model to `folder`, weights as float16.

    Args:
        chosen_on: pairs of maps with probabilities (from `infer --probability`) and the shards
            that they were made from; each a data set that its model was not trained on.
            Threshold and calibration come from them, every set counting the same. Without
            any they stay the trained model's own.

    Raises:
        InputError: if the model is not finished or damaged, or a map is missing.
    """
    if not chosen_on:
        models.write_shipped(trained, folder)
        return
    sets = [_histograms(maps, shards) for maps, shards in chosen_on]
    found = across_sets(sets)
    calibration = models.Calibration(*platt_calibration(found.pooled))
    names = ", ".join(shards.name for _, shards in chosen_on)
    about = {
        "threshold_from": f"leaving one data set out: {names}; native size, inside the field of "
        "view, sets count alike",
        "left_out_dice": {
            shards.name: dice for (_, shards), dice in zip(chosen_on, found.set_dice, strict=True)
        },
    }
    models.write_shipped(trained, folder, found.threshold, calibration, about)


def _histograms(maps: Path, shards: Path) -> list[ScoreHistogram]:
    """One histogram per labelled photograph, at its own size, inside the field of view."""
    folder, truth = MapFolder(maps), ShardTruth(shards, "native", None)
    found = []
    for ref in truth.refs:
        file = folder.files.get(ref.id)
        probability = None if file is None else folder.read(file).probability
        if probability is None:
            raise InputError(maps, f"has no probabilities of {ref.id}", "give infer --probability")
        image = truth.read(ref)
        found.append(ScoreHistogram.of(probability, image.mask, image.fov))
    return found


def main(words: list[str]) -> int:
    """`bin/ship-model TRAINED NAME [MAPS SHARDS ...]`; the exit code."""
    parser = argparse.ArgumentParser(prog="bin/ship-model", description="Ship a trained model.")
    parser.add_argument("trained", type=Path, help="a finished model folder")
    parser.add_argument("name", help="what it is called in the package")
    parser.add_argument("chosen_on", type=Path, nargs="*", metavar="MAPS SHARDS")
    given = parser.parse_args(words)
    if len(given.chosen_on) % 2:
        parser.error("MAPS and SHARDS come in pairs")
    pairs = list(zip(given.chosen_on[::2], given.chosen_on[1::2], strict=True))
    return run_script(lambda: run_ship(given.trained, models.SHIPPED / given.name, pairs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
