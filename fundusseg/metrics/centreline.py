"""Agreement of two vessel maps along their centrelines: clDice, and the number of parts."""

import math
from dataclasses import dataclass

import numpy as np
from skimage.measure import label
from skimage.morphology import skeletonize

from fundusseg.metrics.checks import check_masks, cut_to


def skeleton(mask, where=None):
    """Skeleton of a mask, one pixel wide.

    The mask is cut to the field of view first and thinned afterwards, so that the skeleton of
    a vessel that crosses the rim ends at the rim.

    Parameters
    ----------
    mask : array (Y, X) of bool
    where : array (Y, X) of bool, or None
        The field of view; None is the whole frame.

    Returns
    -------
    array (Y, X) of bool
        Empty exactly if the mask is empty inside `where`.

    Raises
    ------
    TypeError
        If an array is not of dtype bool.
    ValueError
        If two shapes differ.

    References
    ----------
    Zhang and Suen, Communications of the ACM 27 (1984), doi:10.1145/357994.358023
    """
    check_masks(mask=mask, where=where)
    inside = mask if where is None else mask & where
    return skeletonize(inside) if inside.any() else np.zeros(mask.shape, bool)


@dataclass(frozen=True)
class CentrelineCounts:
    """Skeleton pixels of a prediction and of the truth, and how many lie in the other mask.

    Attributes
    ----------
    prediction_hits, prediction_length : int
        Pixels of the prediction's skeleton inside the true vessel, and in all.
    truth_hits, truth_length : int
        Pixels of the truth's skeleton inside the predicted vessel, and in all.
    n_px : int
        The number of pixels of the field of view.
    """

    prediction_hits: int
    prediction_length: int
    truth_hits: int
    truth_length: int
    n_px: int

    @classmethod
    def of(cls, prediction, truth, where=None, *, prediction_skeleton=None, truth_skeleton=None):
        """Count the skeleton pixels of one image.

        Parameters
        ----------
        prediction, truth : array (Y, X) of bool
            True is vessel.
        where : array (Y, X) of bool, or None
            The field of view, to which both masks are cut before they are thinned.
        prediction_skeleton, truth_skeleton : array (Y, X) of bool, or None
            What `skeleton(mask, where)` gives, if the caller has it already.

        Returns
        -------
        CentrelineCounts
            All zero if `where` is empty.

        Raises
        ------
        TypeError
            If an array is not of dtype bool.
        ValueError
            If two shapes differ, or if a skeleton leaves its mask or the field of view.
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

    def __add__(self, other):
        """The counts of two images together."""
        return CentrelineCounts(
            self.prediction_hits + other.prediction_hits,
            self.prediction_length + other.prediction_length,
            self.truth_hits + other.truth_hits,
            self.truth_length + other.truth_length,
            self.n_px + other.n_px,
        )


def topology_precision(counts):
    """Topology precision: the part of the prediction's skeleton that lies in the true vessel.

    Parameters
    ----------
    counts : CentrelineCounts

    Returns
    -------
    float
        In [0, 1]; NaN if the prediction has no vessel.

    References
    ----------
    Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629
    """
    length = counts.prediction_length
    return counts.prediction_hits / length if length else math.nan


def topology_sensitivity(counts):
    """Topology sensitivity: the part of the truth's skeleton that lies in the predicted vessel.

    Parameters
    ----------
    counts : CentrelineCounts

    Returns
    -------
    float
        In [0, 1]; NaN if the truth has no vessel.

    References
    ----------
    Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629
    """
    length = counts.truth_length
    return counts.truth_hits / length if length else math.nan


def cldice(counts):
    """Centreline Dice (clDice): the harmonic mean of topology precision and sensitivity.

    Parameters
    ----------
    counts : CentrelineCounts

    Returns
    -------
    float
        In [0, 1]; 1.0 if both masks are empty, 0.0 if one is, or if neither skeleton meets the
        other mask; NaN if no pixel was compared.

    References
    ----------
    Shit et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01629
    """
    if counts.n_px == 0:
        return math.nan
    if counts.prediction_length == 0 or counts.truth_length == 0:
        return float(counts.prediction_length == counts.truth_length)
    precision, sensitivity = topology_precision(counts), topology_sensitivity(counts)
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def connected_parts(mask):
    """Number of connected parts of a mask, with eight neighbours to a pixel.

    Parameters
    ----------
    mask : array (Y, X) of bool
        Cut it to the field of view first.

    Returns
    -------
    int
        0 for an empty mask.

    Raises
    ------
    TypeError
        If the mask is not of dtype bool.
    """
    check_masks(mask=mask)
    return int(label(mask, connectivity=2, return_num=True)[1]) if mask.any() else 0


def _check_skeleton(name, skeleton_of_mask, mask):
    """Refuse a skeleton that was not thinned from this mask inside this field of view."""
    check_masks(**{name: skeleton_of_mask, "mask": mask})
    if np.any(skeleton_of_mask & ~mask):
        raise ValueError(
            f"{name} leaves its mask, or the field of view: pass skeleton(mask, where)"
        )
