"""The baseline filter responds to dark lines of any direction, and to nothing else."""

import numpy as np
import pytest

from fundusseg.fundus.baseline import baseline_score

SIZE_PX = 128


def _line(angle, width_px=4.0, unit_px=1.0):
    """A dark line through the middle of an even photograph, and where it is."""
    y, x = (np.mgrid[0:SIZE_PX, 0:SIZE_PX] - SIZE_PX / 2) / unit_px
    distance_px = np.abs(np.cos(angle) * y - np.sin(angle) * x)
    return 120 - 60 * np.exp(-(distance_px**2) / (width_px**2 / 4)), distance_px


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, np.pi / 2])
def test_a_dark_line_answers_in_any_direction(angle):
    green, distance_px = _line(angle)
    score = baseline_score(green, np.ones_like(green, bool), 512)
    middle = score[40:-40, 40:-40]
    near = distance_px[40:-40, 40:-40] < 1
    assert middle[near].min() > 2 * middle[distance_px[40:-40, 40:-40] > 8].max()


def test_a_bright_line_does_not_answer():
    green, distance_px = _line(0.0)
    score = baseline_score(240 - green, np.ones_like(green, bool), 512)
    assert score[distance_px < 1].max() < 0.01


def test_the_answer_follows_the_scale_of_the_field_of_view():
    everywhere = np.ones((SIZE_PX, SIZE_PX), bool)
    one = baseline_score(_line(0.0)[0], everywhere, 512)[64, 64]
    two = baseline_score(_line(0.0, unit_px=2.0)[0], everywhere, 1024)[64, 64]
    assert two == pytest.approx(one, abs=0.03)


def test_rim_and_outside_are_silent():
    y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
    distance_px = np.hypot(y - 63.5, x - 63.5)
    fov = distance_px < 50
    score = baseline_score(np.where(fov, 120.0, 0.0), fov, 512)
    assert score.max() < 0.01
    assert not score[distance_px > 48].any()


def test_an_empty_field_of_view_is_silent():
    assert not baseline_score(np.zeros((20, 20)), np.zeros((20, 20), bool), 512).any()
