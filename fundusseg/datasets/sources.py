"""What infer is given: a folder, a file, a list or shards, as one list of sources."""

import hashlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from fundusseg import ui
from fundusseg.datasets.choice import LEFT_OUT, Choice
from fundusseg.datasets.folder_names import names_a_mask
from fundusseg.datasets.folders import OF_A_SYSTEM, Walk, output_folders, parted, walked
from fundusseg.datasets.layouts import data_set, recognised
from fundusseg.datasets.listed import listed
from fundusseg.datasets.samples import SampleRef
from fundusseg.datasets.shards import ShardFolder, are_shards
from fundusseg.errors import InputError, UsageError
from fundusseg.files.images import image_suffix, without_suffix
from fundusseg.files.kinds import ARCHIVES, UNKNOWN, by_kind, require_no_archive
from fundusseg.files.ledger import LedgerFiles
from fundusseg.files.masks import is_plain_mask
from fundusseg.files.names import escaped, is_inside, name_bytes
from fundusseg.options import InferOptions
from fundusseg.wording import counted, left_aside


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
    def folder(self) -> str:
        """Where that file lies, "" for the working directory."""
        return os.path.dirname(self.file)

    @property
    def name(self) -> str:
        """The photograph, as seen from where ids begin: the id with its suffix."""
        return f"{self.id}{self.suffix}" if self.ref is None else self.ref.source

    @property
    def label(self) -> str:
        """What messages call it: its file, and of a shard the sample too."""
        return self.file if self.ref is None else f"{self.file}: {self.id}"

    @property
    def path(self) -> Path:
        """The file as a path."""
        return Path(self.file)


@dataclass(frozen=True)
class LeftOut:
    """Files of a folder that are no inputs, and what they are."""

    paths: list[str]
    what: str
    may_be_photographs: bool = False


@dataclass(frozen=True)
class Sources:
    """items in byte order of their ids. not_chosen: by --include and --exclude."""

    items: tuple[Source, ...]
    shards: ShardFolder | None = None
    left_out: tuple[LeftOut, ...] = ()
    not_chosen: tuple[Source, ...] = ()

    @property
    def ids_sha256(self) -> str:
        """Over the ids of all parts: parts that saw different inputs must not be merged."""
        ids = b"\0".join(name_bytes(source.id) for source in self.items)
        return hashlib.sha256(ids).hexdigest()

    @property
    def sha256(self) -> str:
        """Over the ids and the real paths (links resolved) of the folders that the files lie in."""
        folders = {os.path.realpath(folder) for folder in {source.folder for source in self.items}}
        told = "\0".join([self.ids_sha256, *sorted(folders)])
        return hashlib.sha256(name_bytes(told)).hexdigest()

    def tell_left_out(self, given: str) -> None:
        """Say what of the folder `given` is no input."""
        for one in self.left_out:
            level = logging.WARNING if one.may_be_photographs else logging.INFO
            said = left_aside(len(one.paths), escaped(one.paths[0]), one.what)
            ui.log.log(level, "%s: %s", given, said)


def sources(given: str, out: Path, options: InferOptions) -> Sources:
    """The inputs that `given` names.

    Args:
        given: a folder, a file, a folder of shards, or "-" for a list on stdin.
        out: the output folder, which is not walked.
        options: of them layout, split, include, exclude, keep_suffix, null_separated,
            relative_to and allow_empty.

    Raises:
        UsageError: if there is no such path, or it is the output folder.
        InputError: if there is nothing in it, an earlier run wrote it, or two inputs would write
            one output.
    """
    path = Path(given)
    keep_suffix = options.keep_suffix
    if options.null_separated and given != "-":
        raise UsageError(f"{given}: --null is for a list on stdin; give - as IN")
    if options.relative_to is not None and given != "-":
        raise UsageError(f"{given}: --relative-to is for a list on stdin; give - as IN")
    if given == "-":
        names = listed(options.null_separated, options.relative_to)
        inputs = Sources(tuple(_source(*name, keep_suffix) for name in names))
    elif path.is_dir():
        if os.path.realpath(path) == os.path.realpath(out):
            raise UsageError(f"{given}: is IN and OUT; choose another output folder")
        below = walked(path, leave_out=out)
        if are_shards(below.paths):
            folder = ShardFolder(path)
            refs = folder.of_split(options.split)
            inputs = Sources(tuple(Source(ref.id, ref=ref) for ref in refs), folder)
        elif "" in output_folders(path, below.paths):
            remedy = "give IN first, then OUT; take copied maps and tables out of it"
            raise InputError(path, "is what an earlier run wrote", remedy)
        else:
            inputs = _walked(path, out, below, options.layout, keep_suffix)
    elif path.is_file():
        require_no_archive(path)
        if path.suffix in (".h5", ".npz"):
            remedy = f"give the folder of shards that it lies in, {path.parent}"
            raise InputError(path, "is a file of arrays, not a photograph", remedy)
        inputs = Sources((_source(_beginning(path.parent), path.name, keep_suffix),))
    else:
        raise UsageError(
            f"{given}: does not exist; give a folder, a file, or - for a list on stdin"
        )
    if options.split != "all" and inputs.shards is None:
        raise UsageError(f"{given}: --split is for shards; these are photographs")
    if not inputs.items and not options.allow_empty:
        _refuse_empty(given, inputs, out)
    inputs = _chosen(given, inputs, Choice(options.include, options.exclude))
    ordered = sorted(inputs.items, key=lambda source: name_bytes(source.id))
    _require_distinct(ordered)
    return replace(inputs, items=tuple(ordered))


