"""A gallery as PNG bytes: photograph, truth, map and colour-coded errors, a row for each image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fundusseg.report.png import drawable, png

DPI = 100
GAP_PX = 6
LEGEND = "white: hit, orange: false, blue: missed"
HEAD_PX = 34
HEADS = (  # of the columns
    "photograph",
    "mask (first observer)",
    "vessel map",
    f"errors\n{LEGEND}",
)
TITLE_PX = 22
TITLE_GAP_PX = 7  # between the baseline of the letters and the panels
# Distinguishable for colour-blind readers too.
HIT, FALSE, MISSED = (255, 255, 255), (230, 110, 0), (70, 160, 255)
OUTSIDE = 40


@dataclass(frozen=True)
class GalleryRow:
    """The panels of one image under its title, all uint8 (Y, X, 3) of one size.

    photograph: None if there is none. errors: from `error_colours`.
    """

    title: str
    photograph: np.ndarray | None
    truth: np.ndarray
    vessels: np.ndarray
    errors: np.ndarray


def error_colours(
    hit: np.ndarray, false: np.ndarray, missed: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """True positives, false positives and false negatives in colour, uint8 (Y, X, 3).

    Args:
        hit, false, missed: float (Y, X), the coverage of a pixel by each kind, in [0, 1].
        inside: float (Y, X), likewise by the region that was scored; the rest is dark grey.
    """
    shares = ((hit, HIT), (false, FALSE), (missed, MISSED), (1 - inside, (OUTSIDE,) * 3))
    blended = sum(share[..., np.newaxis] * np.array(colour) for share, colour in shares)
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


def grey_panel(coverage: np.ndarray) -> np.ndarray:
    """A coverage (Y, X) in [0, 1] as uint8 (Y, X, 3)."""
    grey = np.clip(np.rint(coverage * 255), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def gallery(rows: Sequence[GalleryRow]) -> bytes:
    """Rows of panels, unscaled, each under its title, and heads above the columns.

    There is no column of photographs if no row has one. ValueError if there is no row.
    """
    if not rows:
        raise ValueError("a gallery needs at least one row")
    first = 0 if any(row.photograph is not None for row in rows) else 1
    panel_px = max(row.truth.shape[1] for row in rows)
    height = HEAD_PX + sum(TITLE_PX + row.truth.shape[0] + GAP_PX for row in rows)
    width = GAP_PX + (panel_px + GAP_PX) * len(HEADS[first:])
    canvas = np.full((height, width, 3), 255, np.uint8)
    # Some versions cut the product of inches and DPI, which may lie just below the whole number.
    figure = Figure(figsize=((width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI)
    lefts = [GAP_PX + column * (panel_px + GAP_PX) for column in range(len(HEADS[first:]))]
    for left, head in zip(lefts, HEADS[first:], strict=True):
        _write(figure, head, left / width, 1 - GAP_PX / height, at="top", weight="bold")
    top = HEAD_PX
    for row in rows:
        top += TITLE_PX
        title = drawable(row.title)
        _write(figure, title, GAP_PX / width, 1 - (top - TITLE_GAP_PX) / height)
        shown = (row.photograph, row.truth, row.vessels, row.errors)[first:]
        for left, panel in zip(lefts, shown, strict=True):
            if panel is not None:
                canvas[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
        top += row.truth.shape[0] + GAP_PX
    figure.figimage(canvas)
    return png(figure)


def _write(
    figure: Figure, text: str, x: float, y: float, at: str = "bottom", weight: str = "normal"
) -> None:
    """Text with its left edge and its `at` edge at these shares of the figure."""
    figure.text(x, y, text, fontsize=9, fontweight=weight, verticalalignment=at, parse_math=False)
