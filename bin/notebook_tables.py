"""The report that stands beside the notebook this project grew from: its tables, and ours.

The notebook's figures are those that came with the request for this project; its photographs
(Kaggle's FIVES) are not those of the reference run, and every report says so.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fundusseg.report import markdown

# Generator loss by step, most likely a running mean.
NOTEBOOK_LOSS = {
    100: 33.597,
    500: 19.035,
    1000: 16.547,
    2000: 12.605,
    3000: 10.300,
    4000: 8.839,
    5000: 7.660,
    6000: 6.813,
    7000: 6.207,
    7838: 5.816,
}
NOTEBOOK_SIMILARITY = {
    "mse_continuous": 0.0648,
    "ssim_continuous": 0.8877,
    "psnr_db_continuous": 18.05,
}
PIX2PIX = "pix2pix"
# Figures of score by key: their title and decimals.
SIMILARITY = {
    "mse_continuous": ("MSE", 4),
    "ssim_continuous": ("SSIM", 4),
    "psnr_db_continuous": ("PSNR (dB)", 2),
}
OVERLAP = {"dice": ("Dice", 4), "cldice": ("clDice", 4)}
NATIVE = {
    **OVERLAP,
    "sensitivity": ("sensitivity", 4),
    "precision": ("precision", 4),
    "auroc": ("AUROC", 4),
}

Figures = Mapping[str, Mapping[str, float]]  # mean, low, high, n_images by the figure's key


@dataclass(frozen=True)
class LossPoint:
    """Generator loss at a step: mean over the steps since the row before, and over all so far."""

    step: int
    recent: float
    running: float


@dataclass(frozen=True)
class SetScores:
    """What score found on the test part of one data set.

    small, native: figures by whose maps they are of, pix2pix first, at 256x256 and at the
        photographs' own size; a difference is "other - pix2pix".
    cost_s: processor seconds of infer per photograph, start-up aside, by model.
    """

    name: str
    small: Mapping[str, Figures]
    native: Mapping[str, Figures]
    cost_s: Mapping[str, float]


@dataclass(frozen=True)
class AblationScores:
    """Figures of one data set with and without the adversary, one for each seed.

    small, native: by the name of the loss, then a seed each.
    """

    name: str
    small: Mapping[str, Sequence[Figures]]
    native: Mapping[str, Sequence[Figures]]


def loss_points(history: Iterable[Mapping[str, float]]) -> list[LossPoint]:
    """Generator losses of a history whose rows hold means since the row before that has one."""
    points: list[LossPoint] = []
    total, before = 0.0, 0
    for row in history:
        if "generator_loss" in row:
            step = int(row["step"])
            total += row["generator_loss"] * (step - before)
            points.append(LossPoint(step, row["generator_loss"], total / step))
            before = step
    return points


def loss_table(points: Sequence[LossPoint]) -> str:
    """The notebook's loss by step beside ours; the last step stands there in any case."""
    shown = [point for point in points if point.step in NOTEBOOK_LOSS or point is points[-1]]
    header = ("step", "notebook", "here, running mean", "here, since the last row")
    rows = [
        (
            str(point.step),
            markdown.number(NOTEBOOK_LOSS.get(point.step), 3),
            markdown.number(point.running, 3),
            markdown.number(point.recent, 3),
        )
        for point in shown
    ]
    return markdown.table(header, rows, text_columns=0)


def similarity_table(sets: Sequence[SetScores]) -> str:
    """MSE, SSIM, PSNR, Dice and clDice of both models at 256x256, the notebook's first."""
    figures = {**SIMILARITY, **OVERLAP}
    header = ("photographs", "maps of", "images", *(title for title, _ in figures.values()))
    notebook = [
        markdown.number(NOTEBOOK_SIMILARITY.get(key), decimals)
        for key, (_, decimals) in figures.items()
    ]
    rows = [("the notebook's", "the notebook", "", *notebook)]
    for scores in sets:
        rows += _rows(scores.name, scores.small, figures)
    return markdown.table(header, rows, text_columns=2)


def native_table(sets: Sequence[SetScores]) -> str:
    """Segmentation figures of both models at the photographs' own size."""
    header = ("photographs", "maps of", "images", *(title for title, _ in NATIVE.values()))
    rows = [row for scores in sets for row in _rows(scores.name, scores.native, NATIVE)]
    return markdown.table(header, rows, text_columns=2)


def cost_table(sets: Sequence[SetScores]) -> str:
    """Processor seconds per photograph."""
    rows = [
        (scores.name, model, markdown.number(cost_s, 2))
        for scores in sets
        for model, cost_s in scores.cost_s.items()
    ]
    return markdown.table(("photographs", "model", "CPU s per image"), rows, text_columns=2)


def ablation_table(sets: Sequence[AblationScores]) -> str:
    """Mean over seeds, and each seed, of every loss; "" if there is nothing."""
    if not sets:
        return ""
    titles = [title for title, _ in {**SIMILARITY, **OVERLAP}.values()]
    titles += [f"{title}, own size" for title, _ in OVERLAP.values()]
    rows = []
    for scores in sets:
        for loss in scores.small:
            cells = [
                _seed_cell(seeds, key, decimals)
                for seeds, figures in (
                    (scores.small[loss], {**SIMILARITY, **OVERLAP}),
                    (scores.native[loss], OVERLAP),
                )
                for key, (_, decimals) in figures.items()
            ]
            rows.append((scores.name, loss, *cells))
    return markdown.table(("photographs", "loss", *titles), rows, text_columns=2)


def notebook_report(
    protocol: Mapping[str, str],
    points: Sequence[LossPoint],
    sets: Sequence[SetScores],
    ablation: Sequence[AblationScores],
    plot_name: str,
) -> str:
    """The report as Markdown."""
    names = ", ".join(scores.name for scores in sets)
    said = markdown.bullets(f"**{topic}**: {text}" for topic, text in protocol.items())
    remark = (
        "The photographs are not the notebook's, which cannot be had here: the columns show "
        "whether the course and the order of size agree, not which program is better.\n"
    )
    sections = (
        ("Protocol", said),
        (
            "Generator loss by step",
            f"{remark}\n{loss_table(points)}\n{markdown.picture(plot_name, 'generator loss')}",
        ),
        ("Maps at 256x256", f"{remark}\n{similarity_table(sets)}"),
        ("Maps at the photographs' own size", native_table(sets)),
        ("Cost", cost_table(sets)),
        ("What the adversary brought", ablation_table(ablation)),
    )
    return markdown.document(f"The notebook, reproduced: pix2pix on {names}", sections)


def _rows(
    name: str, systems: Mapping[str, Figures], figures: Mapping[str, tuple[str, int]]
) -> Iterator[tuple]:
    """A line for each of the maps and for the difference, which has its interval."""
    for of, values in systems.items():
        cells = [
            _cell(values.get(key), decimals, " - " in of) for key, (_, decimals) in figures.items()
        ]
        images = str(int(next(iter(values.values()))["n_images"]))
        yield (name, of, images, *cells)


def _cell(value: Mapping[str, float] | None, decimals: int, with_interval: bool) -> str:
    if value is None:
        return ""
    mean = markdown.number(value["mean"], decimals)
    if not with_interval or math.isnan(value["low"]):
        return mean
    return f"{mean} ({markdown.interval(value['low'], value['high'], decimals)})"


def _seed_cell(seeds: Sequence[Figures], key: str, decimals: int) -> str:
    means = [figures[key]["mean"] for figures in seeds]
    each = ", ".join(markdown.number(mean, decimals) for mean in means)
    return f"{markdown.number(sum(means) / len(means), decimals)} ({each})"