def _chosen(given: str, inputs: Sources, choice: Choice) -> Sources:
    """What --include and --exclude take; InputError if it is none of some."""
    items, not_chosen = choice.divided(given, inputs.items, lambda source: source.name)
    if not not_chosen:
        return inputs
    left_out = LeftOut([source.name for source in not_chosen], LEFT_OUT)
    return Sources(tuple(items), inputs.shards, (*inputs.left_out, left_out), tuple(not_chosen))


def _refuse_empty(given: str, inputs: Sources, out: Path) -> NoReturn:
    """Raise: an archive that is not unpacked, a share that is not mounted, or no photograph."""
    for left_out in inputs.left_out:
        if left_out.what == ARCHIVES:
            require_no_archive(Path(given) / left_out.paths[0])
    finished = {record["key"] for record in LedgerFiles(out) if record["outputs"]}
    if finished and given != "-":
        one, several = "map of a photograph that was there", "maps of photographs that were there"
        problem = f"is empty, and {out} holds {counted(len(finished), one, several)}"
        raise InputError(given, problem, "is it mounted? For an inbox, give --allow-empty")
    read = "PNG, JPEG, TIFF, GIF, PPM, BMP, WebP or DICOM"
    raise InputError(given, "holds no photograph", f"give {read}")


def _walked(root: Path, out: Path, below: Walk, layout: str, keep_suffix: bool) -> Sources:
    """Photographs of a folder; of a data set only its photographs, not its masks."""
    paths, outputs = parted(root, below.paths)
    pictures = [path for path in paths if image_suffix(path)]
    taken, roles, without_role, masks = set(pictures), set(), set(), []
    known = None
    if layout != "none":
        known = recognised(root, paths) if layout == "auto" else data_set(root, layout, out, paths)
    if known is not None:
        taken = {entry.photograph for entry in known.entries}
        for role, *pair in known.duplicates:
            taken.update(pair if role == "photograph" else ())
        roles = set(pictures) - taken - set(known.ignored)
        without_role = set(pictures) - taken - roles
    if layout != "none":
        # Without a known layout any picture may be a mask; if all of them look like one, none is.
        masks = _masks(root, pictures if known is None else sorted(without_role))
        if known is None and len(masks) == len(pictures):
            masks = []
        without_role.difference_update(masks)
        taken.difference_update(masks)
    if len(without_role) > len(taken):  # a pair that strayed in makes no data set of a folder
        taken, without_role = taken | without_role, set()
    others = by_kind(root, paths).items()
    left_out = (
        *(LeftOut(names, kind, may_be_photographs=kind != UNKNOWN) for kind, names in others),
        LeftOut(below.passed_over, OF_A_SYSTEM),
        LeftOut(sorted(roles), "masks and fields of view"),
        LeftOut(masks, "images that are masks, by name or by their two grey levels", True),
        LeftOut(outputs, "images in output folders of earlier runs", may_be_photographs=True),
        LeftOut(
            sorted(without_role),
            "images without a role in this data set (--layout none takes all)",
            may_be_photographs=True,
        ),
    )
    before = _beginning(root)
    items = [_source(before, path, keep_suffix) for path in sorted(taken)]
    for folder, reason in below.unreadable.items():
        items.append(Source(f"{folder}/", before, refusal=reason))
    return Sources(tuple(items), left_out=tuple(one for one in left_out if one.paths))


def _masks(root: Path, pictures: list[str]) -> list[str]:
    """Of pictures without a role those that are masks.

    By name; and where the first of a folder, JPEGs aside, has two grey levels, all that have.
    """
    named = {path for path in pictures if names_a_mask(without_suffix(path))}
    by_folder: dict[str, list[str]] = {}
    for path in pictures:
        if path not in named and not path.lower().endswith((".jpg", ".jpeg")):
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    for first, *others in by_folder.values():
        if is_plain_mask(root / first):
            named |= {first, *(path for path in others if is_plain_mask(root / path))}
    return sorted(named, key=name_bytes)


def _source(before: str, path: str, keep_suffix: bool) -> Source:
    """The photograph `path` (with /), below what stands in `before`."""
    suffix = "" if keep_suffix else image_suffix(path)
    refusal = "" if is_inside(path) else "has an id outside the folder that it belongs to"
    return Source(path[: len(path) - len(suffix)], before, suffix, refusal=refusal)


def _beginning(folder: Path) -> str:
    """What the paths of files in `folder` begin with."""
    return str(folder / "_")[:-1]


def _require_distinct(ordered: Iterable[Source]) -> None:
    for source, other in pairwise(ordered):
        if source.id == other.id:
            problem = f"and {other.path} would write one output"
            raise InputError(source.path, problem, "give --keep-suffix, or rename one of them")
