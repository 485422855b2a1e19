"""From probabilities to a map."""

import numpy as np
import pytest

from fundusseg.config import MapConfig
from fundusseg.fundus.geometry import Geometry
from fundusseg.fundus.vessel_map import vessel_map

AS_CUT = MapConfig(longest_gap_px=0, smallest_object_px=0)


@pytest.fixture
def probability() -> np.ndarray:
    """A vessel in two pieces, the second small, a small object apart from both, and a speck."""
    found = np.zeros((100, 100), np.float32)
    found[50:53, 10:60] = found[50:53, 66:76] = found[80:83, 10:20] = found[20, 20] = 0.9
    found[50:53, 60:66] += 0.2 * (found[50:53, 60:66] == 0)
    return found


def geometry(frame_px: int) -> Geometry:
    return Geometry((100, 100), (0.0, 0.0, 100.0, 100.0), frame_px)


def test_small_objects_stay_only_where_they_carry_on_a_vessel(probability):
    drawn = vessel_map(probability, 0.28, MapConfig(), geometry(100))
    expected = np.zeros((100, 100), bool)
    expected[50:53, 10:76] = True
    np.testing.assert_array_equal(drawn, expected)


def test_lengths_are_the_frame_s(probability):
    """Seen from a frame of eight times the size all is larger: the gap, and the small object."""
    drawn = vessel_map(probability, 0.28, MapConfig(), geometry(800))
    cut = vessel_map(probability, 0.28, AS_CUT, geometry(800))
    np.testing.assert_array_equal(drawn, cut)
    assert cut[80:83, 10:20].all() and cut[20, 20]


def test_the_map_is_as_it_was_cut_where_nothing_is_small(probability):
    for config in (AS_CUT, MapConfig(longest_gap_px=10, smallest_object_px=0)):
        drawn = vessel_map(probability, 0.28, config, geometry(100))
        np.testing.assert_array_equal(drawn, probability >= 0.28)
