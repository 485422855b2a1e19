"""The output folder of infer: what is written to it, and what it says at the end.

Everything that is known of OUT goes through `OutputFolder`; what earlier runs left is in
`EarlierRuns`. Whose is a file that stands where a map belongs, `require_no_stranger` decides.
"""

import hashlib
import heapq
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fundusseg import __version__, ui
from fundusseg.commands.infer.earlier import EarlierRuns, MapRecord, Scope
from fundusseg.commands.infer.inputs import Failure, InputFiles
from fundusseg.commands.infer.outputs import OutputKinds
from fundusseg.datasets.sources import Source, Sources
from fundusseg.errors import InputError
from fundusseg.files import checksums, manifest, status
from fundusseg.files.atomic import output_folder, sweep, write_bytes
from fundusseg.files.ledger import LedgerFiles, SealedLedger, output_stands
from fundusseg.files.lock import shared
from fundusseg.files.manifest import Part
from fundusseg.files.names import escaped
from fundusseg.files.running import Run, RunFile
from fundusseg.files.status import FAILED, StatusRow, status_line
from fundusseg.option_fields import settings_of
from fundusseg.options import InferOptions
from fundusseg.report.markdown import named_in_a_line
from fundusseg.serial import config_hash
from fundusseg.wording import counted

_NAMED = 5  # of what a warning counts


