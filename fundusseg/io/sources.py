"""What infer is given: a folder, a file, a list or shards, as one list of sources."""

import os
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from fundusseg.errors import InputError, UsageError
from fundusseg.io.images import image_suffix, without_suffix
from fundusseg.io.layouts import data_set, recognised, walk
from fundusseg.io.shards import SampleRef, ShardFolder


@dataclass(frozen=True)
class Source:
    """One input. id: its output's path without suffix, / kept.

    path: the photograph's file, or the shard's. ref: where the sample lies in a shard.
    refusal: why it cannot be taken at all; such a source becomes a failed row.
    """

    id: str
    path: Path
    ref: SampleRef | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Sources:
    """items in byte order of their ids. left_out: (count, what they are, the first one)."""

    items: tuple[Source, ...]
    shards: ShardFolder | None = None
    left_out: tuple[tuple[int, str, str], ...] = ()


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
        InputError: if there is nothing in it, or two inputs would write one output.
    """
    path = Path(given)
    if given == "-":
        found = _listed(keep_suffix, null_separated)
    elif path.is_dir():
        if os.path.realpath(path) == os.path.realpath(out):
            raise UsageError(f"{given}: is IN and OUT; choose another output folder")
        paths = walk(path, leave_out=out)
        sharded = _are_shards(paths)
        found = _sharded(path, split) if sharded else _walked(path, out, paths, layout, keep_suffix)
    elif path.is_file():
        found = Sources((Source(_id(path.name, keep_suffix), path),))
    else:
        raise UsageError(
            f"{given}: does not exist; give a folder, a file, or - for a list on stdin"
        )
    if not found.items:
        raise InputError(given, "holds no photograph", "README.md lists the formats that are read")
    _require_distinct(found.items)
    ordered = sorted(found.items, key=lambda source: os.fsencode(source.id))
    return Sources(tuple(ordered), found.shards, found.left_out)


def _are_shards(paths: list[str]) -> bool:
    """Whether a folder's files are what prep writes: shard-*.h5, or .npz and no picture."""
    if any(fnmatch(path, "shard-*.h5") and "/" not in path for path in paths):
        return True
    has_arrays = any(path.endswith(".npz") for path in paths)
    return has_arrays and not any(image_suffix(PurePosixPath(path).name) for path in paths)


def _walked(root: Path, out: Path, paths: list[str], layout: str, keep_suffix: bool) -> Sources:
    """Photographs of a folder; of a data set only its photographs, not its masks."""
    pictures = [path for path in paths if image_suffix(PurePosixPath(path).name)]
    taken = pictures
    if layout != "none":
        known = recognised(root, paths) if layout == "auto" else data_set(root, layout, out)
        if known is not None:
            doubles = {
                path for role, *pair in known.doubles if role == "photograph" for path in pair
            }
            taken = sorted({entry.photograph for entry in known.entries} | doubles)
    left_out = []
    unknown = [path for path in paths if not image_suffix(PurePosixPath(path).name)]
    if unknown:
        left_out.append((len(unknown), "files of unknown suffix", unknown[0]))
    others = sorted(set(pictures) - set(taken))
    if others:
        what = "images that are no photographs of this data set (--layout none takes all)"
        left_out.append((len(others), what, others[0]))
    items = tuple(Source(_id(path, keep_suffix), root / path) for path in taken)
    return Sources(items, left_out=tuple(left_out))


def _sharded(root: Path, split: str) -> Sources:
    folder = ShardFolder(root)
    items = tuple(Source(ref.id, ref.path, ref) for ref in folder.of_split(split))
    return Sources(items, folder)


def _listed(keep_suffix: bool, null_separated: bool) -> Sources:
    """A list on stdin: relative paths are kept, absolute ones lose the leading /."""
    separator = b"\0" if null_separated else b"\n"
    lines = [line for line in sys.stdin.buffer.read().split(separator) if line]
    found = []
    for path in dict.fromkeys(Path(os.fsdecode(line)) for line in lines):
        parts = path.relative_to(path.anchor).parts
        refusal = "has .. in its path; give it without" if ".." in parts else ""
        name = str(path) if refusal else "/".join(parts)
        found.append(Source(_id(name, keep_suffix), path, refusal=refusal))
    return Sources(tuple(found))


def _id(path: str, keep_suffix: bool) -> str:
    return path if keep_suffix else without_suffix(path)


def _require_distinct(items: tuple[Source, ...]) -> None:
    by_id: dict[str, Source] = {}
    for source in items:
        other = by_id.setdefault(source.id, source)
        if other is not source:
            problem = f"and {source.path} would write one output"
            raise InputError(other.path, problem, "give --keep-suffix, or rename one of them")
