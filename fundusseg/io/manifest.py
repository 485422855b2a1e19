"""manifest.json: what a stage read, how it was set, and what it wrote. Written last.

Its presence means that the stage is complete. It holds no time, host or user, so the same
work gives the same bytes, in one run or in the merged parts of a job array.
"""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from fundusseg import __version__
from fundusseg.errors import InputError
from fundusseg.io.files import json_object, write_pieces
from fundusseg.io.status import escaped, unescaped

FORMAT = "fundusseg-manifest"
VERSION = 1
NAME = "manifest.json"
PART_NAME = re.compile(r"(?:manifest|status)-(?P<shard>\d+)-of-(?P<total>\d+)\.(?:json|tsv)")
TABLES = ("inputs", "outputs", "failures")  # what grows with the number of photographs
_KEYS = {"stage": str, "config": dict, **dict.fromkeys(TABLES, dict)}
_REMEDY = "remove it, and run the stage again"
_json = json.JSONEncoder(sort_keys=True).encode
_PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "h5py", "pillow", "scikit-image")


def manifest_name(shard: int = 0, num_shards: int = 1) -> str:
    """manifest.json, or manifest-K-of-N.json for a part of a job array."""
    return NAME if num_shards == 1 else f"manifest-{shard}-of-{num_shards}.json"


def remove_other_parts(folder: Path, num_shards: int = 1) -> None:
    """Remove the manifests and status tables of the parts of other numbers than `num_shards`.

    They are of older work, and merge would take them for this one's. The tasks of one array do
    so at the same time, and leave each other's parts alone; a run without parts removes all.
    """
    for name in os.listdir(folder):
        part = PART_NAME.fullmatch(name)
        if part and int(part["total"]) != num_shards:
            (folder / name).unlink(missing_ok=True)


def begin_anew(folder: Path, shard: int = 0, num_shards: int = 1) -> None:
    """Remove the manifest, and a part's own: none stands beside unfinished work."""
    for name in {NAME, manifest_name(shard, num_shards)}:
        (folder / name).unlink(missing_ok=True)


def manifest(
    stage: str,
    config: dict,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    failures: Mapping[str, str],
    **more,
) -> dict:
    """A manifest.

    Args:
        config: what changes the results.
        inputs, outputs: SHA-256 by path or id.
        failures: the reason by id.
        more: further keys, such as the model's hash and threshold.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "stage": stage,
        "config": config,
        "inputs": _Escaped(inputs),
        "outputs": _Escaped(outputs),
        "failures": _Escaped(failures),
        "counts": {"inputs": len(inputs), "outputs": len(outputs), "failed": len(failures)},
        "packages": package_versions(),
        **more,
    }


def package_versions() -> dict[str, str]:
    """Versions of this program and of the packages that its numbers depend on."""
    found = {"fundusseg": __version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_manifest(path: Path, values: dict) -> None:
    """Write a manifest, atomically: sorted keys, indented, an entry of a table in each line."""
    write_pieces(path, _pieces(values))


def _pieces(values: dict) -> Iterator[str]:
    """The text that `json.dumps` gives with sorted keys and indent 1, entry by entry."""
    for number, key in enumerate(sorted(values)):
        yield f"{',' if number else '{'}\n {_json(key)}: "
        if key in TABLES:
            yield from _table_pieces(values[key])
        else:
            yield json.dumps(values[key], indent=1, sort_keys=True).replace("\n", "\n ")
    yield "\n}\n"


def _table_pieces(table: Mapping[str, str]) -> Iterator[str]:
    for number, name in enumerate(sorted(table)):
        yield f"{',' if number else '{'}\n  {_json(name)}: {_json(table[name])}"
    yield "\n }" if table else "{}"


def read_manifest(path: Path, tables: Collection[str] = TABLES) -> dict:
    """Read a manifest.

    Args:
        tables: those of `TABLES` that are needed; the others may come empty, and cost nothing.

    Raises:
        InputError: if it is missing, no manifest, or of a newer version.
    """
    text = _text(path, set(TABLES) - set(tables))
    try:
        values = json_object(path, text)
    except InputError as error:
        raise InputError(path, error.problem, _REMEDY) from error
    if values.get("format") != FORMAT:
        raise InputError(path, "is no fundusseg manifest")
    version = values.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(
            path, f"has version {version}, newer than {VERSION}", "use a newer fundusseg"
        )
    missing = [key for key in _KEYS if not isinstance(values.get(key), _KEYS[key])]
    if missing:
        raise InputError(path, f"is damaged (no {', '.join(missing)})", _REMEDY)
    return values


def _text(path: Path, left_out: Collection[str]) -> str:
    """A manifest's text, some tables emptied if they stand there as `write_manifest` writes them.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return "".join(_lines_without(file, left_out)) if left_out else file.read()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not JSON ({error})", _REMEDY) from error


def _lines_without(lines: Iterable[str], tables: Collection[str]) -> Iterator[str]:
    openings = {f' "{table}": {{\n' for table in tables}
    inside = False
    for line in lines:
        inside = inside and not line.startswith(" }")
        if not inside:
            yield line
        inside = inside or line in openings


def require_own_folder(folder: Path, stage: str) -> None:
    """Raise if `folder` is what another stage wrote, which this one would spoil.

    Raises:
        InputError: naming that stage; or if the manifest there is damaged or newer.
    """
    if (folder / NAME).is_file():
        found = read_manifest(folder / NAME, tables=())["stage"]
        if found != stage:
            raise InputError(folder, f"is what {found} wrote", "choose another output folder")


def merged(manifests: Iterable[dict], paths: list[Path]) -> dict:
    """The manifest of the whole from those of its parts, which may come one at a time.

    Raises:
        InputError: if two parts differ in anything but inputs, outputs and failures.
    """
    joined = {"inputs": {}, "outputs": {}, "failures": {}}
    own = {*joined, "counts"}
    shared = None
    for part, path in zip(manifests, paths, strict=True):
        settings = {key: value for key, value in part.items() if key not in own}
        shared = settings if shared is None else shared
        if settings != shared:
            problem = f"was made with other settings, inputs or versions than {paths[0].name}"
            remedy = "run all parts with the same command on the same inputs"
            raise InputError(path, problem, remedy)
        for key, table in joined.items():
            table.update(part[key])
    counts = {
        "inputs": len(joined["inputs"]),
        "outputs": len(joined["outputs"]),
        "failed": len(joined["failures"]),
    }
    return {**shared, **joined, "counts": counts}


class _Escaped(Mapping):
    """A table as the manifest shows it; nothing is copied, since a table may hold a million."""

    def __init__(self, table: Mapping[str, str]):
        self.table = table

    def __getitem__(self, name: str) -> str:
        return escaped(self.table[unescaped(name)])

    def __iter__(self) -> Iterator[str]:
        return map(escaped, self.table)

    def __len__(self) -> int:
        return len(self.table)
