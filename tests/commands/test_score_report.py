"""score's report is whole, says what it was made from, and is made again only if that changed."""

import csv
import dataclasses
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fundusseg.commands import score
from fundusseg.commands.score import ScoreOptions, run_score
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError
from fundusseg.evaluation.report import write_report
from fundusseg.evaluation.row_formats import summary_cells
from fundusseg.evaluation.study import open_study
from fundusseg.evaluation.summary import FIGURES, SystemRow
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import outputs_of, read_manifest, require_tables, write_manifest
from fundusseg.files.text import read_json
from fundusseg.metrics.intervals import Interval
from tests.commands.score_sets import guesses, write_maps


@pytest.fixture(scope="module")
def maps(root, tmp_path_factory):
    return write_maps(tmp_path_factory.mktemp("runs") / "maps", guesses(root))


def _report(maps, root, out, jobs=1):
    run_score([maps], root, ScoreOptions(split="all", out=out, jobs=jobs))
    return {path.name: path.read_bytes() for path in out.glob("[!.]*")}


def test_a_report_made_twice_is_the_same_bytes(capsys, root, maps, tmp_path):
    one = _report(maps, root, tmp_path / "one")
    assert set(one) == {
        "SHA256SUMS",
        "dice.png",
        "gallery-best.png",
        "gallery-worst.png",
        "manifest.json",
        "metrics.tsv",
        "precision-recall.png",
        "reliability.png",
        "report.html",
        "report.md",
        "roc.png",
        "summary.json",
        "table.md",
    }
    assert _report(maps, root, tmp_path / "two", jobs=2) == one
    assert _report(maps, root, tmp_path / "one") == one


def test_the_report_begins_with_the_protocol_and_ends_in_the_table(capsys, root, maps, tmp_path):
    text = _report(maps, root, tmp_path / "r")["report.md"].decode()
    table = capsys.readouterr().out
    assert text.endswith(table) and (tmp_path / "r/table.md").read_text() == table
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:2] == ["# maps against data set", "## Protocol"]
    assert headings[-2:] == ["## All figures", "## Figures"]
    for name in ("roc.png", "dice.png", "gallery-worst.png"):
        assert f"]({name})" in text
    page = (tmp_path / "r/report.html").read_text()
    sections = re.findall("<h2.*?>(.*?)</h2>", page)
    assert sections == ["Figures", *(title[3:] for title in headings[1:-1])]
    assert page.count("<img ") == text.count("![")


def test_the_counts_of_metrics_tsv_give_its_figures_back(capsys, root, maps, tmp_path):
    _report(maps, root, tmp_path / "r")
    with (tmp_path / "r/metrics.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 4 * 2  # the maps and the second observer
    for row in rows:
        tp, fp, fn = (int(row[name]) for name in ("tp", "fp", "fn"))
        assert float(row["dice"]) == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-6)
    assert rows[1]["role"] == "second observer" and rows[1]["auroc"] == ""
    assert {row["photograph_id"] for row in rows} == {row["id"] for row in rows}


def test_the_manifest_names_what_was_read_and_written(capsys, root, maps, tmp_path):
    out = tmp_path / "r"
    _report(maps, root, out)
    found = read_manifest(out / "manifest.json")
    assert dict(outputs_of(out))["report.md"] == sha256_of(out / "report.md")
    assert found["inputs"]["truth/test/masks/p3_OS.png"] == sha256_of(root / "test/masks/p3_OS.png")
    name = "test/images/p3_OS.prob.png"
    assert found["inputs"][f"maps/{name}"] == sha256_of(maps / name)
    assert read_json(out / "summary.json")["protocol"]["truth"].startswith(
        "data set (data set folder"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_finished_report_is_printed_again_not_made_again(
    capsys, monkeypatch, root, maps, tmp_path, as_json
):
    """Resume: finished outputs are kept; what changed is scored anew."""
    options = ScoreOptions(split="all", out=tmp_path / "out", jobs=1, json=as_json)
    copy = shutil.copytree(maps, tmp_path / "maps")
    write_manifest(copy, "infer", {}, {})
    assert run_score([copy], root, options) == EXIT_OK
    os.utime(copy / "manifest.json")  # infer writes it at every run
    first = capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(score, "evaluated", None)
        assert run_score([copy], root, options) == EXIT_OK
    assert capsys.readouterr().out == first
    next(path for path in sorted(copy.rglob("*.png"))).unlink()
    assert run_score([copy], root, options) == EXIT_SOME_FAILED
    assert capsys.readouterr().out != first
    assert run_score([copy], root, options) == EXIT_SOME_FAILED
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(score, "evaluated", None)
        run_score([copy], root, dataclasses.replace(options, force=True))


@pytest.mark.parametrize("name", ["roc.png", "report.md", "manifest.json"])
def test_a_report_that_lost_a_file_is_made_again(capsys, root, maps, tmp_path, name):
    whole = _report(maps, root, tmp_path / "r")
    (tmp_path / "r" / name).unlink()
    assert _report(maps, root, tmp_path / "r") == whole


def test_each_folder_is_walked_once(capsys, monkeypatch, phantom_set, tmp_path):
    source = phantom_set("chase-foldered")
    maps = write_maps(tmp_path / "maps", guesses(source))
    walked, walk = [], os.walk
    monkeypatch.setattr(os, "walk", lambda top, **more: walked.append(top) or walk(top, **more))
    for truth, layout in ((source / "masks", "auto"), (source, "auto"), (source, "chase")):
        out = tmp_path / layout / truth.name
        walked.clear()
        options = ScoreOptions(layout=layout, fov=source / "fov", out=out, jobs=1)
        run_score([maps], truth, options)
        assert walked == [maps, truth, source / "fov"]


def test_the_baseline_has_one_name_in_report_table_and_summary(capsys, root, maps, tmp_path):
    run_score([maps], root, ScoreOptions(split="test", baseline=True, out=tmp_path / "r", jobs=1))
    assert "| baseline (Sato's filter) |" in capsys.readouterr().out
    with (tmp_path / "r/metrics.tsv").open(newline="") as file:
        systems = [(row["of"], row["role"]) for row in csv.DictReader(file, delimiter="\t")]
    assert ("baseline (Sato's filter)", "baseline") in systems
    rows = read_json(tmp_path / "r/summary.json")["rows"]
    assert ("baseline (Sato's filter)", "baseline") in {(row["of"], row["role"]) for row in rows}


def test_the_protocol_says_how_many_subjects_and_which_interval(capsys, root, maps, tmp_path):
    report = _report(maps, root, tmp_path / "r")["report.md"].decode()
    assert "here 3, so a cluster-robust t interval. Percentile bootstrap, 10,000 draws" in report


def test_strata_of_fewer_than_three_subjects_have_no_interval(capsys, root, maps, tmp_path):
    (tmp_path / "g.tsv").write_text("id\tcamera\np3_OS\tA\n")
    options = ScoreOptions(split="all", groups=tmp_path / "g.tsv", out=tmp_path / "r", jobs=1)
    run_score([maps], root, options)
    text = (tmp_path / "r/report.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| camera   | A       | maps")]
    assert " to " not in row and "nan" not in text


