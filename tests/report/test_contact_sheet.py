"""The contact sheet tells what its figures are."""

from fundusseg.report.contact_sheet import Card, contact_sheet


def test_a_line_says_what_the_expected_dice_is():
    page = "".join(contact_sheet("maps", [Card("a", "", "0.81", "", None, None)], ["x.html"], 0))
    (line,) = [line for line in page.splitlines() if "Expected Dice" in line]
    assert "is no measured figure" in line and page.index(line) < page.index("expected Dice 0.81")
