"""phantom: the same seed draws the same data set, in every layout that prep recognises."""

import json
import os
import signal
import subprocess

import pytest

from fundusseg.datasets.layouts import LAYOUT_NAMES, data_set
from fundusseg.errors import Stopped
from fundusseg.files.atomic import write_json
from tests.batch import contents, one_line, run, small_disk


@pytest.fixture
def phantoms(tmp_path):
    """Draw five small phantoms into tmp_path/set; the exit code."""
    words = ("--count", 5, "--size", 64, "--quiet")
    return lambda *more: run("phantom", tmp_path / "set", *words, *more)


@pytest.fixture
def drawn(phantoms, tmp_path):
    assert phantoms() == 0
    return tmp_path / "set"


def test_the_same_seed_draws_the_same_bytes(drawn, tmp_path):
    """Same bytes: whatever --jobs."""
    words = ("--count", 5, "--size", 64, "--quiet")
    for jobs in (1, 3):
        assert run("phantom", tmp_path / str(jobs), *words, "--jobs", jobs) == 0
        assert contents(tmp_path / str(jobs)) == contents(drawn)
    assert run("phantom", tmp_path / "other", *words, "--seed", 2) == 0
    one, other = contents(drawn), contents(tmp_path / "other")
    assert set(one) == set(other)
    assert all(one[name] != other[name] for name in one if "/images/" in name)


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_every_layout_is_recognised_with_all_its_masks(phantoms, tmp_path, layout):
    """phantom OUT --layout: a data set with exact truth, as prep reads it."""
    assert phantoms("--layout", layout) == 0
    found = data_set(tmp_path / "set")
    assert found.layout == layout
    assert len(found.entries) == 5 and all(entry.mask for entry in found.entries)
    assert run("check", tmp_path / "set") == 0


def test_truth_has_an_entry_for_every_photograph(drawn):
    """truth.json records every tree, by the id of its photograph."""
    truth = json.loads((drawn / "truth.json").read_text())
    assert set(truth) == {entry.id for entry in data_set(drawn).entries}


def test_a_finished_set_is_left_alone(drawn, phantoms, monkeypatch):
    """Resume: nothing left to do is exit 0, and nothing is drawn."""
    monkeypatch.setattr("fundusseg.commands.phantom.phantom", None)
    before = contents(drawn)
    assert phantoms() == 0
    assert contents(drawn) == before


def test_a_deleted_photograph_is_drawn_again(drawn, phantoms):
    """Resume: a finished output is kept if it is there."""
    before = contents(drawn)
    (drawn / "train" / "images" / "phantom-0002.png").unlink()
    assert phantoms() == 0
    assert contents(drawn) == before


@pytest.mark.parametrize("words", [("--seed", 3), ("--size", 80), ("--layout", "chase")])
def test_other_settings_are_refused_naming_force(drawn, phantoms, capsys, words):
    """Resume: a different config is exit 1 naming --force."""
    before = contents(drawn)
    assert phantoms(*words) == 1
    assert "--force" in capsys.readouterr().err
    assert contents(drawn) == before
    assert phantoms(*words, "--force") == 0


def test_stopped_it_goes_on_to_the_same_bytes(drawn, tmp_path, monkeypatch, capsys):
    """Exit 75 on SIGTERM; the same command ends with the same bytes."""
    from fundusseg.commands import phantom as stage

    words = ("phantom", tmp_path / "stopped", "--count", 5, "--size", 64, "--quiet", "--jobs", 1)
    with monkeypatch.context() as patch:
        advance = stage.ui.Reporter.advance

        def stopped(self, count=1):
            advance(self, count)
            if self.done == 2:
                signal.raise_signal(signal.SIGTERM)

        patch.setattr(stage.ui.Reporter, "advance", stopped)
        assert run(*words) == 75
    assert "SIGTERM" in capsys.readouterr().err
    assert not (tmp_path / "stopped" / "manifest.json").exists()
    assert run(*words) == 0
    assert contents(tmp_path / "stopped") == contents(drawn)


