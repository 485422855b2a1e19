"""Data sets as strangers download them: which file is a photograph, which its mask.

A layout is a list of patterns on the path relative to the data set's folder. Each pattern
gives a file its role and its stem; files of one stem (and one part, such as train or
test) belong together. `folders` are the forms that many repackaged sets have (images/,
masks/, ...) and are tried after a layout's own patterns, except where one of the layout's
folder names means something else.
"""

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.io.images import image_suffix, without_suffix
from fundusseg.io.ledger import has_ledger

PART = r"(?:.*?/)??(?:(?P<part>train|training|test|all)/)?"
MASK_SUFFIX = (
    r"(?:[_.-](?:manual[12]|1stHO|2ndHO|ah|vk|mask|fov|vessels?|training_mask|test_mask|gt))?"
)


@dataclass(frozen=True)
class Layout:
    """patterns: (role, regular expression with the groups stem and, maybe, part)."""

    name: str
    patterns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """One photograph of a data set and what belongs to it; paths relative to the folder.

    part: "train" or "test" where the data set's folders say so, else "".
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
    doubles: (role, path, path) of files that claim one role for one stem.
    """

    root: Path
    layout: str
    entries: tuple[Entry, ...]
    unmatched: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    doubles: tuple[tuple[str, str, str], ...] = ()


LAYOUTS = (
    Layout(
        "fives",
        (
            ("photograph", r"(?:.*/)?(?P<part>train|test)/Original/(?P<stem>\d+_[ADGN])"),
            ("mask", r"(?:.*/)?(?P<part>train|test)/Ground truth/(?P<stem>\d+_[ADGN])"),
        ),
    ),
    Layout(
        "drive",
        (
            ("photograph", PART + r"images/(?P<stem>\d+)_(?:training|test)"),
            ("mask", PART + r"(?:1st_manual|masks)/(?P<stem>\d+)_manual1"),
            ("mask2", PART + r"(?:2nd_manual|masks2)/(?P<stem>\d+)_manual2"),
            ("fov", PART + r"(?:mask|fov)/(?P<stem>\d+)_(?:training|test)_mask"),
        ),
    ),
    Layout(
        "chase",
        (
            ("mask", r"(?:.*/)?(?P<stem>Image_\d+[LR])_1stHO"),
            ("mask2", r"(?:.*/)?(?P<stem>Image_\d+[LR])_2ndHO"),
            ("fov", r"(?:.*/)?fov/(?P<stem>Image_\d+[LR])(?:_\w+)?"),
            ("photograph", r"(?:.*/)?(?P<stem>Image_\d+[LR])"),
        ),
    ),
    Layout(
        "stare",
        (
            ("fov", r"(?:.*/)?fov/(?P<stem>im\d{4})(?:_\w+)?"),
            ("mask", r"(?:.*/)?(?P<stem>im\d{4})\.ah"),
            ("mask2", r"(?:.*/)?(?P<stem>im\d{4})\.vk"),
            ("photograph", r"(?:.*/)?(?P<stem>im\d{4})"),
        ),
    ),
    Layout(
        "hrf",
        (
            ("photograph", r"(?:.*/)?images/(?P<stem>\d\d_(?:h|dr|g))"),
            ("mask", r"(?:.*/)?(?:manual1|masks|masks_derived)/(?P<stem>\d\d_(?:h|dr|g))"),
            ("fov", r"(?:.*/)?(?:mask|fov)/(?P<stem>\d\d_(?:h|dr|g))(?:_mask)?"),
        ),
    ),
    Layout(
        "les-av",
        (
            ("photograph", r"(?:.*/)?images/(?P<stem>\d+)"),
            ("mask", r"(?:.*/)?(?:vessel-segmentations|masks_derived)/(?P<stem>\d+)"),
            ("fov", r"(?:.*/)?masks/(?P<stem>\d+)(?:_mask)?"),
            ("fov", r"(?:.*/)?fov/(?P<stem>\d+)(?:_mask)?"),
        ),
    ),
    Layout(
        "pairs",
        (
            ("photograph", PART + r"images/(?P<stem>[^/]+)"),
            ("mask", PART + rf"masks(?:_derived)?/(?P<stem>[^/]+?){MASK_SUFFIX}"),
            ("mask2", PART + rf"masks2/(?P<stem>[^/]+?){MASK_SUFFIX}"),
            ("fov", PART + rf"fov/(?P<stem>[^/]+?){MASK_SUFFIX}"),
        ),
    ),
)
LAYOUT_NAMES = tuple(layout.name for layout in LAYOUTS)
LOST_AND_FOUND = "lost+found"
_REMEDY = f"give --layout, one of {', '.join(LAYOUT_NAMES)}; README.md draws each"


