"""infer: what has changed is made anew, other settings need --force, and nothing old stays."""

import os
import shutil

import numpy as np
import pytest

from fundusseg.files.status import read_status
from tests.batch import contents, photograph, run, write_tiny_model
from tests.commands.map_folders import IDS
from tests.phantom_sets import encoded


@pytest.fixture
def infer(infer, photographs):
    """Run infer over the photographs; its exit code."""
    return lambda *words: infer(photographs, *words)


def test_a_changed_photograph_is_done_anew(
    maps, infer, photographs, done_anew, tiny_model, tmp_path
):
    """Resume: a finished output is kept only if the input matches."""
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer() == 0
    assert done_anew == ["a"]
    assert run("infer", photographs, tmp_path / "afresh", "--model", tiny_model) == 0
    assert contents(maps) == contents(tmp_path / "afresh")


def test_a_photograph_that_went_bad_loses_its_map(maps, infer, photographs, tiny_model, tmp_path):
    """Resume ends with the same bytes as an undisturbed run: no map of what was there before."""
    (photographs / "a.png").write_text("no picture")
    assert infer() == 3
    assert not (maps / "a.png").exists()
    assert run("infer", photographs, tmp_path / "afresh", "--model", tiny_model) == 3
    assert contents(maps) == contents(tmp_path / "afresh")


def test_a_photograph_that_is_gone_for_a_while_keeps_its_map(
    maps, infer, photographs, tiny_model, tmp_path, done_anew
):
    """As where a disk is offline, or a list is read in another folder: failed rows, no loss."""
    before, listed = contents(maps), list(map(str, photographs.rglob("*.*")))
    photographs.rename(tmp_path / "offline")
    (photographs / "b").mkdir(parents=True)
    for path in listed:
        os.symlink(tmp_path / "gone", path)
    assert infer() == 3
    assert {name for name in before if name.endswith(".png")} <= set(contents(maps))
    shutil.rmtree(photographs)
    (tmp_path / "offline").rename(photographs)
    assert infer() == 0
    assert done_anew == sorted(done_anew) and contents(maps) == before


def test_a_photograph_that_is_gone_loses_the_map_of_another_model(
    maps, infer, photographs, tmp_path
):
    (photographs / "a.png").unlink()
    (photographs / "a.png").symlink_to(tmp_path / "gone")
    assert infer("--force", "--model", write_tiny_model(tmp_path / "other", seed=4)) == 3
    assert not (maps / "a.png").exists() and (maps / "b/d e.png").exists()


def test_a_map_of_another_photograph_of_its_name_is_told_of(maps, infer, photographs, capsys):
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer("--quiet") == 0
    said = "1 map is of another photograph of the same name, and made anew, as of a"
    assert said in capsys.readouterr().err


def test_a_photograph_of_another_time_is_hashed_once(maps, infer, photographs, monkeypatch):
    from fundusseg.commands.infer import inputs

    for path in photographs.rglob("*.*"):
        os.utime(path, ns=(1, 1))
    hashed = []
    whole = inputs.sha256_of
    monkeypatch.setattr(inputs, "sha256_of", lambda path: hashed.append(path) or whole(path))
    assert infer() == infer() == 0
    assert len(hashed) == len(set(hashed)) == len(IDS)


def test_a_folder_named_as_a_map_costs_one_of_the_two(infer, photographs, tmp_path):
    (photographs / "z.png").mkdir()
    for name in ("z.tif", "z.png/x.png"):
        (photographs / name).write_bytes(encoded(photograph(5), name))
    one_thread = ("--jobs", 1)  # of two, either may come first
    assert infer(*one_thread) == infer(*one_thread) == 3
    reasons = {row.id: row.reason for row in read_status(tmp_path / "maps/status.tsv")}
    assert {id for id, reason in reasons.items() if reason} == {"z.png/x"}
    assert "Not a directory" in reasons["z.png/x"]


def test_verify_sees_a_photograph_of_the_same_size_and_time(maps, infer, photographs, done_anew):
    """--verify hashes everything, inputs too."""
    path = photographs / "b" / "d e.tif"
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    infer()
    assert done_anew == []
    infer("--verify")
    assert done_anew == ["b/d e"]


