"""score of what infer wrote: its rows, its fields of view, its small objects, its photographs."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from fundusseg.commands.infer.outputs import OutputKinds
from fundusseg.datasets.maps import MapFolder
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError
from fundusseg.files import models
from fundusseg.files.checksums import sha256_of
from fundusseg.files.encoders import map_png
from fundusseg.files.manifest import read_manifest, write_manifest
from fundusseg.files.masks import read_mask
from fundusseg.files.status import StatusRow, read_status
from tests.batch import run, write_status
from tests.commands.score_sets import figure, scored, write_maps

SHAPE = (60, 80)
BAR = np.zeros(SHAPE, bool)
BAR[20:24, 10:70] = True
CIRCLE = {"fov_y_px": "30.0", "fov_x_px": "40.0", "fov_diameter_px": "40.0", "fov_method": "circle"}


def _infers(folder, maps, **cells):
    """A folder of maps by id with the status table of infer."""
    write_maps(folder, maps)
    write_status(folder / "status.tsv", [StatusRow(id, "ok", **{**CIRCLE, **cells}) for id in maps])
    return folder


def test_the_field_of_view_of_status_tsv_is_the_region_of_bare_masks(capsys, tmp_path):
    truth = write_maps(tmp_path / "masks", {"x": BAR, "y": BAR})
    maps = _infers(tmp_path / "maps", {"x": BAR, "y": BAR})
    code, found = scored(capsys, maps, truth)
    region = "inside the circle that infer's status.tsv has of the field of view"
    region += ": found as a circle for 2 images"
    assert (code, found["protocol"]["region"]) == (EXIT_OK, region)
    rows, columns = np.indices(SHAPE) + 0.5
    inside = np.hypot(rows - 30, columns - 40) <= 20
    counts = found["pooled_counts"]["maps"]
    assert counts["tp"] == 2 * (BAR & inside).sum() < 2 * BAR.sum()
    assert counts["tp"] + counts["tn"] == 2 * inside.sum()
    _, whole = scored(capsys, maps, truth, whole_frame=True)
    assert whole["pooled_counts"]["maps"]["tp"] == 2 * BAR.sum()


def test_a_field_of_view_that_is_the_frame_is_all_of_it(capsys, tmp_path):
    truth = write_maps(tmp_path / "masks", {"x": BAR})
    maps = _infers(tmp_path / "maps", {"x": BAR}, fov_method="frame")
    assert scored(capsys, maps, truth)[1]["pooled_counts"]["maps"]["tp"] == BAR.sum()


def test_the_region_stands_above_the_table(capsys, tmp_path):
    truth = write_maps(tmp_path / "masks", {"x": BAR})
    assert run("score", truth, truth, "--out", tmp_path / "out") == 0
    printed, said = capsys.readouterr()
    assert "is PRED and TRUTH, so it is compared with itself" in said
    assert run("score", truth, truth, "--out", truth) == 2
    assert "is PRED or TRUTH; choose a folder of its own" in capsys.readouterr().err
    assert printed.startswith("Region: whole frame: the field of view is not known")
    assert (tmp_path / "out/report.md").read_text().endswith(printed)


def test_maps_that_status_tsv_does_not_list_are_not_scored_and_counted(capsys, tmp_path):
    masks = write_maps(tmp_path / "masks", {"x": BAR, "gone": BAR})
    maps = _infers(tmp_path / "maps", {"x": BAR})
    write_maps(maps, {"gone": BAR})
    assert run("score", maps, masks) == EXIT_SOME_FAILED
    said = capsys.readouterr()
    assert "1 map not scored, as its status.tsv does not list what is gone: gone" in said.err
    assert "| maps " in said.out
    code, found = scored(capsys, maps, masks)
    assert code == EXIT_SOME_FAILED
    assert found["failures"]["maps"] == {"gone": "missing: there is no map of it"}
    assert "1 map not scored: not in its status.tsv" in found["protocol"]["maps in maps"]
    assert found["protocol"]["region"].endswith("field of view: found as a circle for 1 image")


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_of_one_map_in_two_formats_the_listed_one_or_else_the_arrays_are_read(tmp_path, suffix):
    folder = _infers(tmp_path / "maps", {"x": BAR})
    probability = np.where(BAR, np.float32(0.9), np.float32(0.1))
    for name, data in OutputKinds(suffix).encoded("x", BAR, probability, None).items():
        (folder / name).write_bytes(data)
    found = MapFolder(folder)
    assert list(found.files) == ["x"]
    assert found.read(found.files["x"]).probability.max() == np.float32(0.9)
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  x.png\n")  # of a later run, for maps only
    assert MapFolder(folder).files["x"].path.name == "x.png"
    (folder / "x.tif").write_bytes(map_png(BAR))  # infer writes none
    with pytest.raises(InputError, match="are both the map of x"):
        MapFolder(folder)


@pytest.mark.parametrize("threshold", [0.4, 0.55])
def test_maps_cut_anew_are_those_that_infer_cuts_at_that_threshold(
    infer, shared_photographs, tmp_path, threshold
):
    assert infer(shared_photographs, "--format", "npz") == 0
    first = MapFolder(tmp_path / "maps")
    cut = {id: first.read(file, threshold).vessels for id, file in first.files.items()}
    specks = {id: first.read(file).probability >= threshold for id, file in first.files.items()}
    assert infer(shared_photographs, "--format", "npz", "--threshold", threshold, "--force") == 0
    second = MapFolder(tmp_path / "maps")
    for id, vessels in cut.items():
        np.testing.assert_array_equal(vessels, second.read(second.files[id]).vessels)
    assert any((vessels != specks[id]).any() for id, vessels in cut.items())


def test_the_oracles_maps_have_no_small_objects(capsys, tmp_path):
    """At the threshold that is best, a speck of 9 pixels is left out, as infer does."""
    probability = np.where(BAR, 0.6, 0.1)
    probability[40:43, 40:43] = 0.9
    maps = _infers(tmp_path / "maps", {"x": probability})
    config = {"frame": "field-of-view", "frame_sizes_px": [40], "longest_gap_px": 0}
    masks = write_maps(tmp_path / "masks", {"x": BAR})
    for smallest_px, best in ((15, 1), (0, 480 / 489)):
        whole = {**config, "smallest_object_px": smallest_px}
        write_manifest(maps, "infer", whole, {}, threshold=0.5)
        _, found = scored(capsys, maps, masks, whole_frame=True)
        assert figure(found, "dice", role="oracle")["mean"] == pytest.approx(best)


def test_an_inverted_map_is_a_failed_row_that_says_so(capsys, tmp_path):
    masks = write_maps(tmp_path / "masks", {"x": BAR, "y": BAR})
    for name, inverted in (("binary", ~BAR), ("soft", np.where(BAR, 0.1, 0.9))):
        maps = write_maps(tmp_path / name, {"x": BAR, "y": inverted})
        for options in ({}, {"threshold": 0.95}):
            if name == "binary" or options:
                code, found = scored(capsys, maps, masks, **options)
                assert code == EXIT_SOME_FAILED
                reason = found["failures"][name]["y"]
                assert "95% of it is white; is it inverted?" in reason
                assert figure(found, "dice")["mean"] == 1 or options


def test_the_reason_of_an_unusable_map_is_said(capsys, tmp_path):
    masks = write_maps(tmp_path / "masks", {"x": BAR})
    assert run("score", write_maps(tmp_path / "maps", {"x": ~BAR}), masks) == EXIT_SOME_FAILED
    said = "1 of 1 image without a usable map: x; the first failed: x.png is no mask or map of"
    assert said in capsys.readouterr().err


def test_an_interval_is_cut_at_the_range_of_its_figure(capsys, tmp_path):
    masks = write_maps(tmp_path / "masks", {id: BAR for id in "abcd"})
    maps = write_maps(tmp_path / "maps", {"a": BAR & False, "b": BAR, "c": BAR, "d": BAR})
    row = figure(scored(capsys, maps, masks)[1], "dice")
    assert (row["low"], row["mean"], row["high"]) == (0, 0.75, 1)


def test_what_infer_drew_is_scored_however_much_is_vessel(capsys, tmp_path):
    maps = _infers(tmp_path / "maps", {"x": ~BAR})
    assert scored(capsys, maps, write_maps(tmp_path / "masks", {"x": BAR}))[0] == EXIT_OK


def test_swapped_arguments_are_told_the_order(capsys, tmp_path):
    masks = write_maps(tmp_path / "masks", {"x": BAR})
    maps = _infers(tmp_path / "maps", {"x": BAR})
    assert run("score", masks, maps) == 1
    said = f"{maps}: is what infer wrote, and {masks} is not; give the maps first"
    assert said in capsys.readouterr().err
    assert run("score", maps, maps) == 0


@pytest.mark.parametrize("kind", ["photographs", "inverted"])
def test_a_truth_of_no_masks_is_an_error_that_names_its_file(capsys, tmp_path, kind):
    import imageio.v3 as iio

    maps = write_maps(tmp_path / "maps", {"x": BAR})
    (tmp_path / "truth").mkdir()
    path = tmp_path / "truth/x.png"
    noise = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), np.uint8)
    iio.imwrite(path, noise if kind == "photographs" else np.uint8(255) * ~BAR)
    assert run("score", maps, tmp_path / "truth", "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert f"error: {path}: is " in said.err and str(maps) not in said.err
    assert said.out == "" and not (tmp_path / "out").exists()


def test_a_truth_of_labels_alone_is_scored_as_failed(capsys, tmp_path):
    import imageio.v3 as iio

    maps = write_maps(tmp_path / "maps", {"x": BAR})
    labels = write_maps(tmp_path / "truth", {"x": BAR}) / "x.png"
    pixels = np.uint8(255) * BAR
    pixels[0] = 128
    iio.imwrite(labels, pixels)
    assert run("score", maps, tmp_path / "truth", "--out", tmp_path / "out") == EXIT_SOME_FAILED
    assert f"not usable: 1 of 1 mask, as {labels}: has 3 grey" in capsys.readouterr().err


def test_some_masks_that_are_none_are_warned_of_as_the_truths(capsys, tmp_path):
    maps = write_maps(tmp_path / "maps", {"x": BAR, "y": BAR})
    truth = write_maps(tmp_path / "truth", {"x": BAR, "y": ~BAR})
    assert run("score", maps, truth) == EXIT_SOME_FAILED
    said = capsys.readouterr().err
    assert f"{truth}: not usable: 1 of 2 masks, as {truth}/y.png: is no mask" in said
    assert "without a usable map" not in said


def test_names_in_nfc_and_nfd_are_the_same(capsys, tmp_path):
    composed = unicodedata.normalize("NFC", "Müller_OD")
    parted = unicodedata.normalize("NFD", composed)
    masks = write_maps(tmp_path / "masks", {parted: BAR})
    for id in (composed, f"{composed}_manual1"):
        maps = write_maps(tmp_path / id, {id: BAR})
        code, found = scored(capsys, maps, masks)
        assert code == EXIT_OK and found["maps_without_truth"] == {id: []}
    maps = write_maps(tmp_path / "moved", {parted: BAR})  # as a Mac's disk renames files
    write_status(maps / "status.tsv", [StatusRow(composed, "ok")])
    assert list(MapFolder(maps).files) == [parted]


def test_maps_of_other_photographs_of_the_same_names_are_warned_of(capsys, tmp_path, own_set):
    root = own_set("pairs")
    photographs = sorted(root.glob("*/images/*"))
    maps = tmp_path / "maps"
    ids = [path.relative_to(root).with_suffix("").as_posix() for path in photographs]
    rows = []
    for number, (id, path) in enumerate(zip(ids, photographs, strict=True)):
        mask = next((path.parent.parent / "masks").glob(f"{path.stem}*"))
        write_maps(maps, {id: read_mask(mask)})
        rows.append(StatusRow(id, "ok", source_sha256=sha256_of(path) if number else "0" * 64))
    write_status(maps / "status.tsv", rows)
    assert run("score", maps, root, "--split", "all") == 0
    said = capsys.readouterr().err
    assert (
        f"1 map made from other bytes than the truth's photograph of that name has: {ids[0]}"
        in said
    )


def test_maps_that_hit_no_vessel_are_warned_of(capsys, tmp_path):
    """As probabilities in per cent, of which none is above 127."""
    truth = write_maps(tmp_path / "truth", {"x": BAR, "y": BAR})
    maps = tmp_path / "maps"
    maps.mkdir()
    per_cent = np.clip(np.indices(SHAPE).sum(axis=0), 0, 99).astype(np.uint8)
    for id in "xy":
        Image.fromarray(np.where(BAR, 100, per_cent).astype(np.uint8)).save(maps / f"{id}.png")
    assert run("score", maps, truth) == 0
    assert "maps: no map hits a vessel; is full scale what is certain" in capsys.readouterr().err
    assert run("score", truth, truth) == 0
    assert "hits a vessel" not in capsys.readouterr().err


def test_a_threshold_that_does_not_apply_to_binary_maps_is_warned_of(capsys, tmp_path):
    truth = write_maps(tmp_path / "truth", {"x": BAR})
    maps = write_maps(tmp_path / "maps", {"x": BAR})
    assert run("score", maps, truth, "--threshold", 0.3) == 0
    assert "maps: has binary maps: --threshold does not apply" in capsys.readouterr().err


def test_maps_that_are_all_of_no_use_are_not_called_binary(capsys, tmp_path):
    truth = write_maps(tmp_path / "truth", {"x": BAR})
    maps = write_maps(tmp_path / "maps", {"x": BAR[:-1]})
    assert run("score", maps, truth, "--threshold", 0.3, "--out", tmp_path / "out") == 3
    assert "binary" not in capsys.readouterr().err
    assert "binary, as stored" not in (tmp_path / "out/report.md").read_text()


def test_photographs_that_trained_the_model_are_warned_of(capsys, tiny_model, tmp_path, own_set):
    root = own_set("pairs")
    seen = sorted(root.glob("*/images/*"))
    hashes = [sha256_of(path) for path in seen[:2]]
    model = tmp_path / "model"
    model.mkdir()
    for name in (models.CONFIG, models.GENERATOR):
        (model / name).write_bytes((tiny_model / name).read_bytes())
    photographs = {"train": hashes[:1], "validation": hashes[1:]}
    write_manifest(model, "train", {}, {}, photographs=photographs)
    maps = tmp_path / "maps"
    assert run("infer", root, maps, "--model", model, "--jobs", 1) == 0
    assert read_manifest(maps / "manifest.json")["trained_on"]["train"] == [hashes[0][:12]]
    capsys.readouterr()
    for number in range(2):  # the second time the report is finished
        assert run("score", maps, root, "--split", "all", "--out", tmp_path / "out") == 0
        said = capsys.readouterr()
        line = "the model learnt from 1 of 4 photographs scored, and 1 validated its training"
        assert f"maps: {line}." in said.out and (line in said.err or number)
    masks = tmp_path / "flat"
    masks.mkdir()
    for path in root.glob("*/masks/*"):
        (masks / path.name).write_bytes(path.read_bytes())
    assert run("score", maps, masks) == 0
    assert "the model learnt from 1 of 4 photographs scored" in capsys.readouterr().err


def test_a_model_that_does_not_tell_its_photographs_is_passed_over(infer, photographs, tmp_path):
    assert infer(photographs) == 0
    assert "trained_on" not in read_manifest(tmp_path / "maps/manifest.json")
    assert MapFolder(tmp_path / "maps").trained_on == {}
    assert all(row.fov_diameter_px for row in read_status(tmp_path / "maps/status.tsv"))


@pytest.mark.parametrize("name", ["report.md", "metrics.tsv", "roc.png", "SHA256SUMS"])
def test_a_strangers_file_is_not_written_over(capsys, tmp_path, name):
    maps = write_maps(tmp_path / "maps", {"x": np.where(BAR, 0.9, 0.1)})
    masks = write_maps(tmp_path / "masks", {"x": BAR})
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    words = ("score", maps, masks, "--out", out)
    assert run(*words) == 1
    assert f"{out / name}: is there, and score did not write it" in capsys.readouterr().err
    assert (out / name).read_text() == "mine"
    assert run(*words, "--force") == 0
    assert (out / name).read_bytes() != b"mine"
    (maps / "x.png").write_bytes(map_png(~BAR & False))
    assert run(*words) == 0  # new maps of the same settings: the report is made anew


def test_a_report_of_other_settings_is_replaced_with_force_only(capsys, tmp_path):
    maps = write_maps(tmp_path / "maps", {"x": np.where(BAR, 0.9, 0.1)})
    masks = write_maps(tmp_path / "masks", {"x": BAR})
    other = write_maps(tmp_path / "other", {"x": BAR})
    out = tmp_path / "out"
    assert run("score", maps, masks, "--out", out) == 0
    before = (out / "report.md").read_bytes()
    capsys.readouterr()
    for words in ((maps, masks, "--whole-frame"), (other, masks)):
        assert run("score", *words, "--out", out) == 1
        assert "other settings" in (said := capsys.readouterr().err) and "--force" in said
        assert (out / "report.md").read_bytes() == before
    assert run("score", maps, masks, "--whole-frame", "--out", out, "--force") == 0
    assert (out / "report.md").read_bytes() != before
