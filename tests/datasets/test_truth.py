"""A data set folder, shards and bare masks tell the same truth, as far as each knows it."""

import shutil

import numpy as np
import pytest
from PIL import Image

from fundusseg.commands.prep.run import PrepOptions, run_prep
from fundusseg.datasets import truth as truth_module
from fundusseg.datasets.fov_folder import GivenFields
from fundusseg.datasets.truth import (
    DataSetTruth,
    MaskTruth,
    ShardTruth,
    open_truth,
    prepared_diameter_px,
    stem_of,
)
from fundusseg.errors import InputError, UsageError
from fundusseg.files.checksums import sha256_of
from fundusseg.files.encoders import map_png
from fundusseg.fundus.geometry import to_frame


def _truth(root, at="native", layout="auto", subjects=None):
    return open_truth(root, at, layout, subjects)


@pytest.fixture(scope="module", params=["h5", "npz"])
def shards(request, phantom_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    assert run_prep(phantom_set("pairs"), out, PrepOptions(format=request.param)) == 0
    return out


def test_shards_tell_what_the_data_set_tells(phantom_set, shards):
    data_set, prepared = _truth(phantom_set("pairs")), _truth(shards)
    assert isinstance(data_set, DataSetTruth) and isinstance(prepared, ShardTruth)
    assert data_set.items == prepared.items
    for item in data_set.items:
        one, other = data_set.read(item), prepared.read(item)
        for name in ("mask", "mask2", "fov"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert (one.diameter_px, one.fov_method) == (other.diameter_px, other.fov_method)
        assert data_set.source_sha256(item) == prepared.source_sha256(item)


def test_prepared_masks_are_those_of_the_frame(shards):
    truth = _truth(shards, at="prepared")
    image = truth.read(truth.items[0])
    native = _truth(shards).read(truth.items[0])
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
    item = truth.items[0]
    assert truth.source_sha256(item) == sha256_of(root / f"{item.id}.png")
    photograph = truth.photograph(item)
    assert photograph.geometry is None and photograph.pixels.shape == (128, 128, 3)


def test_a_field_of_view_is_found_where_none_is_given(phantom_set):
    truth = _truth(phantom_set("chase-flat"))
    image = truth.read(truth.items[0])
    assert image.fov_method in ("circle", "hull") and 0 < image.fov.mean() < 1


def test_unlabelled_photographs_are_counted_and_left_out(own_set):
    root = own_set("pairs")
    (root / "train/masks/p1 left.png").unlink()
    truth = _truth(root)
    assert truth.unlabelled == 1 and len(truth.items) == 3


def test_too_few_subjects_leave_the_truth_without_splits(own_set):
    root = own_set("pairs")
    for path in (*root.glob("test/*/*"), *root.glob("train/*/p2*")):
        path.unlink()
    items = _truth(root).items
    assert [item.split for item in items] == ["", ""]
    assert {item.subject for item in items} == {"train/p1"}


def test_bare_masks_have_no_field_of_view_and_no_splits(phantom_set):
    truth = _truth(phantom_set("chase-foldered") / "masks")
    assert isinstance(truth, MaskTruth)
    assert (truth.items[0].id, truth.items[0].stem) == ("Image_01L_1stHO", "Image_01L")
    assert (truth.items[0].split, truth.items[0].subject) == ("", "Image_01")
    image = truth.read(truth.items[0])
    assert (
        image.fov is None and image.diameter_px == 128 and truth.photograph(truth.items[0]) is None
    )


def test_a_given_field_of_view_is_found_by_the_stem(phantom_set):
    root = phantom_set("chase-foldered")
    truth, whole = _truth(root / "masks"), _truth(root)
    given = GivenFields(root / "fov", truth.items)
    image = given.replaced(truth.items[0], truth.read(truth.items[0]))
    np.testing.assert_array_equal(image.fov, whole.read(whole.items[0]).fov)
    assert image.fov_method == "given"


def test_a_field_of_view_that_is_not_there_is_named(phantom_set, tmp_path):
    root = phantom_set("chase-foldered")
    truth = _truth(root / "masks")
    with pytest.raises(InputError, match="holds no field-of-view mask"):
        GivenFields(tmp_path, truth.items)
    other = min(path for path in (root / "fov").iterdir() if "Image_01L" not in path.name)
    shutil.copy(other, tmp_path)
    with pytest.raises(InputError, match="no field of view for Image_01L"):
        GivenFields(tmp_path, truth.items)


def test_a_mask_beside_its_photographs_vessels_is_warned_of(own_set, caplog):
    root = own_set("pairs")
    truth = _truth(root)
    (test,) = (item for item in truth.items if item.split == "test")
    mask = truth.read(test).mask
    assert caplog.text == ""
    (root / "test/masks/p3_OS.png").write_bytes(map_png(mask[:, ::-1]))
    truth.read(test)
    assert "p3_OS.png: lies beside the vessels of its photograph" in caplog.text


def test_an_empty_field_of_view_costs_its_image_only(own_set):
    root = own_set("pairs")
    (root / "test/fov/p3_OS.png").write_bytes(map_png(np.zeros((128, 128), bool)))
    truth = _truth(root)
    (test,) = (item for item in truth.items if item.split == "test")
    with pytest.raises(InputError, match="empty field of view"):
        truth.read(test)
    assert truth.read(test, needs_fov=False).fov is None


@pytest.mark.parametrize("given_by", ["the set", "--fov", "--fov and shards"])
def test_another_photographs_field_of_view_is_refused(own_set, shards, tmp_path, given_by):
    """One of the same size that shows another place; what is outside would not count."""
    root = own_set("pairs")
    y, x = np.mgrid[:128, :128]
    other = map_png((y - 16) ** 2 + (x - 16) ** 2 < 30**2)
    folder = root / "test/fov" if given_by == "the set" else tmp_path
    (folder / "p3_OS.png").write_bytes(other)
    truth = _truth(shards if "shards" in given_by else root)
    items = [item for item in truth.items if item.split == "test"]
    with pytest.raises(InputError, match="p3_OS.png: lies beside what its photograph shows"):
        image = truth.read(items[0])
        GivenFields(tmp_path, items).replaced(items[0], image)


def with_two_eyes(root):
    """The photograph Image_01L and its masks, each twice side by side."""
    (photograph,) = root.glob("Image_01L.*")
    pixels = np.asarray(Image.open(photograph))
    Image.fromarray(np.concatenate([pixels, pixels], axis=1)).save(photograph)
    for mask in root.glob("Image_01L_*HO.*"):
        vessels = np.asarray(Image.open(mask).convert("L"))
        Image.fromarray(np.concatenate([vessels, vessels], axis=1)).save(mask)
    return root


def test_two_eyes_in_one_picture_cost_their_image_only(own_set):
    truth = _truth(with_two_eyes(own_set("chase-flat")))
    item = next(item for item in truth.items if item.id == "Image_01L")
    with pytest.raises(InputError, match=r"Image_01L.*: shows 2 fields of view; cut it into one"):
        truth.read(item)


def test_masks_need_no_field_of_view_where_another_is_taken(own_set):
    """As of two eyes in one picture, and of a photograph that is damaged."""
    truth = _truth(root := with_two_eyes(own_set("chase-flat")))
    item = next(item for item in truth.items if item.id == "Image_01L")
    image = truth.read(item, needs_fov=False)
    assert image.fov is None and image.mask.shape == (128, 256) and image.diameter_px == 256
    (photograph,) = root.glob("Image_01L.*")
    photograph.write_bytes(b"damaged")
    assert truth.read(item, needs_fov=False).mask2.shape == (128, 256)
    with pytest.raises(InputError, match="Image_01L"):
        truth.read(item)


def test_a_mask_beside_a_turned_photograph_is_warned_of(own_set, caplog):
    """Also where a field of view is given, so that the photograph itself is not decoded."""
    root = own_set("pairs")
    exif = Image.Exif()
    exif[274] = 3
    path = root / "test/images/p3_OS.png"
    Image.open(path).save(path, exif=exif)
    truth = _truth(root)
    (test,) = (item for item in truth.items if item.split == "test")
    truth.read(test)
    assert "masks/p3_OS.png: has no EXIF orientation, but its photograph is turned" in caplog.text


@pytest.mark.parametrize("what", ["photograph", "grey", "inverted"])
def test_a_picture_that_is_no_truth_is_named(phantom_set, tmp_path, what):
    """Photographs, or inverted masks, in place of masks."""
    photograph = np.asarray(Image.open(phantom_set("pairs") / "test/images/p3_OS.png"))
    mask = np.asarray(Image.open(phantom_set("pairs") / "test/masks/p3_OS.png").convert("L"))
    pixels = {"photograph": photograph, "grey": photograph[..., 1], "inverted": 255 - mask}[what]
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (item,) = (truth := _truth(tmp_path)).items
    with pytest.raises(InputError, match="is it inverted|in colours|grey picture|is the brightest"):
        truth.read(item)


def test_a_field_of_view_of_which_nothing_is_left_in_the_frame_is_named(phantom_set):
    """As one of a few pixels of a large photograph."""
    item = open_truth(phantom_set("pairs"), "native", "auto", None).items[0]
    with pytest.raises(
        InputError, match=f"{item.id}: has a field of view of which nothing is left"
    ):
        prepared_diameter_px(np.zeros((8, 8), bool), item)


@pytest.mark.parametrize("role", ["masks2", "fov"])
def test_files_of_another_size_are_named(own_set, role):
    root = own_set("pairs")
    (root / f"test/{role}/p3_OS.png").write_bytes(map_png(np.ones((64, 128), bool)))
    truth = _truth(root)
    (test,) = (item for item in truth.items if item.split == "test")
    with pytest.raises(InputError, match=rf"{role}/p3_OS.png: is 128x64, its photograph 128x128"):
        truth.read(test)


def test_subjects_can_be_named(phantom_set):
    truth = _truth(phantom_set("pairs"))
    subjects = {item.id: f"s{number}" for number, item in enumerate(truth.items)}
    named = _truth(phantom_set("pairs"), subjects=subjects)
    assert sorted(item.subject for item in named.items) == ["s0", "s1", "s2", "s3"]
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
    subjects = {item.id: item.id for item in _truth(root).items}
    subjects |= {min(subjects): "one", max(subjects): "one"}  # of test/ and of train/
    with pytest.raises(InputError, match="subject one in both train and test"):
        _truth(root, subjects=subjects)


def test_a_photograph_is_hashed_once(phantom_set, monkeypatch):
    hashed = []
    monkeypatch.setattr(truth_module, "sha256_of", lambda path: hashed.append(path) or "1")
    truth = _truth(phantom_set("pairs"))
    assert [truth.source_sha256(item) for item in truth.items * 2] == ["1"] * 2 * len(truth.items)
    assert len(hashed) == len(truth.items)


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
