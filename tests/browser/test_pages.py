"""What a person sees in a browser: on a laptop and a phone, by day and by night."""

from pathlib import Path

import numpy as np
import pytest

from fundusseg.files.encoders import rgb_png, thumbnail
from fundusseg.report import markdown
from fundusseg.report.contact_sheet import Card, contact_sheet
from fundusseg.report.mailed_page import mailed_page
from tests.browser.chromium import CHROMIUM, OVERLAPS, Tab, open_tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

LAPTOP, PHONE = (1280, 900), (390, 844)
MOST_S = 20  # until a page of 1,000 photographs is there; measured: below 3
LONG = "a_long_name_without_a_blank/" * 4


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with open_tab(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def _cards(count: int) -> list[Card]:
    noise = np.random.default_rng(1).integers(0, 255, (240, 240, 3), np.uint8)
    photograph, vessels = thumbnail(noise), thumbnail(noise[..., 0] > 127)
    cards = [
        Card(f"{n:04d}", "", f"{n / count:.4f}", "", photograph, vessels) for n in range(count)
    ]
    failed = Card(LONG, f"is cut off {LONG}", "", "", None, None)
    return [failed, Card(f"{LONG}b", "", "0.1", "blurred", photograph, vessels), *cards]


@pytest.fixture(scope="module")
def sheet(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("sheet") / "sheet.html"
    file.write_text("".join(contact_sheet(LONG, _cards(1000), ["sheet.html", "sheet-2.html"], 0)))
    return file


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    cells = [LONG, *["0.798 (0.781 to 0.816)"] * 8]
    pictures = {"wide.png": (800, 1566, 3), "plot.png": (540, 640, 3)}
    sections = [
        ("Figures", f"Region: all.\n\n{markdown.table(['figure'] * 9, [cells] * 3)}"),
        ("Protocol", markdown.bullets([f"**truth**: {LONG}"] * 9)),
        ("Plots", "\n".join(markdown.picture(name, LONG) for name in pictures)),
    ]
    file = tmp_path_factory.mktemp("report") / "report.html"
    drawn = {name: rgb_png(np.zeros(shape, np.uint8)) for name, shape in pictures.items()}
    file.write_text(mailed_page(markdown.document(LONG, sections), drawn))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("page", ["sheet", "report"])
def test_a_page_fits_its_window(tab: Tab, request, page, size, scheme):
    seconds = tab.show(request.getfixturevalue(page), *size, scheme)
    assert tab.complaints == [] and seconds < MOST_S
    assert tab.value_of("document.documentElement.scrollWidth") <= size[0]
    assert tab.value_of(OVERLAPS) == []
    shades = tab.value_of(
        "['color', 'backgroundColor'].map(name => {"
        " const shown = document.createElement('canvas').getContext('2d');"
        " shown.fillStyle = getComputedStyle(document.documentElement)[name];"
        " return shown.fillStyle })"
    )
    assert shades[0] == ("#000000" if scheme == "light" else "#ffffff")


def test_no_number_is_broken(tab: Tab, report):
    """Nor a word of a head; a name without a blank may be."""
    tab.show(report, *LAPTOP, "light")
    lines = """
        [...document.querySelectorAll("th, td:not(.text)")].map(cell => {
          const range = document.createRange(), text = cell.firstChild.data;
          range.setStart(cell.firstChild, text.indexOf("(") + 1);
          range.setEnd(cell.firstChild, text.length);
          return range.getClientRects().length;
        })
    """
    assert set(tab.value_of(lines)) == {1}


def test_keys_sort_and_filter_the_contact_sheet(tab: Tab, sheet):
    def shown(expression: str) -> object:
        return tab.value_of(expression)

    first = "document.querySelector('figure:not([hidden])').dataset.name"
    tab.show(sheet, *LAPTOP, "light")
    assert shown(first) == LONG and shown("document.querySelector('output').value") == (
        "1002 of 1002"
    )
    tab.press("f")
    assert shown("document.querySelector('output').value") == "1 of 1002"
    tab.press("f")
    tab.press("s")
    assert shown(first) == "0000"
    tab.press("j")
    assert shown("document.activeElement.dataset.name") == "0000"
    tab.press("/")
    for digit in "0999":
        tab.press(digit)
    assert shown("document.querySelector('output').value") == "1 of 1002"
    assert tab.complaints == []
