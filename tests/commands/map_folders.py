"""What infer writes into a folder, read back."""

import numpy as np
from PIL import Image

from fundusseg.files.status import read_status

# What infer writes beside the maps.
BOOKS = frozenset({"status.tsv", "SHA256SUMS", "manifest.json"})
# The photographs of the fixtures `photographs` and `shared_photographs`.
IDS = ("a", "b/c", "b/d e", "\u00e9")


def rows(folder) -> dict:
    """The rows of status.tsv by id."""
    return {row.id: row for row in read_status(folder / "status.tsv")}


def picture(path) -> np.ndarray:
    """The pixels of an image file as they are stored."""
    with Image.open(path) as image:
        return np.asarray(image)
