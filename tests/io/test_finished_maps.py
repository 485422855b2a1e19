"""Finished maps: a string each, from which rows and hashes come back as they went in."""

import hashlib
import os

import pytest

from fundusseg.io.finished_maps import FinishedMaps
from fundusseg.io.outputs import OutputKinds
from fundusseg.io.status import OK, StatusRow, read_status, write_lines

IDS = ["a", "d/x", "d/x.y", "tab\there", "line\nbreak", "\\", os.fsdecode(b"\xff"), "é"]
KINDS = [OutputKinds(), OutputKinds("h5"), OutputKinds(probability=True, overlay=True)]


def sha256(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def row(id: str) -> list[str]:
    return [id, OK, "", sha256(id), "96", "97", "48.0", "47.5", "90.0", "circle", "0.8123"]


def record(kinds: OutputKinds, id: str, mark: str = "") -> dict:
    """A record as the ledger has it."""
    return {"row": row(id), "outputs": {name: sha256(name + mark) for name in kinds.names(id)}}


@pytest.mark.parametrize("kinds", KINDS)
def test_rows_and_hashes_come_back(kinds, tmp_path):
    held = FinishedMaps(kinds)
    for id in IDS:
        held.add(id, record(kinds, id))
    write_lines(tmp_path / "status.tsv", map(held.status_line, IDS))
    assert read_status(tmp_path / "status.tsv") == [StatusRow(*row(id)) for id in IDS]
    assert held.inputs() == {id: sha256(id) for id in IDS}
    assert held.outputs() == {name: sha256(name) for id in IDS for name in kinds.names(id)}


def test_the_last_record_counts_and_a_discarded_one_does_not():
    kinds = OutputKinds()
    held = FinishedMaps(kinds)
    for id, mark in (("a", "first"), ("b", "first"), ("a", "second")):
        held.add(id, record(kinds, id, mark))
    held.discard("b")
    held.discard("never added")
    assert "a" in held and "b" not in held
    assert held.outputs() == {"a.png": sha256("a.pngsecond")}


def test_outputs_of_earlier_runs_that_are_not_asked_for_are_left_out():
    """A map that was made with --probability, looked at without."""
    held = FinishedMaps(OutputKinds())
    held.add("a", record(OutputKinds(probability=True), "a"))
    assert held.outputs() == {"a.png": sha256("a.png")}
