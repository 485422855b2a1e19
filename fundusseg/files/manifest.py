"""manifest.json: how a command was set, what it counted, and the hashes of its tables.

Written last: its presence means that the command is complete. It holds no time, host or user, so
the same work gives the same bytes, in one run or in the merged parts of a job array. The outputs
and their hashes stand beside it in SHA256SUMS.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from fundusseg import __version__, ui
from fundusseg.errors import InputError
from fundusseg.files import checksums, status
from fundusseg.files.atomic import write_json
from fundusseg.files.checksums import sha256_of
from fundusseg.files.names import is_inside
from fundusseg.files.text import read_json
from fundusseg.serial import config_hash
from fundusseg.wording import counted

FORMAT = "fundusseg-manifest"
VERSION = 3
OLDEST = 2  # has no hash of its own; models that ship have such
NAME = "manifest.json"
STATE_FOLDER = ".fundusseg"  # beside the outputs: ledger and locks; it marks a folder as ours
_SEAL = "sha256"  # of all else in a manifest
_REMEDY = "remove it, and run the same command again"
_PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "h5py", "pillow", "scikit-image")


def _are_named(kind: type, values: Any) -> bool:
    """Whether these are values of a kind by name; lists are of texts."""
    if not isinstance(values, dict):
        return False
    each = list(values.values())
    texts = (text for one in each if isinstance(one, list) for text in one)
    return all(isinstance(one, kind) for one in each) and all(isinstance(t, str) for t in texts)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "stage": lambda value: isinstance(value, str),
    "config": lambda value: isinstance(value, dict),
    "counts": partial(_are_named, int),
    "tables": lambda value: _are_named(str, value) and all(map(is_inside, value)),
    "threshold": lambda value: isinstance(value, int | float) and 0 <= value <= 1,
    **dict.fromkeys(("inputs", "failures"), partial(_are_named, str)),
    **dict.fromkeys(("photographs", "trained_on"), partial(_are_named, list)),
}
_OF_A_PART = ("counts", "tables", "inputs", "failures")  # what differs between the parts of one run


@dataclass(frozen=True)
class Part:
    """Part `number` (from 0) of `total` of a job array; part 0 of 1 is the whole."""

    number: int = 0
    total: int = 1

    def named(self, name: str) -> str:
        """The name of this part's own `name`: status.tsv is status-0-of-3.tsv in part 0 of 3."""
        if self.total == 1:
            return name
        stem, dot, suffix = name.partition(".")
        return f"{stem}-{self.number}-of-{self.total}{dot}{suffix}"


WHOLE = Part()
_TABLES = (NAME, status.NAME, checksums.NAME)  # what each part has of its own
_NUMBERS = re.compile(r"-(?P<number>\d+)-of-(?P<total>\d+)")


def parts_of(folder: Path, *names: str) -> dict[Path, Part]:
    """The files in a folder that are parts' own, of these `names` in the whole, and whose."""
    parts = {folder / file: part_named(file, *names) for file in os.listdir(folder)}
    return {path: part for path, part in parts.items() if part is not None}


def part_named(file: str, *names: str) -> Part | None:
    """The part whose own file of one of `names` is called `file`; None if it is none's."""
    for numbers in _NUMBERS.finditer(file):
        part = Part(*map(int, numbers.groups()))
        if part.total > 1 and file in map(part.named, names):
            return part
    return None


def whole_or_parts(folder: Path, name: str) -> list[Path]:
    """The file `name` of a folder or, before they are merged, those of its parts."""
    return [folder / name] if (folder / name).exists() else sorted(parts_of(folder, name))


def part_totals(folder: Path, name: str = NAME) -> list[int]:
    """The numbers of parts whose manifests, or own `name`, stand in a folder, ascending."""
    return sorted({part.total for part in parts_of(folder, name).values()})


