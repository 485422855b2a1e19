"""The ledger: what is finished, noted line by line while a command works.

One JSON object a line, appended in one write below `OUT/.fundusseg/`, each job-array task to files
of its own. All of them are read back, so work done under another number of tasks still counts. A
line ends in a checksum; one that does not hold, or that a kill cut short, is passed over, and so is
one that names a file outside the folder.

A record has a key, and `outputs`: by the name of each file that was written, what the command notes
of it, such as its hash. A record without `config` says only which files are ours: what they were
made of was forgotten (--force).
"""

import itertools
import json
import os
import stat
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from fundusseg.errors import InputError
from fundusseg.files.atomic import append_line, make_folder, unwritable, write_pieces
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import STATE_FOLDER, WHOLE, Part
from fundusseg.files.names import is_inside
from fundusseg.files.regular import open_regular

_PATTERN = "ledger*.jsonl"
_SEAL = ', "crc32": '  # the last key of a line; what stands before it is what it is of


def stamp(path: Path | str) -> list[int]:
    """Size and modification time (ns), which tell cheaply that a file has not changed.

    OSError if there is none.
    """
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def has_ledger(folder: Path) -> bool:
    """Whether a command keeps its ledger in a folder, finished or not."""
    return any((folder / STATE_FOLDER).glob(_PATTERN))


class LedgerFiles:
    """The ledgers of one output folder; iterated over, they yield all records, oldest file first.

    Of records with one key, the last is right. So records are only appended to the newest file:
    appended to an older one, they would make its other records look newer than they are. A task
    whose file is not the newest begins a further one (`ledger.1.jsonl`). The number in a file's
    first line tells which is newer; without one, or where two are equal, the time of the last
    change does.
    """

    def __init__(self, out: Path, part: Part = WHOLE):
        self.out = out
        self.folder = out / STATE_FOLDER
        self.is_part = part.total > 1
        self._stem = part.named("ledger")
        self.path = self.folder / f"{self._stem}.jsonl"

    def __iter__(self) -> Iterator[dict]:
        yield from _records(self._paths())

    def begin(self) -> None:
        """Mark the folder as ours; to be called before anything is written to it or noted."""
        self._make_folder()
        paths, own = self._paths(), self._own_paths()
        orders = [_order(path) for path in paths]
        order = max(orders, default=0)
        if paths and paths[-1] in own and orders.count(order) == 1:
            self.path = paths[-1]
            if is_torn(self.path):
                append_line(self.path, "")
        else:
            if own:
                others = (f"{self._stem}.{number}.jsonl" for number in itertools.count(1))
                self.path = next(
                    path for path in map(self.folder.joinpath, others) if not path.exists()
                )
            append_line(self.path, _line({"order": order + 1}))

    def append(self, key: str, config_sha256: str, **record: Any) -> dict:
        """Note that the work named `key` is finished; the whole record."""
        whole = {"key": key, "config": config_sha256, **record}
        append_line(self.path, _line(whole))
        return whole

    def clear(self) -> None:
        """Forget everything (--force); on disk, a task of a job array forgets only its own."""
        for path in self._own_paths() if self.is_part else self._paths():
            path.unlink(missing_ok=True)

    def forget(self, keys: Collection[str], config_sha256: str) -> None:
        """Forget what `keys` were made of, and all of other settings, but not whose files are ours.

        On disk, a task of a job array forgets its own files, and of others' only `keys`.
        """
        self._make_folder()
        forgotten = self._own_paths() if self.is_part else self._paths()
        mine = {record["key"] for record in _records(forgotten)}.union(keys)
        ours: dict[str, dict[str, Any]] = {}
        kept: dict[str, str] = {}
        for record in self:
            key = record["key"]
            if key in mine:
                ours.setdefault(key, {}).update(record["outputs"])
                if key not in keys and record.get("config") == config_sha256:
                    kept[key] = _line(record)
        order = 1 + max(map(_order, self._paths()), default=0)
        forgets = (_line({"key": key, "outputs": outputs}) for key, outputs in ours.items())
        lines = itertools.chain([_line({"order": order})], forgets, kept.values())
        write_pieces(self.path, (f"{line}\n".encode() for line in lines))
        for path in forgotten:
            if path != self.path:
                path.unlink(missing_ok=True)

    def refuse(self) -> NoReturn:
        """Say that finished work was made with other settings; InputError naming --force."""
        problem = "holds results of another model or other settings"
        raise InputError(self.out, problem, "choose another folder, or give --force")

    def _make_folder(self) -> None:
        try:
            make_folder(self.folder)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def _paths(self) -> list[Path]:
        """The ledgers of all tasks, the newest last."""
        stamped = []
        for path in self.folder.glob(_PATTERN):
            with suppress(FileNotFoundError):  # another task with --force has just removed it
                stamped.append((_order(path), path.stat().st_mtime_ns, path.name))
        return [self.folder / name for *_, name in sorted(stamped)]

    def _own_paths(self) -> set[Path]:
        patterns = (f"{self._stem}.jsonl", f"{self._stem}.*.jsonl")
        return {path for pattern in patterns for path in self.folder.glob(pattern)}


