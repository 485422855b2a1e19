"""What a person or a program is told of a run of infer: before, while it is at work, and after."""

import io
import json
import os
import re
from pathlib import Path

import pytest

from fundusseg import ui
from fundusseg.commands.infer.inputs import InputFiles
from fundusseg.commands.infer.output_folder import OutputFolder
from fundusseg.errors import InputError, Stopped
from fundusseg.files.lock import shared
from fundusseg.files.status import read_status
from tests.batch import contents, run
from tests.commands.map_folders import IDS

FORMATS = (Path(__file__).parents[2] / "docs/formats.md").read_text()


@pytest.fixture
def damaged(photographs) -> Path:
    path = photographs / "Half.png"
    path.write_bytes((photographs / "a.png").read_bytes()[:99])
    return path


def lines(capsys) -> dict[str, list[str]]:
    """The cells of a table on stdout, by the first."""
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    infer, photographs, maps, damaged, capsys, no_network
):
    (photographs / "a.png").write_bytes((photographs / "b/c.jpg").read_bytes())
    (photographs / "note.txt").write_text("to be read")
    before = {path: path.stat().st_mtime_ns for path in maps.rglob("*")}
    capsys.readouterr()
    assert infer(photographs, "--dry-run") == 0
    said = lines(capsys)
    assert said.pop("name") == ["what", "why"]
    assert said.pop("note.txt") == ["passed over", "files of unknown suffix"]
    assert said[str(photographs / "a.png")] == [
        "to be made",
        "another photograph has taken the name",
    ]
    assert said[str(damaged)] == ["to be made", ""]
    assert said[str(photographs / "b/c.jpg")] == ["finished", ""]
    assert len(said) == 5
    assert {path: path.stat().st_mtime_ns for path in maps.rglob("*")} == before


