"""merge: the parts of a job array become the whole, or it says which part is missing."""

import json
import os
import shutil

import pytest

from fundusseg.files.manifest import write_manifest
from tests.batch import contents, run, write_photographs, write_sealed


@pytest.fixture(scope="module")
def made_parts(tiny_model, shared_photographs, tmp_path_factory):
    """An output folder of three parts, not yet merged; not to be changed."""
    out = tmp_path_factory.mktemp("parts") / "maps"
    for part in range(3):
        words = ("--model", tiny_model, "--shard", part, "--num-shards", "3")
        assert run("infer", shared_photographs, out, *words) == 0
    return out


@pytest.fixture
def parts(made_parts, tmp_path):
    """A copy of the three parts that the test may change."""
    return shutil.copytree(made_parts, tmp_path / "maps")


def test_merging_twice_gives_the_same_bytes(parts):
    """merge writes one status.tsv and manifest.json, however often it is run."""
    assert run("merge", parts) == 0
    before = contents(parts)
    assert run("merge", parts) == 0
    assert contents(parts) == before
    assert run("check", parts) == 0


@pytest.mark.parametrize("name", ["manifest-1-of-3.json", "status-2-of-3.tsv"])
def test_a_missing_part_is_named(parts, capsys, name):
    """merge: exit 1 with the list if a part is missing."""
    (parts / name).unlink()
    assert run("merge", parts) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line and "of 3 parts" in line
    assert not (parts / "manifest.json").exists() and not (parts / "status.tsv").exists()


def test_all_missing_parts_are_listed(parts, capsys):
    for part in (0, 2):
        (parts / f"manifest-{part}-of-3.json").unlink()
    assert run("merge", parts) == 1
    error = capsys.readouterr().err
    assert "manifest-0-of-3.json, manifest-2-of-3.json missing" in error


def test_a_folder_without_parts_is_exit_1(tmp_path, capsys):
    """Exit 1: an empty folder."""
    assert run("merge", tmp_path) == 1
    assert "holds no parts" in capsys.readouterr().err


def test_a_missing_folder_is_exit_2(tmp_path, capsys):
    """Exit 2: a missing path."""
    assert run("merge", tmp_path / "missing") == 2
    assert "missing" in capsys.readouterr().err


def test_parts_of_two_models_do_not_merge(parts, capsys):
    """Exit 1: mismatched manifests."""
    path = parts / "manifest-1-of-3.json"
    write_sealed(path, {**json.loads(path.read_text()), "model_sha256": "0" * 64})
    assert run("merge", parts) == 1
    assert "manifest-1-of-3.json: was made with other settings" in capsys.readouterr().err


def test_parts_of_two_formats_do_not_merge(parts, shared_photographs, tiny_model, capsys):
    """Half of the maps would be images, half arrays, without a word."""
    words = ("--model", tiny_model, "--shard", 1, "--num-shards", 3, "--format", "npz")
    assert run("infer", shared_photographs, parts, *words) == 0
    assert run("merge", parts) == 1
    assert "manifest-1-of-3.json: was made with other settings" in capsys.readouterr().err


def test_parts_that_saw_other_inputs_do_not_merge(parts, photographs, tiny_model, capsys):
    """No image is lost without a word: a photograph that came in between shifts the parts."""
    write_photographs(photographs, "aa.png")
    words = ("--model", tiny_model, "--shard", "1", "--num-shards", "3")
    assert run("infer", photographs, parts, *words) == 0
    assert run("merge", parts) == 1
    assert "on the same inputs" in capsys.readouterr().err


def test_parts_of_prep_that_saw_another_set_do_not_merge(own_set, tmp_path, capsys):
    """No photograph twice and none lost: run again, the parts are those of the set as it is."""
    src, out = own_set("pairs-flat"), tmp_path / "parts"
    words = ("--preset", "pix2pix", "--num-shards", 2, "--quiet", "--shard")
    assert run("prep", src, out, *words, 0) == 0
    shutil.copyfile(src / "images/p2_OD.png", src / "images/a.png")
    shutil.copyfile(src / "masks/p2_OD_manual1.png", src / "masks/a.png")
    assert run("prep", src, out, *words, 1) == 0
    assert run("merge", out) == 1
    error = capsys.readouterr().err
    assert "manifest-1-of-2.json: was made with other settings, inputs" in error
    assert "run all parts with the same command on the same inputs" in error
    assert run("prep", src, out, *words, 0) == 0
    assert run("merge", out) == 0
    assert run("check", out) == 0


