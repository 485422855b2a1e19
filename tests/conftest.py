"""Fixtures that tests of all packages share."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fundusseg import presets, serial, ui
from tests.batch import run, write_photographs, write_tiny_model
from tests.nets.tiny import tiny_preset
from tests.phantom_sets import FORMS, draw

# Trainings in this process and in processes of their own are compared to the last digit, which
# the number of threads changes; what a process has once started tensorflow with stays.
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"

# Under nohup it would be ignored here and in every process that is started, as it should be,
# and the tests that send it would wait in vain.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# The same examples each time; how long one takes, a machine that others use too decides.
settings.register_profile(
    "same", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[*HealthCheck]
)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def log_of_an_earlier_command() -> None:
    """A command run in this process before keeps messages from the `caplog` of pytest 8.0."""
    ui.log.propagate = True


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a small data set in a form of `FORMS`, drawn once; not to be changed."""
    drawn: dict[str, Path] = {}

    def folder(form: str) -> Path:
        if form not in drawn:
            drawn[form] = draw(tmp_path_factory.mktemp(form) / "data set", FORMS[form])
        return drawn[form]

    return folder


@pytest.fixture
def own_set(phantom_set, tmp_path) -> Callable[[str], Path]:
    """A copy of a small data set that the test may change."""
    return lambda form: Path(shutil.copytree(phantom_set(form), tmp_path / "data set"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that FUNDUSSEG_DATA names; without it, the test is skipped."""
    folder = os.environ.get("FUNDUSSEG_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FUNDUSSEG_DATA names no folder of real data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A model folder with a tiny network's initial weights; not to be changed."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def shared_photographs(tmp_path_factory) -> Path:
    """A small tree of photographs; not to be changed."""
    root = tmp_path_factory.mktemp("shared") / "photographs"
    return write_photographs(root, "a.png", "b/c.jpg", "b/d e.tif", "\u00e9.ppm.gz")


@pytest.fixture
def photographs(shared_photographs, tmp_path) -> Path:
    """A copy of the small tree that the test may change."""
    return Path(shutil.copytree(shared_photographs, tmp_path / "photographs"))


@pytest.fixture(scope="session")
def tiny_shards(phantom_set, tmp_path_factory) -> Path:
    """A data set prepared for the tiny network; not to be changed."""
    out = tmp_path_factory.mktemp("prepared") / "shards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "native", tiny_preset())
        assert run("prep", phantom_set("chase-flat"), out) == 0
    return out


@pytest.fixture(scope="session")
def tiny_settings(tmp_path_factory) -> Path:
    """A --config file: the tiny network, and something to save every few steps."""
    values = serial.to_dict(tiny_preset(log_every=5, validate_every=8, checkpoint_every=10))
    del values["frame"]  # the shards carry it
    values["generator"]["residual"] = False  # halves the time until the first step
    path = tmp_path_factory.mktemp("settings") / "tiny.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def no_training(monkeypatch):
    """Any training from here on is a failure of the test."""
    monkeypatch.setattr("fundusseg.commands.train.training.Training.begin", None)
