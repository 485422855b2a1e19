"""infer: what it writes, and a row for every input."""

import dataclasses
import json
import os

import h5py
import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from fundusseg.config import config_hash
from fundusseg.io.images import read_photograph
from fundusseg.io.status import read_status
from tests.batch import (
    contents,
    finished,
    photograph,
    run,
    started,
    write_photographs,
    write_tiny_model,
)
from tests.phantom_sets import encoded

IDS = ["a", "b/c", "b/d e", "é"]


@pytest.fixture
def infer(tiny_model, tmp_path):
    """Run infer with the tiny model into tmp_path/maps; its exit code."""
    return lambda given, *words: run(
        "infer", given, tmp_path / "maps", "--model", tiny_model, *words
    )


def rows(folder) -> dict:
    return {row.id: row for row in read_status(folder / "status.tsv")}


def picture(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_out_mirrors_ins_tree_with_maps_of_the_sources_own_size(
    infer, shared_photographs, tmp_path
):
    """infer's output: OUT mirrors IN's tree; 0 or 255, the source's own width and height."""
    assert infer(shared_photographs) == 0
    found = contents(tmp_path / "maps")
    assert set(found) == {f"{id}.png" for id in IDS} | {"status.tsv", "manifest.json"}
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
        "fov_y_px\tfov_x_px\tfov_diameter_px\tfov_method\texpected_dice"
    )
    assert [line.split("\t")[0] for line in lines[1:]] == sorted(IDS, key=os.fsencode)
    row = rows(tmp_path / "maps")["b/c"]
    assert row.status == "ok" and row.reason == ""
    assert row.source_sha256 == read_photograph(shared_photographs / "b/c.jpg").sha256
    assert row.fov_method == "circle" and 85 < float(row.fov_diameter_px) < 100
    assert 0 < float(row.expected_dice) < 1


def test_expected_dice_is_empty_without_calibration(shared_photographs, tmp_path):
    """status.tsv: expected_dice is empty for a model without calibration."""
    model = write_tiny_model(tmp_path / "model")
    values = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**values, "calibration": None}))
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
    assert manifest["failures"] == {"b/text": found["b/text"].reason}
    assert manifest["counts"] == {"inputs": 4, "outputs": 4, "failed": 1}


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


def test_all_failed_is_3_and_needs_no_tensorflow(infer, tmp_path, monkeypatch):
    """Exit 3: some (or all) images failed."""
    from fundusseg.stages import infer as stage

    monkeypatch.setattr(stage, "ready_predictor", None)
    (tmp_path / "in").mkdir()
    for name, data in (("empty.png", b""), ("half.jpg", encoded(photograph(0), "x.jpg")[:300])):
        (tmp_path / "in" / name).write_bytes(data)
    assert infer(tmp_path / "in") == 3
    assert [row.status for row in rows(tmp_path / "maps").values()] == ["failed", "failed"]


def test_probability_is_16_bit_and_thresholded_gives_the_map(infer, shared_photographs, tmp_path):
    """infer's output: --probability adds <name>.prob.png (16 bit)."""
    assert infer(shared_photographs, "--probability", "--keep-specks") == 0
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
    words = ("--format", format, "--probability", "--keep-specks")
    assert infer(shared_photographs, *words) == 0
    found = set(contents(tmp_path / "maps"))
    assert found == {f"{id}.{format}" for id in IDS} | {"status.tsv", "manifest.json"}
    path = tmp_path / "maps" / f"b/c.{format}"
    with np.load(path) if format == "npz" else h5py.File(path) as file:
        vessels, probability = file["map"][()], file["probability"][()]
    assert vessels.dtype == np.uint8 and probability.dtype == np.float32
    np.testing.assert_array_equal(vessels, probability >= 0.5)


