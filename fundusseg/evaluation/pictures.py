"""The pictures of a report: pooled curves, Dice of each image, galleries of worst and best."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from fundusseg import ui
from fundusseg.datasets.truth import FramedPhotograph, TruthItem
from fundusseg.errors import InputError
from fundusseg.evaluation.matching import Pairing
from fundusseg.evaluation.scoring import Evaluation
from fundusseg.evaluation.systems import BASELINE, MAPS, ORACLE, System
from fundusseg.files.names import escaped
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import canonical_geometry, to_frame
from fundusseg.metrics.calibration import ReliabilityBins, ReliabilityCurve, reliability_curve
from fundusseg.metrics.curves import ScoreHistogram, precision_recall_curve, roc_curve
from fundusseg.report.gallery import LEGEND, GalleryRow, error_colours, gallery, grey_panel
from fundusseg.report.markdown import number
from fundusseg.report.plots import (
    OperatingPoint,
    dice_plot,
    precision_recall_plot,
    reliability_plot,
    roc_plot,
)

MOST_IMAGES = 5  # in a gallery
PANEL_PX = 384


@dataclass(frozen=True)
class ReportImage:
    """A file of the report: its name, its title there, and its bytes."""

    name: str
    title: str
    png: bytes


def plots(evaluation: Evaluation) -> Iterator[ReportImage]:
    """ROC and precision-recall curves; reliability and Dice of each image if there are any."""
    shown = [system for system in evaluation.systems if system.role != ORACLE]
    points = [
        _operating_point(place, system)
        for place, system in enumerate(shown)
        if system.pool.counts.n_px
    ]

    def curves(key: str, curve: Callable[[ScoreHistogram], Any], without: str = "") -> list:
        return [
            (place, _legend(system, key), curve(system.pool.histogram))
            for place, system in enumerate(shown)
            if system.pool.histogram is not None and system.role != without
        ]

    roc = roc_plot(curves("auroc", roc_curve), points)
    yield ReportImage("roc.png", "ROC curves", roc)
    recall = precision_recall_plot(curves("auprc", precision_recall_curve), points)
    yield ReportImage("precision-recall.png", "Precision-recall curves", recall)
    if calibrated := curves("ece", _reliability, without=BASELINE):
        yield ReportImage("reliability.png", "Reliability diagram", reliability_plot(calibrated))
    if any(evaluation.cohort.counted):
        yield ReportImage("dice.png", "Dice of each image", _dice_plot(evaluation, shown))


def galleries(evaluation: Evaluation) -> Iterator[ReportImage]:
    """The images with the lowest and the highest Dice of each PRED; none is in both."""
    maps = [system for system in evaluation.systems if system.role == MAPS]
    for place, (system, pairing) in enumerate(zip(maps, evaluation.pairings, strict=True), 1):
        ranked = _by_dice(evaluation, system)
        n_best = min(MOST_IMAGES, len(ranked) // 2)
        chosen = {
            "worst": ranked[: min(MOST_IMAGES, len(ranked) - n_best)],
            "best": ranked[len(ranked) - n_best :][::-1],
        }
        ending = f"-{place}" if len(maps) > 1 else ""
        for which, images in chosen.items():
            if images:
                rows = [_gallery_row(evaluation, pairing, *image) for image in images]
                title = f"{which.capitalize()} {len(rows)} of {escaped(pairing.label)} ({LEGEND})"
                yield ReportImage(f"gallery-{which}{ending}.png", title, gallery(rows))


def _operating_point(place: int, system: System) -> OperatingPoint:
    figures = system.pooled
    label = f"{escaped(system.label)}, Dice {figures['dice']:.3f}"
    false_positive_rate = 1 - figures["specificity"]
    rates = (false_positive_rate, figures["sensitivity"], figures["precision"])
    return OperatingPoint(place, label, *rates)


def _reliability(histogram: ScoreHistogram) -> ReliabilityCurve:
    return reliability_curve(ReliabilityBins.of_histogram(histogram))


def _legend(system: System, key: str) -> str:
    return f"{escaped(system.label)}, {key.upper()} {number(system.pooled[key], 4)}"


def _dice_plot(evaluation: Evaluation, systems: list[System]) -> bytes:
    counted = evaluation.cohort.counted
    ids = [escaped(item.id) for item in compress(evaluation.items, counted)]
    columns = [(escaped(system.label), system.column("dice", counted)) for system in systems]
    return dice_plot(ids, [(label, dice) for label, dice in columns if dice is not None])


def _by_dice(evaluation: Evaluation, system: System) -> list[tuple[TruthItem, float]]:
    """The counted images with a Dice, the lowest first."""
    counted = compress(zip(evaluation.items, system.scores, strict=True), evaluation.cohort.counted)
    dice = [(item, score.values["dice"]) for item, score in counted if score is not None]
    return sorted((pair for pair in dice if not np.isnan(pair[1])), key=lambda pair: pair[1])


def _gallery_row(
    evaluation: Evaluation, pairing: Pairing, item: TruthItem, dice: float
) -> GalleryRow:
    """Read an image once more and shrink its panels."""
    image = evaluation.image(item)
    vessels = evaluation.map(pairing, item, image).vessels
    photograph = _photograph(evaluation, item)
    if evaluation.options.whole_frame or image.fov is None:
        inside = np.ones(image.mask.shape, bool)
    else:
        inside = image.fov
    # Shards have the photograph in their frame only, so native masks are brought to that frame.
    is_native = image.geometry is None
    frame = photograph.geometry if photograph is not None and is_native else None

    def panel(values: np.ndarray) -> np.ndarray:
        return _panel(values if frame is None else to_frame(values, frame))

    hit, false, missed = (
        panel(part & inside)
        for part in (vessels & image.mask, vessels & ~image.mask, ~vessels & image.mask)
    )
    pixels = None
    if photograph is not None:
        pixels = np.clip(np.rint(_panel(photograph.pixels)), 0, 255).astype(np.uint8)
    return GalleryRow(
        f"{escaped(item.id)}   Dice {dice:.4f}",
        pixels,
        grey_panel(panel(image.mask)),
        grey_panel(panel(vessels)),
        error_colours(hit, false, missed, panel(inside)),
    )


def _photograph(evaluation: Evaluation, item: TruthItem) -> FramedPhotograph | None:
    """The photograph; None if there is none, or it cannot be read: it is not needed to score."""
    try:
        return evaluation.truth.photograph(item)
    except InputError as error:
        ui.log.warning("%s; the gallery shows its masks without it", error)
        return None


def _panel(values: np.ndarray) -> np.ndarray:
    """Resample (Y, X[, C]), its aspect ratio kept, so that the larger side is `PANEL_PX`."""
    height, width = values.shape[:2]
    side = max(height, width)
    centre = FieldOfView(height / 2, width / 2, float(side), "frame")
    square = to_frame(
        values, canonical_geometry("field-of-view", PANEL_PX, (height, width), centre)
    )
    margin_y, margin_x = (round(PANEL_PX * (side - size) / side / 2) for size in (height, width))
    return square[margin_y : PANEL_PX - margin_y, margin_x : PANEL_PX - margin_x]
