"""Refuse arrays that cannot be compared, before a figure is computed from them."""

import numpy as np


def check_same_shape(**arrays):
    """Refuse arrays of different shapes.

    Parameters
    ----------
    **arrays : array or None
        The arrays under the names that the message shall use; None is passed over.

    Raises
    ------
    ValueError
        If two shapes differ; the message has every name with its shape.
    """
    shapes = {name: array.shape for name, array in arrays.items() if array is not None}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"arrays differ in shape: {listed}")


def check_masks(**masks):
    """Refuse masks that are not boolean or differ in shape.

    Parameters
    ----------
    **masks : array or None
        The masks under the names that the message shall use; None is passed over.

    Raises
    ------
    TypeError
        If a mask is not of dtype bool. (0 and 255 are no masks: `&` would compare their bits.)
    ValueError
        If two shapes differ; the message has every name with its shape.
    """
    for name, mask in masks.items():
        if mask is not None and mask.dtype != bool:
            raise TypeError(f"{name} has dtype {mask.dtype}; a mask is of dtype bool")
    check_same_shape(**masks)


def cut_to(where, prediction, truth):
    """Two masks with everything outside the field of view set to background.

    Parameters
    ----------
    where : array (Y, X) of bool, or None
        The field of view; None is the whole frame.
    prediction, truth : array (Y, X) of bool
        The masks.

    Returns
    -------
    prediction, truth : array (Y, X) of bool
        The masks inside `where`; the arguments themselves if it is None.
    n_px : int
        The number of pixels compared; 0 for an empty `where` or an array without pixels.

    Raises
    ------
    TypeError
        If an array is not of dtype bool.
    ValueError
        If two shapes differ.
    """
    check_masks(prediction=prediction, truth=truth, where=where)
    if where is None:
        return prediction, truth, truth.size
    return prediction & where, truth & where, int(np.count_nonzero(where))