def test_a_threshold_on_the_command_line_overrides_the_models(infer, shared_photographs, tmp_path):
    """infer's output: --threshold overrides; the manifest records it and where it is from."""
    assert infer(shared_photographs, "--threshold", "0.8") == 0
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert (manifest["threshold"], manifest["threshold_source"]) == (0.8, "--threshold")
    vessels = picture(tmp_path / "maps" / "a.png")
    assert infer(shared_photographs, "--force") == 0
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert (manifest["threshold"], manifest["threshold_source"]) == (0.5, "the model")
    assert (vessels > 0).sum() < (picture(tmp_path / "maps" / "a.png") > 0).sum()


def test_test_time_augmentation_draws_other_maps_and_is_recorded(
    infer, shared_photographs, tmp_path, capsys
):
    """Manifest: config, what the maps follow from; it names augmentation only where it is on."""

    def config() -> dict:
        return json.loads((tmp_path / "maps" / "manifest.json").read_text())["config"]

    assert infer(shared_photographs, "--probability") == 0
    plain, once = config(), picture(tmp_path / "maps" / "a.prob.png")
    assert infer(shared_photographs, "--test-time-augmentation") == 1
    assert "--force" in capsys.readouterr().err
    words = ("--probability", "--test-time-augmentation", "--force")
    assert infer(shared_photographs, *words) == 0
    assert config() == {**plain, "test_time_augmentation": "mirror images"}
    assert (picture(tmp_path / "maps" / "a.prob.png") != once).any()


def test_the_smallest_parts_are_left_out_unless_asked_for(infer, shared_photographs, tmp_path):
    """A map holds no part of less than 15 pixels of the frame; --keep-specks keeps them all."""
    maps = tmp_path / "maps"
    assert infer(shared_photographs, "--probability", "--keep-specks") == 0
    threshold = json.loads((maps / "manifest.json").read_text())["threshold"]
    every = {name: picture(maps / f"{name}.png") > 0 for name in IDS}
    for name, vessels in every.items():
        steps = np.ceil(threshold * 65535)
        np.testing.assert_array_equal(vessels, picture(maps / f"{name}.prob.png") >= steps)
    assert infer(shared_photographs, "--probability", "--force") == 0
    dropped = 0
    for name, vessels in every.items():
        kept = picture(maps / f"{name}.png") > 0
        assert not (kept & ~vessels).any()
        dropped += label(vessels, connectivity=2).max() - label(kept, connectivity=2).max()
    assert dropped > 0


def test_the_log_says_how_the_network_runs(infer, shared_photographs, capsys):
    """The choice by device is logged."""
    from fundusseg.stages.segmenting import ready_predictor

    ready_predictor.cache_clear()
    assert infer(shared_photographs, "--precision", "float32", "--batch", "3", "--jobs", "2") == 0
    assert "precision float32, 2 x 1 frames at once" in capsys.readouterr().err


def test_the_manifest_says_all_that_the_maps_follow_from(infer, shared_photographs, tmp_path):
    """Manifest: format, version, stage, config, model hash, threshold, inputs, outputs, counts."""
    from fundusseg.io.files import sha256_of

    infer(shared_photographs)
    manifest = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    assert manifest["format"] == "fundusseg-manifest" and manifest["version"] == 1
    assert manifest["stage"] == "infer" and len(manifest["model_sha256"]) == 64
    assert list(manifest) == sorted(manifest)
    assert set(manifest["inputs"]) == set(IDS)
    for name, sha256 in manifest["outputs"].items():
        assert sha256_of(tmp_path / "maps" / name) == sha256
    assert manifest["packages"]["numpy"] == np.__version__


