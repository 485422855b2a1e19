"""Who is in which photograph, and which part of the data set it belongs to.

The data set's own split is kept where it has one, and never dealt anew; where that has a person on
both sides, it is warned of. Else subjects are dealt out by the hash of their name, which neither
the order of files nor the machine changes. Equal bytes are one subject.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fundusseg.datasets.folder_names import without_part
from fundusseg.datasets.layouts import Entry
from fundusseg.errors import InputError
from fundusseg.files.checksums import sha256_of
from fundusseg.files.names import name_bytes, nfc
from fundusseg.files.regular import open_regular
from fundusseg.wording import counted

SPLITS = ("train", "validation", "test")
HELD_OUT_FRACTION = 0.2
LEAST_SUBJECTS = 3  # fewer cannot be dealt out to train, validation and test
CHASE_TRAIN_CHILDREN = 10
HRF_TRAIN_PER_CLASS = 5

_CHASE = re.compile(r"Image_(?P<child>\d+)[LR]", re.IGNORECASE)
_HRF = re.compile(r"(?P<number>\d\d)_(?P<group>h|dr|g)", re.IGNORECASE)
_FIVES = re.compile(r"\d+_(?P<group>[ADGN])")
_DRIVE = re.compile(r"\d\d_(?P<part>training|test)", re.IGNORECASE)
# 21015 and 21016 are the left and the right eye in UK Biobank's names.
_EYE = r"(?:(?:left|right)(?:[ _-]?eye)?|O[DS][CNM]?|LE|RE|L|R|2101[56])"
_LATERALITY = re.compile(
    rf"(?P<before>.*?(?:(?<=\d)|[ _.-]))?{_EYE}"
    r"(?:[ _.-]+(?P<after>.*)|(?<=[a-z]{2})(?P<number>\d+))?",
    re.IGNORECASE | re.DOTALL,
)
# What stands for no person, so that the person stands behind the eye.
_GENERIC = re.compile(
    r"(?:im|img|image|photo|fundus|retina|eye|scan|pic|dsc|patient|subject|case|id|p|s)?",
    re.IGNORECASE,
)
# Behind a photograph's name: it is turned, a piece of it, or of another visit.
_VERSION = re.compile(
    r"(?:[ _.-]+(?:(?:aug(?:mented)?|[hv]?flip(?:ped)?[ _-]?[hvxy]?|rot(?:ated?)?|crop(?:ped)?"
    r"|patch|tile)\d*(?:[ _.-]+\d+)*|(?:visit|v)[ _-]?\d+))+\Z",
    re.IGNORECASE,
)
_PROBE_BYTES = 4096


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
    own = _own_sides(entries, split)
    persons = {entry.id: _person(root, entry, subjects) for entry in entries}
    if subjects is None:
        persons = _joined(persons, own, equal_photographs(root, entries))
    if split == "auto" and len(set(persons.values())) < LEAST_SUBJECTS:
        problem = f"has {counted(len(set(persons.values())), 'subject')}, too few for three parts"
        remedy = "train, validation and test take three or more; --subjects FILE can name them"
        raise InputError(root, problem, remedy)
    sides = own or _dealt(persons)
    _require_one_side(root, persons, sides)
    train = {persons[id] for id, side in sides.items() if side == "train"}
    has_own = "validation" in sides.values()
    validation = held_out(train) if len(train) > 1 and not has_own else set()
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
    ranked = sorted(subjects, key=lambda name: hashlib.sha256(name_bytes(name)).digest())
    return set(ranked[: max(1, round(HELD_OUT_FRACTION * len(ranked)))])


def equal_photographs(root: Path, entries: Sequence[Entry]) -> list[list[str]]:
    """The ids of photographs whose files have the same bytes, those of two or more in a list.

    Only files of one size are looked into, and only where their middles agree are they hashed.
    Empty files are no photographs.
    """
    groups = [list(entries)]
    for fingerprint in (_size, _middle, sha256_of):
        together: dict[object, list[Entry]] = {}
        for number, group in enumerate(groups):
            for entry in group:
                with suppress(OSError, InputError):  # whoever reads it says so
                    value = fingerprint(root / entry.photograph)
                    together.setdefault((number, value) if value else entry.id, []).append(entry)
        groups = [group for group in together.values() if len(group) > 1]
    return [[entry.id for entry in group] for group in groups]


def named_eyes(entries: Sequence[Entry]) -> dict[str, str]:
    """The person of each photograph whose name says which eye it shows, whatever its part."""
    persons = {entry.id: (_named_person(entry), nfc(entry.stem)) for entry in entries}
    return {id: person for id, (person, stem) in persons.items() if person != stem}


def same_names(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Of photographs of one name in several folders, which count as one person's, one pair each.

    Folders that are named for eyes are meant so.
    """
    places: dict[str, tuple[str, str]] = {}
    pairs: dict[str, tuple[str, str]] = {}
    for entry in entries:
        folder = _folder(entry)
        first, place = places.setdefault(_named_person(entry), (entry.id, folder))
        if folder != place and not _LATERALITY.fullmatch(folder.rpartition("/")[2]):
            pairs.setdefault(_named_person(entry), (first, entry.id))
    return list(pairs.values())


