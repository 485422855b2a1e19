"""The baseline's threshold, chosen on train images of the same truth, and its maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fundusseg import stop, ui
from fundusseg.datasets.maps import VesselMap
from fundusseg.datasets.truth import FramedPhotograph, MaskTruth, Truth, TruthImage, TruthItem
from fundusseg.errors import InputError, UsageError
from fundusseg.fundus.baseline import baseline_score
from fundusseg.fundus.field_of_view import field_of_view_of_mask
from fundusseg.fundus.geometry import Geometry, canonical_geometry, from_frame, to_frame
from fundusseg.metrics.curves import ScoreHistogram, best_dice_threshold
from fundusseg.metrics.validation import pooled
from fundusseg.parallel import ordered_map

FRAME_PX = 512  # side of the frame in which photographs of a data set folder are filtered
MOST_TRAIN_IMAGES = 20


@dataclass(frozen=True)
class TrainedBaseline:
    """The threshold on `baseline_score`, and the number of train images it was chosen on."""

    threshold: float
    n_images: int


def trained_baseline(truth: Truth, scored: Sequence[TruthItem], jobs: int) -> TrainedBaseline:
    """Choose the threshold with the highest Dice on train images, pooled over their pixels.

    At most `MOST_TRAIN_IMAGES` that are not `scored`, evenly spaced, are read. One that cannot
    be read is left out with a warning.

    Raises:
        UsageError: if the truth has no photographs.
        InputError: if it has no other train images, or none with vessels that can be read.
    """
    if isinstance(truth, MaskTruth):
        problem = "--baseline needs photographs: a data set folder or shards"
        raise UsageError(f"{truth.root}: {problem}")
    left_out = {item.id for item in scored}
    train = [item for item in truth.items if item.split in ("train", "validation")]
    items = _evenly_spaced([item for item in train if item.id not in left_out])
    if train and not items:
        problem = "has no train images besides those that are scored"
        raise InputError(truth.root, problem, "leave out --baseline, or score --split test")
    histograms = []
    for histogram in ordered_map(lambda item: _histogram(truth, item), items, jobs):
        stop.check()
        if histogram is not None:
            histograms.append(histogram)
    if not any(histogram.positives.any() for histogram in histograms):
        raise InputError(truth.root, "has no train images with vessels", "leave out --baseline")
    return TrainedBaseline(best_dice_threshold(pooled(histograms)), len(histograms))


def baseline_map(image: TruthImage, photograph: FramedPhotograph, threshold: float) -> VesselMap:
    """The baseline's map of one image, in the frame of its masks."""
    score, _, geometry = _filtered(image, photograph)
    if image.geometry is None:
        score = from_frame(score, geometry)
    return VesselMap(score >= threshold, np.clip(score, 0, 1))


def _histogram(truth: Truth, item: TruthItem) -> ScoreHistogram | None:
    """The filter's response inside the field of view; None if the image cannot be read."""
    try:
        image = truth.read(item)
        photograph = truth.photograph(item)
        assert photograph is not None  # a truth without photographs has no baseline
        score, fov, geometry = _filtered(image, photograph)
    except InputError as error:
        ui.log.warning("%s; not used for the baseline's threshold", error)
        return None
    mask = image.mask if image.geometry is not None else to_frame(image.mask, geometry) >= 0.5
    return ScoreHistogram.of(score, mask, fov)


def _filtered(
    image: TruthImage, photograph: FramedPhotograph
) -> tuple[np.ndarray, np.ndarray, Geometry]:
    """The filter's response to a photograph, in the shards' frame or in one of `FRAME_PX`.

    Returns:
        float32 (S, S) in [0, 1); the field of view, bool (S, S); from the source to the frame.
    """
    assert image.fov is not None  # where there is a photograph it is known
    green = photograph.pixels[..., 1]
    if image.geometry is not None:
        fov, geometry = image.fov, image.geometry
    else:
        geometry = photograph.geometry or canonical_geometry(
            "field-of-view", FRAME_PX, green.shape, field_of_view_of_mask(image.fov)
        )
        fov = to_frame(image.fov, geometry) >= 0.5
    if photograph.geometry is None:
        green = to_frame(green, geometry)
    diameter_px = field_of_view_of_mask(fov).diameter_px
    return baseline_score(green, fov, diameter_px), fov, geometry


def _evenly_spaced(items: Sequence[TruthItem]) -> list[TruthItem]:
    """At most `MOST_TRAIN_IMAGES` of them: every k-th, the first included."""
    step = max(1, -(-len(items) // MOST_TRAIN_IMAGES))
    return list(items[::step])
