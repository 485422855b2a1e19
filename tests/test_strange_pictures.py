"""What is no fundus photograph has a failed row, or a marked one: by the model that ships."""

import pytest
from PIL import Image

from fundusseg.files.status import read_status
from tests.batch import run
from tests.strange import strange_pictures

FINE = ("ok", "")
UNLIKE = ("ok", "is unlike a fundus photograph")
BLURRED = ("ok", "is blurred")
SMALL = ("ok", "is small")
NOTHING = ("ok", "shows nothing, so its map is empty")
BLACK_AND_WHITE = ("failed", "is black and white alone")
EXPECTED = {
    "a photograph": FINE,
    "upside down": FINE,
    "mirrored": FINE,
    "grey": FINE,
    "without its border": SMALL,
    "blurred": UNLIKE,
    "black": NOTHING,
    "white": NOTHING,
    "grey all over": NOTHING,
    "noise": UNLIKE,
    "two eyes": ("failed", "shows 2 fields of view"),
    "a map": BLACK_AND_WHITE,
    "a map in colours": BLACK_AND_WHITE,
    "a drawing": ("ok", "is drawn, no photograph"),
    "a face": BLURRED,
    "a page of text": BLACK_AND_WHITE,
    "a sunset": UNLIKE,
    "a chessboard": ("failed", "has two grey levels"),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    root = tmp_path_factory.mktemp("strange")
    (root / "in").mkdir()
    for name, pixels in strange_pictures().items():
        Image.fromarray(pixels).save(root / "in" / f"{name}.png")
    words = ("--layout", "none", "--jobs", 1, "--quiet")
    assert run("infer", root / "in", root / "maps", *words) == 3
    return {row.id: row for row in read_status(root / "maps/status.tsv")}


def test_each_has_a_row(rows):
    assert rows.keys() == strange_pictures().keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_its_row_says_what_it_is(rows, name):
    status, reason = EXPECTED[name]
    assert rows[name].status == status
    assert rows[name].reason.startswith(reason) if reason else not rows[name].reason
