"""Two processes train as one, and if one is stopped or lost the same commands go on."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from fundusseg.files import models
from fundusseg.files.lock import locked
from tests.batch import contents, run, started, temporaries
from tests.faults.killing import wait_until
from tests.faults.workers import (
    STEPS,
    ended,
    losses,
    one_error_line,
    require_close_trainings,
    two_finished,
    two_started,
    write_settings,
)


@pytest.fixture(scope="module")
def words(tiny_shards, tiny_settings, tmp_path_factory):
    """The command line of a training for a folder, with the batch of each worker."""

    def of(out: Path, batch: int) -> tuple:
        settings = tmp_path_factory.mktemp("settings") / "settings.json"
        write_settings(settings, tiny_settings, batch)
        return (tiny_shards, out, "--config", settings, "--precision", "float32", "--jobs", 1)

    return of


@pytest.fixture(scope="module")
def two_workers(words, tmp_path_factory) -> Path:
    """A training by two workers with a batch of 2 each; not to be changed."""
    out = tmp_path_factory.mktemp("two") / "model"
    chief, other = two_finished(*words(out, 2))
    assert chief[0] == other[0] == 0, chief[1] + other[1]
    assert f"{STEPS} of {STEPS} steps" in chief[1] and other[1] == ""
    return out


def test_two_workers_are_one_with_twice_the_batch(words, two_workers, tmp_path):
    """train --distribute multi-worker: crops, losses and weights of one with the whole batch."""
    one = tmp_path / "model"
    assert run("train", *words(one, 4)) == 0
    np.testing.assert_allclose(losses(two_workers)[:10], losses(one)[:10], rtol=1e-5)
    require_close_trainings(one, two_workers)
    configs = [
        json.loads((out / "manifest.json").read_text())["config"] for out in (one, two_workers)
    ]
    assert configs[0] == configs[1]


def test_stopped_lost_and_begun_by_one_it_ends_as_undisturbed(words, two_workers, tmp_path):
    """Exit 75 of all workers when one is asked to stop or lost; the same commands go on."""
    out = tmp_path / "model"
    state = out / models.STATE

    process = started("train", *words(out, 4))
    wait_until(state.exists, process)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 75

    chief, other = interrupted_after_a_save(words(out, 2), state, signal.SIGUSR1)
    assert chief[0] == other[0] == 75, chief[1] + other[1]
    assert "another worker was asked to stop" in one_error_line(chief[1])
    assert "stopped by SIGUSR1" in one_error_line(other[1])

    chief, other = interrupted_after_a_save(words(out, 2), state, signal.SIGKILL)
    assert (chief[0], other[0]) == (75, -signal.SIGKILL), chief[1]
    assert "lost another worker" in one_error_line(chief[1])

    chief, other = two_finished(*words(out, 2))
    assert chief[0] == other[0] == 0, chief[1] + other[1]
    assert temporaries(out) == []
    assert run("check", out) == 0
    require_close_trainings(two_workers, out)


def interrupted_after_a_save(words: tuple, state: Path, number: int) -> list[tuple[int, str]]:
    """Exit codes and stderrs of two workers, the second of which gets a signal after a save."""
    before = state.stat().st_mtime_ns
    processes = two_started(*words)
    wait_until(lambda: state.exists() and state.stat().st_mtime_ns != before, processes[1])
    processes[1].send_signal(number)
    return [ended(process) for process in processes]


def test_if_the_chief_cannot_begin_the_others_are_told(words, tmp_path):
    """Exit 1 for all: a job that would fail again is not put back in the queue."""
    out = tmp_path / "model"
    out.mkdir()
    with locked(out):
        chief, other = two_finished(*words(out, 2))
    assert chief[0] == other[0] == 1
    assert "is in use by process" in one_error_line(chief[1])
    assert "worker 0 of 2 failed" in one_error_line(other[1])


def test_a_training_of_two_is_finished_for_one_with_twice_the_batch(
    words, two_workers, no_training
):
    """Config hash: covers the batch of all workers, not their number."""
    before = contents(two_workers)
    assert run("train", *words(two_workers, 4)) == 0
    assert contents(two_workers) == before


def test_another_batch_over_all_workers_is_refused(words, two_workers, no_training, capsys):
    assert run("train", *words(two_workers, 2)) == 1
    line = one_error_line(capsys.readouterr().err)
    assert "4 crops a step over all workers, not 2" in line and "--force" in line


def test_another_batch_is_refused_half_way_too(words, two_workers, tmp_path, capsys):
    out = shutil.copytree(two_workers, tmp_path / "model")
    (out / "manifest.json").unlink()
    assert run("train", *words(out, 2)) == 1
    assert "4 crops a step over all workers, not 2" in one_error_line(capsys.readouterr().err)


def test_without_a_cluster_it_is_one_line(words, tmp_path, monkeypatch, capsys, no_training):
    """Exit 1 before the first output byte."""
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    out = tmp_path / "model"
    assert run("train", *words(out, 2), "--distribute", "multi-worker") == 1
    assert "srun, or set TF_CONFIG" in one_error_line(capsys.readouterr().err)
    assert not out.exists()


def test_one_device_mirrored_is_no_distribution(words, tmp_path):
    """Same bytes: on a machine of one device there is nothing to share out."""
    names = ("plain", "mirrored")
    more = ("--steps", 2, "--adversarial-weight", 0)
    plain, mirrored = (tmp_path / name for name in names)
    assert run("train", *words(plain, 2), *more) == 0
    assert run("train", *words(mirrored, 2), *more, "--distribute", "mirrored") == 0
    assert (plain / "manifest.json").read_bytes() == (mirrored / "manifest.json").read_bytes()
