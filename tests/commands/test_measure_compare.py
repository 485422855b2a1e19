"""measure --compare: how far the measures of maps agree with those of masks."""

import csv

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from fundusseg.files.encoders import map_png
from tests.batch import contents, one_line, run
from tests.commands.score_sets import items_of, write_maps


@pytest.fixture
def truth(phantom_set):
    return phantom_set("chase-flat")  # with a second observer


@pytest.fixture
def maps(truth, tmp_path):
    """The masks, drawn a pixel thicker all around."""
    opened, items = items_of(truth)
    masks = {item.id: opened.read(item).mask for item in items}
    drawn = {id: binary_dilation(mask, np.ones((3, 3))) for id, mask in masks.items()}
    return write_maps(tmp_path / "maps", drawn)


def agreements(tmp_path) -> dict[tuple[str, str], dict[str, str]]:
    with (tmp_path / "out-agreement" / "agreement.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {(row["measure"], row["of"]): row for row in rows}


def test_what_is_drawn_thicker_is_wider_by_so_much_and_as_long(maps, truth, tmp_path, capsys):
    words = ("measure", maps, tmp_path / "out.csv", "--compare", truth, "--split", "all")
    assert run(*words) == 0
    printed = capsys.readouterr().out
    found = agreements(tmp_path)
    width = found["width_length_weighted_fov", "maps"]
    diameter_px = 128
    assert int(width["n"]) == len(items_of(truth)[1])
    assert 2 <= float(width["bias"]) * diameter_px <= 2.83  # across, and aslant
    length = found["centreline_length_fov", "maps"]
    assert float(length["bias"]) / float(length["mean_first_observer"]) == pytest.approx(0, abs=0.1)
    assert found["area_density_ratio", "second observer"]["icc"] != ""
    rows = [line for line in printed.splitlines() if line.startswith("| width_length_weighted_fov")]
    assert rows[0].split("|")[-2].strip() == "no"
    report = (tmp_path / "out-agreement" / "agreement.md").read_text()
    assert printed in report and "(width_length_weighted_fov.png)" in report
    before = contents(tmp_path)
    assert run(*words) == 0
    assert contents(tmp_path) == before and capsys.readouterr().out == printed


def test_without_a_second_observer_no_column_is_of_one(maps, truth, tmp_path, capsys):
    words = ("measure", maps, tmp_path / "out.csv", "--split", "all", "--compare")
    assert run(*words, truth) == 0
    assert "| second observer's ICC |" in capsys.readouterr().out
    opened, items = items_of(truth)
    masks = {item.id: opened.read(item).mask for item in items}
    assert run(*words, write_maps(tmp_path / "masks", masks)) == 0
    printed = capsys.readouterr().out
    assert "| ICC(2,1) |" in printed and "second observer" not in printed
    assert len({line.count("|") for line in printed.splitlines() if line.startswith("|")}) == 1


def test_masks_of_other_parts_are_told_of(maps, truth, tmp_path, capsys):
    run("measure", maps, tmp_path / "out.csv", "--compare", truth)
    assert "of other parts left out; --split all" in capsys.readouterr().err


def test_a_map_of_the_masks_themselves_agrees_in_every_measure(truth, tmp_path, capsys):
    opened, items = items_of(truth)
    maps = write_maps(tmp_path / "maps", {item.id: opened.read(item).mask for item in items})
    assert run("measure", maps, tmp_path / "out.csv", "--compare", truth, "--split", "all") == 0
    found = agreements(tmp_path).items()
    rows = [row for (name, of), row in found if of == "maps" and not name.startswith("half")]
    assert {float(row["bias"]) for row in rows if row["bias"]} == {0}
    assert {float(row["icc"]) for row in rows if row["icc"]} == {1}


def test_masks_without_a_map_and_masks_that_are_none_are_failures(maps, own_set, tmp_path, capsys):
    truth = own_set("chase-flat")
    id = items_of(truth)[1][0].id
    (maps / f"{id}.png").unlink()
    words = ("measure", maps, tmp_path / "out.csv", "--compare", truth)
    assert run(*words, "--split", "all") == 3
    assert "1 mask has no map, as missing" in capsys.readouterr().err
    assert run("measure", maps, tmp_path / "out.csv", "--shard", 0, "--num-shards", 2) == 0
    capsys.readouterr()
    assert run(*words, "--shard", 0, "--num-shards", 2) == 2
    assert "--compare needs all maps" in one_line(capsys)


def test_masks_are_compared_though_their_photographs_are_damaged(maps, own_set, tmp_path):
    truth = own_set("chase-flat")
    for item in items_of(truth)[1]:
        (photograph,) = truth.glob(f"{item.id}.*")
        photograph.write_bytes(b"damaged")
    assert run("measure", maps, tmp_path / "out.csv", "--compare", truth, "--split", "all") == 0


def test_a_map_that_is_of_no_use_is_not_called_a_mask(maps, truth, tmp_path):
    first, second, *_ = (maps / f"{item.id}.png" for item in items_of(truth)[1])
    first.write_bytes(first.read_bytes()[:60])
    second.write_bytes(map_png(np.zeros((64, 128), bool)))
    run("measure", maps, tmp_path / "out.csv", "--compare", truth, "--split", "all")
    with (tmp_path / "out-agreement" / "masks.csv").open(newline="") as file:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons[first.stem].startswith("its map is a PNG that is not whole")
    assert reasons[second.stem].startswith("its mask is (128, 128), its map (64, 128) (Y, X)")


def test_masks_of_maps_that_are_left_out_are_neither_compared_nor_missed(
    maps, own_set, tmp_path, capsys
):
    truth = own_set("chase-flat")
    first, second, *others = [item.id for item in items_of(truth)[1]]
    (maps / f"{second}.png").unlink()
    words = ("measure", maps, tmp_path / "out.csv", "--compare", truth, "--split", "all")
    assert run(*words, "--exclude", second, "--exclude", first) == 0
    printed = capsys.readouterr().out
    left_out = f"{len(others)} maps against masks, 1 left out by --include and --exclude, each"
    assert printed.startswith(left_out)
    assert agreements(tmp_path)["area_density_ratio", "maps"]["n"] == str(len(others))
    assert run(*words, "--exclude", second) == 0
    assert agreements(tmp_path)["area_density_ratio", "maps"]["n"] == str(len(others) + 1)
    assert run(*words) == 3
    (truth / f"{first}_1stHO.png").unlink()
    capsys.readouterr()
    assert run(*words, "--include", first) == 1
    assert "holds no mask of the maps that --include and --exclude take" in one_line(capsys)


def test_a_folder_of_others_is_not_written_into(maps, truth, tmp_path, capsys):
    folder = tmp_path / "out-agreement"
    folder.mkdir()
    (folder / "width_mean_fov.png").write_text("mine")
    words = ("measure", maps, tmp_path / "out.csv", "--compare", truth, "--split", "all")
    assert run(*words) == 1
    assert "holds files that are not ours" in one_line(capsys)
    assert contents(folder) == {"width_mean_fov.png": b"mine"}
