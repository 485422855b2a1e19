"""Data sets as strangers download and repackage them; nothing is lost without a word."""

import os
import re
from pathlib import Path

import pytest

from fundusseg.datasets.folders import parted, walk, walked
from fundusseg.datasets.layouts import LAYOUT_NAMES, data_set
from fundusseg.errors import InputError
from fundusseg.files import status
from fundusseg.files.manifest import write_manifest
from tests.batch import note_outputs
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
    assert found.unmatched == found.ignored == found.duplicates == ()


OUTPUTS = ("maps/Image_01L.png", "maps/deep/Image_01R.png")


def test_output_folders_below_a_data_set_are_no_part_of_it(tmp_path):
    own = ("Image_01L.jpg", "Image_01L_1stHO.png", "Image_01R.jpg", "Image_01R_1stHO.png")
    alone = data_set(folder_of(tmp_path, *own))
    folder_of(tmp_path, *OUTPUTS)
    note_outputs(tmp_path / "maps", "Image_01L.png", "deep/Image_01R.png")
    assert data_set(tmp_path) == alone


def test_images_in_output_folders_are_parted_from_the_others(tmp_path):
    folder_of(tmp_path, *OUTPUTS, "x.png", "maps/notes.txt", "mapsx/y.png", "b/maps/z.png")
    note_outputs(tmp_path / "maps", "Image_01L.png", "deep/Image_01R.png")
    paths = walk(tmp_path)
    kept, outputs = parted(tmp_path, paths)
    assert outputs == ["maps/Image_01L.png", "maps/deep/Image_01R.png"]
    assert kept == [path for path in paths if path not in outputs]


def test_the_folder_that_is_asked_for_may_be_an_output_folder(tmp_path):
    folder_of(tmp_path, ".fundusseg/ledger.jsonl", "x.png")
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
        ("fold1/images/a.png", "fold2/images/a.png"),
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


def test_folds_with_the_same_names_are_refused_naming_the_folds(tmp_path):
    for fold in ("fold0", "fold1"):
        folder_of(tmp_path, *(f"set/{fold}/train/{role}/1.png" for role in ("images", "masks")))
    remedy = f"give {tmp_path}/set/fold0 or {tmp_path}/set/fold1 alone, or name their files apart"
    with pytest.raises(InputError, match=re.escape(remedy)):
        data_set(tmp_path)


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


def test_an_empty_folder_and_a_file_are_told_what_to_give(tmp_path):
    with pytest.raises(InputError, match="is empty; is it mounted?"):
        data_set(tmp_path)
    folder_of(tmp_path, "shard-00000-of-00001.h5")
    with pytest.raises(InputError, match=f"is no folder; give the folder .* in, {tmp_path}"):
        data_set(tmp_path / "shard-00000-of-00001.h5")


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


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("train/{}", "train"),
        ("Training/{}", "train"),
        ("training_set/{}", "train"),
        ("a. Training Set/{}", "train"),
        ("{}/TRAIN", "train"),
        ("val/{}", "validation"),
        ("Valid/{}", "validation"),
        ("validation/{}", "validation"),
        ("dev/{}", "validation"),
        ("{}/val_set", "validation"),
        ("test/{}", "test"),
        ("Testing/{}", "test"),
        ("test_set/{}", "test"),
        ("Test400/{}", "test"),
        ("test_{}", "test"),
        ("all/{}", ""),
        ("contest/{}", ""),
        ("my training notes/{}", ""),
        ("DRIVE_test/{}", "test"),
        ("external validation/{}", "validation"),
        ("hold-out/{}", "test"),
        ("development of disease/{}", ""),
    ],
)
def test_a_part_in_any_usual_spelling_is_that_part(tmp_path, form, part):
    folders = form.format("images"), form.format("masks")
    folder_of(tmp_path, *(f"set/{folder}/1.png" for folder in folders))
    (entry,) = data_set(tmp_path).entries
    assert (entry.part, entry.mask) == (part, f"set/{folders[1]}/1.png")


def test_the_parts_of_flat_chase_folders_are_theirs(tmp_path):
    for part, stem in (("test", "Image_01L"), ("val", "Image_02L")):
        folder_of(tmp_path, f"{part}/{stem}.jpg", f"{part}/{stem}_1stHO.png")
    assert [(e.stem, e.part) for e in data_set(tmp_path).entries] == [
        ("Image_01L", "test"),
        ("Image_02L", "validation"),
    ]


DOWNLOADS = {
    "iostar": (
        "image/STAR 01_OSC.jpg",
        "GT/STAR 01_OSC_GT.tif",
        "mask/STAR 01_OSC_Mask.tif",
    ),
    "dr-hagis": (
        "Fundus_Images/1.jpg",
        "Manual_Segmentations/1_manual_orig.png",
        "Mask_images/1_mask_orig.png",
    ),
    "labels beside masks": ("images/01.png", "labels/01.png", "masks/01.png"),
    "so in parts": ("train/images/01.png", "train/labels/01.png", "train/masks/01.png"),
    "kaggle": ("Data/train/image/0.png", "Data/train/mask/0.png", None),
    "flat": ("1.png", "1_mask.png", None),
    "one folder a person": ("p1/left.jpg", "p1/left_vessels.png", "p1/left_fov.png"),
    "own camera": ("photos/a.jpg", "drawn/a.png", None),
    "ground truth": ("fundus/a.jpg", "Ground truth/a_gt.png", "fov/a.png"),
    "nnU-Net": ("set/imagesTr/case_7_0000.png", "set/labelsTr/case_7.png", None),
    "far apart": ("raw/images/a.png", "drawn by me/masks/a.png", "fov/a.png"),
}


