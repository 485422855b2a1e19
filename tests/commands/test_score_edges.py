"""Empty masks, missing, failed and unmatched maps: each is counted and reported."""

import csv
import pkgutil

import numpy as np
import pytest

from fundusseg.commands.prep.run import PrepOptions, run_prep
from fundusseg.commands.score import ScoreOptions, run_score
from fundusseg.datasets.shards import ShardFolder
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UsageError
from fundusseg.evaluation.systems import SECOND
from fundusseg.files.encoders import map_png
from fundusseg.files.manifest import read_manifest
from fundusseg.files.status import StatusRow
from tests.batch import write_status
from tests.commands.score_sets import figure, guesses, items_of, scored, write_maps

SHAPE = (40, 48)
EMPTY = np.zeros(SHAPE, bool)
PIXEL = EMPTY.copy()
PIXEL[20, 20] = True
BAR = EMPTY.copy()
BAR[10:13, 5:40] = True


def _one(capsys, tmp_path, vessels, truth, **options):
    write_maps(tmp_path / "maps", {"x": vessels})
    write_maps(tmp_path / "truth", {"x": truth})
    return scored(capsys, tmp_path / "maps", tmp_path / "truth", **options)


@pytest.mark.parametrize(
    ("vessels", "truth", "expected"),
    [
        (EMPTY, EMPTY, {"dice": 1, "cldice": 1, "nsd_1px": 1, "hausdorff_95_px": 0, "mcc": 0}),
        (PIXEL, EMPTY, {"dice": 0, "cldice": 0, "nsd_1px": 0, "hausdorff_95_px": "inf"}),
        (EMPTY, BAR, {"dice": 0, "cldice": 0, "nsd_1px": 0, "hausdorff_95_px": "inf"}),
        (
            PIXEL,
            PIXEL,
            {"dice": 1, "cldice": 1, "nsd_1px": 1, "hausdorff_95_px": 0, "connected_components": 1},
        ),
        (BAR, BAR, {"dice": 1, "iou": 1, "precision": 1, "mcc": 1, "specificity": 1}),
    ],
)
def test_empty_masks_and_single_pixels(capsys, tmp_path, vessels, truth, expected):
    code, found = _one(capsys, tmp_path, vessels, truth)
    assert code == EXIT_OK
    assert {key: figure(found, key)["mean"] for key in expected} == expected


def test_undefined_figures_are_counted_and_said(capsys, tmp_path):
    _, found = _one(capsys, tmp_path, EMPTY, EMPTY)
    row = figure(found, "sensitivity")
    assert (row["mean"], row["n_images"], row["n_undefined"]) == (None, 0, 1)
    run_score([tmp_path / "maps"], tmp_path / "truth", ScoreOptions(out=tmp_path / "out"))
    text = capsys.readouterr().out + (tmp_path / "out/metrics.tsv").read_text()
    assert "n/a" in text and "nan" not in text.lower()


def test_undefined_probability_figures_do_not_break_the_plots(capsys, tmp_path):
    code, found = _one(capsys, tmp_path, 0.9 * BAR, EMPTY, out=tmp_path / "out")
    assert code == EXIT_OK
    assert figure(found, "auroc")["mean"] is None
    assert figure(found, "brier")["mean"] == pytest.approx(0.81 * BAR.mean(), abs=1e-4)
    assert (tmp_path / "out/roc.png").stat().st_size > 0


def test_an_empty_field_of_view_fails_its_image(capsys, own_set, tmp_path):
    root = own_set("pairs")
    maps = write_maps(tmp_path / "maps", guesses(root))
    (root / "test/fov/p3_OS.png").write_bytes(map_png(np.zeros((128, 128), bool)))
    code, found = scored(capsys, maps, root)
    assert code == EXIT_SOME_FAILED
    (reason,) = found["failures"]["maps"].values()
    assert reason.startswith("failed: p3_OS.png is an empty field of view")
    assert figure(found, "dice")["n_images"] == 3


