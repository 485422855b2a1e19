"""Who is in which photograph, and which part of the data set it belongs to.

Photographs of one person never stand on both sides of a split. The data set's own split
is kept where it has one; else subjects are dealt out by the hash of their name, which
neither the order of files nor the machine changes.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.io.layouts import Entry

SPLITS = ("train", "validation", "test")
HELD_OUT_FRACTION = 0.2
LEAST_SUBJECTS = 3  # fewer cannot be dealt out to train, validation and test
CHASE_TRAIN_CHILDREN = 10
HRF_TRAIN_PER_CLASS = 5

_CHASE = re.compile(r"Image_(?P<child>\d+)[LR]", re.IGNORECASE)
_HRF = re.compile(r"(?P<number>\d\d)_(?P<group>h|dr|g)", re.IGNORECASE)
_FIVES = re.compile(r"\d+_(?P<group>[ADGN])")
_DRIVE = re.compile(r"\d\d_(?P<part>training|test)", re.IGNORECASE)
_LATERALITY = re.compile(
    r"(?P<subject>.*?(?:(?<=\d)|[ _.-]))(?:L|R|OD|OS|left|right)(?:[ _.-].*)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Membership:
    """subject: the person. split: train, validation or test. group: the set's own stratum."""

    subject: str
    split: str
    group: str


def memberships(
    root: Path,
    entries: Sequence[Entry],
    split: str = "auto",
    subjects: dict[str, str] | None = None,
) -> dict[str, Membership]:
    """The membership of every entry, by id.

    Args:
        split: "auto", or "train" or "test" for all entries whatever the data set says.
        subjects: the person of each id, in place of what the file names tell.

    Raises:
        InputError: if there are fewer than three subjects to deal out, an id has no subject,
            or a subject would stand on both sides.
    """
    persons = {entry.id: _person(root, entry, subjects) for entry in entries}
    if split == "auto" and len(set(persons.values())) < LEAST_SUBJECTS:
        problem = (
            f"has {len(set(persons.values()))} subject(s), too few for train, validation, test"
        )
        raise InputError(root, problem, "three are the least; --subjects FILE can name them")
    sides = _sides(entries, persons, split)
    _require_one_side(root, persons, sides)
    train = {persons[id] for id, side in sides.items() if side == "train"}
    validation = held_out(train) if len(train) > 1 else set()
    return {
        entry.id: Membership(
            persons[entry.id],
            "validation"
            if sides[entry.id] == "train" and persons[entry.id] in validation
            else sides[entry.id],
            group_of(entry.stem),
        )
        for entry in entries
    }


def held_out(subjects: set[str]) -> set[str]:
    """A fifth of the subjects (at least one): those whose names hash lowest."""
    ranked = sorted(
        subjects, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    )
    return set(ranked[: max(1, round(HELD_OUT_FRACTION * len(ranked)))])


def subject_of(stem: str) -> str:
    """The person that a photograph's stem names: what stands before L/R, OD/OS, left/right.

    In HRF and FIVES each photograph is another person.
    """
    if _HRF.fullmatch(stem) or _FIVES.fullmatch(stem):
        return stem
    match = _LATERALITY.fullmatch(stem)
    return match["subject"].rstrip(" _.-") or stem if match else stem


def group_of(stem: str) -> str:
    """The stratum that HRF (h, dr, g) and FIVES (A, D, G, N) write in the name; else ""."""
    match = _HRF.fullmatch(stem) or _FIVES.fullmatch(stem)
    return match["group"] if match else ""


def _require_one_side(root: Path, persons: dict[str, str], sides: dict[str, str]) -> None:
    side_of: dict[str, str] = {}
    for id, person in persons.items():
        if side_of.setdefault(person, sides[id]) != sides[id]:
            problem = f"has subject {person} in both train and test"
            raise InputError(root, problem, "correct the subjects file, or give --split")


def _person(root: Path, entry: Entry, subjects: dict[str, str] | None) -> str:
    if subjects is None:
        name = subject_of(entry.stem)
        return f"{entry.part}/{name}" if entry.part else name
    if entry.id not in subjects:
        raise InputError(
            root / entry.photograph, "has no row in the subjects file", f"add {entry.id}"
        )
    return subjects[entry.id]


def _sides(entries: Sequence[Entry], persons: dict[str, str], split: str) -> dict[str, str]:
    """train or test for each id."""
    if split != "auto":
        return {entry.id: split for entry in entries}
    if all(entry.part in ("train", "test") for entry in entries):
        return {entry.id: entry.part for entry in entries}
    own = {entry.id: _published_side(entry) for entry in entries}
    if all(own.values()):
        return own
    test = held_out(set(persons.values()))
    return {id: "test" if person in test else "train" for id, person in persons.items()}


def _published_side(entry: Entry) -> str:
    """The side that CHASE_DB1's, HRF's or DRIVE's protocol gives by name; "" for other sets."""
    chase, hrf = _CHASE.fullmatch(entry.stem), _HRF.fullmatch(entry.stem)
    drive = _DRIVE.fullmatch(entry.id.rpartition("/")[2])
    if chase:
        return "train" if int(chase["child"]) <= CHASE_TRAIN_CHILDREN else "test"
    if hrf:
        return "train" if int(hrf["number"]) <= HRF_TRAIN_PER_CLASS else "test"
    if drive:
        return "test" if drive["part"].lower() == "test" else "train"
    return ""
