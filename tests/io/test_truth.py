"""A data set folder, shards and bare masks tell the same truth, as far as each knows it."""

import numpy as np
import pytest

from fundusseg.errors import InputError, UsageError
from fundusseg.fundus.geometry import to_frame
from fundusseg.io import truth as truth_module
from fundusseg.io.files import sha256_of
from fundusseg.io.given_fields import GivenFields
from fundusseg.io.images import map_png
from fundusseg.io.truth import (
    DataSetTruth,
    MaskTruth,
    ShardTruth,
    prepared_diameter_px,
    stem_of,
    truth_of,
)
from fundusseg.stages.prep import PrepOptions, run_prep


def _truth(root, at="native", layout="auto", subjects=None):
    return truth_of(root, at, layout, subjects)


@pytest.fixture(scope="module", params=["h5", "npz"])
def shards(request, phantom_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    assert run_prep(phantom_set("pairs"), out, PrepOptions(format=request.param)) == 0
    return out


def test_shards_tell_what_the_data_set_tells(phantom_set, shards):
    data_set, prepared = _truth(phantom_set("pairs")), _truth(shards)
    assert isinstance(data_set, DataSetTruth) and isinstance(prepared, ShardTruth)
    assert data_set.refs == prepared.refs
    for ref in data_set.refs:
        one, other = data_set.read(ref), prepared.read(ref)
        for name in ("mask", "mask2", "fov"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert (one.diameter_px, one.fov_method) == (other.diameter_px, other.fov_method)
        assert data_set.source_sha256(ref) == prepared.source_sha256(ref)


def test_prepared_masks_are_those_of_the_frame(shards):
    truth = _truth(shards, at="prepared")
    image = truth.read(truth.refs[0])
    native = _truth(shards).read(truth.refs[0])
    assert image.mask.shape == (704, 704)
    assert image.source_shape == native.mask.shape
    agreement = image.mask == (to_frame(native.mask, image.geometry) >= 0.5)
    assert agreement.mean() > 0.999  # but for the rounding to 8 bits
    assert image.diameter_px == pytest.approx(704, abs=8)


def test_only_shards_have_a_prepared_size(phantom_set):
    with pytest.raises(UsageError, match="only shards"):
        _truth(phantom_set("pairs"), at="prepared")


def test_the_photograph_is_hashed_and_shown_whole(phantom_set):
    root = phantom_set("pairs")
    truth = _truth(root)
    ref = truth.refs[0]
    assert truth.source_sha256(ref) == sha256_of(root / f"{ref.id}.png")
    view = truth.view(ref)
    assert view.geometry is None and view.pixels.shape == (128, 128, 3)


def test_a_field_of_view_is_found_where_none_is_given(phantom_set):
    truth = _truth(phantom_set("chase-flat"))
    image = truth.read(truth.refs[0])
    assert image.fov_method in ("circle", "hull") and 0 < image.fov.mean() < 1


def test_unlabelled_photographs_are_counted_and_left_out(own_set):
    root = own_set("pairs")
    (root / "train/masks/p1 left.png").unlink()
    truth = _truth(root)
    assert truth.unlabelled == 1 and len(truth.refs) == 3


def test_too_few_subjects_leave_the_truth_without_splits(own_set):
    root = own_set("pairs")
    for path in (*root.glob("test/*/*"), *root.glob("train/*/p2*")):
        path.unlink()
    refs = _truth(root).refs
    assert [ref.split for ref in refs] == ["", ""]
    assert {ref.subject for ref in refs} == {"train/p1"}


def test_bare_masks_have_no_field_of_view_and_no_splits(phantom_set):
    truth = _truth(phantom_set("chase-foldered") / "masks")
    assert isinstance(truth, MaskTruth)
    assert (truth.refs[0].id, truth.refs[0].stem) == ("Image_01L_1stHO", "Image_01L")
    assert (truth.refs[0].split, truth.refs[0].subject) == ("", "Image_01")
    image = truth.read(truth.refs[0])
    assert image.fov is None and image.diameter_px == 128 and truth.view(truth.refs[0]) is None


def test_a_given_field_of_view_is_found_by_the_stem(phantom_set):
    root = phantom_set("chase-foldered")
    truth, whole = _truth(root / "masks"), _truth(root)
    given = GivenFields(root / "fov", truth.refs)
    image = given.replaced(truth.refs[0], truth.read(truth.refs[0]))
    np.testing.assert_array_equal(image.fov, whole.read(whole.refs[0]).fov)
    assert image.fov_method == "given"


def test_a_field_of_view_that_is_not_there_is_named(phantom_set, tmp_path):
    truth = _truth(phantom_set("chase-foldered") / "masks")
    with pytest.raises(InputError, match="no field of view for Image_01L"):
        GivenFields(tmp_path, truth.refs)


def test_an_empty_field_of_view_costs_its_image_only(own_set):
    root = own_set("pairs")
    (root / "test/fov/p3_OS.png").write_bytes(map_png(np.zeros((128, 128), bool)))
    truth = _truth(root)
    (test,) = (ref for ref in truth.refs if ref.split == "test")
    with pytest.raises(InputError, match="empty field of view"):
        truth.read(test)


def test_a_field_of_view_of_which_nothing_is_left_in_the_frame_is_named(phantom_set):
    """As one of a few pixels of a large photograph."""
    ref = truth_of(phantom_set("pairs"), "native", "auto", None).refs[0]
    with pytest.raises(InputError, match=f"{ref.id}: has a field of view of which nothing is left"):
        prepared_diameter_px(np.zeros((8, 8), bool), ref)


@pytest.mark.parametrize("role", ["masks2", "fov"])
def test_files_of_another_size_are_named(own_set, role):
    root = own_set("pairs")
    (root / f"test/{role}/p3_OS.png").write_bytes(map_png(np.ones((64, 128), bool)))
    truth = _truth(root)
    (test,) = (ref for ref in truth.refs if ref.split == "test")
    with pytest.raises(InputError, match=rf"{role}/p3_OS.png: is 128x64, its photograph 128x128"):
        truth.read(test)


def test_subjects_can_be_named(phantom_set):
    truth = _truth(phantom_set("pairs"))
    subjects = {ref.id: f"s{number}" for number, ref in enumerate(truth.refs)}
    named = _truth(phantom_set("pairs"), subjects=subjects)
    assert sorted(ref.subject for ref in named.refs) == ["s0", "s1", "s2", "s3"]
    with pytest.raises(InputError, match="no row in the subjects file"):
        _truth(phantom_set("chase-foldered") / "masks", subjects={})


def test_two_masks_for_one_photograph_are_no_bare_folder(own_set):
    root = own_set("pairs")
    (root / "test/masks/p3_OS.tif").write_bytes(b"another")
    with pytest.raises(InputError, match="both the mask"):
        _truth(root)


def test_a_fault_of_a_data_set_is_not_taken_for_a_folder_of_masks(phantom_set):
    """As where a subjects file puts one person on both sides."""
    root = phantom_set("pairs")
    subjects = {ref.id: ref.id for ref in _truth(root).refs}
    subjects |= {min(subjects): "one", max(subjects): "one"}  # of test/ and of train/
    with pytest.raises(InputError, match="subject one in both train and test"):
        _truth(root, subjects=subjects)


def test_a_photograph_is_hashed_once(phantom_set, monkeypatch):
    hashed = []
    monkeypatch.setattr(truth_module, "sha256_of", lambda path: hashed.append(path) or "1")
    truth = _truth(phantom_set("pairs"))
    assert [truth.source_sha256(ref) for ref in truth.refs * 2] == ["1"] * 2 * len(truth.refs)
    assert len(hashed) == len(truth.refs)


def test_an_empty_folder_is_no_truth(tmp_path):
    with pytest.raises(InputError, match="holds no masks"):
        _truth(tmp_path)


@pytest.mark.parametrize(
    ("id", "stem"),
    [
        ("all/images/Image_01L", "Image_01L"),
        ("masks/Image_01L_1stHO", "Image_01L"),
        ("21_training", "21"),
        ("1st_manual/21_manual1", "21"),
        ("mask/21_training_mask", "21"),
        ("im0001.ah", "im0001"),
        ("train/Original/1_A", "1_A"),
        ("_test", "_test"),
    ],
)
def test_stems(id, stem):
    assert stem_of(id) == stem
