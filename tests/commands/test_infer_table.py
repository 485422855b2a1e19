"""infer: which photographs have a row where several calls share one OUT."""

import io
import json
import os
import shutil
import sys

import pytest

from fundusseg.commands.infer.output_folder import OutputFolder
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files.checksums import read_checksums
from fundusseg.files.ledger import LedgerFiles
from fundusseg.files.status import read_status
from fundusseg.segmenter import Segmenter
from tests.batch import contents, one_line, run, write_photographs

ALL = ["a", "b/c", "b/d e", "é"]


@pytest.fixture
def infer(tiny_model, photographs, tmp_path, monkeypatch):
    """Run infer with the tiny model over what is given, into tmp_path/maps; its exit code."""

    def infer(given, *words, out="maps", listed: str = ""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed.encode())))
        return run("infer", given, tmp_path / out, "--model", tiny_model, *words)

    return infer


def table(maps) -> dict[str, str]:
    return {row.id: row.status for row in read_status(maps / "status.tsv")}


def test_one_file_more_leaves_the_rows_of_a_folder(infer, maps, photographs, tmp_path):
    write_photographs(tmp_path / "other", "one.png")
    assert infer(tmp_path / "other" / "one.png") == 0
    assert list(table(maps)) == ["a", "b/c", "b/d e", "one", "é"]
    assert {name for name, _ in read_checksums(maps / "SHA256SUMS")} == {
        f"{id}.png" for id in table(maps)
    }
    assert infer(photographs / "a.png") == 0
    assert len(table(maps)) == 5


def test_a_second_folder_adds_its_rows(infer, maps, tmp_path):
    write_photographs(tmp_path / "other", "one.png")
    assert infer(tmp_path / "other") == 0
    assert list(table(maps)) == ["a", "b/c", "b/d e", "one", "é"]


def test_a_failed_row_stays_until_the_photograph_is_asked_for_again(infer, maps, tmp_path):
    """The last call's word counts."""
    write_photographs(tmp_path / "other", "two.png")
    good = (tmp_path / "other" / "two.png").read_bytes()
    (tmp_path / "other" / "two.png").write_text("no picture")
    assert infer("-", listed=str(tmp_path / "other/two.png")) == 3
    (id,) = set(table(maps)) - set(ALL)
    assert infer(tmp_path / "photographs") == 0
    assert table(maps)[id] == "failed"
    (tmp_path / "other" / "two.png").write_bytes(good)
    assert infer("-", listed=str(tmp_path / "other/two.png")) == 0
    assert infer(tmp_path / "photographs") == 0
    assert table(maps)[id] == "ok" and len(table(maps)) == 5


