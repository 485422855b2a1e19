"""Counts stand with their nouns in the right number."""

import pytest

from fundusseg.wording import counted, left_aside


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 maps"), (1, "1 map"), (2, "2 maps"), (1000, "1000 maps")]
)
def test_one_is_no_plural(count, words):
    assert counted(count, "map") == words


def test_the_verb_can_go_with_it():
    assert [counted(n, "mask has", "masks have") for n in (1, 2)] == ["1 mask has", "2 masks have"]


def test_one_file_that_is_left_out_is_named_alone():
    what = "archives, which must be unpacked first"
    assert left_aside(1, "a.zip", what) == (
        "a.zip is left out, as are all archives, which must be unpacked first"
    )
    assert left_aside(2, "a.zip", what) == (
        "2 archives, which must be unpacked first, are left out, the first is a.zip"
    )
