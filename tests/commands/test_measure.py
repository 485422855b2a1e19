"""measure: a row for each map, whatever becomes of it; kept, parted and merged."""

import csv
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fundusseg.files.encoders import map_png
from fundusseg.files.row_table import HASHES
from fundusseg.files.status import (
    FAILED,
    OK,
    StatusRow,
    read_status,
    status_line,
    write_lines,
)
from fundusseg.morphometry import definitions
from tests.batch import one_line, run
from tests.commands.score_sets import write_maps
from tests.morphometry.drawn import bar

SHAPE = (120, 160)
DOCS = Path(__file__).parents[2] / "docs" / "measures.md"


@pytest.fixture
def maps(tmp_path) -> Path:
    """What infer writes of four photographs: one with probabilities, one empty, one failed."""
    folder = write_maps(
        tmp_path / "maps",
        {
            "b": bar(80, 5, 0.3, SHAPE),
            "a/soft": np.where(bar(80, 5, 0.3, SHAPE), 0.9, 0.1),
            "empty": np.zeros(SHAPE, bool),
        },
    )
    field = {"fov_y_px": "60.0", "fov_x_px": "80.0", "fov_diameter_px": "150.0"}
    rows = [
        StatusRow("a/soft", OK, **field, fov_method="circle", expected_dice="0.8100"),
        StatusRow("b", OK, **field, fov_method="hull", expected_dice="0.6000"),
        StatusRow("damaged, \n", FAILED, "cannot be decoded"),
        StatusRow("empty", OK, **field, fov_method="circle"),
    ]
    write_lines(folder / "status.tsv", map(status_line, rows))
    return folder


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_every_map_has_a_row_whatever_became_of_it(maps, tmp_path):
    assert run("measure", maps, tmp_path / "out.csv", "--min-confidence", "0.7") == 3
    found = rows(tmp_path / "out.csv")
    assert list(found) == ["a/soft", "b", "damaged, \\n", "empty"]
    assert found["b"].keys() == {*definitions.COLUMNS, *HASHES}
    soft, hard, failed, empty = found.values()
    assert (soft["status"], failed["status"], empty["status"]) == ("ok", "failed", "ok")
    assert "cannot be decoded" in failed["reason"] and failed["width_mean_px"] == ""
    assert [soft["confidence"], hard["confidence"], empty["confidence"]] == ["ok", "low", ""]
    assert (hard["fov_source"], hard["fov_method"]) == ("status.tsv", "hull")
    assert float(hard["width_mean_px"]) == pytest.approx(5, abs=0.4)
    assert float(hard["width_mean_fov"]) == pytest.approx(float(hard["width_mean_px"]) / 150, 1e-3)
    assert float(hard["length_density_per_fov"]) == pytest.approx(
        80 * 150 / (np.pi * 75**2 - 2 * 1062), rel=0.05
    )  # the frame cuts the circle above and below
    assert "probabilities" in hard["unmeasured"] and "probabilities" not in soft["unmeasured"]
    assert float(soft["half_height_width_mean_px"]) == pytest.approx(5, abs=0.4)
    assert (empty["area_density_ratio"], empty["width_mean_px"]) == ("0", "")
    assert "a centreline" in empty["unmeasured"] and hard["resolution"] == "low"


def test_pixel_sizes_are_one_for_all_or_a_table_and_must_be_possible(maps, tmp_path, capsys):
    out, sizes = tmp_path / "out.csv", tmp_path / "sizes.tsv"
    run("measure", maps, out, "--pixel-um", "60")
    row = rows(out)["b"]
    assert float(row["width_mean_um"]) == pytest.approx(60 * float(row["width_mean_px"]), 1e-4)
    sizes.write_text("id\tpixel_um\nb\t40\n")
    run("measure", maps, out, "--pixel-um", sizes)
    assert rows(out)["b"]["pixel_um"] == "40" and rows(out)["a/soft"]["pixel_um"] == ""
    assert "sizes.tsv: has no row for" in capsys.readouterr().err
    sizes.write_text("id\tpixel_um\nb.png\t40\n")
    assert run("measure", maps, out, "--pixel-um", sizes) == 1
    assert run("measure", maps, out, "--pixel-um", "0.06") == 3
    assert "0.009 mm" in rows(out)["b"]["reason"]
    capsys.readouterr()
    assert run("measure", maps, out, "--pixel-um", "six") == 2
    assert "neither a number above 0 nor a file" in one_line(capsys)


