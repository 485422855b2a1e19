"""Tables are padded and escaped; what is no number has a word."""

import math

import pytest

from fundusseg.report import markdown


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (math.nan, "n/a"), (math.inf, "inf"), (-math.inf, "-inf"), (None, "")],
)
def test_numbers(value, text):
    assert markdown.number(value, 3) == text


def test_intervals():
    assert markdown.interval(0.1, 0.25, 2) == "0.10 to 0.25"
    assert markdown.interval(math.nan, math.nan, 2) == "n/a"


def test_a_table():
    assert markdown.table(("name", "n"), [("a|b", "1"), ("c", "23")]) == (
        "| name |   n |\n| ---- | --: |\n| a\\|b |   1 |\n| c    |  23 |\n"
    )


def test_a_row_that_is_short_is_refused():
    with pytest.raises(ValueError):
        markdown.table(("name", "n"), [("a",)])


def test_a_document_leaves_out_empty_sections():
    text = markdown.document("T*", [("One", "- a\n"), ("None", ""), ("Two", "b\n")])
    assert text == "# T\\*\n\n## One\n\n- a\n\n## Two\n\nb\n"


def test_many_names_are_counted():
    assert markdown.named_in_a_line(["a", "b"]) == "a, b"
    assert markdown.named_in_a_line(list("abcd"), most=2) == "a, b and 2 more"
