"""Figures as PNG bytes, and text that every font can draw."""

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, tight: bool = False) -> bytes:
    """The figure as PNG without a date or a program's version: same figure, same bytes.

    Args:
        tight: crop to what is drawn, instead of the figure's own size.
    """
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    edges = "tight" if tight else None
    figure.savefig(buffer, format="png", metadata={"Software": None}, bbox_inches=edges)
    return buffer.getvalue()


def drawable(text: str) -> str:
    """Text in ASCII, other characters as escapes, since the font may lack them.

    matplotlib omits a label that begins with _ from a legend, so a space is put before it.
    """
    shown = text.encode("ascii", "backslashreplace").decode()
    return " " + shown if shown.startswith("_") else shown