def test_dead_temporaries_are_swept_in_every_folder(drawn, phantoms):
    """Two at once: dead temporary files are swept."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = f".tmp-{os.uname().nodename}.{dead.pid}.0123abcd.png"
    for folder in (drawn, drawn / "test" / "masks"):
        (folder / name).write_bytes(b"half")
    assert phantoms("--force") == 0
    assert list(drawn.rglob(".tmp-*")) == []


def test_the_folder_of_another_stage_is_not_spoilt(drawn, tmp_path, capsys):
    """Manifest: its presence means that another stage is complete there."""
    assert run("prep", drawn, tmp_path / "shards", "--quiet") == 0
    assert run("phantom", tmp_path / "shards", "--force") == 1
    assert "is what prep wrote" in capsys.readouterr().err


def test_a_full_disk_is_one_line(phantoms, capsys):
    """Exit 1: disk full, before the first phantom."""
    with small_disk(100):
        assert phantoms() == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_real_photograph_is_not_written_over(phantoms, tmp_path, capsys):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/Image_01L.jpg").write_bytes(b"a real photograph")
    words = ("phantom", tmp_path / "own", "--layout", "chase", "--count", 4, "--size", 64)
    assert run(*words) == 1
    said = f"{tmp_path / 'own'}: holds pictures that phantom did not draw, such as Image_01L.jpg"
    assert said in one_line(capsys) and len(list((tmp_path / "own").iterdir())) == 1
    assert (tmp_path / "own/Image_01L.jpg").read_bytes() == b"a real photograph"
    assert run(*words, "--force") == 0


def test_phantoms_are_not_drawn_among_other_photographs(tmp_path, capsys):
    """Their names differ, so that none would be written over."""
    (tmp_path / "own/eyes").mkdir(parents=True)
    (tmp_path / "own/eyes/007.png").write_bytes(b"a real photograph")
    words = ("phantom", tmp_path / "own", "--count", 1, "--size", 64)
    assert run(*words) == 1
    assert "such as eyes/007.png; choose another output folder" in one_line(capsys)


def test_a_photograph_that_came_into_a_begun_set_is_not_written_over(drawn, phantoms, capsys):
    (drawn / "manifest.json").unlink()
    (drawn / "train/images/phantom-0001.png").write_bytes(b"a real photograph")
    assert phantoms() == 1
    assert "phantom-0001.png: is there, and phantom did not write it" in one_line(capsys)


def test_fewer_phantoms_leave_no_earlier_ones(drawn, phantoms, tmp_path):
    assert phantoms("--count", 4, "--force") == 0
    words = ("--count", 4, "--size", 64, "--quiet")
    assert run("phantom", tmp_path / "afresh", *words) == 0
    assert contents(drawn) == contents(tmp_path / "afresh")


def test_a_strangers_checksums_are_not_written_over(tmp_path, capsys):
    """Exit 1, naming the file; --force writes."""
    (tmp_path / "SHA256SUMS").write_text("mine")
    words = ("phantom", tmp_path, "--count", 1, "--size", 64, "--quiet")
    assert run(*words) == 1
    assert f"{tmp_path / 'SHA256SUMS'}: is there" in capsys.readouterr().err
    assert (tmp_path / "SHA256SUMS").read_text() == "mine"
    assert run(*words, "--force") == 0


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A set of five phantoms of which all are drawn, but for the table and the manifest."""
    from fundusseg.commands import phantom as stage

    def killed(path, values):
        if path.name == stage.TRUTH:
            raise Stopped("here")
        write_json(path, values)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_json", killed)
        assert run("phantom", tmp_path / "set", "--count", 5, "--size", 64, "--quiet") == 75
    return tmp_path / "set"


@pytest.mark.parametrize("words", [("--seed", 3), ("--size", 80), ("--count", 8)])
def test_a_folder_that_was_begun_belongs_to_its_settings(begun, phantoms, tmp_path, capsys, words):
    """Or the first call's test photographs would stay beside the same eyes that train now."""
    capsys.readouterr()
    before = contents(begun)
    assert phantoms(*words) == 1
    assert "holds phantoms drawn with other settings; choose" in capsys.readouterr().err
    assert contents(begun) == before
    assert phantoms(*words, "--force") == 0
    afresh = ("phantom", tmp_path / "afresh", "--count", 5, "--size", 64, "--quiet")
    assert run(*afresh, *words) == 0
    assert contents(begun) == contents(tmp_path / "afresh")


def test_a_strangers_file_outlives_what_was_begun_around_it(tmp_path):
    own = tmp_path / "own/Image_02R.jpg"
    own.parent.mkdir()
    own.write_bytes(b"a real photograph")
    words = ("phantom", tmp_path / "own", "--layout", "chase", "--size", 64, "--quiet")
    assert run(*words, "--count", 4) == 1
    assert run(*words, "--count", 2, "--force") == 0
    assert own.read_bytes() == b"a real photograph"
