"""Markdown that is also readable as plain text: padded tables, "n/a" for undefined numbers."""

import math
from collections.abc import Iterable, Sequence

UNDEFINED = "n/a"
_SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*|<["})


def number(value: float | None, decimals: int) -> str:
    """A number with fixed decimals; "n/a" if NaN, "inf" if infinite, "" for None."""
    if value is None:
        return ""
    if math.isnan(value):
        return UNDEFINED
    return str(value) if math.isinf(value) else f"{value:.{decimals}f}"


def interval(low: float, high: float, decimals: int) -> str:
    """Both bounds, or "n/a" if one is NaN."""
    if math.isnan(low) or math.isnan(high):
        return UNDEFINED
    return f"{number(low, decimals)} to {number(high, decimals)}"


def plain(text: str) -> str:
    """Text, such as a file name, with the characters that are markup escaped."""
    return text.translate(_SPECIAL)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """A table whose first `text_columns` columns are aligned left, the others right.

    Args:
        header: the columns' names.
        rows: cells of each row, as many as the header has; markup in them is escaped.

    Returns:
        Lines, each ended by a newline.
    """
    lines = [list(header), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [str.ljust] * text_columns + [str.rjust] * (len(widths) - text_columns)
    rule = [
        "-" * width if align is str.ljust else "-" * (width - 1) + ":"
        for width, align in zip(widths, aligned, strict=True)
    ]
    padded = [
        [align(cell, width) for align, cell, width in zip(aligned, line, widths, strict=True)]
        for line in lines
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [padded[0], rule, *padded[1:]])


def bullets(lines: Iterable[str]) -> str:
    """A list, one line a point."""
    return "".join(f"- {line}\n" for line in lines)


def picture(name: str, description: str) -> str:
    """A picture in the report's folder, with its alternative text."""
    return f"![{plain(description)}]({name})\n"


def document(title: str, sections: Iterable[tuple[str, str]]) -> str:
    """A report: the title, then the sections that are not empty, each under its heading."""
    parts = [f"# {plain(title)}\n"]
    parts += [f"## {heading}\n\n{body}" for heading, body in sections if body]
    return "\n".join(parts)


def named_in_a_line(names: Sequence[str], most: int = 20) -> str:
    """The first `most` names joined by commas, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