@pytest.mark.parametrize("download", DOWNLOADS)
def test_layouts_as_they_are_downloaded(tmp_path, download):
    folder_of(tmp_path, *filter(None, DOWNLOADS[download]))
    found = data_set(tmp_path)
    (entry,) = found.entries
    assert (entry.photograph, entry.mask, entry.fov) == DOWNLOADS[download]
    assert found.layout == "pairs" and data_set(tmp_path, "pairs") == found


def test_one_name_in_two_persons_folders_is_two_photographs(tmp_path):
    for person in ("p1", "p2"):
        folder_of(tmp_path / "flat", f"{person}/left.png", f"{person}/left_mask.png")
        folder_of(tmp_path / "deep", f"{person}/images/1.png", f"{person}/masks/1.png")
    assert [(e.id, e.mask) for e in data_set(tmp_path / "flat").entries] == [
        ("p1/left", "p1/left_mask.png"),
        ("p2/left", "p2/left_mask.png"),
    ]
    assert [(e.id, e.mask) for e in data_set(tmp_path / "deep").entries] == [
        ("p1/images/1", "p1/masks/1.png"),
        ("p2/images/1", "p2/masks/1.png"),
    ]


@pytest.mark.parametrize(
    "photographs",
    [
        ("p1/images/1.png", "p2/images/1.png"),  # and one folder of masks
        ("images/1_0000.png", "images/1_0001.png"),  # a file for each channel
    ],
)
def test_a_mask_that_several_photographs_may_claim_is_refused(tmp_path, photographs):
    folder_of(tmp_path, "images/2.png", "masks/2.png", "masks/1.png", *photographs)
    with pytest.raises(InputError, match="are both the photograph of one stem"):
        data_set(tmp_path)


def test_a_mask_goes_to_no_photograph_of_another_number(tmp_path):
    folder_of(tmp_path, "images/a_0001.png", "images/b.png", "masks/a_0002.png", "masks/b.png")
    assert [entry.mask for entry in data_set(tmp_path).entries] == [None, "masks/b.png"]


def test_the_parts_of_nnu_net_are_train_and_test(tmp_path):
    for part in ("Tr", "Ts"):
        folder_of(tmp_path, f"images{part}/a_0000.png", f"labels{part}/a.png", "TS/images/b.png")
    assert [(e.id, e.part) for e in data_set(tmp_path).entries] == [
        ("TS/images/b", ""),
        ("imagesTr/a_0000", "train"),
        ("imagesTs/a_0000", "test"),
    ]


def test_masks_are_matched_whichever_way_accents_are_written(tmp_path):
    """Composed and decomposed; what is written are the bytes of the name."""
    folder_of(tmp_path, "images/Mu\u0308ller.png", "masks/M\u00fcller.png")
    (entry,) = data_set(tmp_path).entries
    assert (entry.id, entry.mask) == ("images/Mu\u0308ller", "masks/M\u00fcller.png")


def test_masks_are_matched_in_any_case_where_it_tells_one_photograph(tmp_path):
    folder_of(tmp_path, "Images/Case1.PNG", "Masks/case1_mask.tif", "FOV/CASE1.gif")
    (entry,) = data_set(tmp_path).entries
    assert entry.files == ["Images/Case1.PNG", "Masks/case1_mask.tif", "FOV/CASE1.gif"]
    folder_of(tmp_path, "Images/case1.png", "Images/CASE1.png", "Masks/Case1.png")
    found = data_set(tmp_path)
    assert [(entry.id, entry.mask) for entry in found.entries] == [
        ("Images/CASE1", None),
        ("Images/Case1", "Masks/Case1.png"),
        ("Images/case1", "Masks/case1_mask.tif"),
    ]


def test_system_folders_are_passed_over_and_named(tmp_path):
    folder_of(tmp_path, "a.png", "v/@eaDir/a.png/T.jpg", "#recycle/b.png", "$RECYCLE.BIN/S-1/c.png")
    folder_of(tmp_path, "System Volume Information/d", "__MACOSX/e.png", "@Recently-Snapshot/f.png")
    folder_of(tmp_path, "~snapshot/hourly.0/g.png", "Network Recycle Bin/h.png")
    found = walked(tmp_path)
    assert found.paths == ["a.png"]
    assert sorted(found.passed_over) == [
        "#recycle",
        "$RECYCLE.BIN",
        "@Recently-Snapshot",
        "Network Recycle Bin",
        "System Volume Information",
        "__MACOSX",
        "v/@eaDir",
        "~snapshot",
    ]


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz", "set.7z"])
def test_an_archive_is_named_as_one(tmp_path, name):
    folder_of(tmp_path, name)
    for given in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match=rf"{name}: is a \w+ archive; unpack it first"):
            data_set(given)


def test_copies_of_outputs_without_their_ledger_are_an_output_folder(tmp_path):
    folder_of(tmp_path, "a.png", "b/a.png", "c/a.png", "d/a.png")
    row = status.StatusRow("a", status.OK, map="a.png")
    status.write_lines(tmp_path / "b/status.tsv", [status.status_line(row)])
    write_manifest(tmp_path / "c", "infer", {}, {"a.png": "0" * 64})
    write_manifest(tmp_path / "d", "phantom", {}, {"a.png": "0" * 64})
    kept, outputs = parted(tmp_path, walk(tmp_path))
    assert outputs == ["b/a.png", "c/a.png"]
    assert {"a.png", "d/a.png"} <= set(kept)
