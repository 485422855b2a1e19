"""infer: photographs become vessel maps, one row of status.tsv for each."""

import errno
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from logging import INFO, WARNING
from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.config import config_hash
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UnavailableError
from fundusseg.fundus.geometry import from_frame
from fundusseg.fundus.overlay import outlined
from fundusseg.fundus.specks import area_in_source_px, without_specks
from fundusseg.io import models
from fundusseg.io.files import output_folder, sweep, write_bytes
from fundusseg.io.fov_folder import FovFolder
from fundusseg.io.ledger import LedgerFiles
from fundusseg.io.manifest import (
    begin_anew,
    manifest,
    manifest_name,
    remove_other_parts,
    require_own_folder,
    write_manifest,
)
from fundusseg.io.outputs import OutputKinds, require_free_names
from fundusseg.io.sources import Source, Sources, sources
from fundusseg.io.status import (
    FAILED,
    StatusRow,
    escaped,
    status_line,
    status_name,
    write_lines,
)
from fundusseg.metrics.expected import expected_dice
from fundusseg.options import InferOptions
from fundusseg.parallel import free_cores, ordered_map
from fundusseg.stages.infer_earlier import EarlierMaps, InputFiles
from fundusseg.stages.infer_inputs import (
    Prepared,
    from_file,
    from_shard,
    require_fitting_shards,
    require_fitting_tile,
    status_row,
)
from fundusseg.stages.segmenting import ready_predictor

# A name too long; or it, or a folder of it, stands there as the other.
_FAULTS_OF_A_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@dataclass(frozen=True)
class Failure:
    """A source that gave no map, and why.

    is_unavailable: nothing is known of what it holds now, so an earlier map of it may be right.
    """

    source: Source
    reason: str
    is_unavailable: bool = False


@dataclass(frozen=True)
class Written:
    """A source whose map is written, and its record for the ledger."""

    source: Source
    record: dict
    is_blank: bool


def run_infer(given: str, out: Path, options: InferOptions) -> int:
    """Write a vessel map for every photograph that `given` names, a status table, a manifest.

    Finished maps are kept; tensorflow is loaded only if there is one to make.

    Returns:
        The exit code: 3 if some photographs failed.

    Raises:
        FundussegError: if inputs, model or output folder are wrong, or a stop is asked for.
    """
    model = models.read_model(models.model_folder(options.model))
    require_fitting_tile(options.tile_px, model.preset)
    found = sources(
        given, out, options.layout, options.split, options.keep_suffix, options.null_separated
    )
    require_fitting_shards(found.shards, model, options)
    to_write = ((item.id, item.file) for item in found.items if not item.refusal)
    job = _Job(found, out, options, model)
    require_free_names(out, to_write, job.outputs)
    require_own_folder(out, "infer")
    output_folder(out)
    job.read_ledger()
    remove_other_parts(out, options.num_shards)
    for left_out in found.left_out:
        said = (given, len(left_out.paths), left_out.what, escaped(left_out.paths[0]))
        level = WARNING if left_out.may_be_photographs else INFO
        ui.log.log(level, "%s: %d %s are left out, the first is %s", *said)
    todo = job.unfinished()
    if changed := job.earlier.changed:
        said = "%s: %d maps are of other photographs of the same name, and are made anew, as of %s"
        ui.log.warning(said, out, len(changed), escaped(min(changed)))
    ui.log.info(
        "%s: %d photographs, %d of them finished before",
        given,
        len(job.mine),
        len(job.mine) - len(todo),
    )
    if todo:
        job.work_through(todo)
    return job.conclude()


