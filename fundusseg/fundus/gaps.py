"""Gaps in the vessels of a map, closed where the probabilities say that a vessel goes on."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from fundusseg.fundus.small_objects import EIGHT_NEIGHBOURS


def without_gaps(
    vessels: np.ndarray, probability: np.ndarray, least: float, gap_px: float, width_px: float
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

    Returns:
        bool (Y, X); holds all of `vessels`, which is returned itself if nothing is joined.
    """
    if gap_px < 1:
        return vessels
    components, _ = ndimage.label(vessels, EIGHT_NEIGHBOURS)
    joined, margin = vessels, int(2 * gap_px + width_px)
    for window in _windows_of_all_but_the_largest(components, margin):
        lines = _joins(components[window], probability[window] >= least, gap_px)
        if lines.any():
            joined = vessels.copy() if joined is vessels else joined
            joined[window] |= _drawn(lines, width_px)
    return joined


def _windows_of_all_but_the_largest(
    components: np.ndarray, margin: int
) -> Iterator[tuple[slice, slice]]:
    """Where each component lies, with a margin around it: whatever joins has one of these."""
    boxes = ndimage.find_objects(components)
    if len(boxes) < 2:
        return
    areas = np.bincount(components[components > 0])
    del boxes[int(np.argmax(areas)) - 1]
    for y, x in boxes:
        yield (
            slice(max(0, y.start - margin), y.stop + margin),
            slice(max(0, x.start - margin), x.stop + margin),
        )


def _joins(components: np.ndarray, likely: np.ndarray, gap_px: float) -> np.ndarray:
    """bool (Y, X): centre lines outside the components that reach two of them, at least."""
    # Imported here: it takes as long as a photograph, and a map of one component needs none.
    from skimage.morphology import skeletonize

    nothing = np.zeros(components.shape, bool)
    if np.all((components == components.max()) | (components == 0)):
        return nothing
    lines, count = ndimage.label(skeletonize(likely) & (components == 0), EIGHT_NEIGHBOURS)
    if not count:
        return nothing
    neighbour = ndimage.maximum_filter(components, 3)
    far = components.max() + 1
    other = ndimage.minimum_filter(np.where(components > 0, components, far), 3)
    of_lines = np.arange(count + 1)
    reaches_two = ndimage.minimum(other, lines, of_lines) < ndimage.maximum(
        neighbour, lines, of_lines
    )
    is_join = reaches_two & (np.bincount(lines.ravel(), minlength=count + 1) <= gap_px)
    is_join[0] = False
    return is_join[lines]


def _drawn(lines: np.ndarray, width_px: float) -> np.ndarray:
    """Lines of one pixel at their width, at most half a pixel off."""
    radius = width_px / 2
    reach = np.arange(-int(radius), int(radius) + 1)
    disc = np.hypot(reach[:, np.newaxis], reach) <= radius
    return ndimage.binary_dilation(lines, disc) if disc.size > 1 else lines
