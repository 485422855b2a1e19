"""Whether a finished report is up to date, so that it is printed and not computed again."""

import os
from collections.abc import Collection
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import Ledger, LedgerFiles, output_stands, stamp
from fundusseg.files.manifest import NAME, package_versions, require_no_stranger
from fundusseg.files.status import NAME as STATUS
from fundusseg.option_fields import fields_of
from fundusseg.options import ScoreOptions
from fundusseg.serial import config_hash

_KEY = "score"


def fingerprint(
    preds: list[Path], truth: Path, options: ScoreOptions, paths: dict[Path, list[str]]
) -> str:
    """A hash of the options, the versions, and size and time of every file that may be read.

    Args:
        paths: the files below each folder, from `folders.walk`.
    """
    asked = _asked(options)
    inputs = [*preds, truth, *filter(None, (options.fov, options.groups, options.subjects))]
    stamps = [[str(path), _stamps(path, paths.get(path))] for path in inputs]
    return config_hash({"options": asked, "stamps": stamps, "versions": package_versions()})


def stored_exit_code(out: Path, of_inputs: str) -> int | None:
    """The exit code of the report in `out`; None unless it is whole and of this `fingerprint`."""
    record = Ledger(out).records.get(_KEY, {})
    code = record.get("exit_code")
    if record.get("config") != of_inputs or not isinstance(code, int):
        return None
    outputs = record["outputs"].items()
    return code if all(output_stands(out / name, sha256) for name, sha256 in outputs) else None


def store(
    out: Path, of_inputs: str, outputs: dict[str, str], exit_code: int, of_settings: str
) -> None:
    """Record that the report in `out` is finished.

    of_inputs, of_settings: its `fingerprint` and `settings_hash`. outputs: SHA-256 of its files.
    """
    ledger = LedgerFiles(out)
    ledger.begin()
    ledger.append(_KEY, of_inputs, outputs=outputs, exit_code=exit_code, settings=of_settings)


def begin_report(out: Path, names: list[str]) -> None:
    """Record that files of these names are score's, before they are written.

    Those of an earlier report that this one does not write again, such as pictures, go.
    """
    ledger = Ledger(out)
    for name in ledger.records.get(_KEY, {"outputs": ()})["outputs"]:
        if name not in names:
            (out / name).unlink(missing_ok=True)
    ledger.begin()
    ledger.append(_KEY, "", outputs=dict.fromkeys(names))


def settings_hash(preds: list[Path], truth: Path, out: Path, options: ScoreOptions) -> str:
    """A hash of what was asked for: the options, and where the folders lie as seen from `out`."""
    asked = _asked(options)
    places = [os.path.relpath(path.resolve(), out.resolve()) for path in (*preds, truth)]
    return config_hash({"options": asked, "places": [ascii(place) for place in places]})


def require_same_settings(out: Path, of_settings: str) -> None:
    """Raise InputError if the report in `out` has another `settings_hash` than this."""
    record = Ledger(out).records.get(_KEY, {})
    if record.get("settings", of_settings) != of_settings:
        problem = "holds a report of other maps, another truth or other settings"
        raise InputError(out, problem, "choose another folder, or give --force")


def require_own_files(out: Path, names: Collection[str]) -> None:
    """Raise InputError, naming --force, if files of these names in `out` are not score's."""
    record = Ledger(out).records.get(_KEY)
    ours = {*record["outputs"], CHECKSUMS} if record else set()
    for name in (*names, CHECKSUMS):
        if name not in ours:
            require_no_stranger(out / name, "score")


def require_own_ledger(out: Path) -> None:
    """Raise InputError if infer or prep has begun in `out`, though there is no manifest yet."""
    if any(record["key"] != _KEY for record in LedgerFiles(out)):
        problem = "is where another stage is at work"
        raise InputError(out, problem, "choose another output folder")


def _asked(options: ScoreOptions) -> dict[str, str]:
    shaping = (field.name for field in fields_of(ScoreOptions) if field.is_noted)
    return {name: str(getattr(options, name)) for name in shaping}


def _stamps(path: Path, names: list[str] | None) -> list:
    """Of a file, or of all files of a folder, by name."""
    if names is None:
        return _stamp(path)
    return [[ascii(name), *_stamp(path / name)] for name in names]


def _stamp(path: Path) -> list:
    """[size, mtime, ctime], the ctime because a rename changes it alone; [] of what cannot be read.

    [SHA-256] of tables that every run writes anew.
    """
    try:
        if path.name in (NAME, CHECKSUMS, STATUS):
            return [sha256_of(path)]
        return [*stamp(path), os.stat(path).st_ctime_ns]
    except (OSError, InputError):  # such as a dangling link, which may not even be a map
        return []
