"""docs/tools: what others' tools take, run by them where they are installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fundusseg.files.manifest import read_manifest
from tests.batch import run, write_photographs

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "docs/tools"


@pytest.fixture(scope="module")
def maps(tiny_model, tmp_path_factory) -> Path:
    """Maps of two photographs, and a failed one."""
    folder = tmp_path_factory.mktemp("tools")
    write_photographs(folder / "photographs", "a.png", "b/c.jpg")
    (folder / "photographs/torn.png").write_bytes(b"\x89PNG")
    assert run("infer", folder / "photographs", folder / "maps", "--model", tiny_model) == 3
    return folder / "maps"


def _printed(script: str, maps: Path) -> dict:
    words = [sys.executable, TOOLS / script, maps]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)


def _require(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def test_bids_is_told_which_program_and_model(maps):
    found, manifest = _printed("bids.py", maps), read_manifest(maps / "manifest.json")
    assert found["DatasetType"] == "derivative" and found["Name"] and found["BIDSVersion"]
    (program,) = found["GeneratedBy"]
    assert (
        program["Name"] == "fundusseg" and program["Version"] == manifest["packages"]["fundusseg"]
    )
    assert manifest["model_sha256"] in program["Description"]


def test_multiqc_has_a_row_for_each_photograph(maps):
    found = _printed("multiqc.py", maps)
    assert set(found["data"]) == {"a", "b/c", "torn"}
    assert found["data"]["torn"].keys() == {"status", "reason"}
    assert 0 < found["data"]["a"]["expected_dice"] < 1
    assert set(found["data"]["a"]) <= set(found["headers"])


def test_multiqc_takes_it(maps, tmp_path):
    _require("multiqc")
    (tmp_path / "fundusseg_mqc.json").write_text(json.dumps(_printed("multiqc.py", maps)))
    words = ["multiqc", tmp_path, "--outdir", tmp_path / "out", "--no-version-check"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/multiqc_report.html").read_text()
    assert "fundusseg_maps" in page and "expected Dice" in page


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("snakemake", ["--snakefile", TOOLS / "Snakefile", "--cores", "1"]),
        ("nextflow", ["run", TOOLS / "main.nf", "--photographs", "photographs/**.png"]),
    ],
)
def test_a_workflow_runs(tool, words, tmp_path):
    _require(tool)
    write_photographs(tmp_path / "photographs", "a.png", "c.png")
    path = f"{ROOT / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [tool, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "maps").glob("*.png")} == {"a.png", "c.png"}
    assert tool == "nextflow" or (tmp_path / "vessels.csv").read_text().count("\n") == 3
