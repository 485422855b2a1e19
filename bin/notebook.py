"""The report of `make notebook`: reads what the other stages left, writes tables and a plot.

It has no command of its own, since it only follows the folders of notebook.mk; bin/notebook-report
calls it.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bin.notebook_tables import (
    NATIVE,
    NOTEBOOK_LOSS,
    OVERLAP,
    PIX2PIX,
    SIMILARITY,
    AblationScores,
    Figures,
    LossPoint,
    SetScores,
    loss_points,
    notebook_report,
)
from bin.script import run_script
from fundusseg import ui
from fundusseg.datasets.shards import ShardFolder
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.atomic import output_folder, write_bytes, write_text
from fundusseg.files.history import read_history
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import package_versions, read_manifest
from fundusseg.files.text import read_json, read_text
from fundusseg.metrics import similarity
from fundusseg.metrics.centreline import CentrelineCounts, cldice
from fundusseg.metrics.overlap import Counts, dice
from fundusseg.options import InferOptions
from fundusseg.processor import processor_name
from fundusseg.report.plots import COLOURS, DPI
from fundusseg.report.png import png
from fundusseg.segmenter import Segmenter

REPORT, PLOT = "report.md", "generator_loss.png"
SUMMARY = "summary.json"  # of score, below score/SET/256 and score/SET/native
OWN_OUTPUT = "pix2pix, the network's output"
SHOWN_FIGURES = (*SIMILARITY, *NATIVE)
SHOWN_ROLES = ("maps", "difference")
LEAST_FURTHER = 5  # photographs that a cost is from
SECONDS_PER_HOUR = 3600


def run_notebook_report(run: Path, out: Path) -> None:
    """Write report.md, history.csv and the plot of the losses to `out`.

    Args:
        run: the folder that notebook.mk worked in.

    Raises:
        InputError: if something that the report needs is missing or damaged.
    """
    history = run / "model" / models.HISTORY
    points = loss_points(read_history(history))
    if not points:
        raise InputError(history, "holds no generator loss")
    sets = [_set_scores(run, folder) for folder in _folders(run / "score")]
    if not sets:
        raise InputError(run / "score", "holds no scores", "run make notebook again")
    ablation = [_ablation_scores(run, folder) for folder in _folders(run / "ablation" / "score")]
    report = notebook_report(_protocol(run), points, sets, ablation, PLOT)
    output_folder(out)
    write_bytes(out / PLOT, _loss_plot(points))
    write_text(out / models.HISTORY, read_text(history))
    write_text(out / REPORT, report)
    ui.log.info("%s", out / REPORT)


def _protocol(run: Path) -> dict[str, str]:
    """What a reader must know to hold the tables against others."""
    model = run / "model"
    manifest, training = read_manifest(model / MANIFEST), read_json(model / models.CONFIG)
    preset, made = manifest["config"]["preset"], training["training"]
    versions = package_versions()
    trained_on = sorted({name.split("/")[-2] for name in manifest["inputs"]})
    cpu_s = sum(_seconds(model / "cpu-seconds.txt"))
    return {
        "training": (
            f"{made['steps']} steps of batch {preset['train']['batch']}, seed "
            f"{preset['train']['seed']}, on {made['train_photographs']} photographs of "
            f"{', '.join(trained_on)}; {made['validation_photographs']} more for validation"
        ),
        "model": (
            f"the lowest validation L1, at step {made['step']}; threshold "
            f"{models.read_config(model)[1]:.2f}, the best on the validation photographs"
        ),
        "machine": (
            f"{processor_name()}, threads: {made['threads']}, "
            f"convolutions in {made['precision']}; "
            f"the training took {cpu_s / SECONDS_PER_HOUR:.2f} CPU-hours"
        ),
        "generator loss": (
            "100 x L1 + adversarial; the running mean is over all steps so far, the last column "
            "over the steps since the row before"
        ),
        "256x256": (
            "the network's own output as the notebook scored it, and both models' maps of the "
            "photographs' own size, resampled with averaging like the masks, which smooths them; "
            "MSE, SSIM and PSNR of continuous maps in [-1, 1], whole frame; Dice and clDice of "
            "binary maps inside the field of view"
        ),
        "own size": "untouched masks, inside the field of view",
        "difference": "mean over images of the paired differences, with its 95 % interval",
        "cost": (
            "processor seconds of infer per photograph in one thread, from the file to the map's "
            "file, start-up aside"
        ),
        "versions": ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras")),
    }


def _set_scores(run: Path, folder: Path) -> SetScores:
    costs = {
        model.name: _seconds_per_image(model) for model in _folders(run / "cost" / folder.name)
    }
    ordered = {name: costs[name] for name in sorted(costs, key=lambda name: name != PIX2PIX)}
    small = {OWN_OUTPUT: own_output_figures(run, folder.name), **_at_256(folder, SHOWN_ROLES)}
    native = _figures(folder / "native" / SUMMARY, SHOWN_ROLES)
    return SetScores(_data_set(run, folder.name), small, native, ordered)


def _ablation_scores(run: Path, folder: Path) -> AblationScores:
    """The maps are named LOSS-SEED."""

    def by_loss(systems: Mapping[str, Figures]) -> dict[str, list[Figures]]:
        by_name: dict[str, list[Figures]] = {}
        for name, figures in systems.items():
            by_name.setdefault(name.rpartition("-")[0], []).append(figures)
        return by_name

    small = by_loss(_at_256(folder, ("maps",)))
    native = by_loss(_figures(folder / "native" / SUMMARY, ("maps",)))
    return AblationScores(_data_set(run, folder.name), small, native)


def _at_256(folder: Path, roles: tuple[str, ...]) -> dict[str, Figures]:
    """Dice and clDice as score finds them at the prepared size; MSE, SSIM and PSNR from its
    scores at native size, where they are of maps and masks that were not cut at a half first."""
    prepared, native = (_figures(folder / size / SUMMARY, roles) for size in ("256", "native"))
    return {
        of: {key: native[of][key] for key in SIMILARITY if key in native[of]}
        | {key: prepared[of][key] for key in OVERLAP if key in prepared[of]}
        for of in prepared
    }


def own_output_figures(run: Path, name: str) -> Figures:
    """What pix2pix draws of the test part of a data set, scored before it leaves the frame.

    Raises:
        InputError: if model or shards are damaged.
    """
    model = run / "model"
    segmenter = Segmenter(models.read_model(model), InferOptions())
    shards = ShardFolder(run / "shards" / name / PIX2PIX)
    scores: dict[str, list[float]] = {key: [] for key in (*SIMILARITY, *OVERLAP)}
    for ref in shards.of_split("test"):
        if ref.labelled:
            sample = shards.read(ref)
            assert sample.mask is not None  # it is labelled
            drawn = segmenter.scores(sample.image[np.newaxis], sample.fov[np.newaxis])[0]
            pair = (drawn * 2 - 1, sample.mask / np.float32(127.5) - 1)
            vessels = segmenter.probabilities(drawn) >= segmenter.threshold
            binary = (vessels, sample.mask >= 128, sample.fov >= 128)
            scores["mse_continuous"].append(similarity.mse(*pair))
            scores["ssim_continuous"].append(similarity.ssim(*pair))
            scores["psnr_db_continuous"].append(similarity.psnr(*pair))
            scores["dice"].append(dice(Counts.of(*binary)))
            scores["cldice"].append(cldice(CentrelineCounts.of(*binary)))
    unknown = {"low": math.nan, "high": math.nan}
    return {
        key: {"mean": float(np.mean(values)), "n_images": float(len(values)), **unknown}
        for key, values in scores.items()
    }


def _data_set(run: Path, name: str) -> str:
    """The data set's own name; `name` is that of its folder in the run."""
    return ShardFolder(run / "shards" / name / PIX2PIX).header.data_set


