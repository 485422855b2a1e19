"""Tables that a user hands in."""

import pytest

from fundusseg.errors import InputError
from fundusseg.files.tables import read_subjects, read_table


def table(tmp_path, data: bytes):
    path = tmp_path / "subjects.tsv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"id\tsubject\na/1\tp 1\nb\tp2\n",
        b"id\tsubject\r\na/1\tp 1\r\nb\tp2\r\n",
        b"\xef\xbb\xbfid\tsubject\na/1\tp 1\nb\tp2",
        b"age\tsubject\tid\n50\tp 1\ta/1\n\n60\tp2\tb\n",
    ],
)
def test_subjects_by_id(tmp_path, data):
    assert read_subjects(table(tmp_path, data)) == {"a/1": "p 1", "b": "p2"}


def test_blanks_around_a_subject_make_no_other_person(tmp_path):
    data = b"id\tsubject\na\tp1\na \tp1 \n"
    assert read_subjects(table(tmp_path, data)) == {"a": "p1", "a ": "p1"}


def test_quotes_are_nothing_special(tmp_path):
    assert read_subjects(table(tmp_path, b'id\tsubject\n"a\tp"1\n')) == {'"a': 'p"1'}


def test_names_are_escaped_as_dry_run_prints_them(tmp_path):
    data = b"id\tsubject\na\\nb\\xff\\\\x41\tp\\t1\n"
    assert read_subjects(table(tmp_path, data)) == {"a\nb\udcff\\x41": "p\t1"}


def test_a_header_alone_is_a_table_without_rows(tmp_path):
    assert read_table(table(tmp_path, b"id\tsubject\n"), ("id",)) == []


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "has no column id, subject"),
        (b"id,subject\na,b\n", "has no column id, subject"),
        (b"id\tpatient\na\tb\n", "has no column subject"),
        (b"id\tsubject\na\n", "line 2 has not as many cells"),
        (b"id\tsubject\na\tb\nc\td\te\n", "line 3 has not as many cells"),
        (b"id\tsubject\n\na\tb\nc\n", "line 4 has not as many cells"),
        (b"id\tsubject\na\tb\na\tc\n", "has two rows for a"),
        (b"id\tsubject\na\tb\nc\t \n", "has no subject for c; fill it in"),
        (b"id\tsubject\n\xff\tb\n", "cannot be read"),
        (b"id\tsubject\n" + b"a" * 200_000 + b"\tb\n", "cannot be read"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path, data, problem):
    with pytest.raises(InputError, match=problem) as caught:
        read_subjects(table(tmp_path, data))
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_subjects(tmp_path / "missing.tsv")


def test_subjects_are_found_whichever_way_accents_are_written(tmp_path):
    path = tmp_path / "subjects.tsv"
    path.write_text("id\tsubject\nMu\u0308ller\tone\n", encoding="utf-8")
    subjects = read_subjects(path)
    assert (
        "M\u00fcller" in subjects and subjects["M\u00fcller"] == subjects["Mu\u0308ller"] == "one"
    )
    path.write_text("id\tsubject\nMu\u0308ller\tone\nM\u00fcller\ttwo\n", encoding="utf-8")
    with pytest.raises(InputError, match="two rows for M\u00fcller"):
        read_subjects(path)


@pytest.mark.parametrize("id", ["../a", "/a", "a/../b"])
def test_an_id_that_climbs_out_is_refused(tmp_path, id):
    path = tmp_path / "subjects.tsv"
    path.write_text(f"id\tsubject\n{id}\tone\n")
    with pytest.raises(InputError, match="which is no id"):
        read_subjects(path)
