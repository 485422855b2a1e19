"""Which pages of an image file are its one picture, and how they become it."""

import re
from typing import TypeVar

import numpy as np
from PIL import ImageFile

from fundusseg.errors import PictureFault

KIND, REDUCED_OR_MASK = 254, 0b101  # a TIFF tag, and bits of it
# What ImageJ and OME write of a picture in colours that takes a page for each.
_CHANNELS_IN_PAGES = re.compile(r'^channels=3$|\bSizeC="3"', re.MULTILINE)
MOST_PAGES = 100  # of a file; one picture in a dozen sizes has as many
LEAST_OF_A_PAGE = 0.3  # of the largest one's area; what is smaller is its thumbnail

Page = TypeVar("Page")


def full_pages(image: ImageFile.ImageFile) -> list[int]:
    """The numbers of a file's pages without thumbnails, reduced copies and masks of others."""
    areas = {}
    count = getattr(image, "n_frames", 1)
    require_few_pages(count)
    for number in range(count):
        image.seek(number)
        if not getattr(image, "tag_v2", {}).get(KIND, 0) & REDUCED_OR_MASK:
            areas[number] = image.width * image.height
    # Cameras put previews of any size behind a photograph, in the format of stereo pairs.
    least = max(areas.values(), default=0) * (1 if image.format == "MPO" else LEAST_OF_A_PAGE)
    return [number for number, area in areas.items() if area >= least] or [0]


def one_picture(pages: list[Page], description: str) -> list[Page]:
    """The pages of the one picture in a file: one, or three channels.

    Raises:
        PictureFault: if there are more, or none.
    """
    if len(pages) == 1 or (len(pages) == 3 and _CHANNELS_IN_PAGES.search(description)):
        return pages
    if not pages:
        raise PictureFault("holds no picture", "save it again")
    raise _several(len(pages))


def require_few_pages(count: int) -> None:
    """Raise PictureFault if a file has more pages than are looked through."""
    if count > MOST_PAGES:
        raise _several(count)


def _several(count: int) -> PictureFault:
    return PictureFault(f"holds {count} pictures", "save each as a file of its own")


def of_channels(pages: list[np.ndarray]) -> np.ndarray:
    """The values (Y, X, channels) of a picture that has a channel in each page.

    Raises:
        PictureFault: if a page is a picture in colours by itself.
    """
    if any(page.ndim == 3 and page.shape[2] > 1 for page in pages):
        raise _several(len(pages))
    return np.dstack(pages)
