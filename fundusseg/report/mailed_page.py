"""A Markdown report as one page of HTML that holds all it shows, so that it can be mailed.

It knows the Markdown that `markdown` writes: headings, tables, lists, pictures, paragraphs.
"""

import base64
import html
import re
from collections.abc import Mapping
from itertools import groupby

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
body { max-width: 75rem; margin: auto; padding: 0 1rem 2rem }
h1 { font-size: 1.5rem }
h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid GrayText }
nav a { display: inline-block; margin-right: 1rem }
p, li { max-width: 45rem }
div { overflow-x: auto }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .4rem; text-align: right }
th { border-bottom: 2px solid GrayText; vertical-align: bottom }
tr + tr td { border-top: 1px solid color-mix(in srgb, GrayText 40%, transparent) }
.text { text-align: left }
th, td:not(.text) { overflow-wrap: normal }
td.text { min-width: 7em }
figure { display: inline-block; vertical-align: top; margin: 0 1rem 1rem 0; max-width: 100% }
figcaption { font-size: .9rem }
img { display: block; width: 34rem; max-width: 100%; height: auto; background: #fff }
.wide img { width: 100%; min-width: 44rem }
@media (max-width: 799px) { td { white-space: nowrap } }
@media print { nav { display: none } }
"""
_WIDE_PX = 1000  # a picture of more is not shrunk to a phone, but scrolls in its own frame
_PICTURE = re.compile(r"!\[(.*)\]\((.*)\)")
_KINDS = (("## ", "section"), ("# ", "title"), ("| ", "table"), ("- ", "list"), ("![", "picture"))


def mailed_page(text: str, pictures: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        text: the Markdown.
        pictures: PNG bytes of the pictures in it, by name.
    """
    blocks = [(kind, list(lines)) for kind, lines in groupby(text.splitlines(), _kind)]
    sections = [lines[0][3:] for kind, lines in blocks if kind == "section"]
    (title,) = (lines[0][2:] for kind, lines in blocks if kind == "title")
    links = "".join(f'<a href="#{_anchor(name)}">{_shown(name)}</a>' for name in sections)
    body = "\n".join(_block(kind, lines, pictures) for kind, lines in blocks if kind != "title")
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_shown(title)}</title><style>{_STYLE}</style>\n"
        f"<h1>{_shown(title)}</h1>\n<nav>{links}</nav>\n{body}</html>\n"
    )


def _kind(line: str) -> str:
    if not line:
        return ""
    return next((kind for start, kind in _KINDS if line.startswith(start)), "text")


def _block(kind: str, lines: list[str], pictures: Mapping[str, bytes]) -> str:
    """Lines of one kind that stand together."""
    if kind == "section":
        name = lines[0][3:]
        return f'<h2 id="{_anchor(name)}">{_shown(name)}</h2>'
    if kind == "table":
        return _table(lines)
    if kind == "list":
        return "<ul>" + "\n".join(f"<li>{_shown(line[2:])}</li>" for line in lines) + "</ul>"
    if kind == "picture":
        return "\n".join(_figure(line, pictures) for line in lines)
    return f"<p>{_shown(' '.join(lines))}</p>" if kind else ""


def _table(lines: list[str]) -> str:
    header, rule, *rows = ([cell.strip() for cell in _cells(line)] for line in lines)
    looks = ["" if cell.endswith(":") else ' class="text"' for cell in rule]

    def row(tag: str, cells: list[str]) -> str:
        pairs = zip(cells, looks, strict=True)
        return "<tr>" + "".join(f"<{tag}{look}>{_shown(cell)}</{tag}>" for cell, look in pairs)

    shown = "\n".join([row("th", header), *(row("td", cells) for cells in rows)])
    return f'<div tabindex="0"><table>{shown}</table></div>'


def _cells(line: str) -> list[str]:
    """The cells of a row; what stands in parentheses, as an interval does, is not broken."""
    whole = re.sub(r"\([^()]*\)", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), line)
    return re.split(r"(?<!\\)\|", whole)[1:-1]


def _figure(line: str, pictures: Mapping[str, bytes]) -> str:
    described, name = re.fullmatch(_PICTURE, line).groups()  # type: ignore[union-attr]
    data, alt = pictures[name], _shown(described)
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))  # of PNG's first chunk
    frame = ' class="wide" tabindex="0"' if width > _WIDE_PX else ""
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    image = f'<img width="{width}" height="{height}" alt="{alt}" src="{source}">'
    return f"<figure><div{frame}>{image}</div><figcaption>{alt}</figcaption></figure>"


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())


def _shown(text: str) -> str:
    """Text in a line as HTML: what markup escapes is itself, ** begins and ends bold letters."""
    parts, is_bold = [], False
    for part in re.split(r"(\\.|\*\*)", text):
        if part == "**":
            parts.append("</b>" if is_bold else "<b>")
            is_bold = not is_bold
        else:
            parts.append(html.escape(part[1:] if part.startswith("\\") and part[1:] else part))
    return "".join(parts)
