"""score from end to end: its figures are those of a direct computation."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from fundusseg.commands.prep.run import PrepOptions, run_prep
from fundusseg.commands.score import ScoreOptions, run_score
from fundusseg.errors import EXIT_OK, InputError, UsageError
from fundusseg.files.manifest import write_manifest
from fundusseg.metrics.intervals import mean_interval
from tests.commands.score_sets import figure, guesses, items_of, scored, write_maps


@pytest.fixture(scope="module")
def maps(root, tmp_path_factory):
    return write_maps(tmp_path_factory.mktemp("runs") / "maps", guesses(root))


@pytest.fixture(scope="module")
def shards(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    run_prep(root, out, PrepOptions())
    return out


def _inside(root, maps):
    """(probability, truth) of each image's pixels inside the field of view, at 16 bits."""
    truth, items = items_of(root)
    for item in items:
        image = truth.read(item)
        probability = np.rint(maps[item.id] * 65535) / 65535
        yield probability[image.fov], image.mask[image.fov]


def _dice(vessels, truth):
    return 2 * np.sum(vessels & truth) / (np.sum(vessels) + np.sum(truth))


def test_figures_equal_a_direct_computation(capsys, root, maps):
    code, found = scored(capsys, maps, root)
    pairs = list(_inside(root, guesses(root)))
    dice = [_dice(probability >= 0.5, truth) for probability, truth in pairs]
    subjects = [item.subject for item in items_of(root)[1]]
    interval = mean_interval(dice, subjects, seed=1)
    row = figure(found, "dice")
    assert code == EXIT_OK
    assert row["mean"] == pytest.approx(np.mean(dice), abs=1e-12)
    assert (row["low"], row["high"]) == (interval.low, interval.high)
    assert (row["n_images"], row["n_subjects"], row["n_undefined"]) == (4, 3, 0)
    all_probabilities, all_truth = (np.concatenate(part) for part in zip(*pairs, strict=True))
    assert row["pooled"] == pytest.approx(_dice(all_probabilities >= 0.5, all_truth), abs=1e-12)
    for key, function in (
        ("auroc", roc_auc_score),
        ("auprc", average_precision_score),
        ("brier", brier_score_loss),
    ):
        values = [function(truth, probability) for probability, truth in pairs]
        assert figure(found, key)["mean"] == pytest.approx(np.mean(values), abs=1e-9)
        pooled = function(all_truth, all_probabilities)
        assert figure(found, key)["pooled"] == pytest.approx(pooled, abs=1e-9)


def test_the_tables_show_the_same_numbers(capsys, root, maps, tmp_path):
    _, found = scored(capsys, maps, root)
    run_score([maps], root, ScoreOptions(split="all", jobs=1, out=tmp_path / "r"))
    region, _, *lines = capsys.readouterr().out.splitlines()
    assert region == "Region: inside the field of view: given by a mask for 4 images."
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    assert len({len(line) for line in lines}) == 1
    row = figure(found, "cldice")
    mean, low, high, pooled = (row[name] for name in ("mean", "low", "high", "pooled"))
    assert _cells(lines)["maps"][1] == f"{mean:.3f} ({low:.3f} to {high:.3f})"
    report = (tmp_path / "r/report.md").read_text()
    all_figures = _cells(report.partition("## All figures\n\n")[2].splitlines(), names=2)
    assert all_figures["clDice", "maps"][:3] == [
        f"{mean:.4f}",
        f"{low:.4f} to {high:.4f}",
        f"{pooled:.4f}",
    ]


