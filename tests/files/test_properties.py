"""Names, tables, manifests and ledgers come back as they were written, whatever is in them."""

import json
import os
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundusseg.files import checksums
from fundusseg.files.ledger import Ledger
from fundusseg.files.manifest import (
    NAME,
    Part,
    merge_manifests,
    outputs_of,
    read_manifest,
    write_manifest,
)
from fundusseg.files.names import escaped, is_inside, name_bytes, name_from, unescaped
from fundusseg.files.row_table import RowTable, merge_tables
from fundusseg.files.status import OK, StatusRow, id_bytes, read_status, status_line, write_lines

names = st.binary(min_size=1, max_size=40).filter(lambda data: 0 not in data).map(name_from)
inside = names.filter(is_inside)
sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.fixture(autouse=True, scope="module")
def no_flush():
    """Hundreds of small files, which need not outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@given(names)
def test_a_name_is_one_cell_of_plain_text_and_comes_back(name):
    cell = escaped(name)
    assert not set("\t\n\r") & set(cell)
    cell.encode()
    assert unescaped(cell) == name and name_from(name_bytes(name)) == name


@given(st.text("./a\0", max_size=12))
def test_a_name_that_is_inside_never_leaves_its_folder(name):
    if is_inside(name):
        path = PurePosixPath("/out") / name
        assert path.parts[:2] == ("/", "out") and ".." not in path.parts


@given(st.sets(names, max_size=8), st.text(max_size=20))
def test_a_status_table_comes_back_in_byte_order_of_ids(ids, reason):
    reason = reason.encode("utf-8", "replace").decode()
    rows = [StatusRow(id, OK, reason) for id in ids]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "status.tsv"
        write_lines(path, sorted(map(status_line, rows), key=id_bytes))
        assert read_status(path) == sorted(rows, key=lambda row: name_bytes(row.id))


@given(st.dictionaries(inside, sha256s, max_size=8), plain_values)
def test_a_manifest_comes_back_with_its_outputs_in_byte_order(outputs, config):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        write_manifest(out, "infer", {"value": config}, outputs)
        assert read_manifest(out / NAME)["config"] == {"value": config}
        shown = [*outputs_of(out)]
        assert dict(shown) == outputs
        lines = (out / checksums.NAME).read_bytes().splitlines()
        assert [line.removeprefix(b"\\")[66:] for line in lines] == sorted(
            line.removeprefix(b"\\")[66:] for line in lines
        )


@settings(max_examples=20)  # each looks up the versions of all packages a few times
@given(st.dictionaries(inside, sha256s, max_size=9), st.integers(2, 5))
def test_manifests_of_any_number_of_parts_merge_to_that_of_one_run(outputs, total):
    with tempfile.TemporaryDirectory() as folder:
        one, parts = Path(folder) / "one", Path(folder) / "parts"
        one.mkdir()
        parts.mkdir()
        names = sorted(outputs)
        counts = {"photographs": len(names), "failed": 0}
        write_manifest(one, "infer", {}, outputs, counts=counts, inputs=outputs)
        for number in range(total):
            own = {name: outputs[name] for name in names[number::total]}
            own_counts = {"photographs": len(own), "failed": 0}
            part = Part(number, total)
            write_manifest(parts, "infer", {}, own, part=part, counts=own_counts, inputs=own)
        merge_manifests(parts, total)
        for name in (NAME, checksums.NAME):
            assert (parts / name).read_bytes() == (one / name).read_bytes()


@given(st.sets(names, max_size=9), st.integers(2, 5), st.text(max_size=9))
def test_tables_of_any_number_of_parts_merge_to_that_of_one_run(ids, total, cell):
    ordered = sorted(ids, key=name_bytes)
    with tempfile.TemporaryDirectory() as folder:
        one, path = Path(folder) / "one.csv", Path(folder) / "table.csv"
        _write_table(one, ordered, cell)
        for number in range(total):
            _write_table(
                Path(folder) / Part(number, total).named(path.name), ordered[number::total], cell
            )
        assert merge_tables(path) == (len(ids), 0)
        assert path.read_bytes() == one.read_bytes()
        again = RowTable(path, ("id", "status", "text"))
        again.read()
        assert [*again.ids] == ordered


def _write_table(path: Path, ids: list[str], cell: str) -> None:
    table = RowTable(path, ("id", "status", "text"))
    table.read()
    for id in ids:
        table.append(id, [(OK, escaped(cell))], "settings", "made from")
    table.conclude(ids)


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
        for record in kept:
            del record["crc32"]
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
