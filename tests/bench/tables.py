"""Markdown tables, and pages that hold what was measured."""

from pathlib import Path

_END = "<!-- end of what was measured -->"


def put_measured(page: Path, module: str, text: str) -> None:
    """Put what a module has measured into its place in a page."""
    start = f"<!-- measured by {module} -->"
    before, _, rest = page.read_text().partition(start)
    page.write_text(f"{before}{start}\n{text}\n{_END}{rest.partition(_END)[2]}")


def table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], text: str = "") -> str:
    """A Markdown table under a title, with a paragraph before it if there is one to say."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, *rows)]
    lines.insert(1, "|" + "---|" * len(columns))
    return "\n\n".join(filter(None, [title, text, "\n".join(lines)]))