def remove_other_parts(folder: Path, part: Part) -> None:
    """Remove the tables of parts of other numbers than that of `part`.

    They are of older work, and merge would take them for this one's. The tasks of one array do
    so at the same time, and leave each other's parts alone; a run without parts removes all. The
    tables of the whole are older work than a part's, too, and would be read in their place: merge
    writes them.
    """
    older = [path for path, of in parts_of(folder, *_TABLES).items() if of.total != part.total]
    if older:
        tables = counted(len(older), "table")
        ui.log.info("%s: removed %s of older work, in parts of other numbers", folder, tables)
    for path in older:
        path.unlink(missing_ok=True)
    if part.total > 1:
        for name in _TABLES:
            (folder / name).unlink(missing_ok=True)


def begin_anew(folder: Path, part: Part = WHOLE) -> None:
    """Remove the manifest, and a part's own: none stands beside unfinished work."""
    for name in {NAME, part.named(NAME)}:
        (folder / name).unlink(missing_ok=True)


def write_manifest(
    folder: Path,
    stage: str,
    config: dict,
    outputs: Iterable[tuple[str, str]] | Mapping[str, str],
    *,
    part: Part = WHOLE,
    counts: dict[str, int] | None = None,
    tables: Sequence[str] = (),
    **more: Any,
) -> None:
    """Write SHA256SUMS and then the manifest, each atomically.

    Args:
        stage: the command.
        config: what changes the results.
        outputs: names and SHA-256.
        counts: of photographs or files; by default of `inputs` and `failures` in `more`.
        tables: further files, written before, whose hashes the manifest holds.
        more: further entries, such as `inputs` (SHA-256 by name) or the model's hash.
    """
    pairs = outputs.items() if isinstance(outputs, Mapping) else outputs
    sums = part.named(checksums.NAME)
    checksums.write_checksums(folder / sums, pairs)
    if counts is None:
        counts = {"inputs": len(more.get("inputs", ())), "failed": len(more.get("failures", ()))}
    values = {
        "format": FORMAT,
        "version": VERSION,
        "stage": stage,
        "config": config,
        "counts": counts,
        "packages": package_versions(),
        "tables": {name: sha256_of(folder / name) for name in (sums, *tables)},
        **more,
    }
    write_json(folder / part.named(NAME), {**values, _SEAL: config_hash(values)})


def package_versions() -> dict[str, str]:
    """Versions of this program and of the packages that its numbers depend on."""
    versions = {"fundusseg": __version__}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def read_manifest(path: Path) -> dict:
    """Read a manifest; InputError if it is missing, damaged, no manifest, or of a newer version."""
    try:
        values = read_json(path)
    except InputError as error:
        raise InputError(path, error.problem, _REMEDY) from error
    if values.get("format") != FORMAT:
        raise InputError(path, "is no fundusseg manifest")
    version = values.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(
            path, f"has version {ascii(version)}, newer than {VERSION}", "use a newer fundusseg"
        )
    if version < OLDEST:
        raise InputError(path, f"has version {version}, older than {OLDEST}", "make all anew")
    missing = [key for key in ("stage", "config", "counts", "tables") if key not in values]
    missing += [key for key in values.keys() & _KINDS.keys() if not _KINDS[key](values[key])]
    if missing:
        raise InputError(path, f"is damaged (no {', '.join(sorted(missing))})", _REMEDY)
    seal = values.pop(_SEAL, None)
    if seal != config_hash(values) and (version > OLDEST or seal is not None):
        raise InputError(path, "has been changed since it was written, or is damaged", _REMEDY)
    return values


def require_tables(folder: Path, values: dict, names: Iterable[str] | None = None) -> None:
    """Raise InputError if a table that a manifest in `folder` names is not as it was written.

    Args:
        values: of the manifest. names: of its tables; None: all.
    """
    tables: dict[str, str] = values["tables"]
    for name in tables if names is None else names:
        if sha256_of(folder / name) != tables.get(name):
            problem = "is not what the manifest says; one of the two was changed or is damaged"
            raise InputError(folder / name, problem, "run the same command again")


def outputs_of(folder: Path, part: Part = WHOLE) -> Iterator[tuple[str, str]]:
    """Names and SHA-256 of what a finished command wrote to a folder, one at a time.

    InputError if manifest or checksums are missing or damaged.
    """
    values = read_manifest(folder / part.named(NAME))
    require_tables(folder, values, [part.named(checksums.NAME)])
    yield from checksums.read_checksums(folder / part.named(checksums.NAME))


