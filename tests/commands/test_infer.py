"""infer: what it writes, and a row for every input."""

import json
import os

import h5py
import numpy as np
import pytest

from fundusseg.files.images import read_photograph
from tests.batch import contents, finished, photograph, run, write_photographs, write_tiny_model
from tests.commands.map_folders import BOOKS, IDS, picture, rows
from tests.phantom_sets import encoded


def test_out_mirrors_ins_tree_with_maps_of_the_sources_own_size(
    infer, shared_photographs, tmp_path
):
    """infer's output: OUT mirrors IN's tree; 0 or 255, the source's own width and height."""
    assert infer(shared_photographs) == 0
    found = contents(tmp_path / "maps")
    assert set(found) == {f"{id}.png" for id in IDS} | BOOKS
    for id in IDS:
        vessels = picture(tmp_path / "maps" / f"{id}.png")
        assert vessels.shape == (96, 96) and vessels.dtype == np.uint8
        assert set(np.unique(vessels)) == {0, 255}


def test_a_photograph_that_is_no_square_keeps_its_shape(infer, tmp_path):
    """infer's output: the map has the source's own width and height, whatever the frame's."""
    (tmp_path / "in").mkdir()
    wide = np.pad(photograph(1), [(0, 0), (40, 17), (0, 0)])
    (tmp_path / "in" / "wide.png").write_bytes(encoded(wide, "wide.png"))
    assert infer(tmp_path / "in") == 0
    assert picture(tmp_path / "maps" / "wide.png").shape == wide.shape[:2]
    row = rows(tmp_path / "maps")["wide"]
    assert (row.width_px, row.height_px) == (str(96 + 57), "96")


def test_stdout_stays_empty(infer, shared_photographs, capsys):
    """infer's output: stdout: nothing; people read stderr."""
    assert infer(shared_photographs) == 0
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "4 maps, 0 failed" in streams.err


def test_status_has_a_row_for_every_input_in_byte_order(infer, shared_photographs, tmp_path):
    """status.tsv: rows by id in byte order, one for every input; no durations."""
    infer(shared_photographs)
    lines = (tmp_path / "maps" / "status.tsv").read_text().splitlines()
    assert lines[0] == (
        "id\tstatus\treason\tsource_sha256\twidth_px\theight_px\t"
        "fov_y_px\tfov_x_px\tfov_diameter_px\tfov_method\texpected_dice\t"
        "mean_entropy_bits\tsharpness_ratio\tevenness_ratio\tdark_edge_ratio\tpixel_um\tsource\tmap"
    )
    assert [line.split("\t")[0] for line in lines[1:]] == sorted(IDS, key=os.fsencode)
    row = rows(tmp_path / "maps")["b/c"]
    assert row.status == "ok" and 0 < float(row.mean_entropy_bits) <= 1
    assert row.source_sha256 == read_photograph(shared_photographs / "b/c.jpg").sha256
    assert row.fov_method == "circle" and 85 < float(row.fov_diameter_px) < 100
    assert 0 < float(row.expected_dice) < 1


def test_expected_dice_is_empty_without_calibration(shared_photographs, tmp_path):
    """status.tsv: expected_dice is empty for a model without calibration."""
    model = write_tiny_model(tmp_path / "model", is_calibrated=False)
    assert run("infer", shared_photographs, tmp_path / "maps", "--model", model) == 0
    assert {row.expected_dice for row in rows(tmp_path / "maps").values()} == {""}


def test_a_text_file_named_png_costs_only_itself(infer, photographs, tmp_path):
    """Exit 3: some images failed; the others are written, the failure is a row of status.tsv."""
    (photographs / "b" / "text.png").write_text("no picture\n")
    assert infer(photographs) == 3
    found = rows(tmp_path / "maps")
    assert [id for id, row in found.items() if row.status == "failed"] == ["b/text"]
    assert "no image that can be decoded" in found["b/text"].reason
    assert set(contents(tmp_path / "maps")) >= {f"{id}.png" for id in IDS}
    assert not (tmp_path / "maps" / "b" / "text.png").exists()
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert manifest["counts"] == {"photographs": 5, "failed": 1, "left_out": 0}


HOSTILE = {
    "black": np.zeros((96, 96, 3), np.uint8),
    "white": np.full((96, 96, 3), 255, np.uint8),
    "one bright pixel": np.pad(np.full((1, 1, 3), 255, np.uint8), [(40, 55), (40, 55), (0, 0)]),
    "smallest": np.full((32, 32, 3), 90, np.uint8),
    "ribbon": np.full((32, 900, 3), 90, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (70, 64, 3)).astype(np.uint8),
}


def test_photographs_of_nothing_get_a_map_too(infer, tmp_path):
    """Exit 0: whatever can be decoded gets a map of its own size."""
    (tmp_path / "in").mkdir()
    for name, pixels in HOSTILE.items():
        (tmp_path / "in" / f"{name}.png").write_bytes(encoded(pixels, "x.png"))
    assert infer(tmp_path / "in") == 0
    for name, pixels in HOSTILE.items():
        assert picture(tmp_path / "maps" / f"{name}.png").shape == pixels.shape[:2]