def test_what_changes_results_changes_the_config_hash():
    """Config hash: covers geometry, model and threshold; not jobs, precision or logging."""
    from fundusseg.config import Preset
    from fundusseg.io.models import Model
    from fundusseg.io.sources import Sources
    from fundusseg.stages.infer import InferOptions, _Job

    model = Model(None, Preset(), {}, 0.5, None, "1" * 64)

    def hash_of(model=model, **options) -> str:
        return _Job(Sources(()), None, InferOptions(**options), model).config_sha256

    same = [
        {"jobs": 3},
        {"precision": "float32"},
        {"batch": 2},
        {"verify": True},
        {"shard": 1, "num_shards": 2},
        {"probability": True},
        {"threshold": 0.5},
    ]
    assert {hash_of(**options) for options in same} == {hash_of()}
    frame = dataclasses.replace(Preset().frame, sizes_px=(96,))
    others = [
        hash_of(threshold=0.4),
        hash_of(tile_px=64),
        hash_of(keep_specks=True),
        hash_of(test_time_augmentation=True),
        hash_of(dataclasses.replace(model, sha256="2" * 64)),
        hash_of(dataclasses.replace(model, preset=dataclasses.replace(Preset(), frame=frame))),
    ]
    assert len({hash_of(), *others}) == 7
    assert config_hash({"b": 1, "a": 2}) == config_hash({"a": 2, "b": 1})


def test_tiles_are_written_too_and_must_fit_the_network(
    infer, shared_photographs, tmp_path, capsys
):
    """Exit 2 for a wrong word, before the first output byte."""
    assert infer(shared_photographs, "--tile", "50") == 2
    assert "multiple of 8" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
    assert infer(shared_photographs, "--tile", "64") == 0
    assert set(contents(tmp_path / "maps")) >= {f"{id}.png" for id in IDS}


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


def test_a_field_of_view_is_found_by_its_stem_with_kept_suffixes_too(
    infer, shared_photographs, tmp_path, fovs
):
    """--fov goes with --keep-suffix."""
    assert infer(shared_photographs, "--fov", fovs[0], "--keep-suffix") == 0
    assert rows(tmp_path / "maps")["b/c.jpg"].fov_method == "given"


def test_names_that_are_no_text_come_through(infer, tmp_path):
    """status.tsv: tab, newline and undecodable bytes as C escapes."""
    names = [os.fsdecode(b"\xff.png"), "tab\tline\nbreak.png", "back\\slash.png"]
    write_photographs(tmp_path / "in", *names)
    (tmp_path / "in" / os.fsdecode(b"\xfe\n.png")).write_text("no picture")
    assert infer(tmp_path / "in") == 3
    lines = (tmp_path / "maps" / "status.tsv").read_text("ascii").splitlines()
    ids = [line.split("\t")[0] for line in lines[1:]]
    assert ids == ["back\\\\slash", "tab\\tline\\nbreak", "\\xfe\\n", "\\xff"]
    for name in names:
        assert (tmp_path / "maps" / name).is_file()
    assert run("check", tmp_path / "maps") == 0
    assert infer(tmp_path / "in") == 3


def test_a_message_is_one_line_whatever_the_name(infer, tmp_path, capsys):
    """Messages are one line, and no name moves the cursor."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "\x1b[2J\n.png").write_text("no picture")
    infer(tmp_path / "in")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "decoded" in line]
    assert "\\x1b[2J\\n.png" in line


def test_a_name_too_long_for_its_map_costs_only_itself(infer, tmp_path):
    """Exit 3: a photograph whose map cannot be named is a failed row."""
    write_photographs(tmp_path / "in", "a.png", "x" * 251 + ".png")
    assert infer(tmp_path / "in", "--probability") == 3
    found = rows(tmp_path / "maps")
    assert found["a"].status == "ok"
    assert "name too long" in found["x" * 251].reason
    assert not (tmp_path / "maps" / ("x" * 251 + ".png")).exists()


def test_a_reader_of_the_log_that_goes_away_does_not_stop_it(
    tiny_model, shared_photographs, tmp_path
):
    """People read stderr: closing it must not cost a map."""
    process = started("infer", shared_photographs, tmp_path / "maps", "--model", tiny_model)
    process.stderr.close()
    process.stdout.read()
    assert process.wait() == 0
    assert set(contents(tmp_path / "maps")) >= {f"{id}.png" for id in IDS}


def test_a_file_of_ones_own_is_not_written_over(infer, shared_photographs, tmp_path, capsys):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/a.png").write_bytes(b"a manual mask")
    assert infer(shared_photographs) == 1
    assert "maps/a.png: is there, and infer did not write it" in capsys.readouterr().err
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
    assert infer(inbox) == 0