def walk(root: Path, leave_out: Path | None = None) -> list[str]:
    """All files below `root` as relative paths with /, in byte order; no dot files.

    Nor those in lost+found, which stands on many disks and which only root may list.
    `leave_out` (and what is below it) is not walked. Links to folders are followed, but for
    those to a folder that they lie in, as `find -L` does.

    Raises:
        InputError: if a folder cannot be listed.
    """
    found: list[str] = []
    left_out = leave_out and os.path.realpath(leave_out)
    above = {os.fspath(root): (os.path.realpath(root),)}  # by folder: it and those it lies in

    def refuse(error: OSError) -> None:
        remedy = "make it readable, move it elsewhere, or give the folders that are wanted"
        raise InputError(error.filename, f"cannot be listed ({error.strerror})", remedy)

    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        walked, candidates = above.pop(folder), sorted(folders)
        folders.clear()
        for name in candidates:
            path = os.path.join(folder, name)
            real = os.path.realpath(path)
            is_wanted = not name.startswith(".") and name != LOST_AND_FOUND
            if is_wanted and real != left_out and real not in walked:
                above[path] = (*walked, real)
                folders.append(name)
        relative = os.path.relpath(folder, root)
        prefix = "" if relative == "." else relative + "/"
        found += [prefix + name for name in names if not name.startswith(".")]
    return sorted(found, key=os.fsencode)


def parted(root: Path, paths: list[str]) -> tuple[list[str], list[str]]:
    """`paths` (from `walk`) without the images in output folders below `root`, and these.

    An output folder is where infer, prep or score keeps its ledger.
    """
    folders = {_folder(path) for path in paths if image_suffix(path)}
    outputs = {
        folder
        for folder in {above for folder in folders for above in _upwards(folder)}
        if has_ledger(root / folder)
    }
    if not outputs:
        return paths, []
    inside = {folder for folder in folders if not outputs.isdisjoint(_upwards(folder))}
    left_out = [path for path in paths if image_suffix(path) and _folder(path) in inside]
    return sorted(set(paths) - set(left_out), key=os.fsencode), left_out


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _upwards(folder: str) -> Iterator[str]:
    """A folder and those that it lies in, without the root."""
    while folder:
        yield folder
        folder = _folder(folder)


def data_set(root: Path, layout: str = "auto", leave_out: Path | None = None) -> DataSet:
    """Read the layout of the data set in `root`; "auto" takes the one that fits best.

    Maps and plots of earlier runs below `root` are no part of it.

    Raises:
        InputError: if there is no photograph, if two files claim one role for one stem
            (a.jpg and a.png, two masks), or if no layout pairs a photograph and a mask.
    """
    paths, _ = parted(root, walk(root, leave_out))
    if layout != "auto":
        chosen = next(candidate for candidate in LAYOUTS if candidate.name == layout)
        return checked(_matched(root, chosen, paths))
    found = recognised(root, paths)
    if found is None:
        problem = f"no known layout pairs photographs with masks in it ({len(paths)} files)"
        raise InputError(root, problem, _REMEDY)
    return checked(found)


