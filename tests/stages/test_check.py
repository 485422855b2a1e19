"""check: a line for every fault, and none for a folder that is whole."""

import json
import shutil
import signal

import pytest

from fundusseg import stop
from fundusseg.errors import Stopped
from fundusseg.io.status import read_status
from fundusseg.stages.check import run_check
from tests.batch import flip_byte, run, write_status, write_tiny_model


@pytest.fixture
def shards(phantom_set, tmp_path):
    assert run("prep", phantom_set("chase-flat"), tmp_path / "shards", "--num-shards", "2") == 0
    return tmp_path / "shards"


@pytest.fixture
def maps(tiny_model, photographs, tmp_path):
    """Maps of four photographs, and a failed row."""
    (photographs / "text.png").write_text("no picture")
    assert run("infer", photographs, tmp_path / "maps", "--model", tiny_model) == 3
    return tmp_path / "maps"


def faults(capsys, *folders) -> list[str]:
    """The lines that check prints on stdout; its exit code must fit them."""
    capsys.readouterr()
    code = run("check", *folders)
    streams = capsys.readouterr()
    lines = streams.out.splitlines()
    assert code == (1 if lines else 0)
    assert streams.err == ""
    return lines


def test_whole_folders_have_no_fault(shards, maps, tiny_model, tmp_path, capsys):
    """check: exit 0 if whole; a failed row is no fault."""
    assert run("phantom", tmp_path / "phantoms", "--count", 2, "--size", 64) == 0
    assert faults(capsys, shards, maps, tiny_model, tmp_path / "phantoms") == []


@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
def test_a_flipped_byte_in_a_shard_is_one_line(shards, capsys, part):
    """check: 1 and a line per fault."""
    path = shards / "shard-00001-of-00002.h5"
    flip_byte(path, int(part * path.stat().st_size))
    (line,) = faults(capsys, shards)
    assert line.startswith(f"{path}: ")


def test_a_missing_shard_is_one_line(shards, capsys):
    (shards / "shard-00000-of-00002.h5").unlink()
    (line,) = faults(capsys, shards)
    assert line == f"{shards / 'shard-00000-of-00002.h5'}: is missing"


def test_a_missing_and_a_changed_map_are_a_line_each(maps, capsys):
    """check: a missing map is a fault."""
    (maps / "a.png").unlink()
    flip_byte(maps / "b" / "c.png", 60)
    assert faults(capsys, maps) == [
        f"{maps / 'a.png'}: is missing",
        f"{maps / 'b/c.png'}: has changed since it was written",
    ]


def test_a_folder_in_the_place_of_a_map_hides_no_other_fault(maps, capsys):
    """check: a line for each fault."""
    (maps / "a.png").unlink()
    (maps / "a.png").mkdir()
    (maps / "b" / "c.png").unlink()
    assert faults(capsys, maps) == [f"{maps / n}: is missing" for n in ("a.png", "b/c.png")]


def test_truncated_weights_are_one_line(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    path = model / "generator.weights.h5"
    path.write_bytes(path.read_bytes()[:1000])
    (line,) = faults(capsys, model)
    assert line.startswith(f"{path}: ")


def test_a_manifest_of_a_newer_version_is_one_line(maps, capsys):
    """Manifest: version; one that is newer is refused."""
    path = maps / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    (line,) = faults(capsys, maps)
    assert "newer" in line and str(path) in line


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "fundusseg-manifest", "version": 1}'])
def test_a_damaged_manifest_is_one_line(maps, capsys, text):
    (maps / "manifest.json").write_text(text)
    (line,) = faults(capsys, maps)
    assert str(maps / "manifest.json") in line


def test_a_folder_without_a_manifest_is_not_complete(maps, capsys):
    """Manifest: its presence means complete."""
    (maps / "manifest.json").unlink()
    (line,) = faults(capsys, maps)
    assert str(maps / "manifest.json") in line


@pytest.mark.parametrize("id", ["a", "text"])
def test_a_missing_row_is_a_fault(maps, capsys, id):
    """check: a failed row is no fault, a missing one is."""
    path = maps / "status.tsv"
    write_status(path, [row for row in read_status(path) if row.id != id])
    (line,) = faults(capsys, maps)
    assert line.startswith(f"{path}: has no row") and line.endswith(id)


def test_rows_that_nobody_asked_for_are_faults(maps, capsys):
    path = maps / "status.tsv"
    rows = read_status(path)
    write_status(path, [*rows, rows[0]])
    assert faults(capsys, maps) == [f"{path}: has two rows of one id"]
    (maps / "manifest.json").write_text(
        (maps / "manifest.json").read_text().replace('"b/c": "', '"b/x": "')
    )
    write_status(path, rows)
    assert len(faults(capsys, maps)) == 2


def test_a_table_that_is_cut_off_is_one_line(maps, capsys):
    path = maps / "status.tsv"
    path.write_bytes(path.read_bytes()[:-30])
    (line,) = faults(capsys, maps)
    assert str(path) in line


def test_every_folder_is_looked_at(maps, shards, capsys):
    """check PATH...: a fault in the first does not hide the second."""
    (maps / "a.png").unlink()
    (shards / "manifest.json").unlink()
    assert len(faults(capsys, maps, shards)) == 2


def test_a_file_is_no_folder(tmp_path, capsys):
    """Exit 2: a wrong path."""
    (tmp_path / "file").write_text("")
    assert run("check", tmp_path / "file") == 2
    assert "is no folder" in capsys.readouterr().err


def test_check_writes_nothing(maps, shards, tiny_model, tmp_path, capsys):
    copies = [shutil.copytree(folder, tmp_path / f"{folder.name}-2") for folder in (maps, shards)]
    names = [sorted(path.rglob("*")) for path in copies]
    faults(capsys, *copies)
    assert [sorted(path.rglob("*")) for path in copies] == names


def test_a_stop_is_heard_between_two_files(maps, monkeypatch):
    monkeypatch.setattr(stop, "_received", [signal.SIGTERM])
    with pytest.raises(Stopped):
        run_check([maps])