def test_a_dry_run_makes_no_folder(infer, photographs, tmp_path, capsys):
    assert infer(photographs, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left"] == 4
    assert not (tmp_path / "maps").exists()


def test_the_summary_is_one_object_with_the_keys_of_the_formats_page(
    infer, photographs, damaged, capsys
):
    assert infer(photographs, "--json") == 3
    told = json.loads(capsys.readouterr().out)
    counts = ("photographs", "finished_before", "made", "failed", "failed_before", "left")
    assert [told[name] for name in counts] == [5, 0, 4, 1, 0, 0]
    assert infer(photographs, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [told[name] for name in counts] == [5, 4, 0, 0, 1, 0]
    assert set(told) <= set(re.findall(r"`(\w+)`", FORMATS))


def test_a_failure_is_told_of_once(infer, photographs, damaged, tmp_path, capsys):
    """Exit 3 for what failed now; what is known by its bytes is counted, its row stays."""
    assert infer(photographs) == 3
    before = contents(tmp_path / "maps")
    os.utime(damaged, (1, 1))  # the same bytes
    for more in (), ("--verify",):
        capsys.readouterr()
        assert infer(photographs, *more) == 0
        said = capsys.readouterr().err
        assert "Half.png" not in said
        assert "4 maps, 1 failed, 1 of them known (--retry-failed tries them again)" in said
        assert contents(tmp_path / "maps") == before
    assert infer(photographs, "--retry-failed") == 3
    damaged.write_bytes(damaged.read_bytes()[:50])
    assert infer(photographs) == 3
    assert infer(photographs) == 0
    assert infer(photographs, "--force") == 3


def test_a_failure_of_a_run_that_did_not_end_is_told_of_again(
    infer, photographs, damaged, monkeypatch
):
    def stopped(*arguments, **more):
        raise Stopped("stopped by a test")

    with monkeypatch.context() as patch:
        patch.setattr(OutputFolder, "conclude", stopped)
        assert infer(photographs) == 75
    assert infer(photographs) == 3


def test_status_tells_how_far_a_run_is(infer, photographs, damaged, tmp_path, monkeypatch, capsys):
    """While it is at work, and after; the parts that have not begun are named."""
    asked = []
    advance = ui.Reporter.advance

    def advanced(self, count=1, failed=0):
        advance(self, count, failed)
        if self.done == 2:
            monkeypatch.setattr(ui.Reporter, "advance", advance)
            capsys.readouterr()
            assert run("status", tmp_path / "maps", "--json") == 0
            asked.append(json.loads(capsys.readouterr().out))

    monkeypatch.setattr("fundusseg.files.running.WRITE_EVERY_S", 0)
    monkeypatch.setattr(ui.Reporter, "advance", advanced)
    assert infer(photographs, "--shard", 0, "--num-shards", 2, "--jobs", 1) == 3
    (told,) = asked
    first, second = told["parts"]
    assert (first["part"], first["photographs"], first["left"]) == ("0 of 2", 3, 1)
    assert first["state"] == "at work" and first["per_s"] > 0
    assert second["state"] == "not begun" and second["photographs"] is None
    assert told["all"]["left_s"] > 0
    names = {*told, *told["all"], *first}
    assert names <= set(re.findall(r"`(\w+)`", FORMATS))
    capsys.readouterr()
    assert run("status", tmp_path / "maps") == 0
    done = capsys.readouterr()
    assert done.out.splitlines()[1].split("\t")[:5] == ["0 of 2", "3", "2", "1", "0"]
    assert "2 of 3 photographs finished, 1 failed, not begun: 1 of 2 parts" in done.err


def test_status_of_a_killed_part_beside_one_at_work(infer, photographs, tmp_path, capsys):
    out = tmp_path / "maps"
    assert infer(photographs, "--shard", 0, "--num-shards", 2) == 0
    (note,) = (out / ".fundusseg").glob("run-0-of-2.json")
    told = json.loads(note.read_text())
    note.write_text(json.dumps({**told, "is_over": False, "last_s": told["last_s"] - 10_000}))
    with shared(out, "settings"):
        assert run("status", out, "--json") == 0
    states = [part["state"] for part in json.loads(capsys.readouterr().out)["parts"]]
    assert states == ["stopped", "not begun"]


def test_status_of_what_infer_did_not_write_is_refused(tmp_path, capsys):
    assert run("status", tmp_path) == 1
    assert "holds no run of infer" in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"asked": 3, "more": 1}', "{}", "[]", "x", '{"asked": "a"}'])
def test_status_of_a_damaged_note_is_one_line(tmp_path, capsys, text):
    path = tmp_path / ".fundusseg/run.json"
    path.parent.mkdir()
    path.write_text(text)
    assert run("status", tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line


def test_the_names_of_a_list_are_taken_below_a_folder(
    tiny_model, photographs, tmp_path, monkeypatch
):
    """Absolute or not; one that lies elsewhere is a failed row."""
    monkeypatch.chdir(photographs)
    names = [photographs / "a.png", "b/c.jpg", tmp_path / "elsewhere.png"]
    data = "\n".join(map(str, names)).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    words = ("--relative-to", photographs, "--model", tiny_model)
    assert run("infer", "-", tmp_path / "maps", *words) == 3
    status = {row.id: row.status for row in read_status(tmp_path / "maps/status.tsv")}
    assert status == {"a": "ok", "b/c": "ok", "../elsewhere": "failed"}
    assert run("infer", photographs, tmp_path / "other", *words) == 2


def test_a_photograph_that_was_being_copied_is_not_known_by_what_it_became(
    infer, photographs, monkeypatch
):
    whole, path = (photographs / "a.png").read_bytes(), photographs / "late.png"
    path.write_bytes(whole[:99])

    def read(self, source, *arguments):
        if source.id == "late":
            path.write_bytes(whole)  # the rest comes while the first part is found wanting
            raise InputError(path, "is a PNG that is not whole")
        return _read(self, source, *arguments)

    _read = InputFiles._read
    with monkeypatch.context() as patch:
        patch.setattr(InputFiles, "_read", read)
        assert infer(photographs) == 3
    assert infer(photographs, "--json") == 0
    assert (photographs.parent / "maps/late.png").exists()


def test_a_log_of_json_lines_has_an_event_for_each_photograph(infer, photographs, tmp_path):
    """With the milliseconds of each stage, between the start with all options and the end."""
    (photographs / "b" / "c.jpg").write_text("no picture")
    log = tmp_path / "log.jsonl"
    assert infer(photographs, "--log-file", log, "--log-format", "json") == 3
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first, last = lines[0], lines[-1]
    assert first["event"] == "start" and first["command"] == "infer"
    assert first["options"]["log-format"] == "json" and first["options"]["threshold"] is None
    assert last["event"] == "end" and last["exit_code"] == 3 and last["seconds"] > 0
    told = {line["id"]: line for line in lines if line["event"] == "photograph"}
    assert {id: line["status"] for id, line in told.items()} == {
        id: "failed" if id == "b/c" else "ok" for id in IDS
    }
    assert told["b/c"]["reason"] and told["b/c"]["source"] == "b/c.jpg"
    assert set(told["b/c"]["ms"]) == {"read"}
    assert all(value > 0 for value in told["a"]["ms"].values())
    assert set(told["a"]["ms"]) == {"read", "network", "write"}


def test_a_kind_of_log_without_a_log_is_refused(photographs, capsys):
    assert run("infer", photographs, "out", "--log-format", "json") == 2
    assert "--log-format is of the log file; give --log-file too" in capsys.readouterr().err
