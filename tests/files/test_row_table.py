"""A table that a killed command goes on with, and that parts are joined to."""

import zlib

import pytest

from fundusseg.errors import InputError
from fundusseg.files import row_table
from fundusseg.files.row_table import RowTable, merge_tables, table_faults
from tests.batch import flip_byte

COLUMNS = ("id", "status", "value")


def written(path, ids, settings="s", status="ok"):
    table = RowTable(path, COLUMNS)
    for id in ids:
        table.append(id, [[status, f"of {id}"]], settings, f"from {id}")
    table.conclude(ids)
    return table


def test_rows_stand_in_the_order_asked_for_and_are_known_again(tmp_path):
    path = tmp_path / "t.csv"
    table = RowTable(path, COLUMNS)
    for id in ("b", 'a,"quoted"', "tab\there"):
        table.append(id, [["ok", "1"]], "s", "h")
    table.conclude(['a,"quoted"', "b", "tab\there"])
    lines = path.read_text().splitlines()
    assert lines[0] == "id,status,value,settings,made_from,crc32"
    rows = ['"a,""quoted""",ok,1,s,h', "b,ok,1,s,h", "tab\\there,ok,1,s,h"]
    assert lines[1:] == [f"{row},{zlib.crc32(row.encode()):08x}" for row in rows]
    again = RowTable(path, COLUMNS)
    again.read()
    assert again.ids == {'a,"quoted"', "b", "tab\there"}
    assert again.has("b", "s", "h") and not again.has("b", "s", "other")
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_what_a_kill_left_is_gone_on_with(tmp_path):
    path = tmp_path / "t.csv"
    written(path, ["a"])
    killed = RowTable(path, COLUMNS)
    killed.append("b", [["ok", "of b"]], "s", "from b")
    with (tmp_path / ".t.csv.rows").open("a") as file:
        file.write("c,ok,cut o")
    table = RowTable(path, COLUMNS)
    table.read()
    assert table.ids == {"a", "b"}
    table.append("c", [["ok", "of c"]], "s", "from c")
    table.append("a", [["ok", "anew"]], "s", "from a")
    table.conclude(["a", "b", "c"])
    assert [line.split(",")[2] for line in path.read_text().splitlines()[1:]] == [
        "anew",
        "of b",
        "of c",
    ]


def test_rows_of_one_id_stay_together_and_take_the_place_of_earlier_ones(tmp_path):
    path = tmp_path / "t.csv"
    table = RowTable(path, ("id", "number"))
    table.append("a", [["1"], ["2"], ["3"]], "s", "h")
    table.append("a", [["1"], ["2"]], "s", "h")  # as where a kill came between two tables
    table.append("b", [["1"]], "s", "h")
    table.conclude(["a", "b"])
    assert [line[:3] for line in path.read_text().splitlines()[1:]] == ["a,1", "a,2", "b,1"]


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_a_row_that_was_changed_while_the_table_was_made_is_made_anew(tmp_path, number):
    path = tmp_path / "t.csv"
    killed = RowTable(path, ("id", "number"))
    for id in ("a", "b"):
        killed.append(id, [["1"], ["2"], ["3"]], "s", "h")
    work = tmp_path / ".t.csv.rows"
    work.write_bytes(work.read_bytes().replace(f"a,{number}".encode(), b"a,7"))
    table = RowTable(path, ("id", "number"))
    table.read()
    assert not table.has("a", "s", "h")
    table.append("a", [["1"], ["2"], ["3"]], "s", "h")
    if not table.has("b", "s", "h"):
        table.append("b", [["1"], ["2"], ["3"]], "s", "h")
    table.conclude(["a", "b"])
    rows = [line[:3] for line in path.read_text().splitlines()[1:]]
    assert rows == ["a,1", "a,2", "a,3", "b,1", "b,2", "b,3"]


@pytest.mark.parametrize("ids", [["a", "b", "c"], ["a", "c"], ["c"]])
def test_a_row_that_was_changed_is_made_anew(tmp_path, ids):
    path = tmp_path / "t.csv"
    table = RowTable(path, ("id", "number"))
    for id in ids:
        table.append(id, [["1"], ["2"], ["3"]], "s", "h")
    table.conclude(ids)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"c,2", b"c,7"))
    assert "line" in next(table_faults(path)) and not [*table_faults_of(path, whole)]
    table = RowTable(path, ("id", "number"))
    table.read()
    assert not table.has("c", "s", "h") and table.has("a", "s", "h") == ("a" in ids)
    table.append("c", [["1"], ["2"], ["3"]], "s", "h")
    table.conclude(ids)
    assert path.read_bytes() == whole


def table_faults_of(path, data: bytes):
    """The faults of a copy that holds `data`."""
    copy = path.with_name("copy.csv")
    copy.write_bytes(data)
    return table_faults(copy)


def test_another_file_is_not_written_over(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("my,own\n1,2\n")
    with pytest.raises(InputError, match="choose another name, or give --force"):
        RowTable(path, COLUMNS).read()
    RowTable(path, COLUMNS, force=True).conclude([])
    assert path.read_text().startswith("id,")


def test_parts_become_one_table(tmp_path):
    written(tmp_path / "t-0-of-2.csv", ["a", "c"])
    written(tmp_path / "t-1-of-2.csv", ["b"], status="failed")
    assert merge_tables(tmp_path / "t.csv") == (3, 1)
    merged = (tmp_path / "t.csv").read_text().splitlines()
    assert [line[0] for line in merged[1:]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("ids", "settings", "said"),
    [
        (["b", "d"], "s", "other settings, maps or versions"),  # b of a and c: three maps in all
        (["b"], "t", "other settings, maps or versions"),
        (None, "s", "t-1-of-2.csv missing or unfinished of 2 parts"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, ids, settings, said):
    written(tmp_path / "t-0-of-2.csv", ["a", "c", "e", "g"] if ids == ["b", "d"] else ["a", "c"])
    if ids:
        written(tmp_path / "t-1-of-2.csv", ids, settings)
    with pytest.raises(InputError, match=said):
        merge_tables(tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()


def test_a_part_with_a_damaged_line_is_refused(tmp_path):
    written(tmp_path / "t-0-of-2.csv", ["a", "c"])
    written(tmp_path / "t-1-of-2.csv", ["b"])
    flip_byte(tmp_path / "t-1-of-2.csv", -20)
    with pytest.raises(InputError, match="t-1-of-2.csv: has a damaged line"):
        merge_tables(tmp_path / "t.csv")


def test_an_id_that_has_no_rows_any_more_loses_those_of_before(tmp_path):
    """As a map without a segment, where the table of another run stood."""
    path = tmp_path / "t.csv"
    written(path, ["a", "b"])
    table = RowTable(path, COLUMNS)
    table.read()
    table.append("a", [], "s", "from another a")
    table.conclude(["a", "b"])
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["id", "b"]


def test_a_part_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    for number, id in enumerate("ab"):
        written(tmp_path / f"t-{number}-of-2.csv", [id])
    opened = row_table.open_regular

    def refused(path):
        if path.name == "t-1-of-2.csv":
            raise OSError(24, "Too many open files")
        return opened(path)

    monkeypatch.setattr(row_table, "open_regular", refused)
    with pytest.raises(InputError, match=r"t-1-of-2.csv: cannot be read \(Too many open files"):
        merge_tables(tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()
