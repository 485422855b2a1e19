"""Plots are PNGs, the same bytes for the same numbers, whatever the labels hold."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fundusseg.metrics.calibration import ReliabilityBins, reliability_curve
from fundusseg.metrics.curves import ScoreHistogram, precision_recall_curve, roc_curve
from fundusseg.report import plots

LABELS = ("maps", "_hidden $x^", "眼 \\udc80", "")


@pytest.fixture(scope="module")
def histogram():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.3
    return ScoreHistogram.of(np.clip(0.3 * truth + 0.7 * rng.random(20_000), 0, 1), truth)


def _drawn(histogram, label):
    point = plots.OperatingPoint(1, label, 0.1, 0.8, 0.7)
    reliability = reliability_curve(ReliabilityBins.of_histogram(histogram))
    return (
        plots.roc_plot([(0, label, roc_curve(histogram))], [point]),
        plots.precision_recall_plot([(0, label, precision_recall_curve(histogram))], [point]),
        plots.reliability_plot([(0, label, reliability)]),
        plots.dice_plot(["a/" + label, "b"], [(label, [0.7, np.nan]), ("other", [0.1, 0.2])]),
    )


@pytest.mark.parametrize("label", LABELS)
def test_the_same_numbers_give_the_same_picture(histogram, label):
    one, two = _drawn(histogram, label), _drawn(histogram, label)
    assert one == two
    for data in one:
        with Image.open(BytesIO(data)) as image:
            assert image.format == "PNG" and not image.info.get("Software")


def test_nothing_to_draw_is_an_empty_plot():
    nothing = ScoreHistogram.of(np.zeros(4), np.zeros(4, bool))
    for data in (
        plots.roc_plot([(0, "no vessel", roc_curve(nothing))], []),
        plots.precision_recall_plot([], []),
        plots.reliability_plot([]),
    ):
        assert data.startswith(b"\x89PNG")


def test_curves_are_thinned_evenly_and_keep_their_ends(histogram):
    curve = roc_curve(histogram)
    x, y = curve.false_positive_rate, curve.sensitivity
    kept = plots._thinned(x, y)
    assert len(x) > 10_000 and len(kept) <= plots.CURVE_POINTS + 1
    assert (kept[0], kept[-1]) == (0, len(x) - 1)
    along = x + y
    np.testing.assert_allclose(np.interp(along, along[kept], y[kept]), y, atol=0.005)


def test_many_images_are_not_named():
    values = np.linspace(0, 1, 200)
    data = plots.dice_plot([f"{n}" for n in range(200)], [("maps", values)])
    with Image.open(BytesIO(data)) as image:
        assert image.width < 14 * plots.DPI + 100
