"""What earlier runs of infer left in an output folder: maps that stand, maps to be replaced."""

import functools
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fundusseg import stop
from fundusseg.errors import InputError
from fundusseg.io.files import sha256_of
from fundusseg.io.finished_maps import FinishedMaps
from fundusseg.io.fov_folder import FovFolder
from fundusseg.io.ledger import LedgerFiles, SourceStamp, files_of, has_ledger, outputs_stand
from fundusseg.io.outputs import OutputKinds, outputs_in_manifests, require_own_files
from fundusseg.io.sources import Source


class InputFiles:
    """The files that a map is made from: the photograph (or shard), and a given field of view."""

    def __init__(self, fovs: FovFolder | None):
        self.fovs = fovs
        self._sha256_of = functools.lru_cache(10_000)(sha256_of)  # a shard holds many sources

    def paths(self, source: Source) -> list[Path | str]:
        """The files' paths, the photograph's first; InputError without a field of view."""
        return [source.file] if self.fovs is None else [source.file, self.fovs.path_of(source.id)]

    def stamps(self, source: Source) -> list[list[int]]:
        """Size and modification time of each; OSError or InputError if there is none."""
        return [SourceStamp.of(path).as_list() for path in self.paths(source)]

    def hashes(self, source: Source, photograph_sha256: str = "") -> list[str]:
        """SHA-256 of each; a photograph's may be known from reading it. InputError likewise."""
        first, *others = self.paths(source)
        is_known = photograph_sha256 and source.ref is None
        return [
            photograph_sha256 if is_known else self._sha256_of(first),
            *map(self._sha256_of, others),
        ]