def test_the_last_tables_have_a_row_for_each_system_and_each_difference(
    capsys, root, maps, tmp_path
):
    other = write_maps(tmp_path / "other", guesses(root))
    run_score([maps, other], root, ScoreOptions(split="all", jobs=1))
    region, systems, title, differences = capsys.readouterr().out.split("\n\n")
    assert [line.split("|")[1].strip() for line in systems.splitlines()[2:]] == [
        "maps",
        "other",
        "second observer",
    ]
    cells = [cell.strip() for cell in differences.splitlines()[2].split("|")[1:-1]]
    assert cells == ["other - maps", *["0.000 (0.000 to 0.000)"] * 7, "4 (3)"]


@pytest.mark.parametrize(
    ("low", "high", "cell"),
    [
        (0.79, 0.83, "0.811 (0.790 to 0.830)"),
        (0.5, 0.9, "0.81 (0.50 to 0.90)"),
        (0.8111, 0.8112, "0.8111 (0.8111 to 0.8112)"),
        (math.nan, math.nan, "0.811"),
    ],
)
def test_a_figure_is_rounded_to_what_its_interval_means(low, high, cell):
    dice = Interval(0.81114, low, high, 8, 4, 0)
    row = SystemRow("maps", "maps", {"dice": dice})
    assert summary_cells(row) == ("maps", cell, "8 (4)")


def test_empty_maps_are_said_to_be_empty(capsys, root, tmp_path):
    nothing = {id: np.zeros(map.shape, bool) for id, map in guesses(root).items()}
    maps = write_maps(tmp_path / "# maps", nothing)  # also where the name would be a heading
    run_score([maps], root, ScoreOptions(split="all", jobs=1, out=tmp_path / "out"))
    said = "\nMaps in # maps: every map is empty; a model of few steps has"
    assert said in capsys.readouterr().out
    assert "Maps in # maps: every map is empty" in (tmp_path / "out/report.html").read_text()


def test_the_names_of_the_summary_are_those_of_the_formats_page(capsys, root, maps, tmp_path):
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", page, re.MULTILINE))
    assert {figure.key: figure.title for figure in FIGURES}.items() <= table.items()
    _report(maps, root, tmp_path / "r")
    found = read_json(tmp_path / "r/summary.json")
    names = {*found, *found["rows"][0], *found["pooled_counts"]["maps"]}
    assert names <= set(re.findall(r"`(\w+)`", page))
    assert {row["figure"] for row in found["rows"]} == {figure.key for figure in FIGURES}
    assert {row["role"] for row in found["rows"]} <= set(re.findall(r"`([\w ]+)`", page))


def test_two_runs_of_other_settings_do_not_share_a_report(root, maps, tmp_path, monkeypatch):
    out = tmp_path / "r"

    def written_beside_others(*given):
        monkeypatch.setattr(score, "write_report", write_report)
        with pytest.raises(InputError, match="is in use by a run with other inputs or settings"):
            run_score([maps], root, ScoreOptions(split="all", out=out, seed=2, force=True))
        return write_report(*given)

    monkeypatch.setattr(score, "write_report", written_beside_others)
    _report(maps, root, out)
    manifest = read_manifest(out / "manifest.json")
    require_tables(out, manifest)


def test_what_another_run_finished_meanwhile_is_not_written_over(root, maps, tmp_path, monkeypatch):
    out = tmp_path / "r"

    def opened_while_another_finishes(*given):
        monkeypatch.setattr(score, "open_study", open_study)
        run_score([maps], root, ScoreOptions(split="all", out=out, seed=2))
        return open_study(*given)

    monkeypatch.setattr(score, "open_study", opened_while_another_finishes)
    with pytest.raises(InputError, match="holds a report of other maps"):
        _report(maps, root, out)
