"""Fields of view that a user hands in are found by name, and must fit."""

import numpy as np
import pytest

from fundusseg.datasets.fov_folder import FovFolder
from fundusseg.errors import InputError, UsageError
from tests.phantom_sets import encoded

DISC = np.hypot(*np.mgrid[-20:20, -24:24]) < 18


def folder(root, *names) -> FovFolder:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(DISC, name))
    return FovFolder(root, ["d/x", "d/y"])


@pytest.mark.parametrize(
    "name", ["x.png", "x_mask.gif", "x_fov.tif", "x_test_mask.png", "d/x.png", "other/x_mask.png"]
)
def test_a_mask_is_found_by_path_or_unique_stem(tmp_path, name):
    assert folder(tmp_path, name, "y.png").path_of("d/x") == tmp_path / name


def test_the_whole_path_comes_before_the_stem(tmp_path):
    found = folder(tmp_path, "a/x.png", "b/x.png")
    assert found.path_of("b/x") == tmp_path / "b/x.png"


def test_an_ambiguous_stem_is_refused(tmp_path):
    """An ambiguous match is an error."""
    with pytest.raises(InputError, match="several masks named x"):
        folder(tmp_path, "a/x.png", "b/x.png").path_of("c/x")


def test_none_is_an_input_error(tmp_path):
    """A missing field of view costs only its photograph."""
    with pytest.raises(InputError, match="no field of view for d/x"):
        folder(tmp_path, "y.png").path_of("d/x")


def test_an_id_that_kept_its_suffix_is_found(tmp_path):
    assert folder(tmp_path, "x_mask.png").path_of("d/x.jpg") == tmp_path / "x_mask.png"


def test_no_folder_is_a_usage_error(tmp_path):
    """Exit 2: a wrong path."""
    with pytest.raises(UsageError, match="no folder"):
        FovFolder(tmp_path / "missing", [])


@pytest.mark.parametrize(
    ("names", "problem"),
    [((), "as no picture is there"), (("z.png",), "holds 1 picture, and none")],
)
def test_a_folder_of_none_of_the_photographs_is_refused_as_a_whole(tmp_path, names, problem):
    fovs = folder(tmp_path, *names)
    with pytest.raises(InputError, match=f"{tmp_path}: .*{problem}.*leave"):
        fovs.require_any(["d/x", "d/y"])


@pytest.mark.parametrize("names", [("d/y_mask.png",), ("a/x.png", "b/x.png")])
def test_a_folder_that_has_a_mask_of_some_or_in_doubt_is_not(tmp_path, names):
    folder(tmp_path, *names).require_any(["d/x", "d/y"])


def test_the_mask_comes_as_bool_of_the_photographs_shape(tmp_path):
    mask = folder(tmp_path, "x.png").mask_of("x", DISC.shape)
    np.testing.assert_array_equal(mask, DISC)


def test_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="is 48x40, its photograph 9x7"):
        folder(tmp_path, "x.png").mask_of("x", (7, 9))


def test_an_empty_mask_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(encoded(np.zeros_like(DISC), "x.png"))
    with pytest.raises(InputError, match="empty field of view"):
        FovFolder(tmp_path, ["x"]).mask_of("x", DISC.shape)


def test_a_file_that_is_no_mask_is_refused(tmp_path):
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(InputError, match="cannot|decoded"):
        FovFolder(tmp_path, ["x"]).mask_of("x", DISC.shape)


@pytest.mark.parametrize("name", ["x.png", "c/x_mask.png"])
def test_a_stem_that_several_photographs_have_tells_no_mask(tmp_path, name):
    folder(tmp_path, name)
    fovs = FovFolder(tmp_path, ["a/x", "b/x"])
    with pytest.raises(InputError, match="several photographs are named so"):
        fovs.path_of("b/x")


@pytest.mark.parametrize("ending", [".png", "_mask.png"])
def test_a_mask_of_a_photograph_by_its_path_is_no_others_by_its_stem(tmp_path, ending):
    """Of many folders with the same stems one lacks its mask, and that is said."""
    ids = [f"p{number}/left" for number in range(1, 5)]
    folder(tmp_path, *(id + ending for id in ids[:3]))
    for kept in ("", ".jpg"):
        fovs = FovFolder(tmp_path, [id + kept for id in ids])
        assert fovs.path_of(ids[0] + kept) == tmp_path / f"p1/left{ending}"
        with pytest.raises(InputError, match="has no field of view for p4/left"):
            fovs.path_of(ids[3] + kept)


def test_masks_are_found_whichever_way_accents_are_written(tmp_path):
    found = folder(tmp_path, "Mu\u0308ller_mask.png")
    assert found.path_of("d/M\u00fcller") == tmp_path / "Mu\u0308ller_mask.png"
