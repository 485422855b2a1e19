"""Arrays come back from the bytes of image files as they were."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fundusseg.files.encoders import picture_bytes


@pytest.mark.parametrize("suffix", ["png", "tif", "gif", "ppm"])
def test_masks_and_photographs_come_back_exactly(suffix):
    mask = np.arange(12).reshape(3, 4) % 5 == 0
    found = Image.open(BytesIO(picture_bytes(mask, f"x.{suffix}"))).convert("L")
    np.testing.assert_array_equal(np.asarray(found) > 127, mask)
    if suffix != "gif":
        pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
        found = Image.open(BytesIO(picture_bytes(pixels, f"x.{suffix}")))
        np.testing.assert_array_equal(np.asarray(found), pixels)
