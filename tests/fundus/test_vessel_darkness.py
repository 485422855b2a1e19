"""A mask is told from another photograph's, or one that is mirrored or moved."""

import numpy as np
import pytest

from fundusseg.files.masks import LEAST_DARKER
from fundusseg.fundus.vessel_darkness import darker_share
from tests.phantom_sets import small_phantom


@pytest.mark.parametrize("seed", range(3))
def test_vessels_are_darker_than_what_is_beside_them(seed):
    drawn = small_phantom(seed)
    assert darker_share(drawn.photograph, drawn.mask) > 0.9
    others = (drawn.mask[:, ::-1], drawn.mask[::-1], np.roll(drawn.mask, 6, 0))
    for other in (*others, small_phantom(seed + 1).mask):
        assert darker_share(drawn.photograph, other) < LEAST_DARKER


def test_of_too_few_vessels_nothing_is_said():
    pixels, vessels = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    vessels[:7, :7] = True
    assert darker_share(pixels, vessels) is None
    assert darker_share(pixels, np.ones((64, 64), bool)) is None
