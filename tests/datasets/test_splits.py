"""No person stands on two sides, and neither the order of files nor the machine matters."""

import random
from pathlib import Path

import pytest

from fundusseg.datasets.layouts import Entry, data_set
from fundusseg.datasets.splits import (
    SPLITS,
    across_parts,
    equal_photographs,
    group_of,
    held_out,
    memberships,
    named_eyes,
    same_names,
    subject_of,
)
from fundusseg.errors import InputError

ROOT = Path("set")


def entries(*stems: str, part: str = "") -> list[Entry]:
    """Photographs of these stems, with or without a part of the data set's own."""
    folder = f"{part}/images" if part else "images"
    return [Entry(f"{folder}/{stem}", f"{folder}/{stem}.png", part, stem) for stem in stems]


def splits_by_stem(members, given) -> dict[str, str]:
    return {entry.stem: members[entry.id].split for entry in given}


@pytest.mark.parametrize(
    ("stem", "subject"),
    [
        ("Image_01L", "Image_01"),
        ("Image_14R", "Image_14"),
        ("p1_left", "p1"),
        ("p1-RIGHT", "p1"),
        ("p1 right 2", "p1"),
        ("0012_OD", "0012"),
        ("0012_od_2019", "0012"),
        ("0012os", "0012"),
        ("a_r", "a"),
        ("patient.7.L.1", "patient.7"),
        ("line\nbreak_L", "line\nbreak"),
        ("01_dr", "01_dr"),
        ("15_g", "15_g"),
        ("12_G", "12_G"),
        ("200_D", "200_D"),
        ("im0001", "im0001"),
        ("21", "21"),
        ("Left", "Left"),
        ("_L", "_L"),
        ("world", "world"),
        ("p1_Lens", "p1_Lens"),
        ("p1_lower", "p1_lower"),
        ("MODEL", "MODEL"),
        ("P01_LE", "P01"),
        ("P01_RE", "P01"),
        ("STAR 01_OSC", "STAR 01"),
        ("STAR 03_ODN", "STAR 03"),
        ("0000001_21015_0_0", "0000001"),
        ("0000001_21016_0_0", "0000001"),
        ("OD_001", "001"),
        ("os001", "001"),
        ("left eye-7", "7"),
        ("7-RightEye", "7"),
        ("IMG_L_001", "IMG_001"),
        ("IMG_L", "IMG"),
        ("M\u00fcller_OD_2019", "M\u00fcller"),
        ("RED_12", "RED_12"),
        ("release", "release"),
        ("21_training_aug_3", "21_training"),
        ("7_rot90", "7"),
        ("12_A_hflip", "12_A"),
        ("img7_patch_0_256", "img7"),
        ("P7_V2_OD", "P7"),
        ("P7_OS_visit-2", "P7"),
        ("image_crop_12", "image_crop_12"),
        ("patch_3", "patch_3"),
    ],
)
def test_subject_is_what_stands_before_the_eye(stem, subject):
    assert subject_of(stem) == subject


def test_where_the_eye_stands_alone_its_folder_is_the_person():
    given = [
        Entry(f"{part}/{person}/{eye}", "", part, eye)
        for part, person in (("train", "p1"), ("test", "p1"), ("test", "p2"))
        for eye in ("left", "right")
    ]
    members = memberships(ROOT, given)
    assert [members[entry.id].subject for entry in given] == [
        *("train/p1", "train/p1", "test/p1", "test/p1", "test/p2", "test/p2")
    ]
    assert across_parts({entry.id: entry.part for entry in given}, named_eyes(given)) == [
        ("train/p1/left", "test/p1/left")
    ]
    assert same_names(given) == []


def test_one_name_in_several_folders_is_told_of_unless_they_are_of_eyes():
    ids = ("p1/visit1", "p2/visit1", "p2/visit2", "set/OD/7", "set/OS/7")
    given = [Entry(id, "", "", id.rpartition("/")[2]) for id in ids]
    assert same_names(given) == [("p1/visit1", "p2/visit1")]


@pytest.mark.parametrize(
    ("stem", "group"),
    [("01_dr", "dr"), ("15_h", "h"), ("3_N", "N"), ("44_A", "A"), ("Image_01L", ""), ("x", "")],
)
def test_group(stem, group):
    assert group_of(stem) == group