def merge_manifests(folder: Path, total: int, tables: Sequence[str] = ()) -> dict:
    """Write SHA256SUMS and the manifest of the whole from those of its parts; what it holds.

    Args:
        total: the number of parts, whose manifests all stand.
        tables: further files of the whole, written before.

    Raises:
        InputError: if two parts differ in anything but what is each one's own.
    """
    parts = [Part(number, total) for number in range(total)]
    manifests = [read_manifest(folder / part.named(NAME)) for part in parts]
    require_alike(folder, parts, manifests)
    whole: dict = {key: value for key, value in manifests[0].items() if key not in _OF_A_PART}
    keys = manifests[0]["counts"].keys()
    for part, values in zip(parts, manifests, strict=True):
        if values["counts"].keys() != keys or not keys >= {"photographs", "failed"}:
            raise InputError(folder / part.named(NAME), "is damaged (its counts)", _REMEDY)
        if lacking := sorted(manifests[0].keys() ^ values.keys()):
            problem = f"is damaged ({ascii(lacking[0])} is there, or not, unlike in part 0)"
            raise InputError(folder / part.named(NAME), problem, _REMEDY)
    counts = {key: sum(values["counts"][key] for values in manifests) for key in keys}
    joined: dict[str, Any] = {
        key: {name: text for values in manifests for name, text in values[key].items()}
        for key in ("inputs", "failures")
        if key in manifests[0]
    }
    stage, config = whole.pop("stage"), whole.pop("config")
    del whole["format"], whole["version"]
    outputs = (pair for part in parts for pair in outputs_of(folder, part))
    write_manifest(folder, stage, config, outputs, counts=counts, tables=tables, **whole, **joined)
    return counts


def require_alike(folder: Path, parts: Sequence[Part], manifests: Sequence[dict]) -> None:
    """Raise InputError, naming the part, if parts differ in settings, inputs or versions."""
    settings = [
        {key: value for key, value in values.items() if key not in _OF_A_PART}
        for values in manifests
    ]
    first = folder / parts[0].named(NAME)
    for part, own in zip(parts, settings, strict=True):
        if own != settings[0]:
            problem = f"was made with other settings, inputs or versions than {first.name}"
            remedy = "run all parts with the same command on the same inputs"
            raise InputError(folder / part.named(NAME), problem, remedy)


def require_own_folder(folder: Path, stage: str, written: Iterable[str] = ()) -> None:
    """Raise if `folder` holds what this command would spoil.

    Args:
        written: names that the command writes. In a folder that nothing marks as ours, a file of
            such a name is a stranger's.

    Raises:
        InputError: if another command wrote the folder, or the manifest there is damaged or newer.
        StrangersFile: as `require_no_stranger`.
    """
    if (folder / NAME).is_file():
        values = read_manifest(folder / NAME)
        wrote = values["stage"]
        if values["version"] < VERSION and stage != "train":  # of its ledger no line counts
            wrote = f"an earlier version of {wrote}"
        if wrote != stage:
            raise InputError(folder, f"is what {wrote} wrote", "choose another output folder")
        return
    if (folder / STATE_FOLDER).exists() or (folder.is_dir() and part_totals(folder)):
        return
    for name in written:
        require_no_stranger(folder / name, stage)


class StrangersFile(InputError):
    """A file that the command did not write stands where it would write."""


def require_no_stranger(path: Path, stage: str, data: bytes | None = None) -> None:
    """Whose is a file? Raise if one stands at `path` that no ledger names: it is a stranger's.

    Args:
        data: what would be written. A file of these bytes is ours: a run was killed before it
            could note it.

    Raises:
        StrangersFile: if so.
    """
    if not os.path.lexists(path):
        return
    with suppress(OSError):  # a link to nothing, or a file that is not to be read, is a stranger's
        if data is not None and path.stat().st_size == len(data) and path.read_bytes() == data:
            return
    remedy = "move it away, choose another output folder, or give --force"
    raise StrangersFile(path, f"is there, and {stage} did not write it", remedy)
