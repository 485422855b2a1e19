"""What infer is given: a folder, a file, a list or shards, as one list of sources."""

import codecs
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from fundusseg.errors import InputError, UsageError
from fundusseg.io.images import image_suffix
from fundusseg.io.layouts import data_set, parted, recognised, walk
from fundusseg.io.ledger import has_ledger
from fundusseg.io.samples import SampleRef
from fundusseg.io.shards import ShardFolder, are_shards


@dataclass(frozen=True, slots=True)
class Source:
    """One input. id: its output's path without suffix, / kept.

    before, suffix: what the photograph's path has before and after the id; a million paths
    share them. ref: where the sample lies in a shard. refusal: why it cannot be taken at
    all; such a source becomes a failed row.
    """

    id: str
    before: str = ""
    suffix: str = ""
    ref: SampleRef | None = None
    refusal: str = ""

    @property
    def file(self) -> str:
        """The path of the photograph, or of the shard."""
        return f"{self.before}{self.id}{self.suffix}" if self.ref is None else str(self.ref.path)

    @property
    def path(self) -> Path:
        """The same as a path."""
        return Path(self.file)


@dataclass(frozen=True)
class LeftOut:
    """Files of a folder that are no inputs, and what they are."""

    paths: list[str]
    what: str
    may_be_photographs: bool = False


@dataclass(frozen=True)
class Sources:
    """items in byte order of their ids."""

    items: tuple[Source, ...]
    shards: ShardFolder | None = None
    left_out: tuple[LeftOut, ...] = ()


def sources(
    given: str, out: Path, layout: str, split: str, keep_suffix: bool, null_separated: bool
) -> Sources:
    """The inputs that `given` names.

    Args:
        given: a folder, a file, a folder of shards, or "-" for a list on stdin.
        out: the output folder, which is not walked.
        layout: "auto", "none" (every image is a photograph), or a layout's name.
        split: of shards only.
        keep_suffix: keep the suffix in the id (a.jpg and a.png then differ).
        null_separated: the list is separated by NUL, not by newline.

    Raises:
        UsageError: if there is no such path, or it is the output folder.
        InputError: if there is nothing in it, an earlier run wrote it, or two inputs would write
            one output.
    """
    path, is_emptied = Path(given), False
    if null_separated and given != "-":
        raise UsageError(f"{given}: --null is for a list on stdin; give - as IN")
    if given == "-":
        found = _listed(keep_suffix, null_separated)
    elif path.is_dir():
        if os.path.realpath(path) == os.path.realpath(out):
            raise UsageError(f"{given}: is IN and OUT; choose another output folder")
        paths = walk(path, leave_out=out)
        is_emptied = not paths and has_ledger(out)
        if are_shards(paths):
            found = _sharded(path, split)
        elif has_ledger(path):
            raise InputError(path, "is what an earlier run wrote", "give IN first, then OUT")
        else:
            found = _walked(path, out, paths, layout, keep_suffix)
    elif path.is_file():
        found = Sources((_source(path.name, _beginning(path.parent), keep_suffix),))
    else:
        raise UsageError(
            f"{given}: does not exist; give a folder, a file, or - for a list on stdin"
        )
    if split != "all" and found.shards is None:
        raise UsageError(f"{given}: --split is for shards; these are photographs")
    if not found.items and not is_emptied:
        raise InputError(given, "holds no photograph", "README.md lists the formats that are read")
    ordered = sorted(found.items, key=lambda source: os.fsencode(source.id))
    _require_distinct(ordered)
    return Sources(tuple(ordered), found.shards, found.left_out)


def _walked(root: Path, out: Path, paths: list[str], layout: str, keep_suffix: bool) -> Sources:
    """Photographs of a folder; of a data set only its photographs, not its masks."""
    paths, outputs = parted(root, paths)
    pictures = [path for path in paths if image_suffix(path)]
    taken, roles = pictures, set()
    if layout != "none":
        known = recognised(root, paths) if layout == "auto" else data_set(root, layout, out)
        if known is not None:
            doubles = {
                path for role, *pair in known.doubles if role == "photograph" for path in pair
            }
            taken = sorted({entry.photograph for entry in known.entries} | doubles)
            roles = set(pictures) - set(taken) - set(known.ignored)
    without_role = sorted(set(pictures) - set(taken) - roles)
    if len(without_role) > len(taken):  # a pair that strayed in makes no data set of a folder
        taken, without_role = sorted([*taken, *without_role]), []
    unknown = [path for path in paths if not image_suffix(path)]
    dangling = {path for path in unknown if not (root / path).exists()}
    left_out = (
        LeftOut([path for path in unknown if path not in dangling], "files of unknown suffix"),
        LeftOut(sorted(dangling), "links to nothing", may_be_photographs=True),
        LeftOut(sorted(roles), "masks and fields of view"),
        LeftOut(outputs, "images in output folders of earlier runs", may_be_photographs=True),
        LeftOut(
            without_role,
            "images without a role in this data set (--layout none takes all)",
            may_be_photographs=True,
        ),
    )
    before = _beginning(root)
    items = tuple(_source(path, before, keep_suffix) for path in taken)
    return Sources(items, left_out=tuple(one for one in left_out if one.paths))


def _sharded(root: Path, split: str) -> Sources:
    folder = ShardFolder(root)
    items = tuple(Source(ref.id, ref=ref) for ref in folder.of_split(split))
    return Sources(items, folder)


def _listed(keep_suffix: bool, null_separated: bool) -> Sources:
    """A list on stdin: relative paths are kept, absolute ones lose the leading /."""
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageError("-: the list is in UTF-16; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if not null_separated and b"\0" in data:
        raise UsageError("-: the list has NUL in it; give --null")
    if not null_separated and data.count(b"\n") == data.count(b"\r\n"):
        data = data.replace(b"\r\n", b"\n")  # a list made on Windows
    names = map(os.fsdecode, data.split(b"\0" if null_separated else b"\n"))
    distinct = dict.fromkeys(_normal(name) for name in names if name)
    return Sources(tuple(_listed_source(name, keep_suffix) for name in distinct))


def _normal(name: str) -> str:
    """A path as `Path` spells it, which is slow and seldom another."""
    is_plain = name[0] != "." and name[-1] != "/" and "//" not in name and "/." not in name
    return name if is_plain else str(Path(name))


def _listed_source(name: str, keep_suffix: bool) -> Source:
    if ".." in name and ".." in name.split("/"):
        refused = _source(name, "", keep_suffix)
        return replace(refused, refusal="has .. in its path; give it without")
    below = name.lstrip("/")
    return _source(below, name[: len(name) - len(below)], keep_suffix)


def _source(path: str, before: str, keep_suffix: bool) -> Source:
    """The photograph `path` (with /), below what stands in `before`."""
    suffix = "" if keep_suffix else image_suffix(path)
    return Source(path[: len(path) - len(suffix)], before, suffix)


def _beginning(folder: Path) -> str:
    """What the paths of files in `folder` begin with."""
    return str(folder / "_")[:-1]


def _require_distinct(ordered: Iterable[Source]) -> None:
    for source, other in pairwise(ordered):
        if source.id == other.id:
            problem = f"and {other.path} would write one output"
            raise InputError(source.path, problem, "give --keep-suffix, or rename one of them")
