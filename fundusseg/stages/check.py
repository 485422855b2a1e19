"""check: is a folder of shards, a model or an output folder whole?"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from fundusseg import stop
from fundusseg.errors import EXIT_ERROR, EXIT_OK, FundussegError, InputError, Stopped, UsageError
from fundusseg.io import models
from fundusseg.io.files import sha256_of
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import read_manifest
from fundusseg.io.shards import ShardFolder
from fundusseg.io.status import OK, escaped, read_lines, status_name, unescaped
from fundusseg.parallel import free_cores, ordered_map


def run_check(paths: list[Path]) -> int:
    """Print a line on stdout for every fault of the folders; a failed row is no fault.

    Returns:
        1 if there was a fault.

    Raises:
        UsageError: if a path does not exist.
    """
    for path in paths:
        if not path.is_dir():
            raise UsageError(f"{path}: is no folder; give what prep, train, infer or phantom wrote")
    code = EXIT_OK
    for path in paths:
        for fault in faults(path):
            print(escaped(fault))
            code = EXIT_ERROR
    return code


def faults(folder: Path) -> Iterator[str]:
    """The faults of one folder, a line each: files that are missing, changed or damaged."""
    try:
        path = folder / MANIFEST  # read piecemeal: each of its tables may hold a million
        stage = read_manifest(path, tables=())["stage"]
        outputs = read_manifest(path, tables=("outputs",))["outputs"]
        is_unchanged = True
        for changed in _changed_outputs(folder, outputs):
            yield changed
            is_unchanged = False
        del outputs
        if stage == "infer":
            yield from _row_faults(folder, read_manifest(path, tables=("inputs", "failures")))
        elif stage == "prep" and is_unchanged:  # what has changed says so once
            ShardFolder(folder)
        elif stage == "train" and is_unchanged:
            models.read_model(folder)
    except Stopped:
        raise
    except FundussegError as error:
        yield str(error)


def _changed_outputs(folder: Path, outputs: dict[str, str]) -> Iterator[str]:
    def fault(name: str) -> str | None:
        path = os.path.join(folder, unescaped(name))
        try:
            is_changed = sha256_of(path) != outputs[name]
        except InputError as error:
            return str(error) if os.path.isfile(path) else f"{path}: is missing"
        return f"{path}: has changed since it was written" if is_changed else None

    for found in ordered_map(fault, outputs, free_cores()):
        stop.check()
        if found is not None:
            yield found


def _row_faults(folder: Path, found: dict) -> Iterator[str]:
    """The status table has one row for each input, ok or failed as the manifest says."""
    table = folder / status_name()
    states: dict[str, str] = {}
    rows = 0
    for line in read_lines(table):
        id, state, _ = line.split("\t", 2)
        states[unescaped(id)] = sys.intern(state)
        rows += 1
    if len(states) != rows:
        yield f"{table}: has two rows of one id"
    for id in map(unescaped, found["inputs"]):
        if states.pop(id, None) != OK:
            yield f"{table}: has no row ok for {id}"
    for id in map(unescaped, found["failures"]):
        if states.pop(id, OK) == OK:
            yield f"{table}: has no row failed for {id}"
    for id in states:
        yield f"{table}: has a row for {id}, which the manifest does not know"
