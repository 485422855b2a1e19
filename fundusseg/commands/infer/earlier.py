"""What earlier runs left in the output folder of infer, as its ledger tells.

On disk it stands in the ledger (files/ledger.py), one record for each map that was finished; in
memory, since a million photographs must fit, a finished map is one string, and only the unfinished
ones have more.

Which photographs have a row in the table: those asked for now, and those of earlier calls that have
a map here or failed. When a folder is walked, photographs that are no longer in it lose their row.
"""

import functools
import json
import os
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace

from fundusseg import __version__, stop
from fundusseg.commands.infer.inputs import InputFiles
from fundusseg.commands.infer.outputs import OutputKinds
from fundusseg.datasets.sources import Source, Sources
from fundusseg.errors import InputError
from fundusseg.files import status
from fundusseg.files.checksums import is_sha256
from fundusseg.files.images import without_suffix
from fundusseg.files.kinds import DANGLING
from fundusseg.files.ledger import LedgerFiles, output_stands


@dataclass(frozen=True)
class MapRecord:
    """What the ledger says of one finished map.

    row: its line in the status table. outputs: SHA-256 and size in bytes, by name. inputs: SHA-256
    of the photograph (or shard) and of a given field of view; stamps: their size and time. folder:
    what was walked, or where the photograph lies.
    """

    row: str
    outputs: dict[str, tuple[str, int]]
    inputs: list[str]
    stamps: list[list[int]]
    folder: str = ""

    @staticmethod
    def of(record: dict) -> "MapRecord | None":
        """The record in a line of the ledger; None if the line has another form."""
        try:
            outputs = {
                name: (sha256, int(size)) for name, (sha256, size) in record["outputs"].items()
            }
            if not all(is_sha256(sha256) for sha256, _ in outputs.values()):
                return None
            row, inputs, stamps = record["row"], record["inputs"], record["stamps"]
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        folder = str(record.get("folder", ""))
        return MapRecord(row, outputs, inputs, stamps, folder) if status.is_row(row) else None

    def condensed(self, names: Iterable[str]) -> str:
        """The row and the SHA-256 of these files, joined by tabs."""
        return "\t".join([self.row, *(self.outputs[name][0] for name in names)])


@dataclass(frozen=True)
class Scope:
    """What a call speaks for.

    ids: of all its parts. walked: the folder that it walks, as it really is; "" for a list or a
    file, which speak for nothing but what they name. unseen: ids of folders that could not be
    entered, each with its / at the end. not_asked: ids that are there, in another part of a split
    or left out, by --exclude or since they may be no photographs.
    """

    ids: Container[str]
    walked: str = ""
    unseen: tuple[str, ...] = ()
    not_asked: Container[str] = ()

    @staticmethod
    def of(given: str, inputs: Sources, is_first: bool) -> "Scope":
        """What the call of `infer` speaks for; only the first part has to know the ids of all."""
        ids = {item.id for item in inputs.items} if is_first else ()
        refs = () if inputs.shards is None else inputs.shards.refs
        not_asked = {each.id for each in (*refs, *inputs.not_chosen)}
        unseen = [source.id for source in inputs.items if source.id.endswith("/")]
        for left_out in inputs.left_out:
            if left_out.may_be_photographs:
                not_asked |= {
                    name for path in left_out.paths for name in (path, without_suffix(path))
                }
            if left_out.what == DANGLING:  # of a share that is not mounted
                unseen += [f"{path}/" for path in left_out.paths]
        walked = os.path.realpath(given) if given != "-" and os.path.isdir(given) else ""
        return Scope(ids, walked, tuple(unseen), not_asked)

    def folder_of(self, source: Source) -> str:
        """What was walked, or where a file lies, as it really is."""
        return self.walked or _real_folder(source.folder)

    def speaks_for(self, id: str, folder: str) -> bool:
        """Whether a photograph of an earlier call, which is not among `ids`, is gone."""
        is_below = bool(self.walked) and _is_below(folder, self.walked)
        is_there = id in self.not_asked or any(id.startswith(unseen) for unseen in self.unseen)
        return is_below and not is_there


