"""The picture of README.md: pictures of one size side by side, on white.

python -m bin.picture PICTURE... OUT
"""

import sys

import numpy as np
from PIL import Image

SIDE_PX = 320
GAP_PX = 8


def side_by_side(paths: list[str]) -> Image.Image:
    """The pictures in a row, each scaled to `SIDE_PX` squared."""
    panels = []
    for path in paths:
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        panels += [np.asarray(small), np.full((SIDE_PX, GAP_PX, 3), 255, np.uint8)]
    return Image.fromarray(np.hstack(panels[:-1]))


if __name__ == "__main__":
    *pictures, out = sys.argv[1:]
    side_by_side(pictures).save(out)
