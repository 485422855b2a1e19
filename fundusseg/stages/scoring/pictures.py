"""The pictures of a report: curves with operating points, Dice per image, worst and best."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fundusseg import ui
from fundusseg.errors import InputError
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import canonical_geometry, to_frame
from fundusseg.io.status import escaped
from fundusseg.io.truth import TruthRef, View
from fundusseg.metrics.calibration import ReliabilityBins, ReliabilityCurve, reliability_curve
from fundusseg.metrics.curves import precision_recall_curve, roc_curve
from fundusseg.report.gallery import LEGEND, GalleryRow, error_colours, gallery, grey_panel
from fundusseg.report.markdown import number
from fundusseg.report.plots import (
    OperatingPoint,
    dice_plot,
    precision_recall_plot,
    reliability_plot,
    roc_plot,
)
from fundusseg.stages.scoring.inputs import Pairing
from fundusseg.stages.scoring.run import Collected, Scorer
from fundusseg.stages.scoring.summary import FLOOR, MAPS, ORACLE, System

MOST_IMAGES = 5  # in a gallery
PANEL_PX = 384


@dataclass(frozen=True)
class Picture:
    """A file of the report."""

    name: str
    title: str
    png: bytes


def plots(results: Collected) -> Iterator[Picture]:
    """ROC, precision-recall, reliability (where there are probabilities) and Dice per image."""
    shown = [system for system in results.systems if system.role != ORACLE]
    points = [_operating_point(*item) for item in enumerate(shown) if item[1].pool.counts.n_px]
    ranked = [item for item in enumerate(shown) if item[1].pool.histogram is not None]
    roc = [(n, _legend(one, "auroc"), roc_curve(one.pool.histogram)) for n, one in ranked]
    yield Picture("roc.png", "ROC curves", roc_plot(roc, points))
    recall = [
        (n, _legend(one, "auprc"), precision_recall_curve(one.pool.histogram)) for n, one in ranked
    ]
    title = "Precision-recall curves"
    yield Picture("precision-recall.png", title, precision_recall_plot(recall, points))
    calibrated = [
        (n, _legend(one, "ece"), _reliability(one)) for n, one in ranked if one.role != FLOOR
    ]
    if calibrated:
        yield Picture("reliability.png", "Reliability diagram", reliability_plot(calibrated))
    if any(results.cohort.counted):
        yield Picture("dice.png", "Dice of each image", _dice_plot(results, shown))


def galleries(results: Collected) -> Iterator[Picture]:
    """The worst and the best images of each PRED by Dice; none of them twice."""
    maps = [system for system in results.systems if system.role == MAPS]
    for place, (system, pairing) in enumerate(zip(maps, results.scorer.pairings, strict=True), 1):
        ranked = _by_dice(results, system)
        n_best = min(MOST_IMAGES, len(ranked) // 2)
        chosen = {
            "worst": ranked[: min(MOST_IMAGES, len(ranked) - n_best)],
            "best": ranked[len(ranked) - n_best :][::-1],
        }
        ending = f"-{place}" if len(maps) > 1 else ""
        for which, images in chosen.items():
            if images:
                rows = [_gallery_row(results.scorer, pairing, *image) for image in images]
                title = f"{which.capitalize()} {len(rows)} of {escaped(pairing.label)} ({LEGEND})"
                yield Picture(f"gallery-{which}{ending}.png", title, gallery(rows))


def _operating_point(place: int, system: System) -> OperatingPoint:
    figures = system.pooled
    label = f"{escaped(system.label)}, Dice {figures['dice']:.3f}"
    false_positive_rate = 1 - figures["specificity"]
    rates = (false_positive_rate, figures["sensitivity"], figures["precision"])
    return OperatingPoint(place, label, *rates)


def _reliability(system: System) -> ReliabilityCurve:
    return reliability_curve(ReliabilityBins.of_histogram(system.pool.histogram))


def _legend(system: System, key: str) -> str:
    return f"{escaped(system.label)}, {key.upper()} {number(system.pooled[key], 4)}"


def _dice_plot(results: Collected, systems: list[System]) -> bytes:
    counted = results.cohort.counted
    ids = [
        escaped(ref.id) for ref, shown in zip(results.scorer.refs, counted, strict=True) if shown
    ]
    return dice_plot(
        ids, [(escaped(system.label), system.column("dice", counted)) for system in systems]
    )


def _by_dice(results: Collected, system: System) -> list[tuple[TruthRef, float]]:
    """The images with a Dice, the lowest first."""
    dice = (np.nan if score is None else score.values["dice"] for score in system.scores)
    known = [
        (ref, value)
        for ref, value, counted in zip(
            results.scorer.refs, dice, results.cohort.counted, strict=True
        )
        if counted and not np.isnan(value)
    ]
    return sorted(known, key=lambda image: image[1])


def _gallery_row(scorer: Scorer, pairing: Pairing, ref: TruthRef, dice: float) -> GalleryRow:
    """Read an image once more and shrink its panels."""
    image = scorer.image(ref)
    vessels = scorer.map(pairing, ref, image).vessels
    view = _view(scorer, ref)
    whole = scorer.options.whole_frame or image.fov is None
    inside = np.ones(image.mask.shape, bool) if whole else image.fov
    # Shards have the photograph in their frame only: native masks are brought there.
    frame = view.geometry if view is not None and image.geometry is None else None

    def panel(values: np.ndarray) -> np.ndarray:
        return _panel(values if frame is None else to_frame(values, frame))

    hit, false, missed = (
        panel(part & inside)
        for part in (vessels & image.mask, vessels & ~image.mask, ~vessels & image.mask)
    )
    photograph = None
    if view is not None:
        photograph = np.clip(np.rint(_panel(view.pixels)), 0, 255).astype(np.uint8)
    return GalleryRow(
        f"{escaped(ref.id)}   Dice {dice:.4f}",
        photograph,
        grey_panel(panel(image.mask)),
        grey_panel(panel(vessels)),
        error_colours(hit, false, missed, panel(inside)),
    )


def _view(scorer: Scorer, ref: TruthRef) -> View | None:
    """The photograph, if there is one and it can be read: masks are scored without it."""
    try:
        return scorer.truth.view(ref)
    except InputError as error:
        ui.log.warning("%s; the gallery shows its masks alone", error)
        return None


def _panel(values: np.ndarray) -> np.ndarray:
    """Resample (Y, X[, C]), its aspect kept, so that the larger side is `PANEL_PX`."""
    height, width = values.shape[:2]
    side = max(height, width)
    middle = FieldOfView(height / 2, width / 2, float(side), "frame")
    square = to_frame(
        values, canonical_geometry("field-of-view", PANEL_PX, (height, width), middle)
    )
    beside_y, beside_x = (round(PANEL_PX * (side - size) / side / 2) for size in (height, width))
    return square[beside_y : PANEL_PX - beside_y, beside_x : PANEL_PX - beside_x]
