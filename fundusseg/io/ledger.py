"""The ledger: what is finished, noted line by line while a stage works.

One JSON object a line, appended in one write beside the outputs (`.ledger*.jsonl`), each
job-array task to files of its own. All of them are read back, so work done under another
number of tasks still counts. A line that a kill cut short is passed over. `Ledger` holds all
records, for stages with few; `LedgerFiles` yields them, for a million.

Where strangers' files may stand beside the outputs, a line with `begun` comes before: it names
files that are about to be written, so that after a kill they are known as ours.
"""

import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fundusseg.errors import InputError
from fundusseg.io.files import append_line, sha256_of, write_pieces

PATTERN = ".ledger*.jsonl"


@dataclass(frozen=True)
class SourceStamp:
    """What tells cheaply that a file has not changed: its size and modification time."""

    size_bytes: int
    mtime_ns: int

    @staticmethod
    def of(path: Path | str) -> "SourceStamp":
        """The stamp of a file; OSError if there is none."""
        found = os.stat(path)
        return SourceStamp(found.st_size, found.st_mtime_ns)

    def as_list(self) -> list[int]:
        """For JSON."""
        return [self.size_bytes, self.mtime_ns]


def has_ledger(folder: Path) -> bool:
    """Whether a stage has written to a folder, finished or not."""
    return any(folder.glob(PATTERN))


class LedgerFiles:
    """The ledgers of one output folder; iterated over, they yield all records, oldest file first.

    Of records with one key, the last is right. So only the newest file is gone on with: in an
    older one, new records would carry its old ones past those of the others. A task whose file is
    not the newest begins a further one (`.ledger.1.jsonl`). Which is newer, a number in the first
    line tells; where there is none, or two are equal, the time of the last change.
    """

    def __init__(self, folder: Path, shard: int = 0, num_shards: int = 1):
        self.folder = folder
        self.is_part = num_shards > 1
        self._stem = f".ledger-{shard}-of-{num_shards}" if self.is_part else ".ledger"
        self.path = folder / f"{self._stem}.jsonl"

    def __iter__(self) -> Iterator[dict]:
        yield from _records(self._paths())

    def begin(self) -> None:
        """Mark the folder as ours; to be called before anything is written to it or noted."""
        paths, own = self._paths(), self._own_paths()
        orders = [_order(path) for path in paths]
        order = max(orders, default=0)
        if paths and paths[-1] in own and orders.count(order) == 1:
            self.path = paths[-1]
            if _is_torn(self.path):
                append_line(self.path, "")
        else:
            if own:
                self.path = self._further_path()
            append_line(self.path, _ordered(order + 1))

    def append_whole(self, record: dict) -> None:
        """Note a record that was read, with changes."""
        append_line(self.path, json.dumps(record, sort_keys=True))

    def announce(self, key: str, names: Collection[str]) -> None:
        """Note that files of the work named `key` are ours, before they are written."""
        append_line(self.path, _begun(key, names), is_flushed=True)

    def append(self, key: str, config_sha256: str, **record) -> dict:
        """Note that the work named `key` is finished; the whole record."""
        whole = {"key": key, "config": config_sha256, **record}
        self.append_whole(whole)
        return whole

    def clear(self) -> None:
        """Forget everything (--force); on disk, a task of a job array forgets only its own."""
        for path in self._own_paths() if self.is_part else self._paths():
            path.unlink(missing_ok=True)

    def forget(self, keys: Collection[str] = ()) -> None:
        """As `clear`, but for which files are ours; of `keys` also those that others wrote."""
        forgotten = self._own_paths() if self.is_part else self._paths()
        mine = {record["key"] for record in _records(forgotten)}.union(keys)
        outputs: dict[str, dict[str, None]] = {}
        for record in self:
            if record["key"] in mine:
                outputs.setdefault(record["key"], {}).update(dict.fromkeys(files_of(record)))
        self.begin_with(outputs)
        for path in forgotten:
            if path != self.path:
                path.unlink(missing_ok=True)

    def begin_with(self, outputs: Mapping[str, Collection[str]]) -> None:
        """Write this task's file anew, with nothing but which files are ours: names by key."""
        order = 1 + max(map(_order, self._paths()), default=0)
        lines = itertools.chain([_ordered(order)], itertools.starmap(_begun, outputs.items()))
        write_pieces(self.path, (f"{line}\n" for line in lines))

    def refuse(self) -> NoReturn:
        """Say that finished work was made with other settings.

        Raises:
            InputError: naming --force.
        """
        problem = "holds results of another model or other settings"
        raise InputError(self.folder, problem, "choose another folder, or give --force")

    def _paths(self) -> list[Path]:
        """The ledgers of all tasks, the newest last."""
        stamped = []
        for path in self.folder.glob(PATTERN):
            with suppress(FileNotFoundError):  # another task with --force has just removed it
                stamped.append((_order(path), path.stat().st_mtime_ns, path.name))
        return [self.folder / name for *_, name in sorted(stamped)]

    def _own_paths(self) -> set[Path]:
        patterns = (f"{self._stem}.jsonl", f"{self._stem}.*.jsonl")
        return {path for pattern in patterns for path in self.folder.glob(pattern)}

    def _further_path(self) -> Path:
        numbered = (self.folder / f"{self._stem}.{number}.jsonl" for number in itertools.count(1))
        return next(path for path in numbered if not path.exists())


class Ledger(LedgerFiles):
    """Finished work by key, of one output folder, in memory."""

    def __init__(self, folder: Path, shard: int = 0, num_shards: int = 1):
        super().__init__(folder, shard, num_shards)
        self.records: dict[str, dict] = {record["key"]: record for record in self}

    def require_config(self, config_sha256: str) -> None:
        """Raise if finished work was made with other settings.

        Raises:
            InputError: naming --force.
        """
        if any(record.get("config") != config_sha256 for record in self.records.values()):
            self.refuse()

    def add(self, key: str, config_sha256: str, **record) -> None:
        """Note that the work named `key` is finished."""
        self.records[key] = self.append(key, config_sha256, **record)

    def clear(self) -> None:
        """As `LedgerFiles.clear`, in memory too."""
        super().clear()
        self.records.clear()


def files_of(record: dict) -> Collection[str]:
    """The names of the files that a record says are ours."""
    return record.get("begun") or record.get("outputs") or ()


def _ordered(order: int) -> str:
    """The first line of a ledger: the higher its number, the newer."""
    return json.dumps({"order": order})


def _order(path: Path) -> int:
    """The number of a ledger; 0 if it has none, or is gone."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.readline())["order"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0
    return found if isinstance(found, int) else 0


def _begun(key: str, names: Collection[str]) -> str:
    return json.dumps({"key": key, "begun": list(names)}, sort_keys=True)


def _records(paths: Iterable[Path]) -> Iterator[dict]:
    for path in paths:
        with suppress(FileNotFoundError), path.open("rb") as file:
            yield from filter(None, map(_record, file))


def _record(line: bytes) -> dict | None:
    """The record of a line; None if it is none, as where a kill cut it short."""
    try:
        record = json.loads(line.decode())
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("key"), str) else None


def _is_torn(path: Path) -> bool:
    """Whether a file's last line has no end."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def outputs_stand(folder: Path, outputs: dict[str, str], verify: bool) -> bool:
    """Whether all outputs of a record are there; with `verify`, whether their hashes hold."""
    for name, sha256 in outputs.items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path) or (verify and sha256_of(path) != sha256):
            return False
    return True
