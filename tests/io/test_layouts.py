"""Data sets as strangers download and repackage them; nothing is lost without a word."""

import os
from pathlib import Path

import pytest

from fundusseg.errors import InputError
from fundusseg.io.layouts import LAYOUT_NAMES, data_set, parted, walk
from tests.phantom_sets import FORMS


def folder_of(root: Path, *names: str) -> Path:
    """A folder of empty files: layouts go by names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrapper", ["", "my data/set 1/"])
def test_every_form_is_recognised_and_matched(tmp_path, form, wrapper):
    expected = [
        {role: wrapper + name for role, name in names.items()} for names in FORMS[form].names
    ]
    folder_of(tmp_path, *(name for names in expected for name in names.values()))
    found = data_set(tmp_path)
    assert found.layout == FORMS[form].layout
    roles = ("photograph", "mask", "mask2", "fov")
    matched = [{r: getattr(e, r) for r in roles if getattr(e, r)} for e in found.entries]
    assert sorted(matched, key=str) == sorted(expected, key=str)
    assert found.unmatched == found.ignored == found.doubles == ()


OUTPUTS = ("maps/.ledger.jsonl", "maps/Image_01L.png", "maps/deep/Image_01R.png")


def test_output_folders_below_a_data_set_are_no_part_of_it(tmp_path):
    own = ("Image_01L.jpg", "Image_01L_1stHO.png", "Image_01R.jpg", "Image_01R_1stHO.png")
    alone = data_set(folder_of(tmp_path, *own))
    assert data_set(folder_of(tmp_path, *OUTPUTS)) == alone


def test_images_in_output_folders_are_parted_from_the_others(tmp_path):
    folder_of(tmp_path, *OUTPUTS, "x.png", "maps/notes.txt", "mapsx/y.png", "b/maps/z.png")
    paths = walk(tmp_path)
    kept, outputs = parted(tmp_path, paths)
    assert outputs == ["maps/Image_01L.png", "maps/deep/Image_01R.png"]
    assert kept == [path for path in paths if path not in outputs]


def test_the_folder_that_is_asked_for_may_be_an_output_folder(tmp_path):
    folder_of(tmp_path, ".ledger.jsonl", "x.png")
    assert parted(tmp_path, walk(tmp_path)) == (["x.png"], [])


@pytest.mark.parametrize("form", FORMS)
def test_the_layout_by_name_gives_the_same(phantom_set, form):
    root = phantom_set(form)
    assert data_set(root, FORMS[form].layout) == data_set(root)


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_every_layout_has_a_form_in_these_tests(layout):
    assert layout in {form.layout for form in FORMS.values()}


def test_parts_are_those_of_the_folders(tmp_path):
    folder_of(
        tmp_path,
        *("training/images/21_training.tif", "training/1st_manual/21_manual1.gif"),
        "test/images/01_test.tif",
    )
    assert [(e.id, e.part) for e in data_set(tmp_path).entries] == [
        ("test/images/01_test", "test"),
        ("training/images/21_training", "train"),
    ]


def test_repackaged_chase_with_train_and_test_folders_keeps_them(tmp_path):
    for part, stem in (("test", "Image_01L"), ("train", "Image_11R")):
        folder_of(tmp_path, f"{part}/images/{stem}.jpg", f"{part}/masks/{stem}_1stHO.png")
    assert [(e.stem, e.part) for e in data_set(tmp_path).entries] == [
        ("Image_01L", "test"),
        ("Image_11R", "train"),
    ]


def test_same_stem_in_train_and_test_are_two_photographs(tmp_path):
    for part in ("train", "test"):
        folder_of(tmp_path, f"{part}/images/1.png", f"{part}/masks/1.png")
    assert [(e.id, e.mask) for e in data_set(tmp_path).entries] == [
        ("test/images/1", "test/masks/1.png"),
        ("train/images/1", "train/masks/1.png"),
    ]


def test_les_av_masks_are_fields_of_view_only_beside_vessel_segmentations(tmp_path):
    original = folder_of(
        tmp_path / "a", "images/1.png", "vessel-segmentations/1.png", "masks/1.png"
    )
    assert data_set(original).entries[0].fov == "masks/1.png"
    plain = folder_of(tmp_path / "b", "images/1.png", "masks/1.png")
    assert data_set(plain).entries[0].mask == "masks/1.png"


def test_unlabelled_photographs_are_kept(tmp_path):
    folder_of(tmp_path, "images/a.png", "images/b.png", "masks/a.png")
    assert [(e.id, e.mask) for e in data_set(tmp_path).entries] == [
        ("images/a", "masks/a.png"),
        ("images/b", None),
    ]


def test_masks_without_a_photograph_and_other_files_are_listed(tmp_path):
    folder_of(
        tmp_path,
        *("images/a.png", "masks/a.png", "masks/c.png", "fov/d.gif"),
        *("README.md", "images/deeper/e.png"),
    )
    found = data_set(tmp_path)
    assert found.unmatched == ("fov/d.gif", "masks/c.png")
    assert found.ignored == ("README.md", "images/deeper/e.png")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("images/a.jpg", "images/a.png"),
        ("masks/a.png", "masks/a_manual1.png"),
        ("one/images/a.png", "two/images/a.png"),
        ("masks_derived/a.png", "masks_derived/a.tif"),
    ],
)
def test_two_files_for_one_role_are_refused_by_name(tmp_path, first, second):
    others = {"images/b.png", "masks/b.png", "images/a.png", "masks/a.png"}
    rivals = {first.rpartition("/")[0].rpartition("/")[2]} | {"masks_derived"} & {first[:13]}
    kept = {n for n in others if not ("a." in n and n.split("/")[0] in rivals)}
    if first.startswith("masks_derived"):
        kept.discard("masks/a.png")
    folder_of(tmp_path, *kept, first, second)
    with pytest.raises(InputError) as caught:
        data_set(tmp_path)
    assert first in str(caught.value) and second in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_derived_mask_is_second_choice(tmp_path):
    folder_of(
        tmp_path,
        *("images/1.png", "vessel-segmentations/1.png", "masks_derived/1.png"),
        *("images/2.png", "masks_derived/2.png"),
    )
    assert [e.mask for e in data_set(tmp_path).entries] == [
        "vessel-segmentations/1.png",
        "masks_derived/2.png",
    ]


def test_numbered_pairs_with_a_few_derived_masks_are_pairs(tmp_path):
    for stem in "12345":
        folder_of(tmp_path, f"images/{stem}.png", f"masks/{stem}.png", f"fov/{stem}.png")
        folder_of(tmp_path, f"masks_derived/{stem}.png")
    found = data_set(tmp_path)
    assert (found.layout, found.entries[0].mask) == ("pairs", "masks/1.png")


def test_dot_files_and_the_output_folder_are_not_walked(tmp_path):
    folder_of(
        tmp_path,
        *("images/a.png", "masks/a.png", "images/.b.png", ".cache/images/c.png"),
        *("out/images/d.png", "out/deep/images/e.png", "outer/f.png"),
    )
    os.symlink(tmp_path / "out", tmp_path / "link")
    assert walk(tmp_path, leave_out=tmp_path / "link") == [
        "images/a.png",
        "masks/a.png",
        "outer/f.png",
    ]


def test_paths_are_in_byte_order(tmp_path):
    folder_of(tmp_path, "b.png", "a/z.png", "a.png", "B.png", "é.png", "a-b.png")
    assert walk(tmp_path) == ["B.png", "a-b.png", "a.png", "a/z.png", "b.png", "é.png"]


@pytest.mark.parametrize(
    "stem",
    [
        "two words",
        "Äuge 右",
        "line\nbreak",
        os.fsdecode(b"latin\xe9"),
        "a.b.c",
        "%s {x} *?",
        "x\ty",
    ],
)
def test_any_name_is_matched(tmp_path, stem):
    for folder in ("images", "masks"):
        folder_of(tmp_path, f"{stem}/{folder}/{stem}.png")
    entry = data_set(tmp_path).entries[0]
    assert entry.id == f"{stem}/images/{stem}"
    assert entry.mask == f"{stem}/masks/{stem}.png"


def test_a_folder_without_masks_is_refused_naming_layout(tmp_path):
    folder_of(tmp_path, "a.png", "b.png")
    with pytest.raises(InputError, match=r"\(2 files\); give --layout"):
        data_set(tmp_path)


def test_a_folder_without_photographs_is_refused(tmp_path):
    folder_of(tmp_path, "masks/a.png")
    with pytest.raises(InputError, match="holds no photograph in the layout pairs"):
        data_set(tmp_path, "pairs")


def test_what_a_disk_lost_is_not_walked(tmp_path):
    folder_of(tmp_path, "images/a.png", "masks/a.png", "lost+found/b.png")
    assert walk(tmp_path) == ["images/a.png", "masks/a.png"]


def test_a_missing_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be listed"):
        data_set(tmp_path / "missing")


@pytest.mark.parametrize(
    ("name", "layout", "count", "labelled", "with_fov"),
    [
        ("CHASE_DB1", "chase", 28, 28, 28),
        ("HRF", "hrf", 45, 45, 45),
        ("LES-AV", "les-av", 22, 22, 22),
        ("ARIA", "pairs", 71, 71, 0),
        ("DR-HAGIS", "pairs", 39, 39, 0),
        ("ORVS", "pairs", 25, 25, 0),
    ],
)
def test_real_data_sets(real_data, name, layout, count, labelled, with_fov):
    found = data_set(real_data / name)
    assert found.layout == layout
    assert len(found.entries) == count
    assert sum(entry.mask is not None for entry in found.entries) == labelled
    assert sum(entry.fov is not None for entry in found.entries) == with_fov
    assert found.unmatched == ()


def test_links_to_folders_are_walked_and_one_to_a_folder_above_ends(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").touch()
    root = tmp_path / "set"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked" / "up").symlink_to(root)
    assert walk(root) == ["linked/a.png"]


def test_a_folder_that_is_linked_twice_is_walked_twice(tmp_path):
    """No photograph is dropped without a word: each path is one."""
    folder_of(tmp_path, "elsewhere/a.png", "set/real/b.png")
    root = tmp_path / "set"
    (root / "one").symlink_to(tmp_path / "elsewhere")
    (root / "two").symlink_to(tmp_path / "elsewhere")
    (root / "three").symlink_to(root / "real")
    assert walk(root) == ["one/a.png", "real/b.png", "three/b.png", "two/a.png"]


def test_folders_that_are_linked_in_a_ring_end(tmp_path):
    folder_of(tmp_path, "a/x.png", "b/y.png")
    (tmp_path / "a" / "to b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to a").symlink_to(tmp_path / "a")
    assert walk(tmp_path) == ["a/to b/y.png", "a/x.png", "b/to a/x.png", "b/y.png"]