def test_a_field_of_view_is_given_or_else_the_whole_frame(maps, tmp_path):
    (maps / "status.tsv").unlink()
    out = tmp_path / "out.csv"
    assert run("measure", maps, out) == 0
    assert {row["fov_source"] for row in rows(out).values()} == {"none"}
    left = np.zeros(SHAPE, bool)
    left[:, :80] = True
    for id in ("b", "empty", "a/soft"):
        path = tmp_path / "fov" / f"{id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(map_png(left))
    whole = float(rows(out)["b"]["centreline_length_px"])
    (tmp_path / "empty").mkdir()
    assert run("measure", maps, out, "--fov", tmp_path / "empty") == 1
    assert run("measure", maps, out, "--fov", tmp_path / "fov") == 0
    row = rows(out)["b"]
    assert (row["fov_source"], row["fov_diameter_px"]) == ("--fov", "120.0")
    assert float(row["centreline_length_px"]) == pytest.approx(whole / 2, rel=0.05)


@pytest.fixture
def measured_anew(monkeypatch) -> list[int]:
    """How many maps were measured, one entry each."""
    from fundusseg.commands.measure import rows

    seen: list[int] = []
    whole = rows.map_measures
    monkeypatch.setattr(rows, "map_measures", lambda *given: (seen.append(1), whole(*given))[1])
    return seen


def test_rows_are_kept_while_what_they_follow_from_is_as_it_was(maps, tmp_path, measured_anew):
    out, segments = tmp_path / "out.csv", tmp_path / "segments.csv"
    words = ("measure", maps, out, "--segments", segments)
    assert run(*words) == 3
    first, of_segments = out.read_bytes(), segments.read_bytes()
    assert len(measured_anew) == 3
    segments.unlink()
    assert run(*words) == 3
    assert (out.read_bytes(), segments.read_bytes()) == (first, of_segments)
    del measured_anew[:]
    (maps / "b.png").write_bytes(map_png(bar(60, 5, 0.3, SHAPE)))
    assert run(*words) == 3
    assert len(measured_anew) == 1
    kept, anew = rows(out)["a/soft"], rows(out)["b"]
    assert float(kept["centreline_length_px"]) == pytest.approx(80, rel=0.02)
    assert float(anew["centreline_length_px"]) == pytest.approx(60, rel=0.03)
    assert [row.split(",")[0] for row in segments.read_text().splitlines()[1:]] == ["a/soft", "b"]


def test_parts_merged_are_the_bytes_of_one_run(maps, tmp_path, capsys):
    whole, parted = tmp_path / "whole.csv", tmp_path / "parted.csv"
    run("measure", maps, whole)
    for part in range(3):
        run("measure", maps, parted, "--shard", part, "--num-shards", 3)
    assert run("merge", parted) == 3
    assert parted.read_bytes() == whole.read_bytes()
    (tmp_path / "parted-1-of-3.csv").unlink()
    capsys.readouterr()
    assert run("merge", parted) == 1
    assert "parted-1-of-3.csv missing" in one_line(capsys)


