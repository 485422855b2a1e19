"""The ledger: what is finished, noted line by line while a stage works.

One JSON object a line, appended in one write beside the outputs (`.ledger*.jsonl`), each
job-array task to its own file. All of them are read back, so work done under another
number of tasks still counts. A line that a kill cut short is passed over.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.io.files import append_line, sha256_of


@dataclass(frozen=True)
class SourceStamp:
    """What tells cheaply that a file has not changed: its size and modification time."""

    size_bytes: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> "SourceStamp":
        """The stamp of a file; OSError if there is none."""
        found = path.stat()
        return SourceStamp(found.st_size, found.st_mtime_ns)

    def as_list(self) -> list[int]:
        """For JSON."""
        return [self.size_bytes, self.mtime_ns]


class Ledger:
    """Finished work by key, of one output folder."""

    def __init__(self, folder: Path, shard: int = 0, num_shards: int = 1):
        self.folder = folder
        self.is_part = num_shards > 1
        part = f"-{shard}-of-{num_shards}" if self.is_part else ""
        self.path = folder / f".ledger{part}.jsonl"
        self.records: dict[str, dict] = {}
        # Where two files know the same work, the one that was written to last is right.
        for path in sorted(self._paths(), key=lambda path: (path.stat().st_mtime_ns, path.name)):
            self._read(path)
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            append_line(self.path, "")  # ends a line that a kill cut short

    def require_config(self, config_sha256: str) -> None:
        """Raise if finished work was made with other settings.

        Raises:
            InputError: naming --force.
        """
        for record in self.records.values():
            if record.get("config") != config_sha256:
                problem = "holds results of another model or other settings"
                raise InputError(self.folder, problem, "choose another folder, or give --force")

    def add(self, key: str, config_sha256: str, **record) -> None:
        """Note that the work named `key` is finished."""
        self.records[key] = {"key": key, "config": config_sha256, **record}
        append_line(self.path, json.dumps(self.records[key], sort_keys=True))

    def clear(self) -> None:
        """Forget everything (--force); on disk, a task of a job array forgets only its own."""
        for path in [self.path] if self.is_part else self._paths():
            path.unlink(missing_ok=True)
        self.records.clear()

    def _paths(self) -> list[Path]:
        return list(self.folder.glob(".ledger*.jsonl"))

    def _read(self, path: Path) -> None:
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
                self.records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                continue


def outputs_stand(folder: Path, outputs: dict[str, str], verify: bool) -> bool:
    """Whether all outputs of a record are there; with `verify`, whether their hashes hold."""
    for name, sha256 in outputs.items():
        path = folder / name
        if not path.is_file() or (verify and sha256_of(path) != sha256):
            return False
    return True