class EarlierRuns:
    """What a ledger tells of the photographs that are asked for, and of others.

    It is read once (`read` or, with --force, `forget`), and stays as it is from there on.

    Args:
        kinds, config_sha256, verify: as of `OutputFolder`.
        asked: by id.
        keeps_others: whether this part also keeps the rows of photographs that no part of the call
            asks for. One part does, so that all of them together give the rows of one run.

    Attributes:
        finished: by id, the row and each output's hash (`MapRecord.condensed`).
        unfinished: by id, the files that stand of one that is not finished, and the hashes of what
            each was made from; None where that is not known, or with another model or settings.
        others: of photographs not asked for, by id, a row and its files' hashes, as JSON.
        failed: by id, the last row of photographs whose last word was a failure.
        changed: ids whose map was made of another photograph, or in another field of view.
        stale: by id, of photographs that are gone, the files that are there; "" for a SHA-256 that
            is not known.
        withdrawn: ids whose row the walk takes away now.
        missing: of `others`, names of which there never was a file, as of one mistyped in a list.
    """

    def __init__(
        self,
        ledger: LedgerFiles,
        kinds: OutputKinds,
        config_sha256: str,
        asked: Mapping[str, Source],
        scope: Scope,
        keeps_others: bool,
        verify: bool,
    ):
        self.ledger, self.kinds, self.config_sha256 = ledger, kinds, config_sha256
        self.asked, self.scope, self.keeps_others, self.verify = asked, scope, keeps_others, verify
        self.finished: dict[str, str] = {}
        self.unfinished: dict[str, dict[str, list[str] | None]] = {}
        self.others: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.changed: set[str] = set()
        self.stale: dict[str, dict[str, str]] = {}
        self.withdrawn: set[str] = set()
        self.missing: set[str] = set()
        self._moved: set[str] = set()
        self._told: dict[str, dict] = {}  # by id, the record of a failure that a run has told of
        self._in_doubt: dict[str, str] = {}  # records as JSON, where only hashing tells

    def forget(self) -> None:
        """Note which files are whose, and forget what they were made of (--force)."""
        for record in self.ledger:
            self._note(record)
        self.ledger.forget(self.asked, self.config_sha256)
        self._settle_others()

    def read(self, files: InputFiles) -> None:
        """Take the ledger's records; the last one of each photograph counts.

        Raises:
            InputError: as `OutputFolder.open`.
        """
        foreign: set[str] = set()
        for record in self.ledger:
            stop.check()  # with verify it hashes
            self._note(record)
            if "failed" in record or "withdrawn" in record:
                continue
            id = record["key"]
            is_own = record.get("config", self.config_sha256) == self.config_sha256
            (foreign.discard if is_own else foreign.add)(id)
            made = MapRecord.of(record)
            if id in self.asked and is_own and made is not None and not self.asked[id].refusal:
                self._take(self.asked[id], made, files)
        if foreign.intersection(self.asked) if self.ledger.is_part else foreign:
            self.ledger.refuse()
        self._settle(files)
        self._note_again(self.finished.keys() & (self._moved | self.failed.keys()))
        self._settle_others()

    def _note(self, record: dict) -> None:
        """Take in a record. The last one that names a file tells what it was made from."""
        id = record["key"]
        if id not in self.asked:
            if self.keeps_others and id not in self.scope.ids:
                self._note_other(id, record)
        elif "failed" in record:
            self.failed[id] = record["failed"]
            is_told = record.get("told") == __version__
            if is_told and record.get("config") == self.config_sha256:
                self._told[id] = record
            else:
                self._told.pop(id, None)
        elif "withdrawn" not in record:  # else it is there again
            self.failed.pop(id, None)
            self._told.pop(id, None)
            inputs = record.get("inputs") if record.get("config") == self.config_sha256 else None
            files = dict.fromkeys(record["outputs"], inputs)
            self.unfinished.setdefault(id, {}).update(files)

    def known_failures(self, files: InputFiles) -> dict[str, str]:
        """The reason by id of those that failed in an earlier run, and have not changed since."""
        return {
            id: status.row_of(record["failed"]).reason
            for id, record in self._told.items()
            if id not in self.finished and self._is_as_it_failed(self.asked[id], record, files)
        }

    def _is_as_it_failed(self, source: Source, record: dict, files: InputFiles) -> bool:
        try:
            if not self.verify and files.stamps(source) == record.get("stamps"):
                return True
            return files.hashes(source) == record.get("inputs")
        except (OSError, InputError):
            return False

    def _note_other(self, id: str, record: dict) -> None:
        """A photograph that no part of this call asks for: its row stays, unless it is gone."""
        self.stale.setdefault(id, {}).update(
            (name, str(told[0]) if isinstance(told, list) and told else "")
            for name, told in record["outputs"].items()
        )
        made, row = MapRecord.of(record), record.get("failed")
        if not status.is_row(row):
            is_own = record.get("config") == self.config_sha256
            row = made.row if made is not None and is_own else None
        is_gone = self.scope.speaks_for(id, record.get("folder", ""))
        (self.withdrawn.add if is_gone and row else self.withdrawn.discard)(id)
        (self.missing.add if record.get("missing") is True else self.missing.discard)(id)
        if is_gone or not row:
            self.others.pop(id, None)
        else:
            outputs = {} if made is None else made.outputs
            self.others[id] = json.dumps([row, outputs])

    def _settle_others(self) -> None:
        """Leave out the rows of maps that have been removed; what has a row is not stale."""
        for id, condensed in list(self.others.items()):
            outputs = json.loads(condensed)[1]
            if self._stand(outputs, outputs):
                if self.stale.pop(id):
                    self.missing.discard(id)
            else:
                del self.others[id]
        self.missing &= self.others.keys()
        for id, hashes in list(self.stale.items()):
            for name in [name for name in hashes if not os.path.lexists(self.ledger.out / name)]:
                del hashes[name]
            if not hashes:
                del self.stale[id]

    def _take(self, source: Source, record: MapRecord, files: InputFiles) -> None:
        """Hold a map as finished if its files and its photograph are as the record says."""
        self._in_doubt.pop(source.id, None)
        names = self.kinds.names(source.id)
        if self._stand(names, record.outputs, self.verify):
            is_unchanged = self._is_unchanged(source, record, files)
            if is_unchanged:
                self._hold(source.id, record)
                # Folder or photograph may have another name than when the map was made.
                walked = self.scope.walked
                is_below = not walked or _is_below(record.folder, walked)
                is_known = is_below and self._with_names(source.id, record.row) == record.row
                (self._moved.discard if is_known else self._moved.add)(source.id)
                return
            if is_unchanged is None:
                self._in_doubt[source.id] = json.dumps(vars(record))
        if self.finished.pop(source.id, None) is not None:
            self.unfinished[source.id] |= dict.fromkeys(names)

    def _hold(self, id: str, record: MapRecord) -> None:
        """A finished map; of its photograph only files of other kinds are still of concern."""
        self.changed.discard(id)
        names = self.kinds.names(id)
        self.finished[id] = record.condensed(names)
        files = self.unfinished.pop(id)
        if others := {name: inputs for name, inputs in files.items() if name not in names}:
            self.unfinished[id] = others

    def _settle(self, files: InputFiles) -> None:
        """Hash inputs whose size or time changed; note the new time where the bytes did not."""
        if self._in_doubt:
            self.ledger.begin()
        for id, text in self._in_doubt.items():
            stop.check()
            source, record = self.asked[id], MapRecord(**json.loads(text))
            try:
                stamps = files.stamps(source)  # before the bytes, which may change after
            except (OSError, InputError):
                continue
            if self._has_same_bytes(source, record, files):
                folder, row = self.scope.folder_of(source), self._with_names(id, record.row)
                record = replace(record, stamps=stamps, folder=folder, row=row)
                self.ledger.append(id, self.config_sha256, **vars(record))
                self._hold(id, record)

    def _note_again(self, ids: Collection[str]) -> None:
        """Note finished maps anew whose last word was a failure, or another place."""
        if not ids:
            return
        finished = (record for record in self.ledger if record["key"] in ids and "row" in record)
        last = {record["key"]: record for record in finished}
        self.ledger.begin()
        for id, record in last.items():
            record["folder"] = self.scope.folder_of(self.asked[id])
            record["row"] = self._with_names(id, record["row"])
            del record["key"], record["config"]
            self.ledger.append(id, self.config_sha256, **record)

    def _with_names(self, id: str, row: str) -> str:
        """A row of the ledger with the names that photograph and map have now."""
        return status.named(row, self.asked[id].name, self.kinds.names(id)[0])

    def _stand(
        self, names: Iterable[str], outputs: Mapping[str, tuple[str, int]], verify: bool = False
    ) -> bool:
        """Whether files are those of a record: by size, or by hash."""
        return all(
            name in outputs
            and output_stands(os.path.join(self.ledger.out, name), *outputs[name], verify)
            for name in names
        )

    def _is_unchanged(self, source: Source, record: MapRecord, files: InputFiles) -> bool | None:
        """Whether a source is as it was; None if that takes hashing, which waits for the last."""
        if self.verify:
            return self._has_same_bytes(source, record, files)
        try:
            return True if files.stamps(source) == record.stamps else None
        except (OSError, InputError):
            return False

    def _has_same_bytes(self, source: Source, record: MapRecord, files: InputFiles) -> bool:
        try:
            is_same = files.hashes(source) == record.inputs
        except (OSError, InputError):
            return False
        if not is_same:
            self.changed.add(source.id)
        return is_same


def _is_below(folder: str, root: str) -> bool:
    """Whether a folder is another one, or lies in it."""
    return folder == root or folder.startswith(f"{root.rstrip('/')}/")


@functools.lru_cache(10_000)
def _real_folder(path: str) -> str:
    return os.path.realpath(path)
