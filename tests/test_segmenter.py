"""A model whose calibration is known: what its scores become at the photograph's own size."""

from dataclasses import replace

import numpy as np
import pytest

from fundusseg.config import Preset
from fundusseg.files.encoders import probability_png
from fundusseg.files.masks import read_probability
from fundusseg.files.models import Calibration, Model
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.framing import Framed
from fundusseg.fundus.geometry import canonical_geometry, from_frame
from fundusseg.fundus.vessel_map import vessel_map
from fundusseg.metrics.calibration import ReliabilityBins, expected_calibration_error
from fundusseg.options import InferOptions
from fundusseg.segmenter import Segmenter

CALIBRATION = Calibration(0.7, -1.2)
SIDE_PX, FRAME_PX = 300, 200
SMOOTH = np.linspace(50, 200, FRAME_PX).astype(np.uint8)[:, np.newaxis]  # of frames, a ramp


def segmenter(calibration: Calibration | None = CALIBRATION, **options) -> Segmenter:
    return Segmenter(Model(None, Preset(), {}, 0.3, calibration, ""), InferOptions(**options))


@pytest.fixture(scope="module")
def frame() -> Framed:
    centre = (np.arange(SIDE_PX) + 0.5 - SIDE_PX / 2) / (SIDE_PX / 2)
    disc = np.hypot(centre[:, None], centre) < 1
    field_of_view = FieldOfView(SIDE_PX / 2, SIDE_PX / 2, SIDE_PX, "given")
    geometry = canonical_geometry("field-of-view", FRAME_PX, disc.shape, field_of_view)
    nothing = np.zeros((FRAME_PX, FRAME_PX), np.uint8)
    return Framed(np.zeros((*nothing.shape, 3), np.uint8), nothing, disc, geometry, field_of_view)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return np.random.default_rng(4).random((FRAME_PX, FRAME_PX), np.float32)


def test_the_map_is_that_of_the_scores_at_the_score_of_the_threshold(frame, scores):
    """Calibrated where they are cut, so neither resampling nor small objects can tell."""
    own, at_source = segmenter(), from_frame(scores, frame.geometry)
    threshold = CALIBRATION.inverse(np.array(own.threshold))
    drawn = own.segmentation(frame, scores)
    cut = vessel_map(CALIBRATION(at_source), own.threshold, own.map_config, frame.geometry)
    np.testing.assert_array_equal(drawn.vessels, cut)
    assert 0.05 < drawn.vessels.mean() < 0.9
    kept = segmenter(keep_small_objects=True).segmentation(frame, scores).vessels
    np.testing.assert_array_equal(kept, at_source >= threshold)


def test_what_is_written_is_calibrated(frame, scores, tmp_path):
    truth = np.random.default_rng(5).random(frame.native_fov.shape)
    truth = truth < CALIBRATION(from_frame(scores, frame.geometry))
    ece = {}
    for name, calibration in (("calibrated", CALIBRATION), ("raw", None)):
        drawn = segmenter(calibration).segmentation(frame, scores)
        (tmp_path / "x.prob.png").write_bytes(probability_png(drawn.probability))
        written = read_probability(tmp_path / "x.prob.png")
        ece[name] = expected_calibration_error(ReliabilityBins.of(written, truth, frame.native_fov))
    assert ece["calibrated"] < 0.01 and ece["raw"] > 0.2


def test_the_expected_dice_is_that_of_the_map_inside_the_field_of_view(frame, scores):
    drawn = segmenter().segmentation(frame, scores)
    inside = frame.native_fov
    hits = drawn.probability[inside & drawn.vessels].sum()
    size = drawn.probability[inside].sum() + (inside & drawn.vessels).sum()
    assert drawn.expected_dice == pytest.approx(2 * hits / size, rel=1e-5)
    assert segmenter(None).segmentation(frame, scores).expected_dice is None


def test_an_empty_map_is_expected_to_hit_nothing(frame):
    """All that is drawn is one small object, which is left out of the map."""
    scores = np.full((FRAME_PX, FRAME_PX), 0.2, np.float32)
    scores[100:102, 100:102] = 0.95
    drawn = segmenter().segmentation(frame, scores)
    assert (drawn.probability >= 0.3).any() and not drawn.vessels.any()
    assert drawn.expected_dice == 0


def test_what_no_vessel_is_expected_in_is_doubted_and_so_is_what_is_blurred(frame, scores):
    shown = np.random.default_rng(6).integers(0, 255, frame.image.shape, np.uint8)
    sharp = replace(frame, image=shown, fov=np.full_like(frame.fov, 255))
    smooth = replace(sharp, image=np.broadcast_to(SMOOTH, shown.shape))
    vessels = np.where(scores > 0.7, 0.999, 0.001).astype(np.float32)
    drawn = segmenter(keep_small_objects=True).segmentation
    assert drawn(sharp, vessels).doubt == ""
    assert "is unlike a fundus photograph" in drawn(sharp, scores * 0.1).doubt
    for diameter_px, doubt in ((500, "is blurred (sharp"), (128, "is small: 128 px across")):
        found = replace(smooth.field_of_view, diameter_px=float(diameter_px))
        assert drawn(replace(smooth, field_of_view=found), vessels).doubt.startswith(doubt)


def test_an_option_that_is_none_is_a_type_error():
    with pytest.raises(TypeError, match="colour"):
        Segmenter.load("default", colour="red")
