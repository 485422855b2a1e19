"""How large what a file holds may be: beyond that it is refused before memory is taken for it.

Within these limits one photograph takes less than 2 GiB (docs/faults.md).
"""

from collections.abc import Sequence
from math import prod

from fundusseg.errors import PictureFault

MOST_PIXELS = 64_000_000  # of a picture; cameras have 50 million at most, a frame 1.6
MOST_BYTES = 4 * MOST_PIXELS  # of a file, an array, or a picture's values
_SMALLER = "make it smaller"


def require_few_pixels(shape: Sequence[int]) -> None:
    """Raise PictureFault if a picture of this shape, in pixels, is larger than is taken."""
    if prod(shape) > MOST_PIXELS:
        raise too_many_pixels()


def too_many_pixels() -> PictureFault:
    """What is said of a picture of more than `MOST_PIXELS`."""
    problem = f"is too large (more than {MOST_PIXELS // 10**6} million pixels)"
    return PictureFault(problem, _SMALLER)


def require_few_bytes(size_bytes: int) -> None:
    """Raise PictureFault if a file, or what it unpacks to, is larger than is taken."""
    if size_bytes > MOST_BYTES:
        problem = f"is too large (more than {MOST_BYTES // 10**6} million bytes)"
        raise PictureFault(problem, _SMALLER)