def test_chase_children_1_to_10_train():
    given = entries(*(f"Image_{child:02d}{eye}" for child in range(1, 15) for eye in "LR"))
    found = splits_by_stem(memberships(ROOT, given), given)
    tested = {stem for stem, split in found.items() if split == "test"}
    assert tested == {f"Image_{child}{eye}" for child in range(11, 15) for eye in "LR"}
    assert sum(split == "validation" for split in found.values()) == 4  # two of ten children


def test_hrf_numbers_1_to_5_of_each_class_train():
    given = entries(
        *(f"{number:02d}_{kind}" for number in range(1, 16) for kind in ("h", "dr", "g"))
    )
    found = splits_by_stem(memberships(ROOT, given), given)
    assert all((split == "test") == (int(stem[:2]) > 5) for stem, split in found.items())
    assert sum(split == "validation" for split in found.values()) == 3  # of fifteen persons


def test_parts_of_the_data_set_stand():
    given = entries("1_A", "2_D", "3_G", "4_N", part="train") + entries("1_A", "9_N", part="test")
    members = memberships(ROOT, given)
    assert members["test/images/1_A"].split == members["test/images/9_N"].split == "test"
    train = [members[entry.id].split for entry in given if entry.part == "train"]
    assert sorted(train) == ["train", "train", "train", "validation"]
    assert members["train/images/1_A"].subject != members["test/images/1_A"].subject
    assert members["train/images/2_D"].group == "D"


def test_drive_with_all_photographs_in_one_folder_keeps_its_parts(phantom_set):
    found = data_set(phantom_set("drive-all")).entries
    members = memberships(ROOT, found)
    assert [members[entry.id].split == "test" for entry in found] == [
        entry.photograph.endswith("_test.tif") for entry in found
    ]


@pytest.mark.parametrize(
    ("subjects", "tested", "validated"),
    [(3, 1, 1), (4, 1, 1), (5, 1, 1), (10, 2, 2), (25, 5, 4), (100, 20, 16)],
)
def test_else_a_fifth_of_the_subjects_is_held_out(subjects, tested, validated):
    given = entries(*(f"p{number}_{eye}" for number in range(subjects) for eye in ("L", "R")))
    found = splits_by_stem(memberships(ROOT, given), given)
    assert sum(split == "test" for split in found.values()) == 2 * tested
    assert sum(split == "validation" for split in found.values()) == 2 * validated
    assert set(found.values()) == set(SPLITS)


def test_no_subject_stands_on_two_sides():
    given = entries(
        *(
            f"{number}_{eye}_{visit}"
            for number in range(40)
            for eye in ("OD", "OS")
            for visit in (1, 2)
        )
    )
    sides: dict[str, set[str]] = {}
    for member in memberships(ROOT, given).values():
        sides.setdefault(member.subject, set()).add(member.split)
    assert len(sides) == 40
    assert all(len(splits) == 1 for splits in sides.values())


def test_the_order_of_files_does_not_matter():
    given = entries(*(f"p{number}" for number in range(30)))
    shuffled = random.Random(1).sample(given, len(given))
    assert memberships(ROOT, given) == memberships(ROOT, shuffled)


def test_the_split_is_the_same_on_every_machine():
    assert held_out({f"p{number}" for number in range(10)}) == {"p0", "p7"}


def test_another_subject_moves_few_others():
    names = {f"p{number}" for number in range(50)}
    assert len(held_out(names) - held_out(names | {"new"})) <= 1


@pytest.mark.parametrize("stems", [["a"], ["a", "b"], ["p1_L", "p1_R", "p2_L", "p2_R"]])
def test_fewer_than_three_subjects_are_refused(stems):
    with pytest.raises(InputError, match="too few .* --subjects"):
        memberships(ROOT, entries(*stems))


def test_one_side_for_all_needs_no_three_subjects():
    given = entries("a", "b")
    assert set(splits_by_stem(memberships(ROOT, given, "test"), given).values()) == {"test"}


def test_train_for_all_still_keeps_a_validation_part():
    given = entries(*(f"Image_{child}L" for child in range(10, 15)))
    found = list(splits_by_stem(memberships(ROOT, given, "train"), given).values())
    assert sorted(found) == ["train"] * 4 + ["validation"]


