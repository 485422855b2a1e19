"""A trained model goes into the package, its threshold chosen on photographs it did not learn.

Not a command: `bin/ship-model` runs it, and `make reproduce-default`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bin.across_sets import across_sets
from bin.script import run_script
from fundusseg.datasets.maps import MapFolder
from fundusseg.datasets.truth import ShardTruth
from fundusseg.errors import InputError
from fundusseg.files import arrays, models
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import begin_anew, read_manifest, write_manifest
from fundusseg.files.text import read_json
from fundusseg.metrics.calibration import Calibration
from fundusseg.metrics.curves import ScoreHistogram

# With this share of weights of an earlier stage, maps of cameras never seen are better
# (docs/recipe.md).
BEFORE_SHARE = 0.2


def run_ship(
    trained: Path,
    folder: Path,
    chosen_on: Sequence[tuple[Path, Path]],
    before: Path | None = None,
) -> None:
    """Write a trained model to `folder`, weights as float16.

    Args:
        before: a model that the trained one began from, of which generator.weights.h5 is read; the
            mean of both is written, with BEFORE_SHARE of it.
        chosen_on: pairs of maps with probabilities (from `infer --probability`) and the shards
            that they were made from; each a data set that its model was not trained on.
            Threshold and calibration come from them, every set counting the same. Without
            any they stay the trained model's own.

    Raises:
        InputError: if the model is not finished or damaged, or a map is missing.
    """
    if not chosen_on:
        _write_shipped(trained, folder, before=before)
        return
    sets = [_histograms(maps, shards) for maps, shards in chosen_on]
    chosen = across_sets(sets)
    names = ", ".join(shards.name for _, shards in chosen_on)
    about = {
        "threshold_from": f"leaving one data set out: {names}; native size, inside the field of "
        "view, sets count alike",
        "left_out": {
            shards.name: {name: round(value, 4) for name, value in asdict(of_set).items()}
            for (_, shards), of_set in zip(chosen_on, chosen.sets, strict=True)
        },
    }
    _write_shipped(trained, folder, chosen.threshold, chosen.calibration, about, before)


def _write_shipped(
    trained: Path,
    folder: Path,
    threshold: float | None = None,
    calibration: Calibration | None = None,
    about: dict | None = None,
    before: Path | None = None,
) -> None:
    """Write what `infer` needs of a trained model to `folder`, weights as float16.

    Args:
        threshold, calibration: in place of the trained model's, if a threshold is given.
        about: entries of config.json's "training" that say where they come from.
        before: as of `run_ship`.

    Raises:
        InputError: if the trained model is not finished or damaged.
    """
    model = models.read_model(trained)
    training = read_json(trained / models.CONFIG)["training"] | (about or {})
    if threshold is None:
        threshold, calibration = model.threshold, model.calibration
    weights, source = model.weights, read_manifest(trained / MANIFEST)
    config = {**source["config"], "stored_as": "float16"}
    if before is not None:
        earlier = _weights(before / models.GENERATOR, {n: w.shape for n, w in weights.items()})
        weights = models.mean_weights(earlier, weights, 1 - BEFORE_SHARE)
        config["mean_with"] = {sha256_of(before / models.GENERATOR): BEFORE_SHARE}
    small = {name: values.astype(np.float16) for name, values in weights.items()}
    begin_anew(folder)
    models.write_weights(folder / models.GENERATOR, small)
    models.write_config(folder, model.preset, threshold, calibration, training)
    outputs = {name: sha256_of(folder / name) for name in (models.CONFIG, models.GENERATOR)}
    more = {"inputs": source.get("inputs", {}), "model_sha256": models.model_sha256(folder)}
    if "photographs" in source:
        more["photographs"] = source["photographs"]
    write_manifest(folder, "train", config, outputs, **more)


def _weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights of these names and shapes, float32; InputError if the file has others."""
    stored, _ = arrays.read_arrays(path)
    if {name: values.shape for name, values in stored.items()} != shapes:
        raise InputError(path, "has the weights of another network")
    if not all(np.isfinite(values).all() for values in stored.values()):
        raise InputError(path, "has weights that are no numbers")
    return {name: values.astype(np.float32) for name, values in stored.items()}


def _histograms(maps: Path, shards: Path) -> list[ScoreHistogram]:
    """One histogram of scores per labelled photograph, at its own size, inside the field of
    view."""
    folder, truth = MapFolder(maps), ShardTruth(shards, "native", None)
    histograms = []
    for ref in truth.items:
        file = folder.files.get(ref.id)
        probability = None if file is None else folder.read(file).probability
        if probability is None:
            raise InputError(maps, f"has no probabilities of {ref.id}", "give infer --probability")
        # The calibration that is sought is that of the scores, whatever drew the maps.
        scores = folder.calibration.inverse(probability) if folder.calibration else probability
        image = truth.read(ref)
        histograms.append(ScoreHistogram.of(scores, image.mask, image.fov))
    return histograms


def main(words: list[str]) -> int:
    """`bin/ship-model TRAINED NAME [MAPS SHARDS ...]`; the exit code."""
    parser = argparse.ArgumentParser(prog="bin/ship-model", description="Ship a trained model.")
    parser.add_argument("trained", type=Path, help="a finished model folder")
    parser.add_argument("name", help="what it is called in the package")
    parser.add_argument("chosen_on", type=Path, nargs="*", metavar="MAPS SHARDS")
    earlier = "a model of an earlier stage, whose weights take part"
    parser.add_argument("--before", type=Path, metavar="MODEL", help=earlier)
    given = parser.parse_args(words)
    if len(given.chosen_on) % 2:
        parser.error("MAPS and SHARDS come in pairs")
    pairs = list(zip(given.chosen_on[::2], given.chosen_on[1::2], strict=True))
    folder = models.SHIPPED / given.name
    return run_script(lambda: run_ship(given.trained, folder, pairs, given.before))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
