"""Agreement of two vessel maps along their centrelines: clDice, and the number of components."""

import math
from dataclasses import dataclass

import numpy as np
from skimage.measure import label
from skimage.morphology import skeletonize

from fundusseg.metrics.checks import check_masks, cut_to


def skeleton(mask: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Skeleton of a mask, one pixel wide.

    The mask is cut to the field of view first and thinned afterwards, so that the skeleton of
    a vessel that crosses the rim ends at the rim.

    Args:
        mask: bool (Y, X).
        where: bool (Y, X), the field of view; None is the whole frame.

    Returns:
        bool (Y, X), empty exactly if the mask is empty inside `where`.

    Raises:
        TypeError: if an array is not of dtype bool.
        ValueError: if two shapes differ.

    Reference: Zhang and Suen, Communications of the ACM 27 (1984), doi:10.1145/357994.358023
    """
    check_masks(mask=mask, where=where)
    inside = mask if where is None else mask & where
    return skeletonize(inside) if inside.any() else np.zeros(mask.shape, bool)


@dataclass(frozen=True)
class CentrelineCounts:
    """Skeleton pixels of a prediction and of the truth, and how many lie in the other mask.

    Attributes:
        prediction_hits: pixels of the prediction's skeleton inside the true vessel.
        prediction_length: pixels of the prediction's skeleton in all.
        truth_hits: pixels of the truth's skeleton inside the predicted vessel.
        truth_length: pixels of the truth's skeleton in all.
        n_px: number of pixels of the field of view.
    """

    prediction_hits: int
    prediction_length: int
    truth_hits: int
    truth_length: int
    n_px: int

    @classmethod
    def of(
        cls,
        prediction: np.ndarray,
        truth: np.ndarray,
        where: np.ndarray | None = None,
        *,
        prediction_skeleton: np.ndarray | None = None,
        truth_skeleton: np.ndarray | None = None,
    ) -> "CentrelineCounts":
        """Count the skeleton pixels of one image; all zero if `where` is empty.

        Args:
            prediction: bool (Y, X), True is vessel.
            truth: bool (Y, X), likewise.
            where: bool (Y, X), the field of view, to which both masks are cut before they are
                thinned; None is the whole frame.
            prediction_skeleton: bool (Y, X), what `skeleton(prediction, where)` gives, if the
                caller has it already.
            truth_skeleton: bool (Y, X), likewise of the truth.

        Raises:
            TypeError: if an array is not of dtype bool.
            ValueError: if two shapes differ, or a skeleton leaves its mask or the field of view.
        """
        prediction, truth, n_px = cut_to(where, prediction, truth)
        if prediction_skeleton is None:
            prediction_skeleton = skeleton(prediction)
        if truth_skeleton is None:
            truth_skeleton = skeleton(truth)
        _check_skeleton("prediction_skeleton", prediction_skeleton, prediction)
        _check_skeleton("truth_skeleton", truth_skeleton, truth)
        return cls(
            prediction_hits=int(np.count_nonzero(prediction_skeleton & truth)),
            prediction_length=int(np.count_nonzero(prediction_skeleton)),
            truth_hits=int(np.count_nonzero(truth_skeleton & prediction)),
            truth_length=int(np.count_nonzero(truth_skeleton)),
            n_px=n_px,
        )

    def __add__(self, other: "CentrelineCounts") -> "CentrelineCounts":
        """The counts of two images together."""
        return CentrelineCounts(
            self.prediction_hits + other.prediction_hits,
            self.prediction_length + other.prediction_length,
            self.truth_hits + other.truth_hits,
            self.truth_length + other.truth_length,
            self.n_px + other.n_px,
        )


def topology_precision(counts: CentrelineCounts) -> float:
    """Topology precision: the part of the prediction's skeleton that lies in the true vessel.

    Returns:
        In [0, 1]; NaN if the prediction has no vessel.

    Reference: Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629
    """
    length = counts.prediction_length
    return counts.prediction_hits / length if length else math.nan


def topology_sensitivity(counts: CentrelineCounts) -> float:
    """Topology sensitivity: the part of the truth's skeleton that lies in the predicted vessel.

    Returns:
        In [0, 1]; NaN if the truth has no vessel.

    Reference: Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629
    """
    length = counts.truth_length
    return counts.truth_hits / length if length else math.nan


def cldice(counts: CentrelineCounts) -> float:
    """Centreline Dice (clDice): the harmonic mean of topology precision and sensitivity.

    Returns:
        In [0, 1]; 1.0 if both masks are empty, 0.0 if one is, or if neither skeleton meets the
        other mask; NaN if no pixel was compared.

    Reference: Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629
    """
    if counts.n_px == 0:
        return math.nan
    if counts.prediction_length == 0 or counts.truth_length == 0:
        return float(counts.prediction_length == counts.truth_length)
    precision, sensitivity = topology_precision(counts), topology_sensitivity(counts)
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def connected_components(mask: np.ndarray) -> int:
    """Number of connected components of a mask (8-connectivity); 0 if it is empty.

    Args:
        mask: bool (Y, X), cut to the field of view.

    Raises:
        TypeError: if the mask is not of dtype bool.
    """
    check_masks(mask=mask)
    return int(label(mask, connectivity=2, return_num=True)[1]) if mask.any() else 0


def _check_skeleton(name: str, skeleton_of_mask: np.ndarray, mask: np.ndarray) -> None:
    """Refuse a skeleton that was not thinned from this mask inside this field of view."""
    check_masks(**{name: skeleton_of_mask, "mask": mask})
    if np.any(skeleton_of_mask & ~mask):
        raise ValueError(
            f"{name} leaves its mask, or the field of view: pass skeleton(mask, where)"
        )
