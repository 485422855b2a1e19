"""A training killed at any instant leaves no half file, and the same command ends the same.

Half of the kills come at a point (see points), half at an instant of the clock. Those of the
other commands are tried by tests.faults.
"""

import shutil

import numpy as np
import pytest

from fundusseg.files import models
from fundusseg.files.arrays import read_arrays
from tests.batch import contents, run, temporaries
from tests.faults.killing import kill_at_instant, kill_at_point, whole_work

STEPS = 30
KILLS_OF_TRAIN = (("point", 0.25), ("instant", 0.6), ("point", 0.4), ("instant", 0.3))


def number_at(part: float, points: list[str]) -> int:
    """The number, from 1, of the point that stands at a part of all, in [0, 1)."""
    return 1 + int(part * len(points))


def require_the_same_after_all(words, out, expected: dict[str, bytes]) -> None:
    """Run a command again after a kill: the undisturbed bytes, and nothing left lying about."""
    assert run(*words) == 0
    assert contents(out) == expected
    assert temporaries(out) == []


@pytest.fixture(scope="module")
def train(tiny_shards, tiny_settings):
    """The command line that trains the tiny network."""
    words = ("--config", tiny_settings, "--steps", STEPS, "--precision", "float32", "--jobs", 1)
    return lambda out: ("train", tiny_shards, out, *words, "--quiet")


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """An undisturbed training, and its work."""
    out = tmp_path_factory.mktemp("trained") / "model"
    return out, whole_work(train(out), out)


def test_train_killed_again_and_again(train, trained, tmp_path):
    """Resume: killed at any instant; weights array for array, all else byte for byte."""
    out, (undisturbed, work) = tmp_path / "model", trained
    for kind, part in KILLS_OF_TRAIN:
        if kind == "point":
            kill_at_point(train(out), out, number_at(part, work.points))
        else:
            kill_at_instant(train(out), out, part * work.seconds)
    whole_work(train(out), out)
    for name in (models.GENERATOR, models.GENERATOR_LAST, models.DISCRIMINATOR):
        expected, found = read_arrays(undisturbed / name)[0], read_arrays(out / name)[0]
        assert set(found) == set(expected)
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=f"{name} {key}")
    for name in ("history.csv", "config.json", "manifest.json"):
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes()
    assert temporaries(out) == []
    assert run("check", out, "--quiet") == 0


def test_train_killed_between_its_last_step_and_its_manifest(train, trained, tmp_path):
    """Resume: with the training done, all that is left is the manifest."""
    out = shutil.copytree(trained[0], tmp_path / "model")
    (out / "manifest.json").unlink()
    require_the_same_after_all(train(out), out, contents(trained[0]))


def test_train_killed_between_its_last_step_and_its_last_state(train, trained, tmp_path):
    """Resume: the last weights are written before the state that says so."""
    out = tmp_path / "model"
    points = trained[1].points
    last_state = len(points) - points[::-1].index(f"replace {models.STATE}")
    kill_at_point(train(out), out, last_state)  # before it is renamed
    assert (out / models.EARLIER_STATE).exists() and not (out / models.STATE).exists()
    require_the_same_after_all(train(out), out, contents(trained[0]))
