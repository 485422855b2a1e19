"""The gallery shows panels pixel by pixel, right and wrong in their colours."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fundusseg.report import gallery


def test_errors_have_their_colours_and_mix_by_coverage():
    hit, false, missed, inside = np.eye(4)[:, np.newaxis]
    inside = 1 - inside
    expected = [gallery.HIT, gallery.FALSE, gallery.MISSED, (gallery.OUTSIDE,) * 3]
    np.testing.assert_array_equal(gallery.error_colours(hit, false, missed, inside)[0], expected)
    half = gallery.error_colours(*(np.full((1, 1), share) for share in (0.5, 0, 0, 1)))
    assert tuple(half[0, 0]) == (128, 128, 128)


def _row(title, photograph, shape=(20, 30)):
    panels = [np.full((*shape, 3), level, np.uint8) for level in (50, 100, 150, 200)]
    return gallery.GalleryRow(title, panels[0] if photograph else None, *panels[1:])


@pytest.mark.parametrize("photograph", [True, False])
def test_panels_stand_where_they_should(photograph):
    rows = [_row("a_$b 眼", photograph), _row("c", photograph, (10, 16))]
    data = gallery.gallery(rows)
    assert data == gallery.gallery(rows)
    pixels = np.array(Image.open(BytesIO(data)).convert("RGB"))
    n_panels = 4 if photograph else 3
    left = gallery.GAP_PX
    first = 50 if photograph else 100
    assert pixels.shape[1] == left + n_panels * (30 + gallery.GAP_PX)
    top = gallery.HEAD_PX + gallery.TITLE_PX
    heads = pixels[: gallery.HEAD_PX]
    assert (heads[:, left : left + 30] < 128).any() and (heads[:, -30:] < 128).any()
    for column in range(n_panels):
        x = left + column * (30 + gallery.GAP_PX)
        assert np.all(pixels[top : top + 20, x : x + 30] == first + 50 * column)
    second = top + 20 + gallery.GAP_PX + gallery.TITLE_PX
    assert np.all(pixels[second : second + 10, left : left + 16] == first)
    assert np.all(pixels[second : second + 10, left + 16 : left + 30] == 255)


def test_a_row_without_its_photograph_keeps_its_columns():
    data = gallery.gallery([_row("a", True), _row("b", False)])
    pixels = np.array(Image.open(BytesIO(data)).convert("RGB"))
    top = gallery.HEAD_PX + 2 * gallery.TITLE_PX + 20 + gallery.GAP_PX
    left = gallery.GAP_PX
    assert np.all(pixels[top : top + 20, left : left + 30] == 255)
    left += 30 + gallery.GAP_PX
    assert np.all(pixels[top : top + 20, left : left + 30] == 100)


def test_an_empty_gallery_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        gallery.gallery([])
