"""What earlier runs of infer left in an output folder: maps that stand, maps to be replaced."""

import functools
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
    """

    def __init__(
        self, out: Path, kinds: OutputKinds, files: InputFiles, config_sha256: str, verify: bool
    ):
        self.out, self.kinds, self.files = out, kinds, files
        self.config_sha256, self.verify = config_sha256, verify
        self.finished = FinishedMaps(kinds)
        # By id and name: the hashes of what a file was made from, None if that is not known or was
        # with another model or other settings. Not of finished maps, which would be a million.
        self._written: dict[str, dict[str, list[str] | None]] = {}

    def read(self, ledger: LedgerFiles, wanted: Mapping[str, Source]) -> None:
        """Take the ledger's records of the `wanted` sources, by id.

        Raises:
            InputError: if any of its maps were made with another model or other settings.
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
                continue
            if record.get("config") != self.config_sha256:
                foreign.add(id)
            else:
                foreign.discard(id)
                if id in wanted:
                    self._take(wanted[id], record)
        if foreign:
            ledger.refuse()

    def forget(self, ledger: LedgerFiles, wanted: Collection[str]) -> None:
        """Have all of the `wanted` ids made anew (--force); on disk other tasks' ledgers stay."""
        for record in ledger:
            if record["key"] in wanted:
                self._note(record["key"], record)
        ledger.forget()

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

    def remove_unlike(self, id: str, record: dict) -> None:
        """Remove what was made from another photograph, or by another model, than `record`."""
        written = self._written.pop(id, {})
        unlike = {name for name, inputs in written.items() if inputs != record["inputs"]}
        self._remove(unlike - set(record["outputs"]))

    def _take(self, source: Source, record: dict) -> None:
        """Keep a record of the ledger, which overrides earlier ones, if it still holds."""
        names = self.kinds.names(source.id)
        if self._is_finished(source, record):
            self.finished.add(source.id, record)
            others = {
                name: inputs
                for name, inputs in self._written.pop(source.id).items()
                if name not in names
            }
            if others:
                self._written[source.id] = others
        elif source.id in self.finished:
            self.finished.discard(source.id)
            self._note(source.id, {"begun": names})

    def _note(self, id: str, record: dict) -> None:
        """Of the records that name a file the last tells what it was made from."""
        written = self._written.setdefault(id, {})
        if "begun" in record:
            written |= dict.fromkeys(files_of(record)) | written
        else:
            inputs = record.get("inputs") if record.get("config") == self.config_sha256 else None
            written |= dict.fromkeys(files_of(record), inputs)

    def _is_finished(self, source: Source, record: dict) -> bool:
        """Whether a map's files stand and its source has not changed."""
        names = self.kinds.names(source.id)
        if any(name not in record["outputs"] for name in names):
            return False
        wanted = {name: record["outputs"][name] for name in names}
        if not outputs_stand(self.out, wanted, self.verify):
            return False
        try:
            if not self.verify and self.files.stamps(source) == record["stamps"]:
                return True
            return self.files.hashes(source) == record.get("inputs")
        except (OSError, InputError):
            return False

    def _remove(self, names: Iterable[str]) -> None:
        """What the photograph, or the model, was before must not pass for its map now."""
        for name in names:
            path = self.out / name
            if os.path.lexists(path):  # of a name too long nothing stands, nor can be removed
                path.unlink(missing_ok=True)