def test_an_array_of_one_is_whole_and_merge_says_so(maps, tmp_path, capsys):
    out = tmp_path / "one.csv"
    assert run("measure", maps, out, "--shard", 0, "--num-shards", 1) == 3
    before = out.read_bytes()
    assert run("merge", out) == 3
    assert "4 rows, 1 failed" in capsys.readouterr().err
    assert out.read_bytes() == before
    other = tmp_path / "other.csv"
    other.write_text("a,b\n")
    assert run("merge", other) == 1
    assert "has no parts" in one_line(capsys)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda data: data[:-9], "line 5 has been changed, or is damaged"),
        (lambda data: data.replace(b"b,ok", b"b\nok", 1), "line 3 has been changed, or is damaged"),
        (lambda data: data + data.splitlines(True)[-1], "line 6 is a second row of empty"),
        (lambda data: b"x" * 9, "is no table that measure wrote"),
    ],
)
def test_check_names_what_is_wrong_with_a_table(maps, tmp_path, capsys, change, fault):
    out, segments = tmp_path / "out.csv", tmp_path / "segments.csv"
    run("measure", maps, out, "--segments", segments)
    capsys.readouterr()
    assert run("check", out, segments) == 0
    streams = capsys.readouterr()
    assert streams.out == "" and "out.csv: whole: 4 rows, 1 failed" in streams.err
    out.write_bytes(change(out.read_bytes()))
    assert run("check", out) == 1
    assert fault in capsys.readouterr().out


def test_what_a_killed_one_left_is_swept(maps, tmp_path):
    dead = tmp_path / ".tmp-host.1.00000000.csv"
    dead.touch()
    os.utime(dead, (0, 0))
    run("measure", maps, tmp_path / "out.csv")
    assert not dead.exists()


def test_check_of_a_table_that_a_kill_cut_short(maps, tmp_path, capsys):
    out = tmp_path / "out.csv"
    run("measure", maps, out)
    (tmp_path / ".out.csv.rows").write_text("")
    assert run("check", out) == 1
    assert "is not finished" in capsys.readouterr().out


def test_what_infer_says_of_its_maps_stands_in_the_table_and_marks_what_it_doubts(maps, tmp_path):
    table = read_status(maps / "status.tsv")
    told = {"mean_entropy_bits": "0.1", "evenness_ratio": "0.5", "reason": "is blurred"}
    told_of_soft = [replace(row, **told) if row.id == "a/soft" else row for row in table]
    write_lines(maps / "status.tsv", map(status_line, told_of_soft))
    assert run("measure", maps, tmp_path / "out.csv", "--min-confidence", "0.7") == 3
    row = rows(tmp_path / "out.csv")["a/soft"]
    assert {name: row[name] for name in told} == told
    assert (row["status"], row["confidence"]) == ("ok", "low")


def test_the_measures_of_other_maps_are_not_written_over(maps, tmp_path, capsys):
    out = tmp_path / "out.csv"
    run("measure", maps, out)
    others = write_maps(tmp_path / "others", {"z": bar(80, 5, 0.3, SHAPE)})
    before = out.read_bytes()
    capsys.readouterr()
    assert run("measure", others, out) == 1
    assert "holds the measures of other maps" in one_line(capsys)
    assert out.read_bytes() == before
    assert run("measure", others, out, "--force") == 0
    assert list(rows(out)) == ["z"]


def test_patterns_choose_maps_by_id_and_right_rows_of_others_stay(
    maps, tmp_path, measured_anew, capsys
):
    """A narrower run after a wider one: the failed row stays too, a changed map's goes."""
    out, segments, fresh = (tmp_path / name for name in ("out.csv", "segments.csv", "fresh.csv"))
    assert run("measure", maps, fresh, "--include", "b", "--include", "a/*") == 0
    assert list(rows(fresh)) == ["a/soft", "b"]
    told = "fresh.csv: 2 rows, 0 failed, 2 left out by --include and --exclude"
    assert told in capsys.readouterr().err
    words = ("measure", maps, out, "--segments", segments)
    assert run(*words) == 3
    whole, before = rows(out), segments.read_bytes()
    del measured_anew[:]
    assert run(*words, "--include", "b") == 0
    assert rows(out) == whole and segments.read_bytes() == before and not measured_anew
    (maps / "a" / "soft.png").write_bytes(map_png(bar(60, 5, 0.3, SHAPE)))
    assert run(*words, "--include", "b") == 0
    assert list(rows(out)) == ["b", "damaged, \\n", "empty"] and not measured_anew
    assert b"a/soft" not in segments.read_bytes()
    assert run(*words, "--exclude", "a/*", "--min-confidence", "0.7") == 3
    assert rows(out).keys() == {"b", "damaged, \\n", "empty"} and len(measured_anew) == 2
    assert run(*words) == 3
    assert rows(out).keys() == whole.keys()