def test_a_damaged_part_is_one_line(parts, capsys):
    """Exit 1: a corrupt manifest or status table."""
    path = parts / "manifest-1-of-3.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert run("merge", parts) == 1
    path = parts / "status-0-of-3.tsv"
    path.write_bytes(path.read_bytes()[:-1])
    assert run("merge", parts) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_a_folder_split_anew_needs_all_its_new_parts(parts, photographs, tiny_model, capsys):
    """Older parts never stand in for those of a later number, with or without work to do."""
    write_photographs(photographs, "f.png")
    words = ("--model", tiny_model, "--num-shards", "2", "--quiet", "--shard")
    assert run("infer", photographs, parts, *words, 0) == 0
    assert not list(parts.glob("[!.]*-of-3.*"))
    assert run("merge", parts) == 1
    missing = "manifest-1-of-2.json, status-1-of-2.tsv, SHA256SUMS-1-of-2 missing of 2"
    assert missing in capsys.readouterr().err
    assert run("infer", photographs, parts, *words, 1) == 0
    assert run("merge", parts) == 0
    assert json.loads((parts / "manifest.json").read_text())["counts"]["photographs"] == 5


def test_after_a_run_without_parts_there_are_none_to_merge(parts, photographs, tiny_model, capsys):
    """The older parts would take the place of the later run's manifest."""
    write_photographs(photographs, "f.png")
    assert run("infer", photographs, parts, "--model", tiny_model, "--quiet") == 0
    before = contents(parts)
    assert run("merge", parts) == 0
    assert "is whole, and has no parts to merge" in capsys.readouterr().err
    assert contents(parts) == before


def test_a_task_with_nothing_to_do_removes_older_parts(parts, shared_photographs, tiny_model):
    words = ("--model", tiny_model, "--shard", "0", "--num-shards", "2")
    assert run("infer", shared_photographs, parts, *words) == 0
    left = {path.name for path in parts.glob("[!.]*-of-*")}
    assert left == {"manifest-0-of-2.json", "status-0-of-2.tsv", "SHA256SUMS-0-of-2"}


def test_parts_of_two_numbers_are_refused(parts, capsys):
    """Which are the older ones, names do not tell; not even if those of one number are complete."""
    shutil.copyfile(parts / "manifest-0-of-3.json", parts / "manifest-0-of-2.json")
    assert run("merge", parts) == 1
    error = capsys.readouterr().err
    assert "holds parts of 2 and of 3; run those that count again, or remove" in error
    assert not (parts / "manifest.json").exists()


def test_parts_of_prep_merge_to_what_one_run_writes(phantom_set, tmp_path):
    """Shards: prep in three parts gives the same bytes as one run."""
    src = phantom_set("chase-flat")
    assert run("prep", src, tmp_path / "one", "--num-shards", "3") == 0
    for part in (1, 2, 0):
        words = ("--shard", part, "--num-shards", "3")
        assert run("prep", src, tmp_path / "parts", *words) == 0
    assert run("merge", tmp_path / "parts") == 0
    merged = {
        n: data
        for n, data in contents(tmp_path / "parts").items()
        if not n.startswith(("manifest-", "SHA256SUMS-"))
    }
    assert merged == contents(tmp_path / "one")
    assert run("check", tmp_path / "parts") == 0


def test_an_array_of_one_task_is_whole_already(tmp_path, capsys):
    """Exit 0, and 3 where photographs failed."""
    for failed, code in ((0, 0), (1, 3)):
        write_manifest(tmp_path, "infer", {}, {}, counts={"photographs": 2, "failed": failed})
        assert run("merge", tmp_path) == code
        assert "is whole, and has no parts to merge" in capsys.readouterr().err


def test_merge_sweeps_what_a_killed_one_left(parts):
    dead = parts / ".tmp-host.1.00000000.json"
    dead.touch()
    os.utime(dead, (0, 0))
    assert run("merge", parts) == 0
    assert not dead.exists()
