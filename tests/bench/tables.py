"""A Markdown table under a title."""


def table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], text: str = "") -> str:
    """A Markdown table under a title, with a paragraph before it if there is one to say."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, *rows)]
    lines.insert(1, "|" + "---|" * len(columns))
    return "\n\n".join(filter(None, [title, text, "\n".join(lines)]))