def test_a_map_of_another_size_fails_alone(capsys, phantom_set, tmp_path):
    root = phantom_set("pairs")
    maps = guesses(root)
    maps["test/images/p3_OS"] = maps["test/images/p3_OS"][:64]
    code, found = scored(capsys, write_maps(tmp_path / "maps", maps), root)
    assert code == EXIT_SOME_FAILED
    assert found["failures"]["maps"] == {
        "test/images/p3_OS": "failed: p3_OS.png is 128x64, its truth 128x128; "
        "maps must have their photograph's size"
    }


@pytest.mark.parametrize("step", ["files.decoders._decoded", "evaluation.scoring.image_score"])
def test_a_lack_of_memory_costs_its_image_only(capsys, phantom_set, tmp_path, monkeypatch, step):
    root, limit = phantom_set("pairs"), [3]
    maps = write_maps(tmp_path / "maps", guesses(root))

    def exhausted(*_):
        limit[0] -= 1
        if not limit[0]:
            raise MemoryError
        return original(*_)

    original = pkgutil.resolve_name(f"fundusseg.{step}")
    monkeypatch.setattr(f"fundusseg.{step}", exhausted)
    code, found = scored(capsys, maps, root, jobs=1)
    assert code == EXIT_SOME_FAILED
    (reason,) = found["failures"]["maps"].values()
    assert reason.endswith("needs more memory than there is")


def test_a_missing_map_is_a_row_and_exit_3(capsys, phantom_set, tmp_path):
    root = phantom_set("pairs")
    maps = guesses(root)
    del maps["test/images/p3_OS"]
    folder = write_maps(tmp_path / "maps", maps)
    code, found = scored(capsys, folder, root, out=tmp_path / "out")
    assert code == EXIT_SOME_FAILED
    assert figure(found, "dice")["n_images"] == 3
    assert "1 more excluded" in found["protocol"]["images"]
    text = (tmp_path / "out/report.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| test/images/p3_OS")]
    assert line.split(" | ")[1:] == ["maps", "missing: there is no map of it |"]
    with (tmp_path / "out/metrics.tsv").open(newline="") as file:
        rows = {(row["id"], row["role"]): row for row in csv.DictReader(file, delimiter="\t")}
    missing = rows["test/images/p3_OS", "maps"]
    assert (missing["status"], missing["in_means"], missing["dice"]) == ("missing", "no", "")
    failures = read_manifest(tmp_path / "out/manifest.json")["failures"]
    assert failures == {"maps/test/images/p3_OS": "missing: there is no map of it"}


def test_all_folders_are_scored_on_the_images_that_all_have(capsys, phantom_set, tmp_path):
    root = phantom_set("pairs")
    maps = guesses(root)
    one = write_maps(tmp_path / "one", maps)
    del maps["test/images/p3_OS"]
    two = write_maps(tmp_path / "two", maps)
    code, found = scored(capsys, [one, two], root)
    assert code == EXIT_SOME_FAILED
    assert {figure(found, "dice", label)["n_images"] for label in ("one", "two")} == {3}
    assert figure(found, "dice", "two - one", "difference")["mean"] == 0


def test_what_infer_failed_on_is_told_with_its_reason(capsys, phantom_set, tmp_path):
    root = phantom_set("pairs")
    folder = write_maps(tmp_path / "maps", guesses(root))
    (folder / "test/images/p3_OS.png").unlink()
    rows = [StatusRow(id, "ok") for id in guesses(root) if not id.endswith("p3_OS")]
    rows.append(StatusRow("images/p3_OS", "failed", "is no image"))
    write_status(folder / "status.tsv", rows)
    code, found = scored(capsys, folder, root)
    assert code == EXIT_SOME_FAILED
    assert found["failures"]["maps"] == {"test/images/p3_OS": "failed: is no image"}


