"""Gaps in the vessels of a map, closed where the probabilities say that a vessel goes on."""

import numpy as np
from scipy import ndimage

from fundusseg.fundus.small_objects import EIGHT_NEIGHBOURS, large_components

Window = tuple[slice, slice]


def without_gaps(
    vessels: np.ndarray,
    probability: np.ndarray,
    least: float,
    gap_px: float,
    width_px: float,
    speck_px: float = 0,
) -> np.ndarray:
    """A map with its connected components joined where probabilities carry on between them.

    Two components are joined along the centre line of where the probability is at least `least`,
    if that line leaves one, reaches the other and is not longer than the gap. So nothing is drawn
    where the network saw nothing, and the width of what stands does not change.

    Args:
        vessels: bool (Y, X).
        probability: float32 (Y, X) in [0, 1].
        least: in [0, 1]; below the threshold that made `vessels`.
        gap_px: the longest join, in pixels; below 1 nothing is joined.
        width_px: of the joins.
        speck_px: nothing is joined to components of a smaller area than this.

    Returns:
        bool (Y, X); holds all of `vessels`, which is returned itself if nothing is joined.
    """
    if gap_px < 1:
        return vessels
    components = large_components(vessels, speck_px)
    lines = [
        _joins(components, probability, least, gap_px, window)
        for window in _windows(components, int(2 * gap_px + width_px))
    ]
    if not sum(map(len, lines)):
        return vessels
    return _drawn_over(vessels, np.concatenate(lines), width_px)


def _windows(components: np.ndarray, margin: int) -> list[Window]:
    """Where joins may be: around each component but the largest, since a join has two ends.

    The whole image at once where that is less to look at.
    """
    boxes = [box for box in ndimage.find_objects(components) if box is not None]
    windows = sorted((_widened(box, margin, components.shape) for box in boxes), key=_area)[:-1]
    whole = slice(0, components.shape[0]), slice(0, components.shape[1])
    return windows if sum(map(_area, windows)) < _area(whole) else [whole]


def _widened(box: Window, margin: int, shape: tuple[int, ...]) -> Window:
    y, x = (
        slice(max(0, side.start - margin), min(side.stop + margin, end))
        for side, end in zip(box, shape, strict=True)
    )
    return y, x


def _area(window: Window) -> int:
    y, x = window
    return (y.stop - y.start) * (x.stop - x.start)


def _joins(
    components: np.ndarray, probability: np.ndarray, least: float, gap_px: float, window: Window
) -> np.ndarray:
    """int (N, 2): y and x of the centre lines in a window that reach two components, at least."""
    # Imported here: it takes as long as a photograph, and a map of one component needs none.
    from skimage.morphology import skeletonize

    inside = components[window]
    beside = skeletonize(probability[window] >= least) & (inside == 0)
    lines, count = ndimage.label(beside, EIGHT_NEIGHBOURS)
    y, x = np.nonzero(lines)
    line_of, around = lines[y, x], np.pad(inside, 1)
    near = np.array([around[y + dy, x + dx] for dy in range(3) for dx in range(3)])
    first, last = np.full(count + 1, components.size), np.zeros(count + 1, int)
    np.minimum.at(first, line_of, np.where(near > 0, near, components.size).min(0))
    np.maximum.at(last, line_of, near.max(0))
    length_px = np.bincount(line_of, minlength=count + 1)
    joins = ((first < last) & (length_px <= gap_px))[line_of]
    return np.column_stack([y[joins] + window[0].start, x[joins] + window[1].start])


def _drawn_over(vessels: np.ndarray, lines: np.ndarray, width_px: float) -> np.ndarray:
    """A map with lines, int (N, 2) of y and x, over it; their width is at most half a pixel off."""
    reach = np.arange(-int(width_px / 2), int(width_px / 2) + 1)
    drawn, last = vessels.copy(), np.array(vessels.shape) - 1
    for step in np.stack(np.meshgrid(reach, reach), -1).reshape(-1, 2):
        if np.hypot(*step) <= max(width_px / 2, 0.5):
            y, x = np.clip(lines + step, 0, last).T
            drawn[y, x] = True
    return drawn
