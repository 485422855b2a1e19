"""The contact sheet tells what its figures are."""

import os
import re
from urllib.parse import unquote_to_bytes

from fundusseg.report.contact_sheet import Card, contact_sheet


def test_a_line_says_what_the_expected_dice_is():
    page = "".join(contact_sheet("maps", [Card("a", "", "0.81", "", None, None)], ["x.html"], 0))
    (line,) = [line for line in page.splitlines() if "Expected Dice" in line]
    assert "is no measured figure" in line and page.index(line) < page.index("expected Dice 0.81")


def test_a_link_leads_to_its_page_whatever_its_name():
    names = [b"a.html", b'1:2 #3?%20"<\xff.html']
    page = "".join(contact_sheet("maps", [], [*map(os.fsdecode, names)], 0))
    (link,) = re.findall('<a href="([^"]*)">', page)
    assert unquote_to_bytes(link) == names[1] and not set(link) & set(':#?<"')
    page.encode()
