"""DICOM photographs go the way of all others, and nobody's name goes with them."""

import csv
import sys

import pytest

from fundusseg.files.status import read_status
from tests.batch import contents, photograph, run
from tests.files.dicom_files import NAME, dicom_file

PIXEL_UM = 125.0  # of a phantom of 96 pixels, some 12 mm wide


@pytest.fixture
def exported(tmp_path):
    """Two photographs; a camera states a size of pixels, which in the second cannot be."""
    folder = tmp_path / "exported"
    folder.mkdir()
    for name, spacing_mm in (("1", PIXEL_UM / 1000), ("2", 40)):
        dicom_file(folder / f"{name}.dcm", photograph(1), PixelSpacing=[f"{spacing_mm:.6g}"] * 2)
    (folder / "torn.dcm").write_bytes((folder / "1.dcm").read_bytes()[:900])
    return folder


def test_maps_measures_and_no_name(infer, exported, tmp_path, capsys):
    given = ("--overlay", "--contact-sheet", tmp_path / "sheet.html", "--verbose")
    assert infer(exported, *given, "--log-file", tmp_path / "log") == 3
    rows = {row.id: row for row in read_status(tmp_path / "maps/status.tsv")}
    assert [rows[id].pixel_um for id in ("1", "2", "torn")] == ["125", "40000", ""]
    assert run("measure", tmp_path / "maps", tmp_path / "vessels.csv") == 3
    assert _pixel_sizes(tmp_path / "vessels.csv") == ["125", "", ""]
    assert run("measure", tmp_path / "maps", tmp_path / "own.csv", "--pixel-um", 100) == 3
    assert _pixel_sizes(tmp_path / "own.csv") == ["100", "100", ""]
    told = capsys.readouterr()
    written = [told.out.encode(), told.err.encode(), (tmp_path / "log").read_bytes()]
    for folder in (tmp_path / "maps", tmp_path / "maps/.fundusseg", tmp_path):
        written += [data for name, data in contents(folder).items() if "exported" not in name]
    assert len(written) > 10
    for part in NAME.split("^"):
        assert not any(part.encode() in data for data in written)


def _pixel_sizes(table):
    with table.open(newline="") as file:
        return [row["pixel_um"] for row in csv.DictReader(file)]


def test_without_pydicom_each_is_a_row_that_says_what_to_install(
    infer, exported, tmp_path, monkeypatch
):
    (exported / "torn.dcm").unlink()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pydicom", None)
        assert infer(exported) == 3
    rows = read_status(tmp_path / "maps/status.tsv")
    assert {row.reason for row in rows} == {
        "is a DICOM file, which takes pydicom; pip install 'fundusseg[dicom]'"
    }
    assert infer(exported) == 0