def test_a_field_of_view_that_changed_redoes_its_photograph(
    tiny_model, photographs, tmp_path, done_anew
):
    """Resume: the given field of view is an input too; touched, its hash decides."""
    masks = tmp_path / "fovs"
    (masks / "b").mkdir(parents=True)
    for number, id in enumerate(IDS):
        disc = np.hypot(*np.mgrid[-48:48, -48:48]) < 30 + number
        (masks / f"{id}.png").write_bytes(encoded(disc, "x.png"))
    words = ("infer", photographs, tmp_path / "maps", "--model", tiny_model, "--fov", masks)
    assert run(*words) == 0
    done_anew.clear()
    os.utime(masks / "a.png", (1, 1))
    assert run(*words) == 0 and done_anew == []
    assert run(*words, "--verify") == 0 and done_anew == []
    (masks / "b" / "c.png").write_bytes((masks / "a.png").read_bytes())
    assert run(*words) == 0 and done_anew == ["b/c"]


@pytest.mark.parametrize("change", ["threshold", "tile", "fov", "model"])
def test_other_settings_are_refused_naming_force(
    maps, infer, photographs, tmp_path, capsys, change
):
    """Resume: a different model or config is exit 1 naming --force."""
    words = {"threshold": ["--threshold", "0.7"], "tile": ["--tile", "64"]}.get(change, [])
    if change == "model":
        words = ["--model", write_tiny_model(tmp_path / "other", seed=4)]
    if change == "fov":
        words = ["--fov", photographs]
    before = contents(maps)
    assert infer(*words) == 1
    assert "--force" in capsys.readouterr().err
    assert contents(maps) == before


def test_force_makes_everything_anew(maps, infer, done_anew, tmp_path, photographs):
    """--force: the same bytes as an undisturbed run with the new model."""
    model = write_tiny_model(tmp_path / "other", seed=4)
    assert infer("--model", model, "--force") == 0
    assert len(done_anew) == 4
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 0
    assert contents(maps) == contents(tmp_path / "afresh")


def test_force_leaves_nothing_of_the_model_before(maps, infer, tmp_path, photographs):
    """No probabilities of another model beside the maps, no map of what is no photograph now."""
    assert infer("--probability", "--overlay") == 0
    model = write_tiny_model(tmp_path / "other", seed=4)
    (photographs / "a.png").write_text("no picture")
    assert infer("--model", model, "--force") == 3
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 3
    assert contents(maps) == contents(tmp_path / "afresh")


def test_a_changed_photograph_keeps_no_probabilities_of_what_it_was(
    maps, infer, photographs, tiny_model, tmp_path
):
    assert infer("--probability") == 0
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer() == 0
    assert not (maps / "a.prob.png").exists()
    assert (maps / "b/c.prob.png").exists()


def test_a_changed_photograph_keeps_nothing_of_what_it_was_whichever_run_wrote_it(
    maps, infer, photographs, tiny_model, tmp_path
):
    """Each run's record names its own outputs only."""
    assert infer("--overlay") == 0
    assert infer("--probability") == 0
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer("--probability") == 0
    assert not (maps / "a.overlay.png").exists()
    assert (maps / "b/c.overlay.png").exists()
    (photographs / "b/c.jpg").write_text("no picture")
    assert infer("--probability") == 3
    assert not [path.name for path in (maps / "b").glob("c*")]


def test_a_photograph_that_is_back_keeps_what_was_made_of_it(maps, infer, photographs):
    """An output goes with the photograph that the record says it was made from."""
    before = (photographs / "a.png").read_bytes()
    assert infer("--overlay") == 0
    overlay = (maps / "a.overlay.png").read_bytes()
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer() == 0
    (maps / "a.overlay.png").write_bytes(overlay)  # as earlier versions left it
    (photographs / "a.png").write_bytes(before)
    assert infer("--probability") == 0
    assert (maps / "a.overlay.png").read_bytes() == overlay


def test_a_forced_run_that_was_killed_goes_on_without_force(maps, infer, tmp_path, photographs):
    """--force forgets what is finished, not what is ours."""
    from fundusseg.files.ledger import LedgerFiles

    assert infer("--probability") == 0
    (maps / "manifest.json").unlink()
    LedgerFiles(maps).forget((), "")
    model = write_tiny_model(tmp_path / "other", seed=4)
    assert infer("--model", model) == 0
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 0
    assert contents(maps) == contents(tmp_path / "afresh")
