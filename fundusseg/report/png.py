"""Figures as PNG bytes, and text that any font can draw."""

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, tight: bool = False) -> bytes:
    """The figure as PNG without a date or a program's version: same figure, same bytes.

    Args:
        tight: cut to what is drawn, in place of the figure's own size.
    """
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    edges = {"bbox_inches": "tight"} if tight else {}
    figure.savefig(buffer, format="png", metadata={"Software": None}, **edges)
    return buffer.getvalue()


def drawable(text: str) -> str:
    """Text with the characters that the font may lack as escapes.

    A legend would leave out a label that begins with _, so a space goes before it.
    """
    shown = text.encode("ascii", "backslashreplace").decode()
    return " " + shown if shown.startswith("_") else shown
