"""train --adapt: what it takes and fits; stopped in a fold it ends with the same bytes."""

import dataclasses
import shutil
import signal

import numpy as np
import pytest

from fundusseg.commands.train import adapt
from fundusseg.commands.train.inputs import adapting_samples
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files import models
from fundusseg.files.manifest import read_manifest
from fundusseg.metrics.calibration import Calibration
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.validation import Validation, validation
from fundusseg.presets import ADAPTING, PIX2PIX
from fundusseg.serial import with_overrides
from tests.batch import contents, one_line, run
from tests.commands.trainings import signal_at

STEPS = 9  # and 3 in each fold


@pytest.fixture(scope="module")
def trained(tiny_shards, tiny_settings, tmp_path_factory):
    """A model that has learnt a little; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "model"
    words = ("--config", tiny_settings, "--precision", "float32", "--jobs", 1)
    assert run("train", tiny_shards, out, *words, "--steps", 30, "--adversarial-weight", 0) == 0
    return out


@pytest.fixture(scope="module")
def adapted(trained, tiny_shards, tiny_settings):
    """Adapt it to the shards; the exit code."""
    words = ("--adapt", "--start-from", trained, "--config", tiny_settings, "--steps", STEPS)
    more = ("--precision", "float32", "--jobs", 1, "--adversarial-weight", 0)
    return lambda out, *last, shards=tiny_shards: run("train", shards, out, *words, *more, *last)


@pytest.fixture(autouse=True)
def two_persons(monkeypatch):
    """The small data set has two persons outside its test part."""
    monkeypatch.setattr(adapt, "LEAST_PERSONS", 2)


def test_it_trains_on_all_but_the_test_part(adapted, tiny_shards, tmp_path, monkeypatch):
    trained_on = {}
    data = adapt.adapting_data
    monkeypatch.setattr(
        adapt,
        "adapting_data",
        lambda samples: trained_on.update({len(trained_on): samples}) or data(samples),
    )
    monkeypatch.setattr(adapt, "helped", lambda *_: True)
    out = tmp_path / "model"
    assert adapted(out) == 0
    refs = ShardFolder(tiny_shards).refs
    used = {ref.source_sha256 for ref in refs if ref.labelled and ref.split != "test"}
    first, second, last = ({sample.source_sha256 for sample in trained_on[n]} for n in range(3))
    assert first | second == last == used and not first & second
    assert set(read_manifest(out / "manifest.json")["photographs"]["train"]) == used
    assert not list(out.rglob("state.h5"))


def test_photographs_that_are_there_twice_are_warned_of(tiny_shards, tmp_path, capsys):
    again = shutil.copytree(tiny_shards, tmp_path / "again")
    adapting_samples([ShardFolder(tiny_shards), ShardFolder(again)], "auto")
    assert "are there more than once" in capsys.readouterr().err


@pytest.mark.parametrize("step", [2, 7])
def test_stopped_and_run_again_it_ends_with_the_same_bytes(
    adapted, tmp_path, monkeypatch, capsys, step
):
    monkeypatch.setattr(adapt, "helped", lambda *_: True)
    assert adapted(tmp_path / "unbroken") == 0
    with monkeypatch.context() as patch:
        signal_at(patch, step, signal.SIGTERM)
        assert adapted(tmp_path / "stopped") == 75
    assert adapted(tmp_path / "stopped") == 0
    assert contents(tmp_path / "stopped") == contents(tmp_path / "unbroken")
    capsys.readouterr()
    assert adapted(tmp_path / "stopped") == 0
    assert "is finished" in capsys.readouterr().err


def test_the_weights_end_between_those_before_and_after(adapted, trained, tmp_path, monkeypatch):
    """As far on the way as `LEARNT_SHARE` says; what the training came to, share 1 shows."""
    monkeypatch.setattr(adapt, "helped", lambda *_: True)
    weights = {0.0: models.read_model(trained).weights}
    for share in (1.0, 0.25):
        monkeypatch.setattr(adapt, "LEARNT_SHARE", share)
        assert adapted(tmp_path / str(share)) == 0
        weights[share] = models.read_model(tmp_path / str(share)).weights
    for name, between in weights[0.25].items():
        expected = 0.75 * weights[0.0][name] + 0.25 * weights[1.0][name]
        assert between == pytest.approx(expected, abs=1e-6)
    assert any((weights[0.0][name] != weights[1.0][name]).any() for name in weights[0.0])


def test_where_training_does_not_help_the_weights_stay(adapted, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "helped", lambda *_: False)
    assert adapted(tmp_path / "model") == 0
    before, after = models.read_model(trained), models.read_model(tmp_path / "model")
    assert all(np.array_equal(after.weights[name], before.weights[name]) for name in after.weights)
    assert after.calibration is not None


@pytest.mark.usefixtures("no_training")
def test_too_few_persons_change_the_threshold_alone(adapted, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "LEAST_PERSONS", 100)
    assert adapted(tmp_path / "model") == 0
    before, after = models.read_model(trained), models.read_model(tmp_path / "model")
    assert all(np.array_equal(after.weights[name], before.weights[name]) for name in after.weights)


def test_few_photographs_move_the_threshold_by_part_of_the_way():
    calibration = Calibration(2.0, 0.5)
    found = float(calibration(np.array(0.7)))
    figures = Validation(dice=0.8, auroc=0.9, threshold=found, calibration=calibration)
    for photographs, score in ((0, 0.5), (5, 0.6), (45, 0.68)):
        drawn = adapt.with_prior(figures, 0.5, photographs)
        assert drawn.threshold == pytest.approx(calibration(np.array(score)), abs=1e-4)
    raw = dataclasses.replace(figures, threshold=0.7, calibration=None)
    assert adapt.with_prior(raw, 0.5, 5).threshold == pytest.approx(0.6)


def test_training_helps_if_what_was_held_out_is_drawn_better():
    def scores(separation):
        truth = np.arange(100) < 50
        return validation(
            [ScoreHistogram.of(0.5 + separation * (truth - 0.5), truth, truth | True)]
        )

    assert adapt.helped(scores(0.0), scores(0.4)) and not adapt.helped(scores(0.4), scores(0.0))


def test_it_takes_one_process(adapted, tmp_path, capsys):
    assert adapted(tmp_path / "model", "--distribute", "mirrored") == 2
    assert "--adapt takes one process" in one_line(capsys)


def test_it_is_counted_in_steps(trained, tiny_shards, tmp_path, capsys):
    words = ("--adapt", "--start-from", trained, "--epochs", 2)
    assert run("train", tiny_shards, tmp_path / "model", *words) == 2
    assert "--adapt is counted in steps" in one_line(capsys)


def test_a_preset_s_epochs_do_not_count():
    """As of pix2pix."""
    assert with_overrides(PIX2PIX, ADAPTING, "--adapt").train.epochs == 0


def test_a_lack_of_memory_while_maps_are_drawn_is_one_line(adapted, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(adapt, "held_out_scores", full)
    assert adapted(tmp_path / "model") == 1
    assert "model: needs more memory than there is; lower train.batch" in one_line(capsys)


def test_what_a_kill_at_the_end_left_is_removed(adapted, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "LEAST_PERSONS", 100)
    assert adapted(tmp_path / "model") == 0
    left = tmp_path / "model/.fundusseg/trainings/fold-1-of-2"
    left.mkdir(parents=True)
    assert adapted(tmp_path / "model") == 0
    assert not left.parent.exists()
