"""infer: a given field of view is taken, recorded, and missed where it is missing."""

import shutil

import numpy as np
import pytest

from fundusseg.commands.infer.output_folder import OutputFolder
from tests.batch import one_line
from tests.commands.map_folders import picture, rows
from tests.phantom_sets import encoded


@pytest.fixture
def fovs(tmp_path):
    """A folder with a field of view for every photograph, smaller than the true one."""
    rows_px, columns_px = np.ogrid[:96, :96]
    disc = (rows_px - 47.5) ** 2 + (columns_px - 47.5) ** 2 < 30**2
    for name in ("a_mask.png", "b/c.gif", "d e_fov.tif", "é.png"):
        path = tmp_path / "fovs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(disc, name))
    return tmp_path / "fovs", disc


def test_a_given_field_of_view_is_taken_and_recorded(infer, shared_photographs, tmp_path, fovs):
    """infer's output: --fov DIR overrides; fov_method in status.tsv says so."""
    folder, disc = fovs
    assert infer(shared_photographs, "--fov", folder) == 0
    for id, row in rows(tmp_path / "maps").items():
        assert (row.fov_method, row.fov_diameter_px) == ("given", "60.0")
        vessels = picture(tmp_path / "maps" / f"{id}.png") > 0
        assert not vessels[:16].any() and vessels[disc].any()


def test_a_missing_field_of_view_is_a_failed_row(infer, shared_photographs, tmp_path, fovs):
    """status.tsv: one row for every input, also where its given field of view is missing."""
    (fovs[0] / "d e_fov.tif").unlink()
    assert infer(shared_photographs, "--fov", fovs[0]) == 3
    row = rows(tmp_path / "maps")["b/d e"]
    assert row.status == "failed" and "no field of view for b/d e" in row.reason


def test_another_folder_is_one_error_before_any_work(infer, shared_photographs, tmp_path, capsys):
    """Not a failed row for each photograph."""
    (tmp_path / "empty").mkdir()
    assert infer(shared_photographs, "--fov", tmp_path / "empty") == 1
    assert "holds no field-of-view mask" in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_a_field_of_view_is_found_by_its_stem_with_kept_suffixes_too(
    infer, shared_photographs, tmp_path, fovs
):
    """--fov goes with --keep-suffix."""
    assert infer(shared_photographs, "--fov", fovs[0], "--keep-suffix") == 0
    assert rows(tmp_path / "maps")["b/c.jpg"].fov_method == "given"


def test_another_folder_at_the_same_time_is_refused(
    infer, shared_photographs, tmp_path, fovs, monkeypatch, capsys
):
    """Maps and rows of the two would mix."""
    other = shutil.copytree(fovs[0], tmp_path / "others")
    whole, codes = OutputFolder.conclude, []

    def conclude(self, *arguments, **more):
        monkeypatch.setattr(OutputFolder, "conclude", whole)
        codes.append(infer(shared_photographs, "--fov", other))
        whole(self, *arguments, **more)

    monkeypatch.setattr(OutputFolder, "conclude", conclude)
    assert infer(shared_photographs, "--fov", fovs[0]) == 0
    assert codes == [1]
    assert "is in use by a run with other inputs or settings" in one_line(capsys)