def _cells(lines, names=1):
    """Cells of a Markdown table's rows by their first, or first two, cells."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    return {(row[0] if names == 1 else tuple(row[:names])): row[names:] for row in rows}


def test_whole_frame_counts_what_lies_outside(capsys, root, maps):
    _, inside = scored(capsys, maps, root)
    _, whole = scored(capsys, maps, root, whole_frame=True)
    counts = [
        sum(found["pooled_counts"]["maps"][k] for k in "tp fp fn tn".split())
        for found in (inside, whole)
    ]
    assert counts[1] == 4 * 128 * 128 > counts[0]
    assert "whole frame" in whole["protocol"]["region"]
    assert "inside the field of view: given by a mask for 4 images" == inside["protocol"]["region"]


def test_shards_give_the_same_figures_as_the_data_set(capsys, root, maps, shards):
    _, one = scored(capsys, maps, root)
    _, other = scored(capsys, maps, shards)
    assert one["rows"] == other["rows"]


def test_the_prepared_size_is_scored_on_resampled_maps(capsys, root, maps, shards):
    _, found = scored(capsys, maps, shards, at="prepared")
    assert "prepared (704x704)" in found["protocol"]["size"]
    native = figure(scored(capsys, maps, shards)[1], "dice")["mean"]
    assert figure(found, "dice")["mean"] == pytest.approx(native, abs=0.2)


def test_the_default_split_is_test_where_there_are_splits(capsys, root, maps):
    _, found = scored(capsys, maps, root, split="auto")
    assert found["protocol"]["images"] == "1 image of 1 subject, from the test part"
    assert figure(found, "dice")["low"] is None
    assert "here too few (1) for an interval" in found["protocol"]["mean"]
    _, bare = scored(capsys, maps, root / "test/masks", split="auto")
    assert bare["protocol"]["images"] == "1 image of 1 subject, from the whole data set"
    with pytest.raises(InputError, match="has no splits"):
        scored(capsys, maps, root / "test/masks", split="train")


def test_patterns_choose_masks_by_id_and_the_protocol_tells_of_it(capsys, root, maps, tmp_path):
    ids = [item.id for item in items_of(root)[1]]
    own = write_maps(tmp_path / "own", guesses(root))
    (own / f"{ids[0]}.png").unlink()
    out = tmp_path / "report"
    code, found = scored(capsys, own, root, exclude=(ids[0],), out=out)
    assert code == EXIT_OK  # the map that is missing is not asked for
    assert figure(found, "dice")["n_images"] == len(ids) - 1
    assert found["protocol"]["images"].endswith(f"; 1 left out, --exclude {ids[0]}")
    _, one = scored(capsys, maps, root, include=(f"*{ids[0][-4:]}",))
    assert figure(one, "dice")["n_images"] == 1
    assert scored(capsys, own, root, exclude=(ids[0],), out=out)[1] == found
    with pytest.raises(InputError, match="of other maps, another truth or other settings"):
        scored(capsys, own, root, out=out)
    with pytest.raises(InputError, match=f"has {len(ids)} masks, and none .*as for {ids[0]}"):
        scored(capsys, maps, root, include=("x*",))


def test_the_models_threshold_is_told_and_the_option_overrides_it(capsys, root, maps, tmp_path):
    own = write_maps(tmp_path / "own", guesses(root))
    more = {"threshold": 0.5, "threshold_source": "the model", "model_sha256": "c0ffee" * 6}
    fitted = {"slope": 1.5, "intercept": -0.25}
    told = "threshold 0.5 from infer's manifest (the model), model c0ffeec0ffee, on "
    for calibration, scale in ((None, "raw scores"), (fitted, "calibrated probabilities")):
        write_manifest(own, "infer", {"calibration": calibration}, {}, **more)
        _, found = scored(capsys, own, root)
        assert found["protocol"]["maps in own"] == told + scale
    _, other = scored(capsys, own, root, threshold=0.9)
    assert other["protocol"]["maps in own"] == (
        "threshold 0.9, from --threshold, on calibrated probabilities, small objects left out as "
        "by infer"
    )
    assert figure(other, "sensitivity")["mean"] < figure(found, "sensitivity")["mean"]
    with pytest.raises(UsageError, match="from 0 to 1"):
        scored(capsys, own, root, threshold=1.5)


def test_the_oracle_is_named_and_never_worse(capsys, root, tmp_path):
    low = {id: values * 0.6 for id, values in guesses(root, noise=0.1).items()}
    _, found = scored(capsys, write_maps(tmp_path / "m", low), root)
    best = figure(found, "dice", role="oracle")
    assert best["of"].startswith("oracle (at 0.")
    assert found["pooled_counts"][best["of"]]["centreline"] is None  # no maps, no skeletons
    assert best["mean"] > figure(found, "dice")["mean"] + 0.1
    assert not [row for row in found["rows"] if (row["figure"], row["role"]) == ("auroc", "oracle")]


def test_binary_maps_have_no_ranking_and_no_calibration(capsys, root, tmp_path):
    binary = {id: values >= 0.5 for id, values in guesses(root).items()}
    folder = write_maps(tmp_path / "b", binary)
    _, found = scored(capsys, folder, root)
    for key in ("auroc", "auprc", "brier", "ece", "mse_continuous"):
        assert "mean" not in figure(found, key)
    assert found["protocol"]["maps in b"] == "binary, as stored"
    run_score([folder], root, ScoreOptions(split="all", jobs=1))
    out = capsys.readouterr().out
    assert "\nn/a (binary): needs probabilities (infer --probability).\n" in out
    assert out.count("| n/a (binary) |") == 2 * 2  # AUROC and ECE, of the second observer too


def test_the_second_observer_has_its_own_rows(capsys, root, maps):
    _, found = scored(capsys, maps, root)
    truth, items = items_of(root)
    images = [truth.read(item) for item in items]
    dice = [_dice(image.mask2[image.fov], image.mask[image.fov]) for image in images]
    row = figure(found, "dice", role="second observer")
    assert row["mean"] == pytest.approx(np.mean(dice), abs=1e-12)


def test_two_folders_are_compared_pair_by_pair(capsys, root, maps, tmp_path):
    other = write_maps(tmp_path / "other", guesses(root, noise=0.5, seed=1))
    _, found = scored(capsys, [maps, other], root)
    of = "other - maps"
    row = figure(found, "dice", of, role="difference")
    one, two = (figure(found, "dice", label) for label in ("maps", "other"))
    assert row["mean"] == pytest.approx(two["mean"] - one["mean"], abs=1e-12)
    assert row["pooled"] == pytest.approx(two["pooled"] - one["pooled"], abs=1e-12)
    assert row["low"] <= row["mean"] <= row["high"] < 0
    with pytest.raises(InputError, match="given twice"):
        scored(capsys, [maps, maps], root)


def test_labels_are_the_shortest_ends_that_differ(capsys, root, tmp_path):
    folders = [write_maps(tmp_path / run / "maps", guesses(root)) for run in ("one", "two")]
    _, found = scored(capsys, folders, root)
    assert list(found["failures"]) == ["one/maps", "two/maps"]


def test_the_baselines_threshold_is_chosen_on_train_images(capsys, root, maps, shards):
    for truth in (root, shards):
        _, found = scored(capsys, maps, truth, split="test", baseline=True)
        assert "highest Dice on 3 train images" in found["protocol"]["baseline"]
        assert figure(found, "dice", role="baseline")["mean"] > 0.3
        assert figure(found, "auroc", role="baseline")["mean"] > 0.8
        assert not [r for r in found["rows"] if (r["figure"], r["role"]) == ("ece", "baseline")]
    with pytest.raises(UsageError, match="--baseline needs photographs"):
        scored(capsys, maps, root / "test/masks", baseline=True)
    with pytest.raises(InputError, match="no train images besides those that are scored"):
        scored(capsys, maps, root, split="all", baseline=True)


def test_image_similarity_is_that_of_maps_resized_to_256(capsys, root, tmp_path):
    truth, items = items_of(root)
    perfect = {item.id: truth.read(item).mask.astype(float) for item in items}
    _, found = scored(capsys, write_maps(tmp_path / "p", perfect), root)
    assert figure(found, "mse_binary")["mean"] == figure(found, "mse_continuous")["mean"] == 0
    assert figure(found, "ssim_binary")["mean"] == pytest.approx(1)
    assert figure(found, "psnr_db_continuous")["mean"] == "inf"
    nothing = {id: np.zeros(mask.shape) for id, mask in perfect.items()}
    _, found = scored(capsys, write_maps(tmp_path / "n", nothing), root)
    coverage = np.mean([mask.mean() for mask in perfect.values()])
    assert 0.5 * 4 * coverage < figure(found, "mse_continuous")["mean"] < 4 * coverage


def test_strata_come_from_a_table_and_from_the_data_set(capsys, phantom_set, tmp_path):
    root = phantom_set("hrf-all")
    maps = write_maps(tmp_path / "m", guesses(root))
    table = tmp_path / "groups.tsv"
    table.write_text(
        "id\tcamera\tquality\n01_h\tA\tgood\nall/images/02_dr\tA\tpoor\n05_g\tB\tgood\n"
    )
    _, found = scored(capsys, maps, root, groups=table)
    counts = {
        (row["grouping"], row["stratum"]): row["n_images"]
        for row in found["strata"]
        if row["of"] == "m"
    }
    assert counts == {
        ("camera", "A"): 2,
        ("camera", "B"): 1,
        ("camera", "(none)"): 2,
        ("quality", "good"): 2,
        ("quality", "poor"): 1,
        ("quality", "(none)"): 2,
        ("group", "h"): 2,
        ("group", "dr"): 2,
        ("group", "g"): 1,
    }
    everyone = figure(found, "dice")["mean"]
    parts = [row for row in found["strata"] if row["grouping"] == "camera" and row["of"] == "m"]
    weighted = sum(row["figures"]["dice"]["mean"] * row["n_images"] for row in parts) / 5
    assert weighted == pytest.approx(everyone, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id\tcamera\n1\tA\n1\tB\n", "two rows for 1"),
        ("id\n1\n", "no column beside id"),
        ("name\tcamera\n1\tA\n", "no column id"),
    ],
)
def test_tables_of_groups_that_cannot_be_used_are_refused(
    capsys, root, maps, tmp_path, text, reason
):
    (tmp_path / "g.tsv").write_text(text)
    with pytest.raises(InputError, match=reason):
        scored(capsys, maps, root, groups=tmp_path / "g.tsv")


def test_tensorflow_is_not_needed():
    code = "import sys, fundusseg.commands.score; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_second_observer_of_chase_as_maps(capsys, real_data):
    root = real_data / "CHASE_DB1"
    if not root.is_dir():
        pytest.skip("FUNDUSSEG_DATA has no CHASE_DB1")
    code, found = scored(capsys, root / "all/masks2", root)
    assert code == EXIT_OK
    assert figure(found, "dice")["mean"] == pytest.approx(0.7774, abs=0.0005)
    assert figure(found, "dice")["pooled"] == pytest.approx(0.7764, abs=0.0005)
    assert figure(found, "cldice")["mean"] == pytest.approx(0.835, abs=0.005)
    own = figure(found, "dice", role="second observer")
    assert own["mean"] == figure(found, "dice")["mean"]
    assert (own["n_images"], own["n_subjects"]) == (28, 14)