def test_parts_of_a_choice_are_the_whole_whatever_stood_there(maps, tmp_path):
    whole, parted = tmp_path / "whole.csv", tmp_path / "parted.csv"
    run("measure", maps, whole, "--exclude", "b")
    for words in ((), ("--exclude", "b")):
        for part in range(2):
            run("measure", maps, parted, *words, "--shard", part, "--num-shards", 2)
    assert run("merge", parted) == 3
    assert parted.read_bytes() == whole.read_bytes()


def test_patterns_that_no_map_fits_are_refused(maps, tmp_path, capsys):
    assert run("measure", maps, tmp_path / "out.csv", "--include", "b.png") == 1
    said = "has 4 maps, and none that --include and --exclude take; quote patterns, and give them"
    assert f"{said} as for a/soft" in one_line(capsys)
    assert not (tmp_path / "out.csv").exists()


def test_describe_is_the_text_of_the_docs_and_names_every_column(capsys):
    assert run("measure", "--describe") == 0
    said = capsys.readouterr().out
    assert said in DOCS.read_text()
    columns = {*definitions.COLUMNS, *definitions.SEGMENT_COLUMNS, *HASHES}
    assert columns <= set(re.findall(r"\w+", said))


def test_a_segments_table_of_other_maps_is_not_written_over(maps, tmp_path, capsys):
    segments = tmp_path / "segments.csv"
    assert run("measure", maps, tmp_path / "out.csv", "--segments", segments) == 3
    before = segments.read_bytes()
    others = write_maps(tmp_path / "others", {"c": bar(80, 5, 0.3, SHAPE)})
    capsys.readouterr()
    assert run("measure", others, tmp_path / "others.csv", "--segments", segments) == 1
    assert "segments.csv: holds the measures of other maps" in one_line(capsys)
    assert segments.read_bytes() == before


def test_segments_that_are_gone_from_the_table_are_measured_anew(maps, tmp_path, measured_anew):
    out, segments = tmp_path / "out.csv", tmp_path / "segments.csv"
    words = ("measure", maps, out, "--segments", segments)
    run(*words)
    whole = segments.read_bytes()
    segments.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    del measured_anew[:]
    assert run(*words) == 3
    assert segments.read_bytes() == whole and len(measured_anew) == 1


PARTS = [("--shard", number, "--num-shards", 2) for number in range(2)]


def test_a_whole_run_takes_the_place_of_earlier_parts(maps, tmp_path, capsys):
    out = tmp_path / "out.csv"
    for part in PARTS:
        run("measure", maps, out, *part)
    assert run("merge", out) == 3
    (maps / "b.png").write_bytes(map_png(bar(60, 5, 0.3, SHAPE)))
    assert run("measure", maps, out) == 3
    whole = out.read_bytes()
    assert run("merge", out) == 3
    assert out.read_bytes() == whole
    assert [path.name for path in tmp_path.glob("out*.csv")] == ["out.csv"]


def test_parts_with_other_pixels_do_not_merge(maps, tmp_path, capsys):
    for part, size in zip(PARTS, (50, 60), strict=True):
        run("measure", maps, tmp_path / "out.csv", *part, "--pixel-um", size)
    capsys.readouterr()
    assert run("merge", tmp_path / "out.csv") == 1
    assert "out-1-of-2.csv: was made with other settings" in one_line(capsys)


def test_a_part_that_is_at_work_again_does_not_merge(maps, tmp_path, capsys):
    for part in PARTS:
        run("measure", maps, tmp_path / "out.csv", *part)
    (tmp_path / ".out-0-of-2.csv.rows").write_text("\n")
    capsys.readouterr()
    assert run("merge", tmp_path / "out.csv") == 1
    assert "out-0-of-2.csv missing or unfinished" in one_line(capsys)


