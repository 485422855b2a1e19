"""Names of synthetic data sets: no two alike, and the layouts read them."""

from dataclasses import astuple

import pytest

from fundusseg.datasets.layouts import LAYOUT_NAMES, data_set
from fundusseg.datasets.phantom_names import phantom_names, require_names
from fundusseg.errors import UsageError

COUNT = 26


def names_of(layout: str):
    return [phantom_names(layout, number, COUNT) for number in range(COUNT)]


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_every_name_is_read_back_in_its_role(tmp_path, layout):
    """Layouts: what phantom names, prep recognises."""
    names = names_of(layout)
    paths = [path for each in names for path in astuple(each) if path is not None]
    assert len(set(paths)) == len(paths)
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = data_set(tmp_path)
    assert found.layout == layout and not found.unmatched and not found.ignored
    roles = {(entry.photograph, entry.mask, entry.mask2, entry.fov) for entry in found.entries}
    assert roles == {(each.photograph, each.mask, each.mask2, each.fov) for each in names}


@pytest.mark.parametrize("layout", ["pairs", "fives", "drive"])
def test_a_quarter_is_the_test_part(layout):
    parts = [each.photograph.split("/")[0] for each in names_of(layout)]
    assert parts.count("test") == round(COUNT / 4)
    assert parts == sorted(parts, key=lambda part: part == "test")


@pytest.mark.parametrize(("layout", "most"), [("hrf", 297), ("stare", 9999)])
def test_more_than_a_layout_has_names_for_are_refused(tmp_path, layout, most):
    last = phantom_names(layout, most - 1, most)
    for path in (last.photograph, last.mask):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert data_set(tmp_path).layout == layout
    require_names(layout, most)
    require_names("pairs", 100_000)
    with pytest.raises(
        UsageError, match=f"--count is {most + 1}; .* {layout} has names for {most}"
    ):
        require_names(layout, most + 1)
