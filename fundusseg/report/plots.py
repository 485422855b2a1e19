"""Plots as PNG bytes: ROC, precision-recall, reliability, Dice of each image, agreement.

Figures are drawn through matplotlib's objects, without pyplot's global state, and carry no date or
version: the same numbers give the same bytes. A system is identified by a number from 0, which
gives it the same colour and marker in all plots.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fundusseg.metrics.agreement import Agreement
from fundusseg.metrics.calibration import ReliabilityCurve
from fundusseg.metrics.curves import PrecisionRecallCurve, RocCurve
from fundusseg.report.png import drawable, png

DPI = 120
_SMALL_DPI = 80  # of plots that there are many of
CURVE_POINTS = 800  # a pooled curve has up to 65536
MOST_TICK_LABELS = 60
# Okabe and Ito's colours, which colour-blind readers can distinguish.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKERS = "osD^vPX"


@dataclass(frozen=True)
class OperatingPoint:
    """A system's binary maps as one point among the curves; the rates are in [0, 1]."""

    number: int
    label: str
    false_positive_rate: float
    sensitivity: float
    precision: float


def roc_plot(
    curves: Sequence[tuple[int, str, RocCurve]], points: Sequence[OperatingPoint]
) -> bytes:
    """ROC curves, each with its system's number and label, and operating points."""
    figure, axes = _square("false positive rate", "sensitivity", "ROC, pooled over pixels")
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    for number, label, curve in curves:
        _curve(axes, curve.false_positive_rate, curve.sensitivity, label, number)
    for point in points:
        _point(axes, point.false_positive_rate, point.sensitivity, point)
    return _finished(figure, axes)


def precision_recall_plot(
    curves: Sequence[tuple[int, str, PrecisionRecallCurve]], points: Sequence[OperatingPoint]
) -> bytes:
    """Precision-recall curves, as `roc_plot`."""
    figure, axes = _square(
        "sensitivity (recall)", "precision", "precision and recall, pooled over pixels"
    )
    for number, label, curve in curves:
        _curve(axes, curve.sensitivity, curve.precision, label, number)
    for point in points:
        _point(axes, point.sensitivity, point.precision, point)
    return _finished(figure, axes)


def reliability_plot(curves: Sequence[tuple[int, str, ReliabilityCurve]]) -> bytes:
    """Observed vessel fraction against predicted probability; marker size shows the pixels."""
    figure, axes = _square(
        "mean predicted probability", "vessel fraction", "reliability, pooled over pixels"
    )
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    for number, label, curve in curves:
        colour = COLOURS[number % len(COLOURS)]
        sizes = 12 + 60 * np.sqrt(curve.n_px / max(1, curve.n_px.max(initial=1)))
        axes.plot(
            curve.mean_probability, curve.vessel_fraction, color=colour, label=drawable(label)
        )
        axes.scatter(curve.mean_probability, curve.vessel_fraction, s=sizes, color=colour)
    return _finished(figure, axes)


def dice_plot(ids: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> bytes:
    """Dice of each image, the images sorted by the first series; NaN leaves a gap.

    Args:
        ids: N images.
        series: labels, each with N values.
    """
    figure = Figure(figsize=(max(6.0, min(14.0, 0.22 * len(ids))), 4.5), dpi=DPI)
    axes = figure.add_subplot()
    first = np.asarray(series[0][1], float)
    order = np.argsort(np.where(np.isnan(first), -1, first), kind="stable")
    for number, (label, values) in enumerate(series):
        shown = np.asarray(values, float)[order]
        colour, marker = COLOURS[number % len(COLOURS)], _MARKERS[number % len(_MARKERS)]
        axes.plot(shown, marker, color=colour, markersize=4, label=drawable(label))
    _name_images(axes, [ids[index] for index in order])
    axes.set(ylabel="Dice", ylim=(-0.02, 1.02), title="Dice of each image")
    axes.grid(color="0.92")
    return _finished(figure, axes)


def agreement_plot(
    measure: str, series: Sequence[tuple[str, np.ndarray, np.ndarray, Agreement]]
) -> bytes:
    """Bland and Altman's plot: each pair's difference over its mean, bias and limits as lines.

    Args:
        series: labels, each with two measures of the same objects, float (N,), and their agreement.
    """
    figure = Figure(figsize=(5.5, 3.8), dpi=_SMALL_DPI, layout="constrained")
    axes = figure.add_subplot()
    for number, (label, first, second, agreed) in enumerate(series):
        look: dict = {"color": COLOURS[number], "label": label, "markersize": 4}
        axes.plot((first + second) / 2, first - second, _MARKERS[number], **look)
        for level, style in ((agreed.bias, "-"), (agreed.low, "--"), (agreed.high, "--")):
            axes.axhline(level, color=COLOURS[number], linestyle=style, linewidth=0.8)
    axes.set(xlabel="mean of both", ylabel="difference from the first observer", title=measure)
    axes.grid(color="0.92")
    axes.legend(fontsize=8)
    return png(figure)


def _name_images(axes: Axes, ids: Sequence[str]) -> None:
    if len(ids) > MOST_TICK_LABELS:
        axes.set_xlabel(f"{len(ids)} images, by Dice")
        return
    names = [drawable(id.rsplit("/", 1)[-1]) for id in ids]
    axes.set_xticks(range(len(ids)), names, rotation=90, fontsize=7, parse_math=False)


def _square(x_label: str, y_label: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.5, 5.5), dpi=DPI)
    axes = figure.add_subplot()
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.grid(color="0.92")
    return figure, axes


def _curve(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, number: int) -> None:
    if np.isnan(x).any() or np.isnan(y).any():  # a class without a pixel
        return
    kept = _thinned(x, y)
    colour = COLOURS[number % len(COLOURS)]
    axes.plot(x[kept], y[kept], color=colour, linewidth=1.4, label=drawable(label))


def _point(axes: Axes, x: float, y: float, point: OperatingPoint) -> None:
    colour = COLOURS[point.number % len(COLOURS)]
    marker = _MARKERS[point.number % len(_MARKERS)]
    look: dict = {"color": colour, "markeredgecolor": "black", "markersize": 7}
    axes.plot([x], [y], marker, label=drawable(point.label), **look)


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of at most `CURVE_POINTS` points (and the ends), evenly along the curve."""
    if len(x) <= CURVE_POINTS:
        return np.arange(len(x))
    travelled = np.append(0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    wanted = np.linspace(0, travelled[-1], CURVE_POINTS)
    return np.unique(np.append(np.searchsorted(travelled, wanted), len(x) - 1))


def _finished(figure: Figure, axes: Axes) -> bytes:
    if axes.get_legend_handles_labels()[1]:
        for text in axes.legend(fontsize=8, loc="best").get_texts():
            text.set_parse_math(False)
    return png(figure, tight=True)
