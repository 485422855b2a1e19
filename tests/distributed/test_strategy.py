"""Two replicas learn what one learns from the whole batch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fundusseg.nets.training import LOSS_NAMES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained() -> dict:
    """The losses of one replica and of two, see two_replicas."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.distributed.two_replicas"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("steps", "tolerance"), [(10, 1e-5), (50, 1e-3)])
def test_every_loss_is_that_of_the_whole_batch(trained, steps, tolerance):
    """Means over fields of view, Dice, L1, both judgements; BatchNorm, dropout, offsets, clip."""
    one = np.array(trained["one"]["losses"])[:steps]
    two = np.array(trained["two"]["losses"])[:steps]
    np.testing.assert_allclose(two, one, rtol=tolerance)


def test_every_loss_took_part(trained):
    last = dict(zip(LOSS_NAMES, trained["one"]["losses"][-1], strict=True))
    assert all(last.values()), last


def test_the_replicas_weights_stay_equal(trained):
    assert trained["differing"] == 0


def test_the_moving_averages_agree(trained):
    np.testing.assert_allclose(trained["two"]["average"], trained["one"]["average"], atol=1e-2)


def test_the_offsets_of_the_data_sets_agree(trained):
    one, two = (trained[name]["offsets"] for name in ("one", "two"))
    assert np.abs(one).min() > 1e-3
    np.testing.assert_allclose(two, one, rtol=1e-2)
