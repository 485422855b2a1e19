"""Names, tables and ledgers come back as they were written, whatever is in them."""

import json
import tempfile
from pathlib import Path, PurePosixPath

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fundusseg.files.ledger import Ledger
from fundusseg.files.names import escaped, is_inside, name_bytes, name_from, unescaped
from fundusseg.files.status import OK, StatusRow, id_bytes, read_status, status_line, write_lines

names = st.binary(min_size=1, max_size=40).filter(lambda data: 0 not in data).map(name_from)
quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quickly
@given(names)
def test_a_name_is_one_cell_of_plain_text_and_comes_back(name):
    cell = escaped(name)
    assert not set("\t\n\r") & set(cell)
    cell.encode()
    assert unescaped(cell) == name and name_from(name_bytes(name)) == name


@quickly
@given(st.text("./a\0", max_size=12))
def test_a_name_that_is_inside_never_leaves_its_folder(name):
    if is_inside(name):
        path = PurePosixPath("/out") / name
        assert path.parts[:2] == ("/", "out") and ".." not in path.parts


@quickly
@given(st.sets(names, max_size=8), st.text(max_size=20))
def test_a_status_table_comes_back_in_byte_order_of_ids(ids, reason):
    reason = reason.encode("utf-8", "replace").decode()
    rows = [StatusRow(id, OK, reason) for id in ids]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "status.tsv"
        write_lines(path, sorted(map(status_line, rows), key=id_bytes))
        assert read_status(path) == sorted(rows, key=lambda row: name_bytes(row.id))


@quickly
@given(st.lists(st.text(max_size=8), min_size=1, max_size=6), st.data())
def test_a_ledger_that_is_cut_off_anywhere_loses_its_end_and_nothing_else(keys, data):
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        ledger.begin()
        for key in keys:
            ledger.add(key, "0" * 64, outputs={})
        lines = ledger.path.read_bytes().splitlines(keepends=True)
        whole = b"".join(lines)
        cut = data.draw(st.integers(0, len(whole)))
        ledger.path.write_bytes(whole[:cut])
        kept = [json.loads(line) for line in whole[:cut].splitlines()[1:] if _is_json(line)]
        assert Ledger(Path(folder)).records == {record["key"]: record for record in kept}
        again = Ledger(Path(folder))
        again.begin()
        again.add("further", "0" * 64, outputs={})
        assert Ledger(Path(folder)).records.keys() == again.records.keys()


def _is_json(line: bytes) -> bool:
    try:
        return bool(json.loads(line))
    except ValueError:
        return False
