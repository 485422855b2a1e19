"""infer: --include and --exclude, and the columns that name photograph and map."""

import json
import shutil

from tests.batch import contents, run, write_photographs
from tests.commands.map_folders import IDS, rows

NAMES = {"a": "a.png", "b/c": "b/c.jpg", "b/d e": "b/d e.tif", "\u00e9": "\u00e9.ppm.gz"}


def counts(folder) -> dict:
    return json.loads((folder / "manifest.json").read_text())["counts"]


def test_patterns_choose_photographs_by_their_paths(infer, photographs, tmp_path, capsys):
    """* fits / too; what is left out is counted in the last line and the manifest."""
    assert infer(photographs, "--include", "b/*", "--include", "a.*", "--exclude", "*.jpg") == 0
    assert list(rows(tmp_path / "maps")) == ["a", "b/d e"]
    assert counts(tmp_path / "maps") == {"photographs": 2, "failed": 0, "left_out": 2}
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("maps: 2 maps, 0 failed, 2 left out by --include and --exclude")


def test_parts_of_a_choice_are_the_whole(infer, photographs, tiny_model, tmp_path):
    assert infer(photographs, "--exclude", "b/*") == 0
    for part in range(2):
        words = ("--model", tiny_model, "--exclude", "b/*", "--shard", part, "--num-shards", 2)
        assert run("infer", photographs, tmp_path / "parts", *words) == 0
    assert run("merge", tmp_path / "parts") == 0
    parts = contents(tmp_path / "parts")
    assert {name: data for name, data in parts.items() if "-of-" not in name} == contents(
        tmp_path / "maps"
    )
    assert counts(tmp_path / "parts")["left_out"] == 2


def test_what_is_left_out_now_is_not_gone(infer, maps, photographs):
    """Its map and its row stay, with --prune too."""
    before = rows(maps)
    assert infer(photographs, "--exclude", "b/*", "--prune") == 0
    assert rows(maps) == before and (maps / "b" / "c.png").is_file()


def test_what_a_layout_leaves_out_is_not_gone(infer, maps, photographs, phantom_set):
    """A data set beside photographs is recognised, and they have no role in it."""
    before = rows(maps)
    shutil.copytree(phantom_set("pairs"), photographs / "set")
    for name in ("b/c.jpg", "b/d e.tif", "é.ppm.gz"):
        (photographs / name).unlink()
    assert infer(photographs, "--prune") == 0
    after = rows(maps)
    assert after["a"] == before["a"] and (maps / "a.png").is_file()
    assert not after.keys() & {"b/c", "b/d e", "é"} and len(after) > 2


def test_what_lies_behind_a_link_to_nothing_is_not_gone(infer, photographs, tmp_path):
    """A share that is not mounted."""
    (photographs / "b").rename(tmp_path / "share")
    (photographs / "b").symlink_to(tmp_path / "share")
    assert infer(photographs) == 0
    before = contents(tmp_path / "maps")
    (tmp_path / "share").rename(tmp_path / "unmounted")
    assert infer(photographs, "--prune") == 0
    assert contents(tmp_path / "maps").keys() == before.keys()
    assert rows(tmp_path / "maps")["b/c"].status == "ok"


def test_a_choice_of_nothing_is_an_error(infer, photographs, tmp_path, capsys):
    assert infer(photographs, "--include", "*.bmp") == 1
    assert (
        "has 4 photographs, and none that --include and --exclude take" in capsys.readouterr().err
    )
    assert not (tmp_path / "maps").exists()


def test_an_exclusion_decides_between_two_of_one_name(infer, photographs, tmp_path):
    write_photographs(photographs, "a.tif")
    assert infer(photographs) == 1
    assert infer(photographs, "--exclude", "a.tif") == 0
    assert rows(tmp_path / "maps")["a"].source == "a.png"


def test_prep_takes_the_chosen_photographs(phantom_set, tmp_path, capsys):
    words = ("prep", phantom_set("pairs"), tmp_path / "shards", "--exclude", "*/p1 left.*")
    assert run(*words) == 0
    whole = counts(tmp_path / "shards")
    assert whole["left_out"] == 1
    assert ", 1 left out by --include and --exclude" in capsys.readouterr().err
    assert run("prep", phantom_set("pairs"), tmp_path / "all") == 0
    assert counts(tmp_path / "all")["photographs"] == whole["photographs"] + 1
    assert run("prep", phantom_set("pairs"), tmp_path / "x", "--include", "no such") == 1
    assert "none that --include and --exclude take" in capsys.readouterr().err


def test_rows_name_photograph_and_map(infer, photographs, tmp_path):
    (photographs / "b" / "c.jpg").write_text("no picture")
    assert infer(photographs) == 3
    found = rows(tmp_path / "maps")
    assert {id: row.source for id, row in found.items()} == NAMES
    assert {id: row.map for id, row in found.items()} == {
        id: "" if id == "b/c" else f"{id}.png" for id in IDS
    }


def test_a_renamed_photograph_has_its_new_name(infer, maps, photographs, tmp_path, done_anew):
    """Its map is kept; so is the name, when others are asked for later."""
    afresh = write_photographs(tmp_path / "other", "x.png")
    (photographs / "a.png").rename(photographs / "a.PNG")
    assert infer(photographs) == 0
    assert done_anew == [] and rows(maps)["a"].source == "a.PNG"
    assert infer(afresh) == 0
    assert rows(maps)["a"].source == "a.PNG"