def recognised(root: Path, paths: list[str]) -> DataSet | None:
    """The data set that `paths` (from `walk`) make up in the best-fitting layout, or None."""
    bare = [without_suffix(path) for path in paths if image_suffix(path)]
    candidates = [_matched(root, layout, paths) for layout in LAYOUTS if _has_mask(layout, bare)]
    best = max(candidates, key=_fitness, default=None)
    return best if best and any(entry.mask for entry in best.entries) else None


def _has_mask(layout: Layout, bare: list[str]) -> bool:
    """Whether there may be a mask among paths (without suffix): without one, no layout fits."""
    masks = [pattern for role, pattern in _compiled(layout) if role == "mask"]
    return any(pattern.fullmatch(path) for pattern in masks for path in bare)


@functools.cache
def _compiled(layout: Layout) -> tuple[tuple[str, re.Pattern], ...]:
    flags = re.IGNORECASE | re.DOTALL  # a folder's name may hold a newline
    return tuple((role, re.compile(pattern, flags)) for role, pattern in layout.patterns)


def _fitness(found: DataSet) -> tuple[int, int, int]:
    """How well a layout fits: many photographs with masks, few files for one role, and it
    sees whether the folders say train and test."""
    paired = sum(entry.mask is not None for entry in found.entries)
    return paired, -len(found.doubles), sum(bool(entry.part) for entry in found.entries)


def _matched(root: Path, layout: Layout, paths: list[str]) -> DataSet:
    """Give each path its role by the first pattern that fits, and join roles by stem."""
    patterns = _compiled(layout)
    found: dict[tuple[str, str], dict[str, str]] = {}
    doubles: list[tuple[str, str, str]] = []
    ignored: list[str] = []
    for path in paths:
        match = _first_match(patterns, path)
        if match is None:
            ignored.append(path)
            continue
        role, part, stem = match
        roles = found.setdefault((part, stem), {})
        rival = roles.setdefault(role, path)
        if rival != path and _is_derived(rival) == _is_derived(path):
            doubles.append((role, rival, path))
        elif _is_derived(rival):  # a derived mask is second choice
            roles[role] = path
    lonely = [p for roles in found.values() if "photograph" not in roles for p in roles.values()]
    unmatched = tuple(sorted(lonely, key=os.fsencode))
    return DataSet(root, layout.name, _entries(found), unmatched, tuple(ignored), tuple(doubles))


def _is_derived(path: str) -> bool:
    return "masks_derived/" in path.lower()


def _first_match(patterns, path: str) -> tuple[str, str, str] | None:
    if not image_suffix(path):
        return None
    bare = without_suffix(path)
    for role, pattern in patterns:
        match = pattern.fullmatch(bare)
        if match:
            part = (match.groupdict().get("part") or "").lower()
            part = {"training": "train", "all": ""}.get(part, part)
            return role, part, match["stem"]
    return None


def _entries(found: dict) -> tuple[Entry, ...]:
    entries = [
        Entry(
            id=without_suffix(roles["photograph"]),
            photograph=roles["photograph"],
            part=part,
            stem=stem,
            mask=roles.get("mask"),
            mask2=roles.get("mask2"),
            fov=roles.get("fov"),
        )
        for (part, stem), roles in found.items()
        if "photograph" in roles
    ]
    return tuple(sorted(entries, key=lambda entry: os.fsencode(entry.id)))


def checked(found: DataSet) -> DataSet:
    """A data set whose files fit together, itself.

    Raises:
        InputError: if two files claim one role for one stem, or there is no photograph.
    """
    if found.doubles:
        role, first, second = found.doubles[0]
        problem = f"and {second} are both the {role} of one stem"
        raise InputError(found.root / first, problem, "remove one of them, or give --layout")
    if not found.entries:
        problem = f"holds no photograph in the layout {found.layout}"
        raise InputError(found.root, problem, _REMEDY)
    return found
