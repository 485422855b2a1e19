"""One map against one manual mask: counts that can be pooled, and the figures of the image."""

import math
from dataclasses import dataclass

import numpy as np

from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import canonical_geometry, to_frame
from fundusseg.io.maps import VesselMap
from fundusseg.io.truth import TruthImage
from fundusseg.metrics import overlap, similarity
from fundusseg.metrics.boundary import SurfaceDistances, hausdorff_95, normalised_surface_distance
from fundusseg.metrics.calibration import ReliabilityBins, brier, expected_calibration_error
from fundusseg.metrics.centreline import CentrelineCounts, cldice, connected_parts, skeleton
from fundusseg.metrics.curves import LEVELS, ScoreHistogram, auprc, auroc
from fundusseg.metrics.overlap import Counts

TOLERANCE_DIAMETER_PX = 512  # the field of view that the tolerances of NSD are stated for
SWEEP_THRESHOLDS = np.arange(1, 200) / 200
SIMILARITY_SIZE_PX = 256  # the notebook's, and so that of its published figures

OVERLAP = {
    "dice": overlap.dice,
    "iou": overlap.iou,
    "sensitivity": overlap.sensitivity,
    "specificity": overlap.specificity,
    "precision": overlap.precision,
    "accuracy": overlap.accuracy,
    "mcc": overlap.matthews,
}
RANKING = {"auroc": auroc, "auprc": auprc}
CALIBRATION = {"brier": brier, "ece": expected_calibration_error}
SIMILARITY = {"mse": similarity.mse, "ssim": similarity.ssim, "psnr_db": similarity.psnr}


@dataclass(frozen=True)
class Reference:
    """The truth of one image, with what all maps of it are compared to.

    where: bool (Y, X), None for the whole frame. small: float32 (S, S), the mask in [-1, 1]
    at the size of the image-similarity figures.
    """

    mask: np.ndarray
    where: np.ndarray | None
    diameter_px: float
    skeleton: np.ndarray
    parts: int
    small: np.ndarray

    @staticmethod
    def of(image: TruthImage, whole_frame: bool) -> "Reference":
        """The reference inside the field of view, or on the whole frame."""
        where = None if whole_frame else image.fov
        return Reference(
            image.mask,
            where,
            image.diameter_px,
            skeleton(image.mask, where),
            connected_parts(image.mask if where is None else image.mask & where),
            small_map(image.mask),
        )


@dataclass(frozen=True)
class ImageScore:
    """What one map scored on one image.

    values: the figures by key; NaN where undefined, absent where they do not apply.
    sweep: int64 (2, T), true and false positives at `SWEEP_THRESHOLDS`; None if binary.
    """

    counts: Counts
    centreline: CentrelineCounts
    values: dict[str, float]
    sweep: np.ndarray | None = None


def image_score(
    found: VesselMap, reference: Reference, calibrated: bool = True
) -> tuple[ImageScore, ScoreHistogram | None]:
    """Compare a map of the reference's size with it.

    Args:
        calibrated: whether the scores are meant as probabilities, so that Brier and ECE
            make sense.

    Returns:
        The score, and the histogram of the probabilities (None for a binary map), which is
        to be pooled and dropped: it is a megabyte.

    Raises:
        ValueError: if the sizes differ.
    """
    mask, where = reference.mask, reference.where
    counts = Counts.of(found.vessels, mask, where)
    centreline = CentrelineCounts.of(found.vessels, mask, where, truth_skeleton=reference.skeleton)
    values = {key: figure(counts) for key, figure in OVERLAP.items()}
    values["cldice"] = cldice(centreline)
    values |= _boundary_values(found.vessels, reference)
    values |= _similarity_values(found.vessels, reference, "binary")
    if found.probability is None:
        return ImageScore(counts, centreline, values), None
    histogram = ScoreHistogram.of(found.probability, mask, where)
    values |= {key: figure(histogram) for key, figure in RANKING.items()}
    if calibrated:
        bins = ReliabilityBins.of_histogram(histogram)
        values |= {key: figure(bins) for key, figure in CALIBRATION.items()}
        values |= _similarity_values(found.probability, reference, "continuous")
    return ImageScore(counts, centreline, values, _sweep(histogram)), histogram


def small_map(values: np.ndarray) -> np.ndarray:
    """A whole map in [0, 1], resampled with averaging to `SIMILARITY_SIZE_PX`, in [-1, 1]."""
    frame = FieldOfView(0, 0, 0, "frame")
    whole = canonical_geometry("whole", SIMILARITY_SIZE_PX, values.shape, frame)
    return np.clip(to_frame(values, whole) * 2 - 1, -1, 1)


def swept(score: ImageScore, number: int) -> Counts:
    """The counts of a map cut at `SWEEP_THRESHOLDS[number]` in place of its own threshold."""
    tp, fp = (int(count) for count in score.sweep[:, number])
    vessel_px = score.counts.tp + score.counts.fn
    return Counts(tp, fp, vessel_px - tp, score.counts.n_px - vessel_px - fp)


def _boundary_values(vessels: np.ndarray, reference: Reference) -> dict[str, float]:
    distances = SurfaceDistances.of(vessels, reference.mask, reference.where)
    unit_px = reference.diameter_px / TOLERANCE_DIAMETER_PX
    parts, truth_parts = math.nan, math.nan
    if distances.n_px:
        inside = vessels if reference.where is None else vessels & reference.where
        parts, truth_parts = float(connected_parts(inside)), float(reference.parts)
    return {
        "nsd_1px": normalised_surface_distance(distances, unit_px),
        "nsd_2px": normalised_surface_distance(distances, 2 * unit_px),
        "hausdorff_95_px": hausdorff_95(distances),
        "parts": parts,
        "truth_parts": truth_parts,
    }


def _similarity_values(found: np.ndarray, reference: Reference, kind: str) -> dict[str, float]:
    small = small_map(found)
    return {f"{key}_{kind}": figure(small, reference.small) for key, figure in SIMILARITY.items()}


def _sweep(histogram: ScoreHistogram) -> np.ndarray:
    levels = np.searchsorted(LEVELS, SWEEP_THRESHOLDS)
    return np.stack([counts[levels] for counts in histogram.by_level()])