class OutputFolder:
    """OUT, and what becomes of each photograph that is asked for.

    Args:
        kinds: the files that each photograph gets.
        config_sha256: of the model and all settings that shape the maps.
        part: which part of the photographs is asked for here.
        options: of them verify, force, retry_failed and dry_run.

    Attributes:
        earlier: what earlier runs left, once the folder is open.
        failures: the reason by id.
        known: ids of those that failed in an earlier run that said so, and have not changed.
    """

    earlier: EarlierRuns

    def __init__(
        self,
        root: Path,
        kinds: OutputKinds,
        config_sha256: str,
        part: Part,
        options: InferOptions,
    ):
        self.root, self.kinds, self.config_sha256, self.part = root, kinds, config_sha256, part
        self.options = options
        self.failures: dict[str, str] = {}
        self.known: set[str] = set()
        self._ledger = (SealedLedger if options.dry_run else LedgerFiles)(root, part)
        self._untold: dict[str, dict[str, Any]] = {}  # failures to be known from the next run on
        self.made: dict[str, str] = {}  # by id, as `MapRecord.condensed`

    def map_names(self) -> list[str]:
        """The names of the maps that were asked for and are there."""
        done = (id for id in self.earlier.asked if id not in self.failures)
        return [self.kinds.names(id)[0] for id in done]

    @contextmanager
    def held(self, inputs: Sources) -> Iterator[None]:
        """Make the folder, and keep runs of other inputs or settings out of it.

        Two that ask for different photographs would each write a table without the other's rows,
        and of arrays of different lengths one removes the other's tables.

        Raises:
            InputError: if the folder is another command's or a stranger's, in use with other
                inputs or settings, or cannot be written.
        """
        written = () if self.options.force else map(self.part.named, (status.NAME, checksums.NAME))
        manifest.require_own_folder(self.root, "infer", written)
        if self.options.dry_run:
            yield
            return
        output_folder(self.root)
        purpose = {
            "config": self.config_sha256,
            "inputs": inputs.sha256,
            "fov": os.path.realpath(self.options.fov) if self.options.fov else None,
            "parts": self.part.total,
            "include": self.options.include,
            "exclude": self.options.exclude,
            "kinds": asdict(self.kinds),
        }
        with shared(self.root, config_hash(purpose)):
            yield

    def open(self, asked: Sequence[Source], files: InputFiles, scope: Scope) -> list[Source]:
        """Read what earlier runs finished; the photographs that are left.

        Args:
            scope: what this call speaks for, all its parts together.

        Raises:
            InputError: if the folder holds maps of another model or other settings; for a part,
                any of those asked for.
        """
        of_this_run = (self.kinds, self.config_sha256, {source.id: source for source in asked})
        is_first, options = self.part.number == 0, self.options
        self.earlier = EarlierRuns(self._ledger, *of_this_run, scope, is_first, options.verify)
        if options.force:
            self.earlier.forget()
        else:
            self.earlier.read(files)
            if not options.retry_failed:
                self.failures = self.earlier.known_failures(files)
        self.known = set(self.failures)
        if not options.dry_run:
            manifest.remove_other_parts(self.root, self.part)
            run = Run(len(asked), len(self.earlier.finished), len(self.known))
            self._run = RunFile(self.root, self.part, run)
        done = self.earlier.finished.keys() | self.known
        return [source for source in asked if source.id not in done]

    def begin(self, todo: Sequence[Source]) -> None:
        """Get ready to write: no manifest stands beside unfinished work."""
        self._ledger.begin()
        manifest.begin_anew(self.root, self.part)
        ids = [source.id for source in todo if not source.refusal]
        for parent in {(self.root / id).parent for id in ids} - {self.root}:
            sweep(parent)

    def write(self, id: str, contents: Mapping[str, bytes]) -> dict[str, tuple[str, int]]:
        """Write the files of one photograph; their hashes and sizes. Threads may do so at once.

        Raises:
            StrangersFile: if one stands there.
            InputError: if the file system refuses.
        """
        ours = self.earlier.unfinished.get(id, {})
        written: list[str] = []
        try:
            for name, data in contents.items():
                if name not in ours and not self.options.force:
                    manifest.require_no_stranger(self.root / name, "infer", data)
                write_bytes(self.root / name, data)
                written.append(name)
        except InputError:
            self._remove(written)  # all files of a photograph, or none
            raise
        return {
            name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in contents.items()
        }

    def finish(self, id: str, record: MapRecord) -> None:
        """Note a map that is written; delete what another photograph of this name left."""
        files = self.earlier.unfinished.get(id, {})
        unlike = {name for name, inputs in files.items() if inputs != record.inputs}
        self._remove(unlike - set(record.outputs))
        self._ledger.append(id, self.config_sha256, **vars(record))
        self.made[id] = record.condensed(self.kinds.names(id))
        self._run.note(failed=False)

    def fail(self, failure: Failure) -> None:
        """Note a photograph that gave no map, and delete its earlier map.

        It stays where the photograph cannot be read now, and the same model made it.
        """
        source, id = failure.source, failure.source.id
        files = self.earlier.unfinished.get(id, {})
        is_wrong = not failure.is_unavailable
        self._remove(name for name, inputs in files.items() if inputs is None or is_wrong)
        self.failures[id] = failure.reason
        row = self._row(id)
        more: dict[str, Any] = {"folder": self.earlier.scope.folder_of(source)}
        if failure.hashes:
            known_by = {"inputs": failure.hashes, "stamps": failure.stamps}
            self._untold[id] = {**more, **known_by, "told": __version__}
        if failure.is_unavailable and not os.path.lexists(source.file):
            more["missing"] = True
        if self.earlier.failed.get(id) != row:
            self._ledger.append(id, self.config_sha256, outputs={}, failed=row, **more)
        self._run.note(failed=True)

    def tell_changes(self, prune: bool) -> None:
        """Say which maps are made anew, and which are of photographs that are gone.

        prune: remove the latter, and the rows of names of which there never was a file.
        """
        if changed := self.earlier.changed:
            one, several = "map is of another photograph", "maps are of other photographs"
            maps = counted(len(changed), one, several)
            text = "%s: %s of the same name, and made anew, as of %s"
            ui.log.warning(text, self.root, maps, escaped(min(changed)))
        if stale := sorted(map(escaped, self.earlier.stale)):
            remedy = "removed" if prune else "without a row now; --prune removes what is gone"
            one, several = "map is of a photograph that is", "maps are of photographs that are"
            maps = counted(len(stale), one, several)
            text = "%s: %s gone: %s; %s"
            ui.log.warning(text, self.root, maps, named_in_a_line(stale, _NAMED), remedy)
        if missing := sorted(map(escaped, self.earlier.missing)):
            remedy = "removed" if prune else "kept; --prune removes what never was"
            rows = counted(len(missing), "row")
            text = "%s: %s of earlier calls, of what was not there: %s; %s"
            ui.log.info(text, self.root, rows, named_in_a_line(missing, _NAMED), remedy)
        for name in self._prune() if prune else ():
            text = "%s: has been changed since infer wrote it, and stays; remove it yourself"
            ui.log.warning(text, escaped(str(self.root / name)))

    def _prune(self) -> list[str]:
        """Remove what is stale, and the folders that this leaves empty.

        Returns:
            The names of files that are not as infer wrote them, and stay.
        """
        for id in self.earlier.missing:
            del self.earlier.others[id]
            self.earlier.withdrawn.add(id)
        hashes = [pair for names in self.earlier.stale.values() for pair in names.items()]
        ours = [name for name, sha256 in hashes if output_stands(self.root / name, sha256)]
        self._remove(ours)
        folders = {above for name in ours for above in (self.root / name).parents}
        for folder in sorted(folders - {self.root, *self.root.parents}, reverse=True):
            with suppress(OSError):  # something is in it
                folder.rmdir()
        return sorted({name for name, _ in hashes} - set(ours))

    def conclude(self, config: dict, n_left_out: int, **more: Any) -> None:
        """Write the status table, the checksums and, last, the manifest.

        What a walk no longer found has no row from here on, whatever later calls name.
        n_left_out: photographs that were left out, of which the manifest tells.
        """
        if self.earlier.withdrawn:
            self._ledger.begin()
        for id in sorted(self.earlier.withdrawn):
            self._ledger.append(id, self.config_sha256, outputs={}, withdrawn=True)
        asked, others = self.earlier.asked, self.earlier.others
        table = self.part.named(status.NAME)
        of_others = (json.loads(condensed)[0] for condensed in others.values())
        rows = [map(self._row, asked), sorted(of_others, key=status.id_bytes)]
        lines = heapq.merge(*rows, key=status.id_bytes) if others else rows[0]
        status.write_lines(self.root / table, lines)
        manifest.write_manifest(
            self.root,
            "infer",
            config,
            self._outputs(),
            part=self.part,
            counts={
                "photographs": len(asked),
                "failed": len(self.failures),
                "left_out": n_left_out,
            },
            tables=[table],
            kinds=asdict(self.kinds),
            options=settings_of(self.options),
            **more,
        )
        for id, told in self._untold.items():
            self._ledger.append(id, self.config_sha256, outputs={}, failed=self._row(id), **told)
        self._run.end()

    def _condensed(self, id: str) -> list[str]:
        """The row of a finished map, and its files' hashes."""
        condensed = self.made.get(id) or self.earlier.finished[id]
        return condensed.rsplit("\t", len(self.kinds.names(id)))

    def _row(self, id: str) -> str:
        name = self.earlier.asked[id].name
        if id in self.failures:
            return status_line(StatusRow(id, FAILED, self.failures[id], source=name))
        return status.named(self._condensed(id)[0], name, self.kinds.names(id)[0])

    def _outputs(self) -> Iterator[tuple[str, str]]:
        """Names and SHA-256 of all outputs of this part."""
        for condensed in self.earlier.others.values():
            for name, (sha256, _) in json.loads(condensed)[1].items():
                yield name, sha256
        for id in self.earlier.asked:
            if id not in self.failures:
                yield from zip(self.kinds.names(id), self._condensed(id)[1:], strict=True)

    def _remove(self, names: Iterable[str]) -> None:
        """Delete maps of another photograph or model, which must not pass for this one's."""
        for name in names:
            path = self.root / name
            if os.path.lexists(path) and not path.is_dir():  # a folder may have taken its name
                path.unlink(missing_ok=True)
