"""Data sets as strangers download them: which file is a photograph, which its mask.

A layout has one form or several, which are lists of patterns (layout_patterns.py). Each gives a
file its role and its stem; files of one stem (and one part, such as train or test) belong together.
Stems are compared in NFC; a mask without a photograph belongs to the one whose stem differs in case
alone, or that lies elsewhere, or whose stem has the number of a channel behind it (nnU-Net).
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fundusseg.datasets.choice import Choice
from fundusseg.datasets.folder_names import without_part
from fundusseg.datasets.folders import parted, walk
from fundusseg.datasets.layout_patterns import FORMS, LayoutForm
from fundusseg.errors import InputError
from fundusseg.files.images import image_suffix, without_suffix
from fundusseg.files.kinds import is_archive, require_no_archive
from fundusseg.files.names import name_bytes, nfc
from fundusseg.wording import counted


@dataclass(frozen=True)
class Entry:
    """One photograph of a data set and what belongs to it; paths relative to the folder.

    part: "train", "validation" or "test" where the data set's folders say so, else "".
    """

    id: str
    photograph: str
    part: str
    stem: str
    mask: str | None = None
    mask2: str | None = None
    fov: str | None = None

    @property
    def files(self) -> list[str]:
        """All that belongs to it, the photograph first."""
        names = (self.photograph, self.mask, self.mask2, self.fov)
        return [name for name in names if name is not None]


@dataclass(frozen=True)
class DataSet:
    """What a folder holds.

    unmatched: masks and fields of view without a photograph. ignored: other files.
    duplicates: (role, path, path) of files that claim one role for one stem. not_chosen:
    photographs that --include and --exclude leave out.
    """

    root: Path
    layout: str
    entries: tuple[Entry, ...]
    unmatched: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, str, str], ...] = ()
    not_chosen: tuple[str, ...] = ()

    def chosen(self, choice: Choice) -> "DataSet":
        """The set without the photographs that are not taken; InputError if none is."""
        taken, left_out = choice.divided(self.root, self.entries, lambda entry: entry.photograph)
        not_chosen = sorted({entry.photograph for entry in left_out})
        return replace(self, entries=tuple(taken), not_chosen=tuple(not_chosen))


_Key = tuple[str, str, str, str]  # part, folder, place and stem
_CHANNEL = re.compile(r"_\d{4}\Z")
# Folders of cross-validation: each photograph lies in several, so their names are no part of a key.
_FOLD = re.compile(r"\b(?:fold|split|cv)[ _-]?\d+/", re.IGNORECASE)


def _folded(key: _Key) -> tuple[str, ...]:
    return tuple(map(str.casefold, key))


def _anywhere(key: _Key) -> tuple[str, ...]:
    part, folder, _, stem = _folded(key)
    return part, folder, stem


def _of_a_channel(key: _Key) -> tuple[str, ...]:
    return _anywhere((*key[:3], _CHANNEL.sub("", key[3])))


# To find a mask of another naming: keys of the photograph and of the mask, tried in this order.
_KINSHIPS = ((_folded, _folded), (_anywhere, _anywhere), (_of_a_channel, _anywhere))
LAYOUT_NAMES = tuple(dict.fromkeys(form.name for form in FORMS))
_REMEDY = (
    f"give --layout, one of {', '.join(LAYOUT_NAMES)}; simplest is images/1.jpg with masks/1.png"
)


def data_set(
    root: Path,
    layout: str = "auto",
    leave_out: Path | None = None,
    paths: list[str] | None = None,
) -> DataSet:
    """Read the layout of the data set in `root`; "auto" takes the one that fits best.

    Maps and plots of earlier runs below `root` are no part of it. `paths` is what
    `walk(root, leave_out)` gives, if the caller has it already.

    Raises:
        InputError: if there is no photograph, if two files claim one role for one stem
            (a.jpg and a.png, two masks), or if no layout pairs a photograph and a mask.
    """
    require_no_archive(root)
    paths, _ = parted(root, walk(root, leave_out) if paths is None else paths)
    best = recognised(root, paths, layout)
    if best is None and layout != "auto":
        best = _matched(root, _named(layout)[0], paths)
    if best is None:
        for archive in filter(is_archive, paths):
            require_no_archive(root / archive)
        if not paths:
            raise InputError(root, "is empty", "is it mounted?")
        problem = (
            f"no known layout pairs photographs with masks in it ({counted(len(paths), 'file')})"
        )
        raise InputError(root, problem, _REMEDY)
    return checked(best)


def recognised(root: Path, paths: list[str], layout: str = "auto") -> DataSet | None:
    """The data set that `paths` (from `walk`) make up in the best-fitting layout, or None.

    A layout's name stands for all the forms that it has.
    """
    bare = [without_part(without_suffix(path))[1] for path in paths if image_suffix(path)]
    fitting = [each for each in _named(layout) if _has_mask(each, bare)]
    best = max(
        ((_matched(root, each, paths), each) for each in fitting), key=_fitness, default=None
    )
    return best[0] if best and any(entry.mask for entry in best[0].entries) else None


def _named(name: str) -> Sequence[LayoutForm]:
    return [form for form in FORMS if name in ("auto", form.name)]


def _has_mask(form: LayoutForm, bare: list[str]) -> bool:
    """Whether there may be a mask among paths (without suffix): without one, no form fits."""
    masks = [pattern for role, pattern in _compiled(form) if role == "mask"]
    return any(pattern.fullmatch(path) for pattern in masks for path in bare)


@functools.cache
def _compiled(form: LayoutForm) -> tuple[tuple[str, re.Pattern], ...]:
    flags = re.IGNORECASE | re.DOTALL  # a folder's name may hold a newline
    return tuple((role, re.compile(pattern, flags)) for role, pattern in form.patterns)


def _fitness(matched: tuple[DataSet, LayoutForm]) -> tuple[int, int, int, int]:
    """How well a form fits: many photographs with masks, few files for one role, folders named
    for parts where it expects them, many files that belong to photographs."""
    candidate, form = matched
    paired = sum(entry.mask is not None for entry in candidate.entries)
    parts = sum(bool(entry.part) for entry in candidate.entries) if form.has_parts else 0
    belonging = sum(len(entry.files) - 1 for entry in candidate.entries)
    return paired, -len(candidate.duplicates), parts, belonging


def _matched(root: Path, form: LayoutForm, paths: list[str]) -> DataSet:
    """Give each path its role by the first pattern that fits, and join roles by stem."""
    patterns = _compiled(form)
    by_stem: dict[_Key, dict[str, str]] = {}
    duplicates: list[tuple[str, str, str]] = []
    ignored: list[str] = []
    for path in paths:
        match = _first_match(patterns, path)
        if match is None:
            ignored.append(path)
            continue
        role, key = match
        roles = by_stem.setdefault(key, {})
        rival = roles.setdefault(role, path)
        if rival != path and _is_derived(rival) == _is_derived(path):
            duplicates.append((role, rival, path))
        elif _is_derived(rival):  # a derived mask is second choice
            roles[role] = path
    for of_photograph, of_mask in _KINSHIPS:
        duplicates += _joined(by_stem, of_photograph, of_mask)
    lonely = [p for roles in by_stem.values() if "photograph" not in roles for p in roles.values()]
    unmatched = tuple(sorted(lonely, key=name_bytes))
    return DataSet(root, form.name, _entries(by_stem), unmatched, tuple(ignored), tuple(duplicates))


def _joined(
    by_stem: dict[_Key, dict[str, str]],
    of_photograph: Callable[[_Key], tuple[str, ...]],
    of_mask: Callable[[_Key], tuple[str, ...]],
) -> list[tuple[str, str, str]]:
    """Give the files of a stem without a photograph to the only one that is kin and lacks them.

    Returns:
        Where several photographs could take it: ("photograph", path, path) of two of them, for
        `DataSet.duplicates`.
    """
    kin: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for key, roles in by_stem.items():
        if "photograph" in roles:
            kin.setdefault(of_photograph(key), []).append(roles)
    claims = []
    lonely = [(key, roles) for key, roles in by_stem.items() if "photograph" not in roles]
    for key, roles in lonely:
        for role in list(roles):
            lacking = [theirs for theirs in kin.get(of_mask(key), []) if role not in theirs]
            if len(lacking) == 1:
                lacking[0][role] = roles.pop(role)
            elif lacking:
                first, second, *_ = (each["photograph"] for each in lacking)
                claims.append(("photograph", first, second))
    return claims


def _is_derived(path: str) -> bool:
    return "masks_derived/" in path.lower()


def _first_match(
    patterns: tuple[tuple[str, re.Pattern], ...], path: str
) -> tuple[str, _Key] | None:
    if not image_suffix(path):
        return None
    part, bare = without_part(without_suffix(path))
    for role, pattern in patterns:
        match = pattern.fullmatch(bare)
        if match:
            groups = match.groupdict()
            place = "" if _FOLD.search(groups.get("place", "")) else groups.get("place", "")
            return role, (part, nfc(groups.get("folder", "")), nfc(place), nfc(match["stem"]))
    return None


def _entries(by_stem: dict[_Key, dict[str, str]]) -> tuple[Entry, ...]:
    entries = [
        Entry(without_suffix(roles["photograph"]), part=part, stem=stem, **roles)
        for (part, _, _, stem), roles in by_stem.items()
        if "photograph" in roles
    ]
    return tuple(sorted(entries, key=lambda entry: name_bytes(entry.id)))


def checked(candidate: DataSet) -> DataSet:
    """A data set whose files fit together, itself.

    Raises:
        InputError: if two files claim one role for one stem, or there is no photograph.
    """
    if candidate.duplicates:
        role, first, second = candidate.duplicates[0]
        problem = f"and {second} are both the {role} of one stem"
        remedy = "remove one of them, or give --layout"
        # Photographs of several folders, numbered in each; or a copy of them for each fold.
        if len(places := _unlike_folders(first, second)) == 2:
            root = candidate.root
            remedy = (
                f"give {root / places[0]} or {root / places[1]} alone, or name their files apart"
            )
        raise InputError(candidate.root / first, problem, remedy)
    if not candidate.entries:
        problem = f"holds no photograph in the layout {candidate.layout}"
        raise InputError(candidate.root, problem, _REMEDY)
    return candidate


def _unlike_folders(first: str, second: str) -> list[str]:
    """Two folders of a data set that hold paths which differ in that folder's name alone, or []."""
    pairs = list(zip(first.split("/"), second.split("/"), strict=False))
    unlike = [depth for depth, (one, other) in enumerate(pairs[:-1]) if one != other]
    if len(unlike) != 1 or first.count("/") != second.count("/"):
        return []
    return ["/".join(path.split("/")[: unlike[0] + 1]) for path in (first, second)]