def test_a_folder_of_which_all_failed_still_gets_its_report(capsys, phantom_set, tmp_path):
    (tmp_path / "maps").mkdir()
    write_status(tmp_path / "maps/status.tsv", [StatusRow("p3_OS", "failed", "is no image")])
    code, found = scored(
        capsys, tmp_path / "maps", phantom_set("pairs"), split="test", out=tmp_path / "out"
    )
    assert code == EXIT_SOME_FAILED
    assert figure(found, "dice")["mean"] is None
    assert (tmp_path / "out/report.md").is_file()


def test_maps_without_a_truth_are_named(capsys, caplog, phantom_set, tmp_path):
    root = phantom_set("pairs")
    maps = {**guesses(root), "stranger|1": np.ones((128, 128), bool)}
    code, found = scored(
        capsys, write_maps(tmp_path / "maps", maps), root, split="test", out=tmp_path / "out"
    )
    assert code == EXIT_OK  # the maps of the train part have a truth, though it is not scored
    assert found["maps_without_truth"] == {"maps": ["stranger|1"]}
    assert "1 not scored: stranger\\|1" in (tmp_path / "out/report.md").read_text()


def test_names_that_are_no_text_are_escaped(capsys, tmp_path):
    for folder in ("maps", "truth"):
        write_maps(tmp_path / folder, {"x\udcff\t|": BAR})
    code, _ = scored(capsys, tmp_path / "maps", tmp_path / "truth", out=tmp_path / "out")
    assert code == EXIT_OK
    lines = (tmp_path / "out/metrics.tsv").read_text().splitlines()
    assert lines[1].startswith("x\\xff\\t|\t")


def test_a_folder_without_any_map_of_the_truth_is_refused(capsys, phantom_set, tmp_path):
    folder = write_maps(tmp_path / "maps", {"stranger": BAR})
    with pytest.raises(InputError, match="no map of the 4 images"):
        scored(capsys, folder, phantom_set("pairs"))


def test_a_photograph_that_prep_could_not_read_stands_in_the_report(own_set, tmp_path):
    root = own_set("pairs")
    broken = sorted(root.rglob("images/*"))[0]
    broken.write_bytes(b"no image")
    options = PrepOptions(preset="pix2pix", jobs=1)
    assert run_prep(root, tmp_path / "shards", options) == EXIT_SOME_FAILED
    maps = tmp_path / "maps"
    folder = ShardFolder(tmp_path / "shards")
    for ref in folder.of_split("all"):
        path = maps / f"{ref.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(map_png(folder.read(ref, native=True).native_mask))
    out = tmp_path / "out"
    run_score([maps], tmp_path / "shards", ScoreOptions(split="all", out=out, jobs=1))
    report = (out / "report.md").read_text()
    assert f"{broken.stem} " in report and "no image that can be decoded" in report


def test_a_damaged_photograph_costs_its_baseline_and_its_panel_only(
    capsys, own_set, tmp_path, caplog
):
    """Its mask and field of view are whole, so its map is scored."""
    root = own_set("pairs")
    for path in root.glob("train/*/p2_OD.*"):
        path.rename(root / "test" / path.parent.name / path.name)
    maps = write_maps(tmp_path / "maps", guesses(root))
    for photograph in ("train/images/p1 left.png", "test/images/p3_OS.png"):
        (root / photograph).write_bytes(photograph.encode())
    code, found = scored(capsys, maps, root, split="test", out=tmp_path / "out", baseline=True)
    assert code == EXIT_OK and found["failures"] == {"maps": {}}
    assert (tmp_path / "out/gallery-worst.png").exists()
    assert figure(found, "dice", role="baseline")["n_undefined"] >= 1
    assert (
        "no baseline for this image" in caplog.text and "shows its masks without it" in caplog.text
    )


