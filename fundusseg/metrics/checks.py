"""Refuse arrays that cannot be compared, before a figure is computed from them."""

import numpy as np


def check_same_shape(**arrays: np.ndarray | None) -> None:
    """Refuse arrays of different shapes.

    Args:
        **arrays: under the names that the message shall use; None is passed over.

    Raises:
        ValueError: if two shapes differ; the message has every name with its shape.
    """
    shapes = {name: array.shape for name, array in arrays.items() if array is not None}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"arrays differ in shape: {listed}")


def check_masks(**masks: np.ndarray | None) -> None:
    """Refuse masks that are not boolean or differ in shape.

    Args:
        **masks: under the names that the message shall use; None is passed over.

    Raises:
        TypeError: if a mask is not of dtype bool. (0 and 255 are no masks: `&` would compare
            their bits.)
        ValueError: if two shapes differ; the message has every name with its shape.
    """
    for name, mask in masks.items():
        if mask is not None and mask.dtype != bool:
            raise TypeError(f"{name} has dtype {mask.dtype}; a mask is of dtype bool")
    check_same_shape(**masks)


def cut_to(
    where: np.ndarray | None, prediction: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Two masks with everything outside the field of view set to background.

    Args:
        where: bool (Y, X), the field of view; None is the whole frame.
        prediction: bool (Y, X).
        truth: bool (Y, X).

    Returns:
        Prediction and truth, bool (Y, X), inside `where` (the arguments themselves if it is
        None), and the number of pixels compared: 0 for an empty `where` or an array without
        pixels.

    Raises:
        TypeError: if an array is not of dtype bool.
        ValueError: if two shapes differ.
    """
    check_masks(prediction=prediction, truth=truth, where=where)
    if where is None:
        return prediction, truth, truth.size
    return prediction & where, truth & where, int(np.count_nonzero(where))