class _Job:
    """One run over this task's sources: what is done, what is left, what failed."""

    def __init__(self, found: Sources, out: Path, options: InferOptions, model: models.Model):
        self.found, self.out, self.options, self.model = found, out, options, model
        self.outputs = OutputKinds(options.format, options.probability, options.overlay)
        self.frame = model.preset.frame
        self.threshold = model.threshold if options.threshold is None else options.threshold
        self.smallest_px = 0 if options.keep_specks else model.preset.map.smallest_part_px
        self.mine = found.items[options.shard :: options.num_shards]
        self.files = InputFiles(FovFolder(options.fov) if options.fov else None)
        self.config = {
            "frame_sizes_px": list(self.frame.sizes_px),
            "frame": self.frame.kind,
            "threshold": self.threshold,
            "smallest_part_px": self.smallest_px,
            "tile_px": options.tile_px,
            "fov": "given" if options.fov else "found",
        }
        if options.test_time_augmentation:
            self.config["test_time_augmentation"] = "mirror images"
        self.config_sha256 = config_hash({**self.config, "model": model.sha256})
        self.jobs = options.jobs or free_cores()
        self.earlier = EarlierMaps(
            out, self.outputs, self.files, self.config_sha256, options.verify
        )
        self.finished = self.earlier.finished
        self.failures: dict[str, Failure] = {}

    def read_ledger(self) -> None:
        """Read which of this task's maps earlier runs finished in the output folder.

        Raises:
            InputError: if they were made with another model or other settings, or if a file
                that infer did not write stands where one of the others belongs.
        """
        self.ledger = LedgerFiles(self.out, self.options.shard, self.options.num_shards)
        mine = {source.id: source for source in self.mine}
        if self.options.force:
            self.earlier.forget(self.ledger, mine)
        else:
            self.earlier.read(self.ledger, mine)
            to_write = (source.id for source in self.unfinished() if not source.refusal)
            self.earlier.require_own_files(self.ledger, to_write)

    def unfinished(self) -> list[Source]:
        """This task's sources that have no finished map."""
        return [source for source in self.mine if source.id not in self.finished]

    def work_through(self, todo: list[Source]) -> None:
        """Read, segment and write; each finished map is noted in the ledger at once.

        Raises:
            Stopped: between two photographs, if a stop was asked for.
        """
        self.ledger.begin()
        begin_anew(self.out, self.options.shard, self.options.num_shards)
        ids = [source.id for source in todo if not source.refusal]
        for parent in {(self.out / id).parent for id in ids} - {self.out}:
            if parent.is_dir():
                sweep(parent)
        with ui.progress(f"infer {self.out}", len(todo), "photographs") as bar:
            prepared = ordered_map(self._prepared, todo, self.jobs)
            groups = self._with_network(prepared)
            for results in ordered_map(self._written, groups, self.jobs):
                for result in results:
                    self._note(result)
                    bar.advance()
                stop.check()

    def conclude(self) -> int:
        """Write status table and manifest; 3 if a source failed."""
        task = (self.options.shard, self.options.num_shards)
        write_lines(self.out / status_name(*task), map(self._status_line, self.mine))
        failures = {id: failure.reason for id, failure in self.failures.items()}
        inputs = self.finished.inputs()
        values = manifest(
            "infer",
            self.config,
            inputs,
            self.finished.outputs(),
            failures,
            model_sha256=self.model.sha256,
            threshold=self.threshold,
            threshold_source="the model" if self.options.threshold is None else "--threshold",
            ids_sha256=self._ids_sha256(),
        )
        write_manifest(self.out / manifest_name(*task), values)
        ui.log.info("%s: %d maps, %d failed", self.out, len(inputs), len(failures))
        return EXIT_SOME_FAILED if failures else EXIT_OK

    def _status_line(self, source: Source) -> str:
        if source.id in self.failures:
            failed = StatusRow(source.id, FAILED, self.failures[source.id].reason)
            return status_line(astuple(failed))
        return self.finished.status_line(source.id)

    def _ids_sha256(self) -> str:
        """Over the ids of all parts: parts that saw different inputs must not be merged."""
        ids = b"\0".join(os.fsencode(source.id) for source in self.found.items)
        return hashlib.sha256(ids).hexdigest()

    def _prepared(self, source: Source) -> tuple[Prepared, list] | Failure:
        """Decode a photograph and bring it to the frame; in a thread of its own."""
        try:
            if source.refusal:
                return Failure(source, source.refusal)
            stamps = self.files.stamps(source)
            if source.ref is not None:
                return from_shard(source, self.found.shards), stamps
            return from_file(source, self.frame, self.files.fovs, self.outputs.overlay), stamps
        except UnavailableError as error:
            return Failure(source, error.reason, is_unavailable=True)
        except InputError as error:
            return Failure(source, error.reason)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            return Failure(source, reason, is_unavailable=True)
        except MemoryError:
            return Failure(source, "needs more memory than there is", is_unavailable=True)

    def _with_network(self, prepared: Iterable) -> Iterator[list]:
        """What came of the sources, in groups: a failure alone, frames of one size as a batch.

        The network is loaded at the first frame: if all that is left fails again, never.
        Not in a thread: while tensorflow is imported, nothing can be said on stderr.
        """
        group: list[tuple[Prepared, list]] = []
        for result in prepared:
            if isinstance(result, Failure):
                yield [result]
                continue
            batch = self.predictor.batch
            if group and group[0][0].image.shape != result[0].image.shape:
                yield group
                group = []
            group.append(result)
            if len(group) == batch:
                yield group
                group = []
        if group:
            yield group

    @functools.cached_property
    def predictor(self):
        """The network, loaded when it is first asked for."""
        options, model = self.options, self.model
        return ready_predictor(
            model.folder,
            model.sha256,
            jobs=self.jobs,
            precision=options.precision,
            batch=options.batch,
            tile_px=options.tile_px,
            test_time_augmentation=options.test_time_augmentation,
        )

    def _written(self, group: list) -> list[Failure | Written]:
        """Put a batch of frames through the network, and write the files of each."""
        if isinstance(group[0], Failure):
            return group
        images = np.stack([item.image for item, _ in group])
        fovs = np.stack([item.fov for item, _ in group])
        frames = self.predictor.probabilities(images, fovs)
        return [
            self._written_one(item, stamps, frame)
            for (item, stamps), frame in zip(group, frames, strict=True)
        ]

    def _written_one(self, item: Prepared, stamps: list, frame: np.ndarray) -> Failure | Written:
        """Bring the probabilities back to the photograph, write the files."""
        probability = from_frame(frame, item.geometry)
        smallest_px = area_in_source_px(self.smallest_px, item.geometry)
        vessels = without_specks(probability >= self.threshold, smallest_px)
        kinds = self.outputs
        overlay = outlined(item.pixels, vessels) if kinds.overlay else None
        contents = kinds.encoded(item.source.id, vessels, probability, overlay)
        self.earlier.announce(self.ledger, item.source.id, contents)
        try:
            for name, data in contents.items():
                write_bytes(self.out / name, data)
        except InputError as error:
            if getattr(error.__cause__, "errno", None) in _FAULTS_OF_A_NAME:
                return Failure(item.source, f"its map {error.reason}")
            raise
        record = {
            "row": list(astuple(status_row(item, self._expected_dice(frame, item.fov)))),
            "outputs": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
            "stamps": stamps,
            "inputs": self.files.hashes(item.source, item.source_sha256),
        }
        return Written(item.source, record, item.is_blank)

    def _expected_dice(self, frame: np.ndarray, fov: np.ndarray) -> float | None:
        calibration = self.model.calibration
        if calibration is None:
            return None
        scores = frame[fov > 127]
        vessels = scores >= self.threshold  # with specks: a hundredth of the area
        return expected_dice(scores, vessels, calibration.slope, calibration.intercept)

    def _note(self, result: Failure | Written) -> None:
        if isinstance(result, Failure):
            self._note_failure(result)
            return
        id, record = result.source.id, result.record
        self.earlier.remove_unlike(id, record)
        self.ledger.append(id, self.config_sha256, **record)
        self.finished.add(id, record)
        if result.is_blank:
            said = "%s: shows nothing, so its map is empty"
            ui.log.warning(said, escaped(result.source.file))

    def _note_failure(self, failure: Failure) -> None:
        id = failure.source.id
        if failure.is_unavailable:
            self.earlier.remove_foreign(id)
        else:
            self.earlier.remove(id)
        ui.log.warning("%s: %s", escaped(failure.source.file), failure.reason)
        self.failures[id] = failure