def across_parts(splits: Mapping[str, str], groups: Mapping[str, object]) -> list[tuple[str, str]]:
    """Of ids that are in one group, but in different splits, one pair for each group."""
    pairs: dict[object, tuple[str, str]] = {}
    first: dict[object, str] = {}
    for id, group in groups.items():
        other = first.setdefault(group, id)
        if splits[other] != splits[id]:
            pairs.setdefault(group, (other, id))
    return list(pairs.values())


def subject_of(stem: str, folder: str = "") -> str:
    """The person that a photograph's stem names: what stands before L/R, OD/OS, left/right.

    So too before LE/RE, OSC/ODC and the like; where nothing stands there, or a mere `img`, what
    stands behind; where the eye stands alone, `folder`, in which the photograph lies. In HRF and
    FIVES each photograph is another person. Pieces, augmented copies and visits are the person's.
    """
    stem = _without_version(stem)
    if _HRF.fullmatch(stem) or _FIVES.fullmatch(stem):
        return stem
    match = _LATERALITY.fullmatch(stem)
    if match is None:
        return stem
    before = _without_version((match["before"] or "").rstrip(" _.-"))
    after = match["after"] or match["number"]
    if after and _GENERIC.fullmatch(before):
        return "_".join(filter(None, (before, after)))
    return before or folder or stem


def _without_version(stem: str) -> str:
    """A stem without what tells versions of one photograph apart: img7_patch_0_256, P7_V2."""
    bare = _VERSION.sub("", stem)
    return stem if _GENERIC.fullmatch(bare) else bare


def group_of(stem: str) -> str:
    """The stratum that HRF (h, dr, g) and FIVES (A, D, G, N) write in the name; else ""."""
    match = _HRF.fullmatch(stem) or _FIVES.fullmatch(stem)
    return match["group"] if match else ""


def _require_one_side(root: Path, persons: dict[str, str], sides: dict[str, str]) -> None:
    side_of: dict[str, str] = {}
    for id, person in persons.items():
        if side_of.setdefault(person, sides[id]) != sides[id]:
            one, other = sorted((side_of[person], sides[id]), key=SPLITS.index)
            problem = f"has subject {person} in both {one} and {other}"
            raise InputError(root, problem, "correct the subjects file, or give --split")


def _person(root: Path, entry: Entry, subjects: dict[str, str] | None) -> str:
    if subjects is None:
        name = _named_person(entry)
        return f"{entry.part}/{name}" if entry.part else name
    return listed_subject(root / entry.photograph, entry.id, subjects)


def listed_subject(path: Path, id: str, subjects: dict[str, str]) -> str:
    """The person of an id; InputError, of its file, if the subjects do not have it."""
    if id not in subjects:
        raise InputError(path, "has no row in the subjects file", f"add {id}")
    return subjects[id]


def _named_person(entry: Entry) -> str:
    """The person that a photograph's name or folder tells, whatever its part."""
    return subject_of(nfc(entry.stem), _folder(entry))


def _folder(entry: Entry) -> str:
    """The folder of a photograph, without the word that names its part."""
    return nfc(without_part(entry.id)[1].rpartition("/")[0])


def _own_sides(entries: Sequence[Entry], split: str) -> dict[str, str]:
    """The side of each id that is asked for or that the set itself has; empty if it has none.

    Beside photographs in parts, those in none train.
    """
    if split != "auto":
        return {entry.id: split for entry in entries}
    if any(entry.part for entry in entries):
        return {entry.id: entry.part or "train" for entry in entries}
    published = {entry.id: _published_side(entry) for entry in entries}
    return published if all(published.values()) else {}


def _dealt(persons: dict[str, str]) -> dict[str, str]:
    test = held_out(set(persons.values()))
    return {id: "test" if person in test else "train" for id, person in persons.items()}


def _joined(
    persons: dict[str, str], own: dict[str, str], groups: list[list[str]]
) -> dict[str, str]:
    """Persons, those who share an equal photograph merged into one, within each part of `own`."""
    first: dict[str, str] = {}

    def root_of(person: str) -> str:
        while person in first:
            person = first[person]
        return person

    for group in groups:
        for side in {own.get(id) for id in group}:
            one, *others = sorted({root_of(persons[id]) for id in group if own.get(id) == side})
            first |= dict.fromkeys(others, one)
    return {id: root_of(person) for id, person in persons.items()}


def _size(path: Path) -> int:
    return os.stat(path).st_size


def _middle(path: Path) -> bytes:
    with open_regular(path) as file:
        file.seek(os.stat(path).st_size // 2)
        return file.read(_PROBE_BYTES)


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
