"""Pictures of a training are PNGs, the same bytes for the same figures, however few there are."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fundusseg.report.training_plots import curves_plot, samples_plot

LOSSES = [
    {"step": 5, "generator_loss": 0.9, "discriminator_loss": 0.0},
    {"step": 10, "generator_loss": 0.5, "discriminator_loss": 0.7},
]
VALIDATION = {"step": 8, "validation_dice": 0.6, "threshold": 0.4}


def _height(data: bytes) -> int:
    with Image.open(BytesIO(data)) as image:
        assert image.format == "PNG" and not image.info.get("Software")
        return image.height


def test_the_dice_stands_below_the_losses_where_something_validates():
    with_dice = curves_plot([LOSSES[0], VALIDATION, LOSSES[1]])
    assert with_dice == curves_plot([LOSSES[0], VALIDATION, LOSSES[1]])
    assert _height(with_dice) == 2 * _height(curves_plot(LOSSES))


@pytest.mark.parametrize("rows", [[], LOSSES[:1], [VALIDATION], [{"step": 5, "l1_loss": 0.0}]])
def test_little_or_nothing_to_draw_is_a_picture(rows):
    assert _height(curves_plot(rows))


def test_another_loss_is_another_picture():
    other = [LOSSES[0], {**LOSSES[1], "generator_loss": 0.6}]
    assert curves_plot(LOSSES) != curves_plot(other)


def test_samples_show_their_panels_in_rows_and_columns():
    grey = [np.full((64, 64), level, np.uint8) for level in (40, 80, 120, 160)]
    rows = [[np.stack([grey[0]] * 3, axis=-1), grey[1]], [grey[2], grey[3]]]
    data = samples_plot(["photograph", "step 5\nDice 0.5000"], rows)
    assert data == samples_plot(["photograph", "step 5\nDice 0.5000"], rows)
    pixels = np.array(Image.open(BytesIO(data)).convert("L"))
    height, width = pixels.shape
    quarters = [pixels[: height // 2], pixels[height // 2 :]]
    for row, levels in zip(quarters, ((40, 80), (120, 160)), strict=True):
        for half, level in zip((row[:, : width // 2], row[:, width // 2 :]), levels, strict=True):
            assert np.mean(half == level) > 0.5


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        samples_plot(["photograph"], [])
