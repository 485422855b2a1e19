"""manifest.json: what a stage read, how it was set, and what it wrote. Written last.

Its presence means that the stage is complete. It holds no time, host or user, so the same
work gives the same bytes, in one run or in the merged parts of a job array.
"""

import os
import re
from importlib import metadata
from pathlib import Path

from fundusseg import __version__
from fundusseg.errors import InputError
from fundusseg.io.files import read_json, write_json
from fundusseg.io.status import escaped

FORMAT = "fundusseg-manifest"
VERSION = 1
NAME = "manifest.json"
PART_NAME = re.compile(r"manifest-(?P<shard>\d+)-of-(?P<total>\d+)\.json")
_KEYS = {"stage": str, "config": dict, "inputs": dict, "outputs": dict, "failures": dict}
_PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "h5py", "pillow", "scikit-image")


def manifest_name(shard: int = 0, num_shards: int = 1) -> str:
    """manifest.json, or manifest-K-of-N.json for a part of a job array."""
    return NAME if num_shards == 1 else f"manifest-{shard}-of-{num_shards}.json"


def manifest(
    stage: str,
    config: dict,
    inputs: dict[str, str],
    outputs: dict[str, str],
    failures: dict[str, str],
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
        "inputs": _escaped_keys(inputs),
        "outputs": _escaped_keys(outputs),
        "failures": _escaped_keys(failures),
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
    """Write a manifest, atomically."""
    write_json(path, values)


def read_manifest(path: Path) -> dict:
    """Read a manifest.

    Raises:
        InputError: if it is missing, no manifest, or of a newer version.
    """
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise InputError(path, "is no fundusseg manifest")
    version = values.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(
            path, f"has version {version}, newer than {VERSION}", "use a newer fundusseg"
        )
    missing = [key for key in _KEYS if not isinstance(values.get(key), _KEYS[key])]
    if missing:
        raise InputError(path, f"is damaged (no {', '.join(missing)})", "run the stage again")
    return values


def require_own_folder(folder: Path, stage: str) -> None:
    """Raise if `folder` is what another stage wrote, which this one would spoil.

    Raises:
        InputError: naming that stage; or if the manifest there is damaged or newer.
    """
    if (folder / NAME).is_file():
        found = read_manifest(folder / NAME)["stage"]
        if found != stage:
            raise InputError(folder, f"is what {found} wrote", "choose another output folder")


def merged(manifests: list[dict], paths: list[Path]) -> dict:
    """The manifest of the whole from those of its parts.

    Raises:
        InputError: if two parts differ in anything but inputs, outputs and failures.
    """
    joined = {"inputs": {}, "outputs": {}, "failures": {}}
    own = {*joined, "counts"}
    shared = {key: value for key, value in manifests[0].items() if key not in own}
    for part, path in zip(manifests, paths, strict=True):
        if {key: value for key, value in part.items() if key not in own} != shared:
            problem = f"was made with other settings or versions than {paths[0].name}"
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


def _escaped_keys(table: dict[str, str]) -> dict[str, str]:
    return {escaped(name): escaped(table[name]) for name in sorted(table, key=os.fsencode)}
