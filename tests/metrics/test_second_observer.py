"""The second observer of CHASE_DB1 against the first: figures known from elsewhere."""

import functools
import operator
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fundusseg.metrics.centreline import CentrelineCounts, cldice
from fundusseg.metrics.overlap import Counts, dice

DATA = os.environ.get("FUNDUSSEG_DATA", "")
FOLDER = Path(DATA) / "CHASE_DB1" / "all"

pytestmark = pytest.mark.skipif(
    not (DATA and FOLDER.is_dir()), reason="FUNDUSSEG_DATA names no folder with CHASE_DB1 in it"
)


def _mask(path):
    # Through 8-bit grey: the raw indices of a palette GIF may be inverted.
    with Image.open(path) as image:
        return np.array(image.convert("L")) > 127


@pytest.fixture(scope="module")
def images():
    """(second observer, first observer, field of view) of the 28 images."""
    stems = sorted(path.stem for path in (FOLDER / "fov").glob("*.gif"))
    assert len(stems) == 28
    return [
        (
            _mask(FOLDER / "masks2" / f"{stem}_2ndHO.png"),
            _mask(FOLDER / "masks" / f"{stem}_1stHO.png"),
            _mask(FOLDER / "fov" / f"{stem}.gif"),
        )
        for stem in stems
    ]


def test_dice_inside_the_field_of_view(images):
    counts = [Counts.of(*image) for image in images]
    assert np.mean([dice(c) for c in counts]) == pytest.approx(0.7774, abs=0.0005)
    assert dice(functools.reduce(operator.add, counts)) == pytest.approx(0.7764, abs=0.0005)


def test_dice_on_the_whole_frame(images):
    values = [dice(Counts.of(second, first)) for second, first, _ in images]
    assert np.mean(values) == pytest.approx(0.7765, abs=0.0005)


def test_cldice_inside_the_field_of_view(images):
    values = [cldice(CentrelineCounts.of(*image)) for image in images]
    assert np.mean(values) == pytest.approx(0.835, abs=0.005)