def test_maps_of_some_parts_alone_are_refused(maps, tmp_path, capsys):
    os.rename(maps / "status.tsv", maps / "status-0-of-2.tsv")
    assert run("measure", maps, tmp_path / "out.csv") == 1
    assert "maps: has the maps of 1 of 2 parts; run the others first" in one_line(capsys)


def test_rows_that_are_gone_are_told(maps, tmp_path, capsys, monkeypatch):
    from fundusseg.commands.measure import run as stage

    out = tmp_path / "out.csv"
    measured = stage._measured

    def then_removed(*given) -> int:
        failed = measured(*given)
        (tmp_path / ".out.csv.rows").unlink()
        return failed

    with monkeypatch.context() as patch:
        patch.setattr(stage, "_measured", then_removed)
        assert run("measure", maps, out) == 1
    assert "out.csv: has lost 4 rows, the first that of a/soft" in one_line(capsys)
    assert run("measure", maps, out) == 3
    assert len(rows(out)) == 4


@pytest.fixture(params=["OUT", "--segments"])
def measure_to(maps, tmp_path, request):
    """Measure with a path as one of the two tables; the exit code."""

    def measured(path: Path, *words) -> int:
        if request.param == "OUT":
            return run("measure", maps, path, *words)
        return run("measure", maps, tmp_path / "out.csv", "--segments", path, *words)

    return measured


def test_a_table_takes_the_place_of_a_regular_file_only(measure_to, tmp_path, capsys):
    (tmp_path / "file.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to(tmp_path / "file.csv")
    (tmp_path / "nowhere.csv").symlink_to(tmp_path / "gone.csv")
    (tmp_path / "device").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link.csv", "nowhere.csv", "device", "pipe"):
        assert measure_to(tmp_path / name, "--force") == 2
        assert f"{name}: is no regular file; give the name of a file" in one_line(capsys)
    assert not (tmp_path / "out.csv").exists() and (tmp_path / "file.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["status.tsv", "status-0-of-2.tsv", "SHA256SUMS", "manifest.json"])
def test_a_table_is_no_record_of_the_maps(measure_to, maps, capsys, name):
    before = (maps / "status.tsv").read_bytes()
    assert measure_to(maps / name, "--force") == 2
    assert "is named like a record" in one_line(capsys)
    assert (maps / "status.tsv").read_bytes() == before


def test_a_table_is_no_picture_and_none_that_is_read(measure_to, maps, tmp_path, capsys):
    assert measure_to(tmp_path / "x.PNG") == 2
    assert "is named like a picture" in one_line(capsys)
    sizes = tmp_path / "sizes.tsv"
    sizes.write_text("id\tpixel_um\n")
    assert measure_to(sizes, "--pixel-um", sizes, "--force") == 2
    assert "sizes.tsv: is read by the command" in one_line(capsys)
    assert sizes.read_text() == "id\tpixel_um\n"


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_both_tables_under_one_name_are_refused(maps, tmp_path, capsys, force):
    out = tmp_path / "out.csv"
    other = tmp_path / "maps" / ".." / "out.csv"
    assert run("measure", maps, out, "--segments", other, *force) == 2
    assert "out.csv: is OUT and --segments" in one_line(capsys)
    assert not out.exists()


def test_a_segments_table_stays_where_a_map_has_none(maps, tmp_path):
    words = ("measure", maps, tmp_path / "out.csv", "--segments", tmp_path / "segments.csv")
    run(*words)
    before = (tmp_path / "segments.csv").stat()
    run(*words)
    assert (tmp_path / "segments.csv").stat() == before


def test_check_reads_a_table_of_any_name(maps, tmp_path, capsys):
    run("measure", maps, tmp_path / "vessels.txt")
    assert run("check", tmp_path / "vessels.txt") == 0
    (tmp_path / "notes.txt").write_text("a,b\n")
    capsys.readouterr()
    assert run("check", tmp_path / "notes.txt") == 2
    assert "notes.txt: is no folder and no table" in one_line(capsys)
