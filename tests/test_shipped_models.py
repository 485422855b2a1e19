"""The models inside the package: whole, small, described, and good for something."""

import re
from pathlib import Path

import numpy as np
import pytest

from fundusseg import segment
from fundusseg.commands.check import run_check
from fundusseg.files import images, masks, models
from fundusseg.metrics.overlap import Counts, dice
from fundusseg.phantom.drawing import PhantomConfig, phantom

ROOT = Path(__file__).parent.parent
LARGEST_BYTES = 4_000_000
SHIPPED = models.shipped_models()


def test_a_default_ships():
    assert "default" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_whole_and_small_and_has_a_card(name, capsys):
    folder = models.model_folder(name)
    assert run_check([folder]) == 0, capsys.readouterr().out
    assert (folder / models.GENERATOR).stat().st_size < LARGEST_BYTES
    card = " ".join((folder / models.CARD).read_text().split())
    assert "not a medical device" in card and "research" in card
    threshold = models.read_config(folder)[1]
    assert card.startswith(f"# Model card: {name} ") and f"hreshold ({threshold:.2f})" in card


@pytest.mark.parametrize("name", ["CHASE_DB1", "HRF", "LES-AV"])
def test_the_tables_are_those_of_the_split_model(name):
    """docs/figures and README.md: the model that ships, and the figures it had."""
    figures = (ROOT / "docs" / "figures" / f"{name}.md").read_text()
    assert models.model_sha256(models.model_folder("split"))[:12] in figures
    (dice_row,) = re.findall(r"^\| Dice +\| maps +\| +([\d.]+) ", figures, re.MULTILINE)
    row = next(
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith(f"| {name},")
    )
    assert f"| {float(dice_row):.3f} (" in row


def test_the_default_finds_the_vessels_of_phantoms_that_it_never_saw():
    drawn = phantom(PhantomConfig(size_px=512), seed=77)
    probability = segment(drawn.photograph)
    assert probability.shape == drawn.mask.shape and probability.dtype == np.float32
    threshold = models.read_config(models.model_folder("default"))[1]
    counts = Counts.of(probability >= threshold, drawn.mask, drawn.fov)
    assert dice(counts) > 0.7


@pytest.mark.parametrize("name", ["default", "split"])
def test_the_border_of_the_field_of_view_is_no_vessel(name):
    """An even disc with a soft rim that touches all four borders of the photograph."""
    rows, columns = np.mgrid[-1:1:704j, -1:1:704j]
    rim = np.clip((1 - np.hypot(rows, columns)) * 352 / 8, 0, 1)[..., None]
    grain = np.random.default_rng(4).normal(0, 2, (704, 704, 3))
    disc = np.clip(rim * (np.array([170, 80, 40]) + grain), 0, 255).astype(np.uint8)
    probability = segment(disc, name)
    probability[5:-5, 5:-5] = 0
    assert probability.max() < 0.1


def test_the_split_model_on_real_photographs_that_it_was_not_trained_on(real_data):
    """Photographs of CHASE_DB1's children 11-14 and LES-AV; a floor, not the figure."""
    sets = {
        "CHASE_DB1": [("Image_11L.jpg", "masks/Image_11L_1stHO.png", "fov/Image_11L.gif")],
        "LES-AV": [("111.png", "masks_derived/111.png", "fov/111_mask.gif")],
    }
    threshold = models.read_config(models.model_folder("split"))[1]
    for name, files in sets.items():
        for photograph, mask, fov in files:
            folder = real_data / name / "all"
            pixels = images.read_photograph(folder / "images" / photograph).pixels
            truth, where = masks.read_mask(folder / mask), masks.read_mask(folder / fov)
            assert dice(Counts.of(segment(pixels, "split") >= threshold, truth, where)) > 0.75, (
                photograph
            )