def test_the_row_of_a_name_that_was_never_there_goes_with_prune(
    infer, maps, photographs, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(photographs)
    (photographs / "offline.png").symlink_to("nowhere.png")  # which was not fetched
    (photographs / "a.png").rename(tmp_path / "away.png")  # of which there is a map
    assert infer("-", listed="typo.png\noffline.png\na.png") == 3
    for prune, rows in ((), {*ALL, "offline", "typo"}), (("--prune",), {*ALL, "offline"}):
        capsys.readouterr()
        assert infer("-", *prune, listed=next(photographs.glob("é.*")).name) == 0
        said = capsys.readouterr().err
        assert "1 row of earlier calls, of what was not there: typo; " in said
        assert set(table(maps)) == rows


def test_a_photograph_that_was_offline_and_came_back_is_ok_in_later_tables(
    infer, maps, photographs, tmp_path
):
    (photographs / "a.png").rename(tmp_path / "away.png")
    (photographs / "a.png").symlink_to(tmp_path / "nowhere.png")
    assert infer("-", listed=str(photographs / "a.png")) == 3
    (photographs / "a.png").unlink()
    (tmp_path / "away.png").rename(photographs / "a.png")
    assert infer("-", listed=str(photographs / "a.png")) == 0
    assert infer(next(photographs.glob("é.*"))) == 0
    assert set(table(maps).values()) == {"ok"}


def test_withdrawn_and_renamed_photographs_are_named_and_pruned(
    infer, maps, photographs, tmp_path, capsys
):
    (photographs / "a.png").unlink()
    renamed = next(photographs.glob("b/c.*"))
    renamed.rename(renamed.with_stem("f"))
    assert infer(photographs) == 0
    said = capsys.readouterr().err
    assert "2 maps are of photographs that are gone: a, b/c;" in said and "--prune" in said
    assert list(table(maps)) == ["b/d e", "b/f", "é"]
    assert (maps / "a.png").exists()
    assert infer(photographs, "--prune") == 0
    assert infer(photographs, out="afresh") == 0
    assert contents(maps) == contents(tmp_path / "afresh")


def test_pruning_keeps_what_was_edited_and_no_empty_folder(infer, maps, photographs, capsys):
    shutil.rmtree(photographs / "b")
    (photographs / "a.png").unlink()
    (maps / "a.png").write_bytes(b"mended by hand")
    assert infer(photographs, "--prune") == 0
    said = capsys.readouterr().err
    assert "; removed" in said and "--prune removes" not in said
    assert f"{maps / 'a.png'}: has been changed since infer wrote it, and stays" in said
    assert {path.name for path in maps.glob("[!.]*.png")} == {"a.png", "é.png"}
    assert (maps / "a.png").read_bytes() == b"mended by hand" and not (maps / "b").exists()


def test_maps_that_a_killed_forced_run_forgot_are_pruned(infer, maps, photographs):
    LedgerFiles(maps).forget((), "")
    shutil.rmtree(photographs / "b")
    assert infer(photographs, "--prune") == 0
    assert not (maps / "b").exists()


def test_what_a_walk_took_away_stays_away(infer, maps, photographs):
    """Whatever a list or a single file names later."""
    (photographs / "a.png").unlink()
    assert infer(photographs) == 0
    assert infer(photographs / "b/c.jpg") == 0
    assert infer("-", listed=str(photographs / "b/c.jpg")) == 0
    assert "a" not in table(maps)
    write_photographs(photographs, "a.png")
    assert infer(photographs) == 0
    assert list(table(maps))[0] == "a"


def test_each_part_of_a_split_keeps_the_rows_of_the_others(infer, tiny_shards, tmp_path):
    for split in ("test", "train", "validation"):
        assert infer(tiny_shards, "--split", split) == 0
    assert set(table(tmp_path / "maps")) == {ref.id for ref in ShardFolder(tiny_shards).refs}
    assert run("check", tmp_path / "maps") == 0


@pytest.mark.parametrize("failed", [7, "9\tok", None, ["a"]])
def test_a_failed_row_of_another_form_is_passed_over(infer, maps, photographs, failed):
    line = json.dumps({"key": "9", "outputs": {}, "failed": failed})
    with (maps / ".fundusseg/ledger.jsonl").open("a") as ledger:
        ledger.write(line + "\n")
    assert infer(photographs) == 0
    assert list(table(maps)) == ALL and run("check", maps) == 0


def test_maps_below_a_folder_that_cannot_be_listed_are_not_gone(
    infer, maps, photographs, monkeypatch
):
    def scandir(path):
        if str(path).endswith("photographs/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert infer(photographs, "--prune") == 3
    assert (maps / "b/c.png").exists()
    assert set(table(maps)) == {*ALL, "b/"}


def test_a_folder_that_moved_still_speaks_for_its_photographs(infer, maps, photographs, tmp_path):
    photographs.rename(tmp_path / "moved")
    assert infer(tmp_path / "moved") == 0
    (tmp_path / "moved" / "a.png").unlink()
    assert infer(tmp_path / "moved") == 0
    assert list(table(maps)) == ["b/c", "b/d e", "é"]


def test_parts_give_the_table_of_one_run_beside_earlier_rows(infer, maps, photographs, tmp_path):
    """Byte for byte: earlier rows are the first part's, and earlier failures none of it."""
    write_photographs(tmp_path / "other", "one.png")
    (tmp_path / "bad.png").write_text("no picture")
    assert infer(tmp_path / "bad.png") == 3
    shutil.copytree(maps, tmp_path / "parts")
    assert infer(tmp_path / "other") == 0
    for part in (1, 0):
        words = ("--shard", part, "--num-shards", 2)
        assert infer(tmp_path / "other", *words, out="parts") == 0
    assert run("merge", tmp_path / "parts") == 0
    assert table(maps)["bad"] == "failed"
    for name in ("status.tsv", "SHA256SUMS", "manifest.json"):
        assert (maps / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_force_makes_anew_what_is_asked_for_and_keeps_the_other_rows(infer, maps, photographs):
    assert infer(photographs / "a.png", "--force") == 0
    assert list(table(maps)) == ALL


def test_a_strangers_table_is_not_written_over(infer, photographs, tmp_path, capsys):
    """Exit 1, naming the file."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "status.tsv").write_text("mine")
    assert infer(photographs) == 1
    assert f"{tmp_path / 'maps' / 'status.tsv'}: is there, and" in one_line(capsys)
    assert contents(tmp_path / "maps") == {"status.tsv": b"mine"}


@pytest.mark.parametrize("step", ["segmentation", "scores"])
def test_a_lack_of_memory_costs_one_row_and_no_earlier_map(
    step, infer, maps, photographs, monkeypatch
):
    """Exit 3, and the next run makes it."""
    before = (maps / "a.png").read_bytes()
    write_photographs(photographs, "new.png")
    whole, asked = getattr(Segmenter, step), []

    def lacking(self, *arguments):
        asked.append(True)
        if len(asked) == 1:
            raise MemoryError
        return whole(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, step, lacking)
        assert infer(photographs, "--overlay", "--jobs", 1) == 3
    (row,) = [row for row in read_status(maps / "status.tsv") if row.status == "failed"]
    assert row.reason.startswith("needs more memory than there is")
    assert (maps / "a.png").read_bytes() == before
    assert infer(photographs, "--overlay") == 0


@pytest.mark.parametrize(
    "other",
    [
        ["--threshold", 0.9],
        ["--format", "npz"],
        ["--keep-suffix"],
        ["--shard", 0, "--num-shards", 2],
        ["a photograph more"],
    ],
)
def test_a_run_of_other_inputs_or_settings_at_the_same_time_is_refused(
    infer, photographs, tmp_path, monkeypatch, capsys, other
):
    """Exit 1; the first ends undisturbed: none writes a table without the rows of the other."""
    whole, codes = OutputFolder.conclude, []

    def conclude(self, *arguments, **more):
        monkeypatch.setattr(OutputFolder, "conclude", whole)
        options = other
        if other == ["a photograph more"]:
            shutil.copy(photographs / "a.png", photographs / "another.png")
            options = []
        codes.append(infer(photographs, *options))
        whole(self, *arguments, **more)

    monkeypatch.setattr(OutputFolder, "conclude", conclude)
    assert infer(photographs) == 0
    assert codes == [1]
    assert "is in use by a run with other inputs or settings" in one_line(capsys)


def test_a_copied_folder_speaks_for_its_photographs(infer, maps, photographs, tmp_path):
    """Its files have the same bytes and other times."""
    copy = shutil.copytree(photographs, tmp_path / "copy", copy_function=shutil.copyfile)
    assert infer(copy) == 0
    (copy / "a.png").unlink()
    assert infer(copy) == 0
    assert "a" not in table(maps) and "é" in table(maps)