class EarlierMaps:
    """Maps of earlier runs: those that are finished, and those that a new one replaces.

    Args:
        out: the output folder. kinds: the files that are asked for.
        verify: hash all that is finished, where size and time would tell.

    Attributes:
        finished: what stands, to which the run adds its own.
        changed: ids of which a map stands that was made of another photograph, or in another
            field of view.
    """

    def __init__(
        self, out: Path, kinds: OutputKinds, files: InputFiles, config_sha256: str, verify: bool
    ):
        self.out, self.kinds, self.files = out, kinds, files
        self.config_sha256, self.verify = config_sha256, verify
        self.finished = FinishedMaps(kinds)
        self.changed: set[str] = set()
        # By id and name: the hashes of what a file was made from, None if that is not known or was
        # with another model or other settings. Not of finished maps, which would be a million.
        self._written: dict[str, dict[str, list[str] | None]] = {}
        # By id, as JSON: the last record, where size or time of the photograph have changed since.
        self._in_doubt: dict[str, str] = {}

    def read(self, ledger: LedgerFiles, wanted: Mapping[str, Source]) -> None:
        """Take the ledger's records of the `wanted` sources, by id.

        Raises:
            InputError: if any of its maps were made with another model or other settings; for a
                part, any of the wanted ones.
        """
        if not has_ledger(self.out):  # left behind, as where the folder was copied without it
            if outputs := outputs_in_manifests(self.out):
                ledger.begin_with(outputs)
        foreign = set()
        for record in ledger:
            stop.check()  # with verify it hashes
            id = record["key"]
            if id in wanted:
                self._note(id, record)
            if "begun" in record:
                foreign.discard(id)  # only --force goes on to write where others' maps stood
            elif record.get("config") != self.config_sha256:
                foreign.add(id)
            else:
                foreign.discard(id)
                if id in wanted:
                    self._take(wanted[id], record)
        if foreign.intersection(wanted) if ledger.is_part else foreign:
            ledger.refuse()
        if self._in_doubt:
            self._settle(ledger, wanted)

    def forget(self, ledger: LedgerFiles, wanted: Collection[str]) -> None:
        """Have all of the `wanted` ids made anew (--force); on disk other tasks' ledgers stay."""
        for record in ledger:
            if record["key"] in wanted:
                self._note(record["key"], record)
        ledger.forget(wanted)

    def require_own_files(self, ledger: LedgerFiles, ids: Iterable[str]) -> None:
        """Raise if a map of one of the `ids` would be written over a file that is not ours.

        Raises:
            InputError: naming the file.
        """
        names = (
            name
            for id in ids
            for name in self.kinds.names(id)
            if name not in self._written.get(id, ())
        )
        require_own_files(self.out, names, ledger)

    def announce(self, ledger: LedgerFiles, id: str, names: Iterable[str]) -> None:
        """Have the ledger say which files are ours, before they are written."""
        written = self._written.setdefault(id, {})
        if new := [name for name in names if name not in written]:
            ledger.announce(id, new)
            written.update(dict.fromkeys(new))

    def remove(self, id: str) -> None:
        """Remove what was written of a source that has failed now."""
        self._remove(self._written.pop(id, {}))

    def remove_foreign(self, id: str) -> None:
        """Remove what was written with another model or other settings; a finished map stays."""
        written = self._written.pop(id, {})
        self._remove(name for name, inputs in written.items() if inputs is None)

    def remove_unlike(self, id: str, record: dict) -> None:
        """Remove what was made from another photograph, or by another model, than `record`."""
        written = self._written.pop(id, {})
        unlike = {name for name, inputs in written.items() if inputs != record["inputs"]}
        self._remove(unlike - set(record["outputs"]))

    def _take(self, source: Source, record: dict) -> None:
        """Keep a record of the ledger, which overrides earlier ones, if it still holds."""
        self._in_doubt.pop(source.id, None)
        if self._outputs_stand(source, record):
            is_unchanged = self._is_unchanged(source, record)
            if is_unchanged:
                self._keep(source, record)
                return
            if is_unchanged is None:
                self._in_doubt[source.id] = json.dumps(record)
        if source.id in self.finished:
            self.finished.discard(source.id)
            self._note(source.id, {"begun": self.kinds.names(source.id)})

    def _settle(self, ledger: LedgerFiles, wanted: Mapping[str, Source]) -> None:
        """Hash what is in doubt; what is as it was gets its new time, so that this is done once."""
        ledger.begin()
        for id, text in self._in_doubt.items():
            stop.check()
            record, source = json.loads(text), wanted[id]
            try:
                stamps = self.files.stamps(source)  # before the bytes, which may change after
            except (OSError, InputError):
                continue
            if self._has_same_bytes(source, record):
                ledger.append_whole({**record, "stamps": stamps})
                self._keep(source, record)
        self._in_doubt.clear()

    def _keep(self, source: Source, record: dict) -> None:
        names = self.kinds.names(source.id)
        self.changed.discard(source.id)
        self.finished.add(source.id, record)
        written = self._written.pop(source.id)
        if others := {name: inputs for name, inputs in written.items() if name not in names}:
            self._written[source.id] = others

    def _note(self, id: str, record: dict) -> None:
        """Of the records that name a file the last tells what it was made from."""
        written = self._written.setdefault(id, {})
        if "begun" in record:
            written |= dict.fromkeys(files_of(record)) | written
        else:
            inputs = record.get("inputs") if record.get("config") == self.config_sha256 else None
            written |= dict.fromkeys(files_of(record), inputs)

    def _outputs_stand(self, source: Source, record: dict) -> bool:
        names = self.kinds.names(source.id)
        if any(name not in record["outputs"] for name in names):
            return False
        wanted = {name: record["outputs"][name] for name in names}
        return outputs_stand(self.out, wanted, self.verify)

    def _is_unchanged(self, source: Source, record: dict) -> bool | None:
        """Whether a source is as it was; None if that takes hashing, which waits for the last."""
        if self.verify:
            return self._has_same_bytes(source, record)
        try:
            return True if self.files.stamps(source) == record["stamps"] else None
        except (OSError, InputError):
            return False

    def _has_same_bytes(self, source: Source, record: dict) -> bool:
        try:
            is_same = self.files.hashes(source) == record.get("inputs")
        except (OSError, InputError):
            return False
        if not is_same:
            self.changed.add(source.id)
        return is_same

    def _remove(self, names: Iterable[str]) -> None:
        """What the photograph, or the model, was before must not pass for its map now."""
        for name in names:
            path = self.out / name
            if os.path.lexists(path):  # of a name too long nothing stands, nor can be removed
                path.unlink(missing_ok=True)
