"""Preset pix2pix run twice, and interrupted and gone on with: the same history to the last digit.

By default with few levels and filters. FUNDUSSEG_REPEAT=STEPS:STOPPED_AT does it with the whole
network (`make notebook-repeat`).
"""

import json
import os
import signal

import pytest

from tests.batch import run
from tests.commands.trainings import history, require_equal_trainings, signal_at

ASKED = os.environ.get("FUNDUSSEG_REPEAT")
STEPS, STOPPED_AT = map(int, (ASKED or "12:7").split(":"))
SMALL = {
    "generator": {"encoder_filters": [4, 4], "bottleneck_filters": 4},
    "discriminator": {"strided_filters": [4], "last_filters": 4},
}


@pytest.fixture(scope="module")
def train(phantom_set, tmp_path_factory):
    """Train pix2pix with a row of the history for every step; the exit code."""
    folder = tmp_path_factory.mktemp("pix2pix")
    assert run("prep", phantom_set("fives"), folder / "shards", "--preset", "pix2pix") == 0
    settings = {"train": {"log_every": 1, "validate_every": STEPS // 2}}
    settings |= {} if ASKED else SMALL
    (folder / "settings.json").write_text(json.dumps(settings))
    words = ("--config", folder / "settings.json", "--steps", STEPS, "--seed", 1, "--jobs", 1)
    return lambda out: run("train", folder / "shards", out, *words)


@pytest.fixture(scope="module")
def unbroken(train, tmp_path_factory):
    """A training that nothing disturbed; not to be changed."""
    out = tmp_path_factory.mktemp("unbroken") / "model"
    assert train(out) == 0
    return out


def test_the_history_has_every_step_and_its_losses_add_up(unbroken):
    rows = [row for row in history(unbroken) if row["generator_loss"]]
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    for row in rows:
        parts = float(row["adversarial_loss"]) + 100 * float(row["l1_loss"])
        assert float(row["generator_loss"]) == pytest.approx(parts, rel=1e-5)
        assert float(row["discriminator_loss"]) > 0


@pytest.mark.skipif(not ASKED, reason="the next one shows it too, and every start takes its time")
def test_one_seed_gives_one_history(train, unbroken, tmp_path):
    assert train(tmp_path / "model") == 0
    require_equal_trainings(unbroken, tmp_path / "model")


def test_interrupted_and_gone_on_with_it_is_the_same(train, unbroken, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        signal_at(patch, STOPPED_AT, signal.SIGTERM)
        assert train(tmp_path / "model") == 75
    assert not (tmp_path / "model" / "manifest.json").exists()
    assert train(tmp_path / "model") == 0
    require_equal_trainings(unbroken, tmp_path / "model")
