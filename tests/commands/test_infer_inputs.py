"""infer: what it can be given, and what it refuses before the first byte."""

import io
import json
import os
import shutil

import pytest

from fundusseg import presets
from fundusseg.files import models
from fundusseg.files.status import read_status
from tests.batch import (
    contents,
    finished,
    flip_byte,
    one_line,
    require_whole_files,
    run,
    small_disk,
    write_photographs,
    write_tiny_model,
)
from tests.commands.map_folders import BOOKS
from tests.nets.tiny import tiny_preset


@pytest.fixture
def stdin(monkeypatch):
    """Put bytes on stdin."""

    def put(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


@pytest.fixture
def prepared(monkeypatch, tmp_path, phantom_set):
    """Prepare a data set, without fields of view, for the tiny model; the shard folder."""
    monkeypatch.setitem(presets.PRESETS, "native", tiny_preset())

    def shards(*words):
        assert run("prep", phantom_set("chase-flat"), tmp_path / "shards", *words) == 0
        return tmp_path / "shards"

    return shards


def test_a_collision_is_refused_before_anything_is_written(infer, tmp_path, capsys):
    """Two inputs that would write one output: exit 1 before anything is written."""
    write_photographs(tmp_path / "in", "a.jpg", "a.png")
    assert infer(tmp_path / "in") == 1
    line = one_line(capsys)
    assert "a.jpg" in line and "a.png" in line and "--keep-suffix" in line
    assert not (tmp_path / "maps").exists()
    assert infer(tmp_path / "in", "--keep-suffix") == 0
    assert {"a.jpg.png", "a.png.png"} <= set(contents(tmp_path / "maps"))


def test_an_empty_folder_is_exit_1(infer, tmp_path, capsys):
    """Exit 1: an empty folder."""
    (tmp_path / "in").mkdir()
    assert infer(tmp_path / "in") == 1
    assert str(tmp_path / "in") in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_a_missing_path_is_exit_2(infer, tmp_path, capsys):
    """Exit 2: a missing path, be it IN, --fov or --model."""
    write_photographs(tmp_path / "in", "a.png")
    missing = tmp_path / "missing"
    assert infer(missing) == 2
    assert infer(tmp_path / "in", "--fov", missing) == 2
    assert run("infer", tmp_path / "in", tmp_path / "maps", "--model", missing) == 2
    assert capsys.readouterr().err.count(str(missing)) == 3
    assert not (tmp_path / "maps").exists()


def test_out_inside_in_stays_out_of_it(infer, tiny_model, photographs, capsys):
    """OUT inside IN is not walked: the second run finds what the first found."""
    out = photographs / "maps"
    words = ("infer", photographs, out, "--model", tiny_model, "--format", "npz")
    assert run(*words) == 0
    before = contents(out)
    assert run(*words) == 0
    assert contents(out) == before
    assert "4 photographs, 4 of them finished before" in capsys.readouterr().err


def test_photographs_are_never_overwritten(tiny_model, photographs, capsys):
    """Exit 2 if IN is OUT, exit 1 if a single photograph's map would take its place."""
    before = contents(photographs)
    assert run("infer", photographs, photographs, "--model", tiny_model) == 2
    assert run("infer", photographs / "a.png", photographs, "--model", tiny_model) == 1
    assert "is an input" in capsys.readouterr().err
    assert contents(photographs) == before


def test_the_folder_of_another_stage_is_not_spoilt(
    tiny_model, shared_photographs, tmp_path, capsys
):
    """A manifest means complete: infer does not take a model's away."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    before = contents(model)
    assert run("infer", shared_photographs, model, "--model", model) == 1
    assert "is what train wrote" in one_line(capsys)
    assert contents(model) == before


def test_unknown_suffixes_are_counted_in_one_line(infer, photographs, capsys):
    """infer's output: files of unknown suffix are counted in one line."""
    for name in ("b/notes.txt", "b/scan.heic", "z.csv"):
        (photographs / name).write_text("")
    assert infer(photographs) == 0
    lines = capsys.readouterr().err.splitlines()
    (line,) = [x for x in lines if "unknown suffix" in x]
    assert "2 files of unknown suffix are left out, the first is b/notes.txt" in line
    assert [
        x for x in lines if "b/scan.heic is left out, as are all files that look like pictures" in x
    ]


def test_a_data_set_folder_takes_only_its_photographs(infer, phantom_set, tmp_path, capsys):
    """infer's output: in a data set folder only its photographs are taken."""
    assert infer(phantom_set("chase-flat")) == 0
    ids = [row.id for row in read_status(tmp_path / "maps" / "status.tsv")]
    assert ids == ["Image_01L", "Image_01R", "Image_02L", "Image_11L", "Image_11R"]
    assert "10 masks and fields of view" in capsys.readouterr().err


def test_a_single_file_gives_the_same_map_as_its_folder(infer, tiny_model, photographs, tmp_path):
    """IN may be one file."""
    assert infer(photographs) == 0
    assert run("infer", photographs / "b/c.jpg", tmp_path / "one", "--model", tiny_model) == 0
    assert set(contents(tmp_path / "one")) == {"c.png", *BOOKS}
    assert (tmp_path / "one/c.png").read_bytes() == (tmp_path / "maps/b/c.png").read_bytes()


def test_a_list_on_stdin(infer, photographs, tmp_path, stdin, monkeypatch):
    """On a list, relative paths are kept, absolute ones lose the /, a `..` is resolved."""
    monkeypatch.chdir(photographs)
    absolute = photographs / "b" / "c.jpg"
    stdin(f"a.png\n{absolute}\nb/../a.png\nmissing.png\n./a.png\nb\n".encode())
    assert infer("-") == 3
    rows = {row.id: row for row in read_status(tmp_path / "maps" / "status.tsv")}
    absolute_id = str(absolute.with_suffix("")).lstrip("/")
    assert [id for id, row in rows.items() if row.status == "ok"] == ["a", absolute_id]
    assert "No such file" in rows["missing"].reason
    assert "no regular file" in rows["b"].reason
    assert (tmp_path / "maps" / f"{absolute_id}.png").is_file()


def test_a_mask_of_ones_own_is_not_written_over_whatever_else_infer_wrote_there(
    tiny_model, tmp_path, stdin, monkeypatch, capsys
):
    """A file in OUT that infer did not write is not written over, file by file."""
    own = write_photographs(tmp_path / "in", "a.jpg", "b.jpg") / "b.png"
    own.write_bytes(b"a manual mask")
    monkeypatch.chdir(own.parent)
    words = ("infer", "-", ".", "--model", tiny_model)
    for names, code in ((b"a.jpg\nb.jpg\n", 3), (b"a.jpg\n", 0), (b"a.jpg\nb.jpg\n", 3)):
        stdin(names)
        assert run(*words) == code
        assert own.read_bytes() == b"a manual mask"
    assert capsys.readouterr().err.count("its map is there, and infer did not write it") == 2
    assert os.path.isfile("a.png") and os.path.isfile("manifest.json")


def test_each_task_of_a_job_array_looks_for_files_of_ones_own(infer, tmp_path, capsys):
    """Also where other tasks have begun."""
    write_photographs(tmp_path / "in", "a.png", "b.png", "c.png")
    words = (tmp_path / "in", "--num-shards", "3", "--shard")
    assert infer(*words, "0") == 0
    (tmp_path / "maps/b.png").write_bytes(b"a manual mask")
    assert infer(*words, "2") == 0
    assert infer(*words, "1") == 3
    assert "b.png: its map is there, and infer did not write it" in capsys.readouterr().err
    (tmp_path / "maps/b.png").unlink()
    assert infer(*words, "1") == 0
    assert infer(tmp_path / "in") == 0


def test_a_nul_separated_list_holds_any_name(tiny_model, tmp_path):
    """--null: NUL-separated; newlines and undecodable bytes in names."""
    names = ["one\ntwo.png", os.fsdecode(b"\xff.png")]
    write_photographs(tmp_path / "in", *names)
    given = "\0".join(str(tmp_path / "in" / name) for name in names)
    (tmp_path / "list").write_bytes(os.fsencode(given))
    words = ("infer", "-", tmp_path / "maps", "--null", "--model", tiny_model, "--quiet")
    with (tmp_path / "list").open("rb") as stdin:
        assert finished(*words, stdin=stdin) == (0, "", "")
    folder = tmp_path / "maps" / str(tmp_path / "in").lstrip("/")
    assert sorted(os.listdir(folder)) == sorted(names)


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_shards_give_the_same_maps_as_their_photographs(
    infer, tiny_model, prepared, phantom_set, tmp_path, format
):
    """IN may be shards, HDF5 or NPZ: the same maps and rows."""
    assert infer(prepared("--format", format), "--probability") == 0
    photographs = ("infer", phantom_set("chase-flat"), tmp_path / "direct")
    assert run(*photographs, "--model", tiny_model, "--probability") == 0
    assert contents(tmp_path / "maps") == contents(tmp_path / "direct")


def test_one_part_of_the_shards(infer, prepared, tmp_path):
    """infer SHARDS --split test."""
    assert infer(prepared(), "--split", "test") == 0
    ids = [row.id for row in read_status(tmp_path / "maps" / "status.tsv")]
    assert ids == ["Image_11L", "Image_11R"]


def test_shards_are_verified_without_being_done_anew(infer, prepared, tmp_path, capsys):
    """Resume: --verify hashes everything; what holds is kept."""
    shards = prepared()
    infer(shards)
    for path in shards.glob("*.h5"):
        os.utime(path, (1, 1))
    assert infer(shards, "--verify") == 0
    assert infer(shards) == 0
    assert capsys.readouterr().err.count("5 photographs, 5 of them finished before") == 2


def test_a_damaged_sample_costs_only_itself(infer, prepared, tmp_path, capsys):
    """Exit 3 where one sample of the shards is damaged; the message names shard and sample."""
    path = prepared("--format", "npz") / "Image_02L.npz"
    flip_byte(path, path.stat().st_size // 2)
    assert infer(path.parent) == 3
    assert f"fundusseg: {path}: Image_02L: " in capsys.readouterr().err
    rows = read_status(tmp_path / "maps" / "status.tsv")
    assert [row.id for row in rows if row.status == "failed"] == ["Image_02L"]


def test_shards_of_another_frame_are_refused(infer, phantom_set, tmp_path, capsys):
    """Exit 1: a mismatch of shards and model, before the first byte."""
    assert run("prep", phantom_set("chase-flat"), tmp_path / "shards") == 0
    assert infer(tmp_path / "shards") == 1
    assert "another frame" in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_shards_hold_no_photograph_to_draw_on(infer, prepared, capsys):
    """Exit 2: --overlay and --fov with shards."""
    assert infer(prepared(), "--overlay") == 2
    assert "--overlay" in one_line(capsys)


@pytest.fixture
def broken_model(tmp_path):
    """A model of its own that the test may break."""
    return write_tiny_model(tmp_path / "model")


def test_a_damaged_model_is_one_line_before_the_first_byte(
    broken_model, shared_photographs, tmp_path, capsys
):
    """Exit 1: corrupt weights; all inputs are checked before the first output byte."""
    weights = broken_model / "generator.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-500])
    assert run("infer", shared_photographs, tmp_path / "maps", "--model", broken_model) == 1
    assert "generator.weights.h5: is damaged" in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_a_model_of_a_newer_version_is_one_line(broken_model, shared_photographs, tmp_path, capsys):
    """Exit 1: a model of a newer version."""
    path = broken_model / "config.json"
    newer = {**json.loads(path.read_text()), "version": models.VERSION + 1}
    path.write_text(json.dumps(newer))
    assert run("infer", shared_photographs, tmp_path / "maps", "--model", broken_model) == 1
    assert "newer fundusseg" in one_line(capsys)


def test_an_unfinished_model_is_one_line(broken_model, shared_photographs, tmp_path, capsys):
    """Exit 1: a manifest's absence means that the training has not finished."""
    (broken_model / "manifest.json").unlink()
    assert run("infer", shared_photographs, tmp_path / "maps", "--model", broken_model) == 1
    assert "not finished" in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_a_folder_that_is_no_model_is_one_line(shared_photographs, tmp_path, capsys):
    """Exit 1: --model names something else."""
    words = ("infer", shared_photographs, tmp_path / "maps", "--model", shared_photographs)
    assert run(*words) == 1
    assert "is no model folder" in one_line(capsys)


def test_a_file_in_the_output_folders_place_is_one_line(
    infer, shared_photographs, tmp_path, capsys
):
    """Exit 1, before any long work, if the output folder cannot be written."""
    (tmp_path / "maps").write_text("")
    assert infer(shared_photographs) == 1
    assert "is no folder that can be written" in one_line(capsys)


@pytest.mark.usefixtures("no_network")
def test_a_full_disk_is_one_line_before_long_work(infer, shared_photographs, capsys):
    """Exit 1: disk full, seen before the network is loaded."""
    with small_disk(100):
        assert infer(shared_photographs) == 1
    assert "can be written (File too large)" in one_line(capsys)


def test_a_disk_that_fills_up_is_one_line_and_the_rest_is_made_later(
    infer, tiny_model, shared_photographs, tmp_path, capsys
):
    """Exit 1: disk full; no half file stands, and the same command goes on."""
    with small_disk(5000):
        assert infer(shared_photographs, "--probability") == 1
    assert "File too large" in one_line(capsys)
    assert not (tmp_path / "maps" / "manifest.json").exists()
    require_whole_files(tmp_path / "maps")
    assert infer(shared_photographs, "--probability") == 0
    words = ("--model", tiny_model, "--probability")
    assert run("infer", shared_photographs, tmp_path / "undisturbed", *words) == 0
    assert contents(tmp_path / "maps") == contents(tmp_path / "undisturbed")


def test_an_emptied_folder_whose_maps_stand_changes_nothing(infer, photographs, tmp_path, capsys):
    """As where a share is not mounted; a true inbox says so."""
    assert infer(photographs) == 0
    before = contents(tmp_path / "maps")
    photographs.rename(tmp_path / "share")
    photographs.mkdir()
    capsys.readouterr()
    assert infer(photographs) == 1
    assert "is empty, and" in (line := one_line(capsys))
    assert "holds 4 maps of photographs that were there; is it mounted?" in line
    assert contents(tmp_path / "maps") == before
    assert infer(photographs, "--allow-empty") == 0


def test_an_inbox_may_be_empty_from_the_first(infer, tmp_path):
    (tmp_path / "in").mkdir()
    assert infer(tmp_path / "in", "--allow-empty") == 0
    assert read_status(tmp_path / "maps/status.tsv") == []
