"""One map against one manual mask: counts that can be added up, and the figures of the image."""

import math
from dataclasses import dataclass

import numpy as np

from fundusseg.datasets.maps import VesselMap
from fundusseg.datasets.truth import TruthImage
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import canonical_geometry, to_frame
from fundusseg.metrics import overlap, similarity
from fundusseg.metrics.boundary import SurfaceDistances, hausdorff_95, normalised_surface_distance
from fundusseg.metrics.calibration import ReliabilityBins, brier, expected_calibration_error
from fundusseg.metrics.centreline import CentrelineCounts, cldice, connected_components, skeleton
from fundusseg.metrics.curves import LEVELS, ScoreHistogram, auprc, auroc
from fundusseg.metrics.overlap import Counts

TOLERANCE_DIAMETER_PX = 512  # diameter of the field of view at which NSD's tolerances are stated
SWEEP_THRESHOLDS = np.arange(1, 200) / 200
SIMILARITY_SIZE_PX = 256  # the notebook's, so that its published figures can be compared

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
    """The truth of one image, with what is needed for every map that is compared with it.

    Attributes:
        mask: bool (Y, X), True is vessel.
        where: bool (Y, X), the field of view; None for the whole frame.
        diameter_px: diameter of the field of view, to which tolerances are scaled.
        skeleton: bool (Y, X), of the mask inside `where`.
        components: number of connected components of the mask inside `where`.
        small: float32 (S, S), the whole mask as `small_map` gives it.
    """

    mask: np.ndarray
    where: np.ndarray | None
    diameter_px: float
    skeleton: np.ndarray
    components: int
    small: np.ndarray

    @staticmethod
    def of(image: TruthImage, whole_frame: bool) -> "Reference":
        """The reference inside the image's field of view, or on the whole frame."""
        where = None if whole_frame else image.fov
        return Reference(
            image.mask,
            where,
            image.diameter_px,
            skeleton(image.mask, where),
            connected_components(image.mask if where is None else image.mask & where),
            small_map(image.mask),
        )


@dataclass(frozen=True)
class ImageScore:
    """The scores of one map on one image.

    Attributes:
        values: the figures by key; NaN if undefined, absent if not applicable.
        sweep: int64 (2, T), true and false positives at each of `SWEEP_THRESHOLDS`; None for a
            binary map.
    """

    counts: Counts
    centreline: CentrelineCounts
    values: dict[str, float]
    sweep: np.ndarray | None = None


def image_score(
    vessel_map: VesselMap, reference: Reference, calibrated: bool = True
) -> tuple[ImageScore, ScoreHistogram | None]:
    """Compare a map with the reference of the same size.

    Args:
        calibrated: whether the scores are meant as probabilities, so that Brier, ECE and the
            similarity of the continuous map apply.

    Returns:
        The score, and the histogram of the probabilities; None for a binary map. The histogram
        takes a megabyte: add it to a pool and drop it.

    Raises:
        ValueError: if the sizes differ.
    """
    mask, where, vessels = reference.mask, reference.where, vessel_map.vessels
    counts = Counts.of(vessels, mask, where)
    centreline = CentrelineCounts.of(vessels, mask, where, truth_skeleton=reference.skeleton)
    values = {key: figure(counts) for key, figure in OVERLAP.items()}
    values["cldice"] = cldice(centreline)
    values |= _boundary_values(vessels, reference)
    values |= _similarity_values(vessels, reference, "binary")
    if vessel_map.probability is None:
        return ImageScore(counts, centreline, values), None
    histogram = ScoreHistogram.of(vessel_map.probability, mask, where)
    values |= {key: figure(histogram) for key, figure in RANKING.items()}
    if calibrated:
        bins = ReliabilityBins.of_histogram(histogram)
        values |= {key: figure(bins) for key, figure in CALIBRATION.items()}
        values |= _similarity_values(vessel_map.probability, reference, "continuous")
    return ImageScore(counts, centreline, values, _sweep(histogram)), histogram


def small_map(values: np.ndarray) -> np.ndarray:
    """A whole map (Y, X) in [0, 1], averaged to (S, S) and scaled to [-1, 1].

    S is `SIMILARITY_SIZE_PX`; the aspect ratio is not kept.
    """
    frame = FieldOfView(0, 0, 0, "frame")
    whole = canonical_geometry("whole", SIMILARITY_SIZE_PX, values.shape, frame)
    return np.clip(to_frame(values, whole) * 2 - 1, -1, 1)


def rethresholded(score: ImageScore, number: int) -> Counts:
    """The counts of a map at `SWEEP_THRESHOLDS[number]` in place of its own threshold."""
    assert score.sweep is not None  # only a map with probabilities has other thresholds
    tp, fp = (int(count) for count in score.sweep[:, number])
    vessel_px = score.counts.tp + score.counts.fn
    return Counts(tp, fp, vessel_px - tp, score.counts.n_px - vessel_px - fp)


def _boundary_values(vessels: np.ndarray, reference: Reference) -> dict[str, float]:
    distances = SurfaceDistances.of(vessels, reference.mask, reference.where)
    unit_px = reference.diameter_px / TOLERANCE_DIAMETER_PX
    components, truth_components = math.nan, math.nan
    if distances.n_px:
        inside = vessels if reference.where is None else vessels & reference.where
        components = float(connected_components(inside))
        truth_components = float(reference.components)
    return {
        "nsd_1px": normalised_surface_distance(distances, unit_px),
        "nsd_2px": normalised_surface_distance(distances, 2 * unit_px),
        "hausdorff_95_px": hausdorff_95(distances),
        "connected_components": components,
        "truth_connected_components": truth_components,
    }


def _similarity_values(values: np.ndarray, reference: Reference, kind: str) -> dict[str, float]:
    small = small_map(values)
    return {f"{key}_{kind}": figure(small, reference.small) for key, figure in SIMILARITY.items()}


def _sweep(histogram: ScoreHistogram) -> np.ndarray:
    levels = np.searchsorted(LEVELS, SWEEP_THRESHOLDS)
    return np.stack([counts[levels] for counts in histogram.by_level()])
