"""status.tsv: whatever a file is called, a row is a row and comes back."""

import os

import pytest

from fundusseg.errors import InputError
from fundusseg.files.names import escaped, is_inside, unescaped
from fundusseg.files.status import (
    COLUMNS,
    FAILED,
    OK,
    StatusRow,
    id_bytes,
    read_lines,
    read_status,
    write_lines,
)
from tests.batch import write_status

NASTY = [
    "",
    "plain/name",
    "tab\there",
    "two\nlines\r\n",
    "\\t is no tab, \\\\ neither, \\x41 is no A",
    "ends in \\",
    os.fsdecode(b"latin\xe9 \xff\x80"),
    "ünïcödé 右眼 \U0001f441",
    "".join(map(chr, range(1, 128))),
    "\x85\u2028 separate lines elsewhere",
    " blanks ",
    '"quoted"',
]


@pytest.mark.parametrize("text", NASTY)
def test_escapes_round_trip(text):
    shown = escaped(text)
    assert unescaped(shown) == text
    assert not set(shown) & set("\t\n\r")
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\\", r"\\"),
        (os.fsdecode(b"\xe9"), r"\xe9"),
        ("\x1b\x7f", r"\x1b\x7f"),
        ("é", "é"),
    ],
)
def test_escapes_are_those_of_c(text, shown):
    assert escaped(text) == shown


@pytest.mark.parametrize("name", ["", "/a", "..", "../a", "a/..", "a/../b", "a\0b"])
def test_names_that_leave_their_folder(name):
    assert not is_inside(name)


@pytest.mark.parametrize("name", ["a", "a/b.png", "..a", "a../b", "...", "a/..b", "\udcff"])
def test_names_that_stay_inside(name):
    assert is_inside(name)


def test_table_round_trip_in_byte_order(tmp_path):
    rows = [
        StatusRow(text, (OK, FAILED)[i % 2], reason=text, width_px="12")
        for i, text in enumerate(NASTY)
    ]
    write_status(tmp_path / "status.tsv", rows)
    assert read_status(tmp_path / "status.tsv") == sorted(rows, key=lambda row: os.fsencode(row.id))
    assert len((tmp_path / "status.tsv").read_bytes().split(b"\n")) == len(NASTY) + 2


def test_order_is_that_of_bytes_not_of_letters(tmp_path):
    ids = ["b", "B", "a/z", "a.x", "é", os.fsdecode(b"\xff"), "\U00010000"]
    write_status(tmp_path / "s.tsv", [StatusRow(id, OK) for id in ids])
    found = [row.id for row in read_status(tmp_path / "s.tsv")]
    assert found == ["B", "a.x", "a/z", "b", "é", "\U00010000", os.fsdecode(b"\xff")]


def test_lines_of_several_tables_sort_to_the_table_of_all(tmp_path):
    """merge: the bytes that one run would have written, whatever the ids hold."""
    rows = [StatusRow(text, OK, reason=text) for text in NASTY]
    write_status(tmp_path / "whole.tsv", rows)
    for part in range(3):
        write_status(tmp_path / f"{part}.tsv", rows[part::3])
    lines = [line for part in (2, 0, 1) for line in read_lines(tmp_path / f"{part}.tsv")]
    write_lines(tmp_path / "merged.tsv", sorted(lines, key=id_bytes))
    assert (tmp_path / "merged.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()


def test_columns_are_those_of_the_contract():
    assert " ".join(COLUMNS) == (
        "id status reason source_sha256 width_px height_px fov_y_px fov_x_px fov_diameter_px "
        "fov_method expected_dice mean_entropy_bits sharpness_ratio evenness_ratio dark_edge_ratio "
        "pixel_um source map"
    )


def test_a_table_of_before_is_none(tmp_path):
    path = tmp_path / "status.tsv"
    write_status(path, [StatusRow("a", OK, expected_dice="0.8"), StatusRow("b", FAILED, "torn")])
    lines = [line.split("\t")[:11] for line in path.read_text().splitlines()]
    path.write_text("".join("\t".join(cells) + "\n" for cells in lines))
    with pytest.raises(InputError, match="is no status table"):
        read_status(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: b"", "is no status table, or cut off"),
        (lambda data: data[:-3], "is no status table, or cut off"),
        (lambda data: data.replace(b"reason", b"cause"), "is no status table"),
        (lambda data: data.replace(b"ok\t", b"ok"), f"line 2 has {len(COLUMNS) - 1} cells, not"),
        (lambda data: data.replace(b"x.y", b"\xff"), "cannot be read"),
    ],
)
def test_a_damaged_table_is_an_input_error(tmp_path, change, problem):
    path = tmp_path / "status.tsv"
    write_status(path, [StatusRow("x.y", OK)])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=problem) as caught:
        read_status(path)
    assert "\n" not in str(caught.value)