@pytest.mark.usefixtures("no_network")
def test_all_failed_is_3_and_needs_no_tensorflow(infer, tmp_path):
    """Exit 3: some (or all) images failed."""
    (tmp_path / "in").mkdir()
    for name, data in (("empty.png", b""), ("half.jpg", encoded(photograph(0), "x.jpg")[:300])):
        (tmp_path / "in" / name).write_bytes(data)
    assert infer(tmp_path / "in") == 3
    assert [row.status for row in rows(tmp_path / "maps").values()] == ["failed", "failed"]


def test_probability_is_16_bit_and_thresholded_gives_the_map(infer, shared_photographs, tmp_path):
    """infer's output: --probability adds <name>.prob.png (16 bit)."""
    assert infer(shared_photographs, "--probability", "--keep-small-objects") == 0
    for id in IDS:
        probability = picture(tmp_path / "maps" / f"{id}.prob.png")
        assert probability.dtype == np.uint16 and len(np.unique(probability)) > 1000
        vessels = picture(tmp_path / "maps" / f"{id}.png") > 0
        sure = np.abs(probability / 65535 - 0.5) > 1 / 65535
        np.testing.assert_array_equal(vessels[sure], (probability / 65535 >= 0.5)[sure])


def test_overlay_is_the_photograph_with_outlines(infer, shared_photographs, tmp_path):
    """infer's output: --overlay adds the photograph with the vessel outline."""
    assert infer(shared_photographs, "--overlay") == 0
    drawn = picture(tmp_path / "maps" / "a.overlay.png")
    source = picture(shared_photographs / "a.png")
    same = (drawn == source).all(axis=2)
    assert drawn.shape == source.shape and 0.05 < same.mean() < 0.95


@pytest.mark.parametrize("format", ["npz", "h5"])
def test_one_file_of_arrays_instead(infer, shared_photographs, tmp_path, format):
    """infer's output: --format npz|h5 writes one file of arrays per image instead."""
    words = ("--format", format, "--probability", "--keep-small-objects")
    assert infer(shared_photographs, *words) == 0
    found = set(contents(tmp_path / "maps"))
    assert found == {f"{id}.{format}" for id in IDS} | BOOKS
    path = tmp_path / "maps" / f"b/c.{format}"
    with np.load(path) if format == "npz" else h5py.File(path) as file:
        vessels, probability = file["map"][()], file["probability"][()]
    assert vessels.dtype == np.uint8 and probability.dtype == np.float32
    np.testing.assert_array_equal(vessels, probability >= 0.5)


def test_the_manifest_says_all_that_the_maps_follow_from(infer, shared_photographs, tmp_path):
    """Manifest: format, version, stage, config, model hash, threshold, inputs, outputs, counts."""
    from fundusseg.files.checksums import sha256_of

    infer(shared_photographs)
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert manifest["format"] == "fundusseg-manifest" and manifest["version"] == 3
    assert manifest["stage"] == "infer" and len(manifest["model_sha256"]) == 64
    assert list(manifest) == sorted(manifest)
    assert manifest["counts"] == {"photographs": len(IDS), "failed": 0, "left_out": 0}
    assert set(manifest["tables"]) == {"status.tsv", "SHA256SUMS"}
    for name, sha256 in manifest["tables"].items():
        assert sha256_of(tmp_path / "maps" / name) == sha256
    assert manifest["packages"]["numpy"] == np.__version__


def test_a_file_of_ones_own_is_not_written_over(infer, shared_photographs, tmp_path, capsys):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/a.png").write_bytes(b"a manual mask")
    assert infer(shared_photographs) == 3
    assert "a.png: its map is there, and infer did not write it" in capsys.readouterr().err
    assert (tmp_path / "maps/a.png").read_bytes() == b"a manual mask"
    assert infer(shared_photographs, "--force") == 0


def test_a_photograph_that_shows_nothing_gets_an_empty_map(infer, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("black", "white", "ribbon"):
        (tmp_path / "in" / f"{name}.png").write_bytes(encoded(HOSTILE[name], "x.png"))
    assert infer(tmp_path / "in", "--threshold", "0.1") == 0
    said = capsys.readouterr().err
    for name in ("black", "white", "ribbon"):
        assert not picture(tmp_path / "maps" / f"{name}.png").any()
        assert rows(tmp_path / "maps")[name].expected_dice == ""
        assert f"{name}.png: shows nothing, so its map is empty" in said


def test_photographs_that_show_nothing_are_warned_of_while_tensorflow_comes(tiny_model, tmp_path):
    """In a process of its own: while tensorflow is imported, nothing can be said on stderr."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        black = encoded(np.zeros((1200, 1200, 3), np.uint8), "x.png")
        (tmp_path / "in" / f"{name}.png").write_bytes(black)
    words = ("infer", tmp_path / "in", tmp_path / "maps", "--model", tiny_model, "--jobs", "1")
    code, _, said = finished(*words)
    assert code == 0 and said.count(".png: shows nothing, so its map is empty") == 3


def test_an_emptied_folder_is_done(infer, tmp_path):
    """As cron meets it between two photographs."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    assert infer(inbox) == 1
    write_photographs(inbox, "a.png")
    assert infer(inbox) == 0
    (inbox / "a.png").unlink()
    assert infer(inbox) == 1
    assert infer(inbox, "--allow-empty") == 0
