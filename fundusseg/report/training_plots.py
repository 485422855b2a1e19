"""Pictures of a training as PNG bytes: its curves, and the maps that it drew on the way."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fundusseg.report.plots import COLOURS, DPI
from fundusseg.report.png import png

_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))  # where two losses are one line
_MARK: dict = {"marker": ".", "markersize": 4}  # a line of one point is seen, too
_ABOVE: dict = {  # of a legend that covers no line
    "loc": "lower right",
    "bbox_to_anchor": (1, 1),
    "borderaxespad": 0.2,
    "frameon": False,
    "columnspacing": 1.2,
    "fontsize": 8,
}
_WIDTH_IN = 7.0
_PLOT_IN = 3.2
_PANEL_IN = 2.0
_TITLE_IN = 0.5


def curves_plot(rows: Sequence[Mapping[str, float]]) -> bytes:
    """Losses by step and, where something validates, the Dice of the validation part below.

    Args:
        rows: of history.csv: the figures of a row by column, `step` among them; may be empty.
    """
    validated = [row for row in rows if "validation_dice" in row]
    n_plots = 2 if validated else 1
    size = (_WIDTH_IN, _PLOT_IN * n_plots)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    plots = figure.subplots(n_plots, sharex=True, squeeze=False)[:, 0]
    _losses(plots[0], rows)
    if validated:
        _dice(plots[1], validated)
    plots[-1].set_xlabel("step")
    plots[-1].xaxis.get_major_locator().set_params(integer=True)
    for axes in plots:
        axes.grid(color="0.92")
    return png(figure)


def samples_plot(titles: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> bytes:
    """Panels of one size in rows and columns.

    Args:
        titles: of the columns. rows: a panel for each column, uint8 (Y, X) or (Y, X, 3).

    Raises:
        ValueError: if there is no row.
    """
    if not rows:
        raise ValueError("a picture of samples needs at least one row")
    size = (_PANEL_IN * len(titles), _PANEL_IN * len(rows) + _TITLE_IN)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    places = figure.subplots(len(rows), len(titles), squeeze=False)
    for axes, title in zip(places[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    for axes, panel in zip(places.flat, (panel for row in rows for panel in row), strict=True):
        axes.imshow(panel, cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
    return png(figure)


def _losses(axes: Axes, rows: Sequence[Mapping[str, float]]) -> None:
    """All losses that are ever above 0; on a logarithmic scale, as they differ by magnitudes."""
    columns = dict.fromkeys(name for row in rows for name in row if name.endswith("_loss"))
    shown = [name for name in columns if any(row.get(name, 0) > 0 for row in rows)]
    for number, name in enumerate(shown):
        points = [(row["step"], row[name]) for row in rows if row.get(name, 0) > 0]
        look: dict = {"color": COLOURS[number], "linestyle": _DASHES[number], "linewidth": 1.4}
        axes.plot(*zip(*points, strict=True), label=name.removesuffix("_loss"), **look, **_MARK)
    axes.set_ylabel("loss (mean since the point before)")
    axes.set_title("Training", loc="left")
    if shown:
        axes.set_yscale("log")
        axes.legend(**_ABOVE, ncols=len(shown))


def _dice(axes: Axes, rows: Sequence[Mapping[str, float]]) -> None:
    steps, dice = ([row[name] for row in rows] for name in ("step", "validation_dice"))
    best = int(np.argmax(dice))
    axes.plot(steps, dice, color=COLOURS[0], linewidth=1.4, **_MARK)
    highest = f"highest: {dice[best]:.4f} at step {steps[best]:.0f}"
    axes.plot(steps[best], dice[best], "D", color=COLOURS[1], markersize=6, label=highest)
    axes.set_ylabel("Dice (mean of images)")
    axes.set_title("Validation", loc="left")
    axes.legend(**_ABOVE)