def test_the_subjects_file_overrides_the_names():
    given = entries("a", "b", "c", "d")
    persons = {"images/a": "P", "images/b": "Q", "images/c": "R", "images/d": "P"}
    members = memberships(ROOT, given, subjects=persons)
    assert {id: member.subject for id, member in members.items()} == persons
    assert members["images/a"].split == members["images/d"].split


def test_an_id_without_a_row_in_the_subjects_file_is_named():
    with pytest.raises(InputError, match="add images/b"):
        memberships(ROOT, entries("a", "b", "c"), subjects={"images/a": "P"})


def test_a_subjects_file_that_puts_a_person_on_both_sides_is_refused():
    given = entries("1", "2", part="train") + entries("3", "4", part="test")
    persons = dict(zip((entry.id for entry in given), ("P", "Q", "Q", "R"), strict=True))
    with pytest.raises(InputError, match="subject Q in both train and test"):
        memberships(ROOT, given, subjects=persons)
    assert memberships(ROOT, given, "test", persons)["train/images/2"].split == "test"


def in_parts(**stems: tuple[str, ...]) -> list[Entry]:
    return [entry for part, found in stems.items() for entry in entries(*found, part=part)]


def test_an_own_validation_part_takes_the_place_of_the_held_out_fifth():
    given = in_parts(train=tuple("abcdefgh"), validation=("i", "j"), test=("k", "l", "m", "n"))
    members = memberships(ROOT, given)
    assert {id: member.split for id, member in members.items()} == {e.id: e.part for e in given}


def test_train_and_validation_without_a_test_part_stand():
    given = in_parts(train=("a", "b", "c"), validation=("d",))
    members = memberships(ROOT, given)
    assert [members[entry.id].split for entry in given] == ["train"] * 3 + ["validation"]


def test_photographs_in_no_part_train_beside_an_own_test_part():
    given = entries("a", "b", "c", "d") + entries("e", "f", part="test")
    members = memberships(ROOT, given)
    assert {members[entry.id].split for entry in given[:4]} == {"train", "validation"}
    assert {members[entry.id].split for entry in given[4:]} == {"test"}


def test_test_photographs_of_chase_by_folder_are_not_dealt_by_name():
    given = entries("Image_01L", part="test") + entries("Image_12L", "Image_13L", part="train")
    assert memberships(ROOT, given)["test/images/Image_01L"].split == "test"


def photographs(root: Path, contents: dict[str, bytes]) -> None:
    for id, data in contents.items():
        (root / id).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{id}.png").write_bytes(data)


def test_equal_photographs_are_one_subject_whatever_their_names(tmp_path):
    given = entries(*(f"p{number}" for number in range(10)))
    photographs(tmp_path, {e.id: bytes([n % 5]) * 9000 for n, e in enumerate(given)})
    members = memberships(tmp_path, given)
    for number in range(5):
        assert members[f"images/p{number}"] == members[f"images/p{number + 5}"]
    assert len({member.subject for member in members.values()}) == 5


def test_photographs_of_one_size_and_middle_are_told_apart_by_all_their_bytes(tmp_path):
    given = entries("a", "b", "c", "d")
    contents = {e.id: bytes([n // 2]) + bytes(20_000) for n, e in enumerate(given)}
    photographs(tmp_path, contents)
    assert equal_photographs(tmp_path, given) == [
        ["images/a", "images/b"],
        ["images/c", "images/d"],
    ]


def test_equal_photographs_leave_an_own_split_as_it_is(tmp_path):
    given = in_parts(train=("a", "b", "c"), validation=("d",), test=("e",))
    photographs(tmp_path, {entry.id: b"one" for entry in given})
    members = memberships(tmp_path, given)
    assert {id: member.split for id, member in members.items()} == {e.id: e.part for e in given}
    assert len({member.subject for member in members.values()}) == 3  # one on each side


def test_names_composed_and_decomposed_are_one_subject():
    given = entries("M\u00fcller_OD", "Mu\u0308ller_OS", "b", "c")
    members = memberships(ROOT, given)
    assert len({member.subject for member in members.values()}) == 3
