"""A fingerprint changes with whatever changes a figure; a report is stored while it is whole."""

import dataclasses
import os

import numpy as np
import pytest

from fundusseg.datasets.folders import walk
from fundusseg.errors import InputError
from fundusseg.evaluation.cache import (
    begin_report,
    fingerprint,
    require_own_ledger,
    store,
    stored_exit_code,
)
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import LedgerFiles
from fundusseg.options import ScoreOptions
from tests.commands.score_sets import write_maps

MAP = np.ones((8, 8), bool)
WITHOUT_INFLUENCE = ("out", "json", "jobs", "force")
PATHS = ("fov", "groups", "subjects")


@pytest.fixture
def folders(tmp_path):
    return [write_maps(tmp_path / name, {"a": MAP, "b": MAP}) for name in ("maps", "masks")]


def _fingerprint(folders, **options):
    paths = {folder: walk(folder) for folder in folders}
    return fingerprint(folders[:1], folders[1], ScoreOptions(**options), paths)


def test_options_that_change_no_figure_change_no_fingerprint(folders, tmp_path):
    same = {"out": tmp_path / "out", "json": True, "jobs": 3, "force": True}
    assert _fingerprint(folders, **same) == _fingerprint(folders)


@pytest.mark.parametrize(
    "option",
    [
        field.name
        for field in dataclasses.fields(ScoreOptions)
        if field.name not in (*WITHOUT_INFLUENCE, *PATHS)
    ],
)
def test_every_other_option_changes_it(folders, option):
    assert _fingerprint(folders, **{option: "another"}) != _fingerprint(folders)


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_that_changed_or_went_changes_it(folders, number):
    before = _fingerprint(folders)
    file = folders[number] / "a.png"
    os.utime(file, ns=(1, 1))
    touched = _fingerprint(folders)
    file.unlink()
    assert len({before, touched, _fingerprint(folders)}) == 3


def test_a_report_is_stored_while_all_its_files_are_whole(tmp_path):
    (tmp_path / "report.md").write_text("one")
    assert stored_exit_code(tmp_path, "f") is None
    store(tmp_path, "f", {"report.md": sha256_of(tmp_path / "report.md")}, 3, "s")
    assert stored_exit_code(tmp_path, "f") == 3
    assert stored_exit_code(tmp_path, "other") is None
    (tmp_path / "report.md").write_text("two")
    assert stored_exit_code(tmp_path, "f") is None
    require_own_ledger(tmp_path)


def test_files_of_one_size_and_time_that_were_swapped_change_it(folders):
    first, second = sorted(folders[0].rglob("*.png"))[:2]
    data = max(first.read_bytes(), second.read_bytes(), key=len)
    for path in (first, second):
        path.write_bytes(data)
        os.utime(path, (0, 0))
    before = _fingerprint(folders)
    third = first.with_name("third")
    for old, new in ((first, third), (second, first), (third, second)):
        os.rename(old, new)
    assert _fingerprint(folders) != before


def test_pictures_of_an_earlier_report_go(tmp_path):
    for name in ("report.md", "old.png", "stranger.png"):
        (tmp_path / name).write_text(name)
    store(tmp_path, "f", {"report.md": "", "old.png": ""}, 0, "s")
    begin_report(tmp_path, ["report.md", "new.png"])
    assert sorted(path.name for path in tmp_path.glob("*.[mp]*")) == ["report.md", "stranger.png"]


@pytest.mark.parametrize("code", [None, "0", [0]])
def test_a_record_without_an_exit_code_is_none(tmp_path, code):
    store(tmp_path, "f", {}, code, "s")
    assert stored_exit_code(tmp_path, "f") is None


def test_a_folder_in_which_another_stage_has_begun_is_refused(tmp_path):
    ledger = LedgerFiles(tmp_path)
    ledger.begin()
    ledger.append("images/a", "c", outputs={})
    with pytest.raises(InputError, match="another stage is at work"):
        require_own_ledger(tmp_path)
