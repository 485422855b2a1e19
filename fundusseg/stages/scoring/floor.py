"""The floor row: a classical filter, its threshold from train images of the same truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fundusseg import stop, ui
from fundusseg.errors import InputError, UsageError
from fundusseg.fundus.field_of_view import field_of_view_of_mask
from fundusseg.fundus.floor import floor_score
from fundusseg.fundus.geometry import Geometry, canonical_geometry, from_frame, to_frame
from fundusseg.io.maps import VesselMap
from fundusseg.io.truth import MaskTruth, Truth, TruthImage, TruthRef, View
from fundusseg.metrics.curves import ScoreHistogram, best_dice_threshold
from fundusseg.metrics.validation import pooled
from fundusseg.parallel import ordered_map

FRAME_PX = 512  # side of the frame that photographs of a data set folder are filtered in
MOST_TRAIN_IMAGES = 20


@dataclass(frozen=True)
class Floor:
    """The threshold on the filter's answer, and the number of train images it comes from."""

    threshold: float
    n_images: int


@dataclass(frozen=True)
class Filtered:
    """The filter's answer, float32 (S, S), in a frame with its field of view, bool (S, S)."""

    score: np.ndarray
    fov: np.ndarray
    geometry: Geometry


def trained_floor(truth: Truth, scored: Sequence[TruthRef], jobs: int) -> Floor:
    """Choose the threshold with the highest Dice on train images, pooled.

    Args:
        scored: what it will be scored on, and so not chosen on.

    Raises:
        UsageError: if the truth has no photographs.
        InputError: if it has no train images with vessels that can be read.
    """
    if isinstance(truth, MaskTruth):
        raise UsageError(f"{truth.root}: --floor needs photographs: a data set folder or shards")
    left_out = {ref.id for ref in scored}
    train = [ref for ref in truth.refs if ref.split in ("train", "validation")]
    refs = _spread([ref for ref in train if ref.id not in left_out])
    if train and not refs:
        problem = "has no train images besides those that are scored"
        raise InputError(truth.root, problem, "leave out --floor, or score --split test")

    def histogram(ref: TruthRef) -> ScoreHistogram | None:
        try:
            image = truth.read(ref)
            answer = filtered(image, truth.view(ref))
        except InputError as error:
            ui.log.warning("%s; the floor's threshold is chosen without it", error)
            return None
        in_frame = image.geometry is not None
        mask = image.mask if in_frame else to_frame(image.mask, answer.geometry) >= 0.5
        return ScoreHistogram.of(answer.score, mask, answer.fov)

    histograms = []
    for found in ordered_map(histogram, refs, jobs):
        stop.check()
        if found is not None:
            histograms.append(found)
    if not any(one.positives.any() for one in histograms):
        raise InputError(truth.root, "has no train images with vessels", "leave out --floor")
    return Floor(best_dice_threshold(pooled(histograms)), len(histograms))


def filtered(image: TruthImage, view: View) -> Filtered:
    """The filter's answer to one photograph, in the shards' frame or in one of `FRAME_PX`."""
    green = view.pixels[..., 1]
    if image.geometry is not None:
        fov, geometry = image.fov, image.geometry
    else:
        geometry = view.geometry or canonical_geometry(
            "field-of-view", FRAME_PX, green.shape, field_of_view_of_mask(image.fov)
        )
        fov = to_frame(image.fov, geometry) >= 0.5
    if view.geometry is None:
        green = to_frame(green, geometry)
    return Filtered(floor_score(green, fov, field_of_view_of_mask(fov).diameter_px), fov, geometry)


def floor_map(image: TruthImage, view: View, threshold: float) -> VesselMap:
    """The floor's map of one image, in the frame of its masks."""
    answer = filtered(image, view)
    score = (
        answer.score if image.geometry is not None else from_frame(answer.score, answer.geometry)
    )
    return VesselMap(score >= threshold, np.clip(score, 0, 1))


def _spread(refs: Sequence[TruthRef]) -> list[TruthRef]:
    """At most `MOST_TRAIN_IMAGES` of them, evenly from the first to the last."""
    step = max(1, -(-len(refs) // MOST_TRAIN_IMAGES))
    return list(refs[::step])
