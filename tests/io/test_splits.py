"""No person stands on two sides, and neither the order of files nor the machine matters."""

import random
from pathlib import Path

import pytest

from fundusseg.errors import InputError
from fundusseg.io.layouts import Entry, data_set
from fundusseg.io.splits import SPLITS, group_of, held_out, memberships, subject_of

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
    ],
)
def test_subject_is_what_stands_before_the_eye(stem, subject):
    assert subject_of(stem) == subject


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