def test_a_photograph_that_is_gone_is_matched_by_name(capsys, own_set, tmp_path):
    root = own_set("pairs")
    maps = write_maps(tmp_path / "maps", guesses(root))
    write_status(maps / "status.tsv", [StatusRow(id, "ok", "", "0" * 64) for id in guesses(root)])
    path = root / "test/images/p3_OS.png"
    path.unlink()
    path.symlink_to("gone.png")
    assert scored(capsys, maps, root)[0] == EXIT_OK


def test_links_to_nowhere_are_no_fault(capsys, own_set, tmp_path):
    root = own_set("pairs")
    maps = write_maps(tmp_path / "maps", guesses(root))
    for folder in (root, maps):
        (folder / "notes.txt").symlink_to("gone.txt")
    for _ in range(2):
        assert scored(capsys, maps, root, out=tmp_path / "out")[0] == EXIT_OK


def test_the_folder_of_another_stage_is_refused(own_set, tmp_path):
    root, shards = own_set("pairs"), tmp_path / "shards"
    run_prep(root, shards, PrepOptions(preset="pix2pix", jobs=1))
    before = read_manifest(shards / "manifest.json")
    maps = write_maps(tmp_path / "maps", guesses(root))
    with pytest.raises(InputError, match="is what prep wrote; choose another output folder"):
        run_score([maps], root, ScoreOptions(out=shards))
    with pytest.raises(UsageError, match="is PRED or TRUTH"):
        run_score([maps], shards, ScoreOptions(out=shards, split="all"))
    assert read_manifest(shards / "manifest.json") == before


@pytest.mark.parametrize("inside", ["maps", "masks"])
def test_a_report_inside_the_maps_or_the_masks_is_not_read(capsys, tmp_path, inside):
    maps = write_maps(tmp_path / "maps", {name: BAR for name in "abc"})
    masks = write_maps(tmp_path / "masks", {name: BAR for name in "abc"})
    for force in (False, True):
        code, found = scored(capsys, maps, masks, out=tmp_path / inside / "score", force=force)
        assert code == EXIT_OK and found["maps_without_truth"] == {"maps": []}
    code, found = scored(capsys, maps, masks)  # which leaves out no folder
    assert code == EXIT_OK and found["maps_without_truth"] == {"maps": []}


def test_a_second_observer_of_no_image_that_counts_has_no_row(capsys, own_set, tmp_path):
    root = own_set("pairs")
    truth, _ = items_of(root)
    lost, *others = sorted(id for id, entry in truth.entries.items() if entry.mask2)
    for id in others:
        (root / truth.entries[id].mask2).unlink()
    maps = {id: map for id, map in guesses(root).items() if id != lost}
    out = tmp_path / "score"
    code, found = scored(capsys, write_maps(tmp_path / "maps", maps), root, out=out)
    assert code == EXIT_SOME_FAILED
    assert SECOND not in {row["role"] for row in found["rows"]}
    assert (out / "report.md").is_file()


def test_a_groups_table_holds_ids_as_they_are_printed(capsys, tmp_path):
    """Escaped, as in --dry-run: a backslash in a name is two."""
    maps = write_maps(tmp_path / "maps", {"a\\b": BAR, "c": BAR})
    (tmp_path / "groups.tsv").write_text("id\tdisease\na\\\\b\tdr\nc\tnone\n")
    code, found = scored(capsys, maps, maps, groups=tmp_path / "groups.tsv")
    assert code == EXIT_OK
    assert "(none)" not in str(found["strata"]) and "dr" in str(found["strata"])


def test_a_table_of_groups_without_a_row_is_refused(tmp_path):
    maps = write_maps(tmp_path / "maps", {"x": BAR})
    (tmp_path / "groups.tsv").write_text("id\tdisease\n")
    options = ScoreOptions(groups=tmp_path / "groups.tsv")
    with pytest.raises(InputError, match="has no row below its header"):
        run_score([maps], maps, options)
