"""check: is a folder of shards, a model, an output folder or a table whole?"""

import os
from collections.abc import Iterator
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.datasets.folders import walked
from fundusseg.datasets.maps import INFERS_SUFFIXES
from fundusseg.datasets.shards import ShardFolder
from fundusseg.errors import EXIT_ERROR, EXIT_OK, FundussegError, InputError, Stopped, UsageError
from fundusseg.files import models, status
from fundusseg.files.atomic import json_bytes
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import LedgerFiles, has_ledger
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import outputs_of, part_totals, read_manifest
from fundusseg.files.names import escaped
from fundusseg.files.regular import regular_bytes
from fundusseg.files.row_table import count_rows, is_table, table_faults
from fundusseg.files.text import json_object
from fundusseg.parallel import ordered_map
from fundusseg.processor import free_cores
from fundusseg.wording import counted

_GIVEN = "prep, train, infer, score, phantom or (a table) measure"
_VERIFY = "run the command that made it again, with --verify"
_REMEDIES = {
    "prep": _VERIFY,
    "infer": _VERIFY,
    "train": "copy it again, or run the same train with --force",
}


def run_check(paths: list[Path]) -> int:
    """Print a line on stdout for every fault of folders and tables, on stderr what is whole.

    A failed row is no fault, the map of a photograph that is gone is one.

    Returns:
        1 if there was a fault.

    Raises:
        UsageError: if a path does not exist.
    """
    for path in paths:
        if not path.is_dir() and not (path.is_file() and (path.suffix == ".csv" or is_table(path))):
            raise UsageError(f"{path}: is no folder and no table; give what {_GIVEN} wrote")
    code = EXIT_OK
    for path in paths:
        is_whole = True
        for fault in faults(path) if path.is_dir() else table_faults(path):
            print(escaped(fault))
            is_whole = False
        if not is_whole:
            code = EXIT_ERROR
        elif path.is_dir():
            files = counted(sum(1 for _ in outputs_of(path)), "file")
            ui.log.info("%s: whole: %s", path, files)
        else:
            rows, failed = count_rows(path)
            ui.log.info("%s: whole: %s, %d failed", path, counted(rows, "row"), failed)
    return code


def faults(folder: Path) -> Iterator[str]:
    """The faults of one folder, a line each: files that are missing, changed or damaged."""
    try:
        if not (folder / MANIFEST).exists():
            yield _unfinished(folder)
            return
        values = read_manifest(folder / MANIFEST)
        written = regular_bytes(folder / MANIFEST)
        if written != json_bytes(json_object(folder / MANIFEST, written)):
            yield f"{folder / MANIFEST}: is not as it was written, in its blanks; copy it again"
        damaged = 0
        below = walked(folder).paths if values["stage"] == "infer" else []
        unlisted = {name for name in below if name.endswith(INFERS_SUFFIXES)}
        for fault in _changed_files(folder, values, unlisted):
            yield fault
            damaged += 1
        if values["stage"] == "prep" and not damaged:  # what has changed says so once
            ShardFolder(folder)
        elif values["stage"] == "train" and not damaged:
            models.read_model(folder)
            models.read_state(folder)
        elif values["stage"] == "infer" and not damaged:
            yield from _stale_maps(folder, unlisted)
    except Stopped:
        raise
    except FundussegError as error:
        yield str(error)


def _unfinished(folder: Path) -> str:
    """What a folder without a manifest is."""
    if part_totals(folder):
        return f"{folder}: is in parts; fundusseg merge joins them, or names those that are missing"
    if has_ledger(folder) or any((folder / name).exists() for name in models.WRITTEN):
        return f"{folder}: is not finished; run the same command again"
    return f"{folder / MANIFEST}: is missing; give what {_GIVEN} wrote"


def _stale_maps(folder: Path, unlisted: set[str]) -> Iterator[str]:
    """Maps without a row: their photographs have been withdrawn or renamed.

    Args:
        unlisted: files that SHA256SUMS does not name. Which are maps, only the ledger tells, which
            takes long to read.
    """
    if not unlisted:
        return
    ids = {line.partition("\t")[0] for line in status.read_lines(folder / status.NAME)}
    named: set[str] = set()
    for record in LedgerFiles(folder):
        stop.check()
        if escaped(record["key"]) not in ids:
            named |= unlisted.intersection(record["outputs"])
    for name in sorted(named):
        remedy = "infer of its folder with --prune removes it, if nobody has changed it"
        yield f"{folder / name}: is the map of a photograph that is gone; {remedy}"


def _changed_files(folder: Path, values: dict, unlisted: set[str]) -> Iterator[str]:
    """Faults of the tables that a manifest names, and then of the outputs that these name.

    What they name is taken out of `unlisted`.
    """
    remedy = _REMEDIES.get(values["stage"], "run the same command again")

    def fault(entry: tuple[str, str]) -> str | None:
        path = os.path.join(folder, entry[0])
        try:
            is_changed = sha256_of(path) != entry[1]
        except InputError as error:
            return str(error) if os.path.isfile(path) else f"{path}: is missing; {remedy}"
        return f"{path}: has changed since it was written; {remedy}" if is_changed else None

    def named() -> Iterator[tuple[str, str]]:
        for entry in outputs_of(folder):
            unlisted.discard(entry[0])
            yield entry

    are_listed = True
    for entry in values["tables"].items():
        if changed := fault(entry):
            yield changed
            are_listed = are_listed and entry[0] != CHECKSUMS
    for changed in ordered_map(fault, named(), free_cores()) if are_listed else ():
        stop.check()
        if changed:
            yield changed