def _figures(path: Path, roles: tuple[str, ...]) -> Mapping[str, Figures]:
    """Means and intervals of a summary.json by whose maps they are of, of the figures shown."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for row in read_json(path)["rows"]:
        if row["role"] in roles and row["figure"] in SHOWN_FIGURES and "mean" in row:
            numbers = {key: _number(row[key]) for key in ("mean", "low", "high", "n_images")}
            figures.setdefault(row["of"], {})[row["figure"]] = numbers
    return figures


def _number(value: float | str | None) -> float:
    """As score writes numbers: null for NaN, "inf" for infinity."""
    return math.nan if value is None else float(value)


def _seconds(path: Path) -> list[float]:
    """What bin/cpu-seconds noted, a line for each run of the command.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return [float(line) for line in read_text(path).splitlines()]
    except ValueError as error:
        raise InputError(
            path, f"holds no seconds ({error})", "remove it, and run make again"
        ) from error


def _seconds_per_image(folder: Path) -> float:
    """From infer of one photograph and of several: what each further one costs.

    NaN if there are so few that the start-up's own spread would hide it.
    """
    (one_s,), (several_s,) = (_seconds(folder / f"{name}.txt") for name in ("one", "several"))
    counts = [_count(folder / name) for name in ("one", "several")]
    further = counts[1] - counts[0]
    return (several_s - one_s) / further if further >= LEAST_FURTHER else math.nan


def _count(folder: Path) -> int:
    (path,) = folder.glob("manifest-*.json")
    return read_manifest(path)["counts"]["photographs"]


def _loss_plot(points: list[LossPoint]) -> bytes:
    """Losses by step, as PNG."""
    steps = [point.step for point in points]
    figure = Figure(figsize=(6.5, 4.0), dpi=DPI)
    axes = figure.add_subplot()
    for colour, marker, label, x, y in (
        (COLOURS[0], None, "here, since the last row", steps, [point.recent for point in points]),
        (COLOURS[1], None, "here, running mean", steps, [point.running for point in points]),
        (COLOURS[2], "D", "the notebook", list(NOTEBOOK_LOSS), list(NOTEBOOK_LOSS.values())),
    ):
        axes.plot(x, y, color=colour, marker=marker, markersize=4, label=label)
    axes.set(xlabel="step", ylabel="generator loss", title="Generator loss")
    axes.set_ylim(bottom=0)
    axes.grid(color="0.92")
    axes.legend(fontsize=8, loc="best")
    return png(figure, tight=True)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir())


def main(words: list[str]) -> int:
    """`bin/notebook-report RUN/notebook OUT`; the exit code."""
    parser = argparse.ArgumentParser(prog="bin/notebook-report", description="Write the report.")
    parser.add_argument("run", type=Path, help="the folder that notebook.mk worked in")
    parser.add_argument("out", type=Path, help="where report.md goes")
    given = parser.parse_args(words)
    return run_script(lambda: run_notebook_report(given.run, given.out))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
