"""A training by two workers of a real Slurm: that of one with all crops, whatever happens."""

import os
import signal
from pathlib import Path

import pytest

from fundusseg.files import models
from tests.batch import run
from tests.faults.workers import require_close_trainings, write_settings
from tests.slurm.jobs import log_of, state, submitted, wait_for_all_jobs, wait_until

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def settings(tiny_settings, tmp_path_factory):
    """The path of the settings with a batch, of each worker."""

    def of(batch: int) -> Path:
        path = tmp_path_factory.mktemp("settings") / "settings.json"
        write_settings(path, tiny_settings, batch)
        return path

    return of


@pytest.fixture(scope="module")
def one_worker(tiny_shards, settings, tmp_path_factory) -> Path:
    """A local training of one worker with a batch of 4; not to be changed."""
    out = tmp_path_factory.mktemp("one") / "model"
    words = ("--config", settings(4), "--precision", "float32", "--jobs", 1)
    assert run("train", tiny_shards, out, *words) == 0
    return out


@pytest.fixture
def submit(tiny_shards, settings, tmp_path):
    """Submit a training by two workers, one on each node, with a batch of 2 each; the job's id."""

    def training() -> str:
        words = f"train=--config '{settings(2)}' --precision float32"
        tasks = "train=--nodes=2 --ntasks=2"
        return submitted("--with", words, "--sbatch", tasks, "train", tiny_shards, tmp_path)[
            "train"
        ]

    return training


def test_two_workers_are_one_with_twice_the_batch(submit, one_worker, tmp_path):
    """Losses and weights to 1e-3."""
    job = submit()
    wait_for_all_jobs()
    assert state(job) == "COMPLETED", log_of(tmp_path, "train-*")
    require_close_trainings(one_worker, tmp_path / "model")


def test_a_worker_that_is_killed_is_put_back_and_the_training_goes_on(submit, one_worker, tmp_path):
    """The worker that is left exits 75, the job is requeued, the last weights are the same."""
    job, model = submit(), tmp_path / "model"
    wait_until((model / models.STATE).exists)
    os.kill(process_of_worker(1, model), signal.SIGKILL)
    wait_for_all_jobs()
    log = log_of(tmp_path, "train-*")
    assert "worker 0 lost another worker" in log
    assert "back to the queue" in log
    assert state(job) == "COMPLETED", log
    require_close_trainings(one_worker, model)


def process_of_worker(rank: int, model: Path) -> int:
    """The process of one task of srun that trains a model."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if os.fsencode(model) in words and f"SLURM_PROCID={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"no process is worker {rank} of {model}")
