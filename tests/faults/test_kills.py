"""Killed at any instant, no half file stands, and the same command ends with the same bytes.

Half of the kills come at a point (see kill_points), half at an instant of the clock; both are
drawn from a fixed seed.
"""

import shutil

import numpy as np
import pytest

from fundusseg.files import models
from fundusseg.files.arrays import read_arrays
from tests.batch import contents, run, temporaries, write_photographs
from tests.faults.killing import kill_at_instant, kill_at_point, whole_work

SEED = 20
STEPS = 30
KILLS_OF_TRAIN = (("point", 0.25), ("instant", 0.6), ("point", 0.4), ("instant", 0.3))
FORMATS = ("h5", "npz")


def drawn(count: int, low: float, high: float, salt: int) -> list[float]:
    """Numbers in [low, high), one in each of `count` equal parts of it."""
    parts = (np.arange(count) + np.random.default_rng([SEED, salt]).uniform(size=count)) / count
    return [float(low + part * (high - low)) for part in parts]


def number_at(part: float, points: list[str]) -> int:
    """The number, from 1, of the point that stands at a part of all, in [0, 1)."""
    return 1 + int(part * len(points))


def require_the_same_after_all(words, out, expected: dict[str, bytes]) -> None:
    """Run a command again after a kill: the undisturbed bytes, and nothing left lying about."""
    assert run(*words) == 0
    assert contents(out) == expected
    assert temporaries(out) == []


@pytest.fixture(scope="module")
def prep(tmp_path_factory):
    """The command line that prepares eight phantoms in four parts."""
    root = tmp_path_factory.mktemp("kills") / "phantoms"
    assert run("phantom", root, "--count", 8, "--size", 96, "--quiet") == 0
    words = ("--num-shards", 4, "--jobs", 2, "--quiet")
    return lambda out, format: ("prep", root, out, "--format", format, *words)


@pytest.fixture(scope="module")
def prepared(prep, tmp_path_factory):
    """What prep writes undisturbed, and its work, by format."""
    root, found = tmp_path_factory.mktemp("prepared"), {}
    for format in FORMATS:
        work = whole_work(prep(root / format, format), root / format)
        found[format] = contents(root / format), work
    return found


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", drawn(2, 0, 1, salt=1))
def test_prep_killed_at_a_point(prep, prepared, tmp_path, format, part):
    """Resume: killed at any instant; shards and manifest byte for byte."""
    out, (expected, work) = tmp_path / "shards", prepared[format]
    kill_at_point(prep(out, format), out, number_at(part, work.points))
    require_the_same_after_all(prep(out, format), out, expected)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", drawn(2, 0, 1, salt=2))
def test_prep_killed_at_an_instant(prep, prepared, tmp_path, format, part):
    """Resume: killed at any instant; shards and manifest byte for byte."""
    out, (expected, work) = tmp_path / "shards", prepared[format]
    kill_at_instant(prep(out, format), out, part * work.seconds)
    require_the_same_after_all(prep(out, format), out, expected)


@pytest.fixture(scope="module")
def infer(tiny_model, tmp_path_factory):
    """The command line that segments six photographs in two folders."""
    root = tmp_path_factory.mktemp("kills") / "photographs"
    write_photographs(root, *(f"{'ab'[number % 2]}/{number}.png" for number in range(6)))
    words = ("--model", tiny_model, "--probability", "--jobs", 2, "--quiet")
    return lambda out: ("infer", root, out, *words)


@pytest.fixture(scope="module")
def inferred(infer, tmp_path_factory):
    """What infer writes undisturbed, and its work."""
    out = tmp_path_factory.mktemp("inferred") / "maps"
    work = whole_work(infer(out), out)
    return contents(out), work


@pytest.mark.parametrize("part", drawn(2, 0, 1, salt=3))
def test_infer_killed_at_a_point(infer, inferred, tmp_path, part):
    """Resume: killed at any instant; maps, status and manifest byte for byte."""
    out, (expected, work) = tmp_path / "maps", inferred
    kill_at_point(infer(out), out, number_at(part, work.points))
    require_the_same_after_all(infer(out), out, expected)


@pytest.mark.parametrize("part", drawn(2, 0, 1, salt=4))
def test_infer_killed_at_an_instant(infer, inferred, tmp_path, part):
    """Resume: killed at any instant; maps, status and manifest byte for byte."""
    out, (expected, work) = tmp_path / "maps", inferred
    kill_at_instant(infer(out), out, part * work.seconds)
    require_the_same_after_all(infer(out), out, expected)


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
    kill_at_point(train(out), out, last_state - 1)  # before it is flushed
    assert (out / models.STATE).exists() and not (out / "manifest.json").exists()
    require_the_same_after_all(train(out), out, contents(trained[0]))
