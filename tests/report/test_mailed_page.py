"""The page shows what the Markdown says, and asks for nothing."""

import base64
import html
import re

import numpy as np
import pytest

from fundusseg.files.encoders import rgb_png
from fundusseg.report import markdown
from fundusseg.report.mailed_page import mailed_page

NASTY = "a*b|c`d<e[f\\g & \"h' ** i_j"


def _text_of(page: str) -> str:
    """What the page shows, without its markup."""
    return html.unescape(re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", page))


def test_names_are_shown_as_they_are():
    sections = [
        ("Table", markdown.table(("name", "x"), [(NASTY, "0.8 (0.7 to 0.9)")])),
        ("List", markdown.bullets([f"**bold**: {markdown.plain(NASTY)}"])),
        ("Words", f"{markdown.plain(NASTY)}.\n"),
    ]
    page = mailed_page(markdown.document(NASTY, sections), {})
    assert page.count(html.escape(NASTY)) >= 4 and "<b>bold</b>" in page
    assert re.findall("<td.*?>(.*?)</td>", page)[1] == "0.8 (0.7\xa0to\xa00.9)"
    assert _text_of(page).count(NASTY) == 5 and NASTY not in page


def test_sections_are_linked_and_aligned_as_their_rule_says():
    table = markdown.table(("of", "n"), [("a", "1")])
    page = mailed_page(markdown.document("t", [("All figures", table)]), {})
    assert '<a href="#all-figures">' in page and '<h2 id="all-figures">' in page
    assert '<td class="text">a</td><td>1</td>' in page
    assert _text_of(page).split() == [
        "t",
        "t",
        "All",
        "figures",
        "All",
        "figures",
        "of",
        "n",
        "a",
        "1",
    ]


@pytest.mark.parametrize(("width", "is_wide"), [(600, False), (1400, True)])
def test_pictures_are_in_the_page_at_their_size(width, is_wide):
    data = rgb_png(np.zeros((20, width, 3), np.uint8))
    text = markdown.document("t", [("Plots", markdown.picture("p.png", 'A "plot"'))])
    page = mailed_page(text, {"p.png": data})
    assert f'width="{width}" height="20" alt="A &quot;plot&quot;"' in page
    assert base64.b64encode(data).decode() in page
    assert ('class="wide"' in page) == is_wide
    assert "http" not in page