class SealedLedger(LedgerFiles):
    """Ledgers that are read only (--dry-run): what would be noted is not."""

    def begin(self) -> None:
        """Nothing."""

    def append(self, key: str, config_sha256: str, **record: Any) -> dict:
        """Nothing; the whole record."""
        return {"key": key, "config": config_sha256, **record}

    def forget(self, keys: Collection[str], config_sha256: str) -> None:
        """Nothing."""


class Ledger(LedgerFiles):
    """Finished work by key, of one output folder, in memory: for commands with few records."""

    def __init__(self, out: Path, part: Part = WHOLE):
        super().__init__(out, part)
        self.records: dict[str, dict] = {record["key"]: record for record in self}

    def require_config(self, config_sha256: str) -> None:
        """Raise InputError if finished work was made with other settings, naming --force."""
        if any(record.get("config") != config_sha256 for record in self.records.values()):
            self.refuse()

    def add(self, key: str, config_sha256: str, **record: Any) -> None:
        """Note that the work named `key` is finished."""
        self.records[key] = self.append(key, config_sha256, **record)

    def clear(self) -> None:
        """As `LedgerFiles.clear`, in memory too."""
        super().clear()
        self.records.clear()


def output_stands(
    path: Path | str, sha256: str, size_bytes: int | None = None, verify: bool = True
) -> bool:
    """Whether a file is what was written: of this size, if known, and with `verify` this hash."""
    try:
        status = os.stat(path)
        is_of_size = status.st_size == size_bytes if size_bytes is not None else True
        is_file = stat.S_ISREG(status.st_mode)
        return is_file and is_of_size and (not verify or sha256_of(path) == sha256)
    except (OSError, InputError):
        return False


def _order(path: Path) -> int:
    """The number in a ledger's first line, the higher, the newer; 0 if it has none, or is gone."""
    try:
        with open_regular(path) as file:
            order = _values(file.readline())["order"]
    except (FileNotFoundError, ValueError, RecursionError, KeyError, TypeError):
        return 0
    return order if isinstance(order, int) else 0


def _records(paths: Iterable[Path]) -> Iterator[dict]:
    for path in paths:
        with suppress(FileNotFoundError), open_regular(path) as file:
            yield from filter(None, map(_record, file))


def _line(values: dict) -> str:
    """What a line holds, as JSON with a checksum."""
    text = json.dumps(values, sort_keys=True)
    return f"{text[:-1]}{_SEAL}{zlib.crc32(text.encode())}}}"


def _values(line: bytes) -> dict:
    """What a line holds; ValueError if its checksum does not hold, or it has none."""
    text, _, found = line.rpartition(_SEAL.encode())
    if found.removesuffix(b"\n") != b"%d}" % zlib.crc32(text + b"}"):
        raise ValueError("its checksum does not hold")
    return json.loads((text + b"}").decode())


def _record(line: bytes) -> dict | None:
    """The record of a line; None if it is none, as where a kill cut it short."""
    try:
        record = _values(line)
        is_record = isinstance(record["key"], str) and all(map(is_inside, record["outputs"].keys()))
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None
    return record if is_record else None


def is_torn(path: Path) -> bool:
    """Whether a file's last line has no end."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    with open_regular(path) as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
