"""check: a line for every fault, and none for a folder that is whole."""

import json
import os
import shutil
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from fundusseg import stop
from fundusseg.commands.check import run_check
from fundusseg.errors import Stopped
from fundusseg.files import manifest, models
from fundusseg.files.status import read_status
from tests.batch import flip_byte, run, write_status, write_tiny_model

VERIFY = "run the command that made it again, with --verify"


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
    whole = [str(folder) for folder in folders if not any(str(folder) in line for line in lines)]
    assert [line.split(": ")[1] for line in streams.err.splitlines()] == whole
    return lines


def test_whole_folders_have_no_fault(shards, maps, tiny_model, tmp_path, capsys):
    """check: exit 0 if whole; a failed row is no fault."""
    assert run("phantom", tmp_path / "phantoms", "--count", 2, "--size", 64) == 0
    assert faults(capsys, shards, maps, tiny_model, tmp_path / "phantoms") == []


def test_a_manifest_with_a_blank_changed_is_one_line(shards, capsys):
    """Its values are the same, but it is not the file that was written."""
    path = shards / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b" ", b"\t", 1))
    (line,) = faults(capsys, shards)
    assert line == f"{path}: is not as it was written, in its blanks; copy it again"


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
    assert line == f"{shards / 'shard-00000-of-00002.h5'}: is missing; {VERIFY}"


def test_a_missing_and_a_changed_map_are_a_line_each(maps, capsys):
    """check: a missing map is a fault."""
    (maps / "a.png").unlink()
    flip_byte(maps / "b" / "c.png", 60)
    assert faults(capsys, maps) == [
        f"{maps / 'a.png'}: is missing; {VERIFY}",
        f"{maps / 'b/c.png'}: has changed since it was written; {VERIFY}",
    ]


def test_a_folder_in_the_place_of_a_map_hides_no_other_fault(maps, capsys):
    """check: a line for each fault."""
    (maps / "a.png").unlink()
    (maps / "a.png").mkdir()
    (maps / "b" / "c.png").unlink()
    names = ("a.png", "b/c.png")
    assert faults(capsys, maps) == [f"{maps / name}: is missing; {VERIFY}" for name in names]


def test_truncated_weights_are_one_line(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    path = model / "generator.weights.h5"
    path.write_bytes(path.read_bytes()[:1000])
    (line,) = faults(capsys, model)
    assert line.startswith(f"{path}: ")


def test_a_manifest_of_a_newer_version_is_one_line(maps, capsys):
    """Manifest: version; one that is newer is refused."""
    path = maps / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": manifest.VERSION + 1}))
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
    assert line == f"{maps}: is not finished; run the same command again"


def test_what_is_whole_is_said_with_its_number_of_files(maps, capsys):
    assert run("check", maps) == 0
    assert f"{maps}: whole: 4 files" in capsys.readouterr().err


def test_parts_that_are_not_merged_are_told_from_what_is_damaged(maps, capsys):
    (maps / "manifest.json").rename(maps / "manifest-0-of-2.json")
    (line,) = faults(capsys, maps)
    assert line.startswith(f"{maps}: is in parts; fundusseg merge")


def test_the_map_of_a_photograph_that_is_gone_is_a_line(
    maps, photographs, tiny_model, capsys, tmp_path
):
    next(photographs.glob("b/c.*")).unlink()
    run("infer", photographs, maps, "--model", tiny_model)
    (line,) = faults(capsys, maps)
    assert line.startswith(f"{maps / 'b/c.png'}: is the map of a photograph that is gone; ")
    assert run("infer", photographs, maps, "--model", tiny_model, "--prune") == 0
    assert faults(capsys, maps) == []


def test_a_damaged_state_of_a_training_is_one_line(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    models.write_state(model, {"step": np.arange(1000)}, {})
    assert faults(capsys, model) == []
    path = model / models.STATE
    path.write_bytes(path.read_bytes()[:-100])
    (line,) = faults(capsys, model)
    assert line.startswith(f"{path}: is damaged") and "--force" in line


@pytest.mark.parametrize("id", ["a", "text"])
def test_a_missing_row_is_a_fault(maps, capsys, id):
    """check: a failed row is no fault, a missing one is."""
    path = maps / "status.tsv"
    write_status(path, [row for row in read_status(path) if row.id != id])
    (line,) = faults(capsys, maps)
    assert line == f"{path}: has changed since it was written; {VERIFY}"


def test_a_changed_cell_and_a_row_too_many_are_faults_that_hide_no_other(maps, capsys):
    path = maps / "status.tsv"
    rows = read_status(path)
    (maps / "a.png").unlink()
    for changed in ([*rows, rows[0]], [replace(rows[0], width_px="7"), *rows[1:]]):
        write_status(path, changed)
        assert faults(capsys, maps) == [
            f"{path}: has changed since it was written; {VERIFY}",
            f"{maps / 'a.png'}: is missing; {VERIFY}",
        ]


def test_changed_checksums_are_one_line(maps, capsys):
    """What they say of the outputs counts for nothing then."""
    path = maps / "SHA256SUMS"
    path.write_text(path.read_text().replace("a.png", "x.png"))
    assert faults(capsys, maps) == [f"{path}: has changed since it was written; {VERIFY}"]


def test_coreutils_reads_the_checksums(photographs, tiny_model, tmp_path):
    """SHA256SUMS is in the form of sha256sum, whatever a file is called."""
    for name in ("back\\slash.png", "new\nline.png", os.fsdecode(b"\xff.png")):
        shutil.copyfile(photographs / "a.png", photographs / name)
    assert run("infer", photographs, tmp_path / "out", "--model", tiny_model) == 0
    words = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(words, cwd=tmp_path / "out").returncode == 0
    assert (tmp_path / "out/SHA256SUMS").read_bytes().count(b"\n") == 7


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
