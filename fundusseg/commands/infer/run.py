"""infer: photographs become vessel maps, one row of status.tsv for each.

The road of a photograph: its files are read and framed (commands/infer/inputs.py), the segmenter
draws its map (segmenter.py), the files are encoded (outputs.py) and written (output_folder.py).
Reading and writing go through threads, so that they overlap with the network.
"""

import errno
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.commands.infer.earlier import MapRecord, Scope
from fundusseg.commands.infer.inputs import (
    Failure,
    Input,
    InputFiles,
    require_fitting_shards,
    require_fitting_tile,
)
from fundusseg.commands.infer.output_folder import OutputFolder
from fundusseg.commands.infer.outputs import OutputKinds, require_free_names, with_refusals
from fundusseg.commands.infer.sheet import require_own_sheet, write_sheets
from fundusseg.commands.infer.told import plan, summary
from fundusseg.datasets.choice import told_of_left_out
from fundusseg.datasets.fov_folder import FovFolder
from fundusseg.datasets.sources import Source, sources
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, LACK_OF_MEMORY, InputError, UsageError
from fundusseg.files import models
from fundusseg.files.images import image_suffix
from fundusseg.files.manifest import Part, StrangersFile
from fundusseg.files.names import escaped
from fundusseg.files.status import FAILED, OK, StatusRow, status_line
from fundusseg.fundus.overlay import outlined
from fundusseg.options import InferOptions
from fundusseg.parallel import ordered_map
from fundusseg.segmenter import Segmentation, Segmenter
from fundusseg.serial import config_hash, to_dict
from fundusseg.wording import counted

# A name too long; or it, or a folder of it, stands there as the other.
_FAULTS_OF_A_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@dataclass(frozen=True)
class Written:
    """A source whose map is written, and its record for the ledger.

    reason: why the map is hardly to be trusted, or "".
    """

    source: Source
    record: MapRecord
    reason: str


def run_infer(given: str, out: Path, options: InferOptions) -> int:
    """Write a vessel map for every photograph that `given` names, a status table, a manifest.

    Finished maps are kept; tensorflow is loaded only if there is one to make.

    Returns:
        The exit code: 3 if some photographs failed.

    Raises:
        FundussegError: if inputs, model or output folder are wrong, or a stop is asked for.
    """
    if image_suffix(out.name) and not out.exists():
        raise UsageError(f"{out}: is named like a picture; OUT is the folder that maps go to")
    if options.contact_sheet is not None:
        require_own_sheet(options.contact_sheet, out)
    model = models.read_model(models.model_folder(options.model))
    require_fitting_tile(options.tile_px, model.preset)
    inputs = sources(given, out, options)
    require_fitting_shards(inputs.shards, model, options)
    kinds = OutputKinds(options.format, options.probability, options.overlay)
    inputs = replace(inputs, items=with_refusals(inputs.items, kinds))
    to_write = ((item.id, item.file) for item in inputs.items if not item.refusal)
    require_free_names(out, to_write, kinds)
    segmenter = Segmenter(model, options)
    config = config_of(segmenter)
    config_sha256 = config_hash({**config, "model": model.sha256})
    part = Part(*options.part)
    folder = OutputFolder(out, kinds, config_sha256, part, options)
    files = InputFiles(_fovs(inputs.items, options.fov), inputs.shards)
    mine = inputs.items[part.number :: part.total]
    with folder.held(inputs):
        todo = folder.open(mine, files, Scope.of(given, inputs, is_first=part.number == 0))
        inputs.tell_left_out(given)
        known = f", {len(folder.known)} failed before and unchanged" if folder.known else ""
        photographs = counted(len(mine), "photograph")
        counts = (given, photographs, len(folder.earlier.finished), known)
        ui.log.info("%s: %s, %d of them finished before%s", *counts)
        folder.tell_changes(options.prune and not options.dry_run)
        if options.dry_run:
            sys.stdout.writelines((summary if options.json else plan)(mine, inputs, folder))
            return EXIT_OK
        if todo:
            folder.begin(todo)
            _Road(segmenter, files, folder).go(todo)
        seen = models.beginnings(models.photographs_seen(model.folder))
        folder.conclude(
            config,
            model_sha256=model.sha256,
            threshold=segmenter.threshold,
            threshold_source="the model" if options.threshold is None else "--threshold",
            n_left_out=len(inputs.not_chosen[part.number :: part.total]),
            ids_sha256=inputs.ids_sha256,
            **({"trained_on": seen} if seen else {}),
        )
        if options.contact_sheet is not None:
            write_sheets(options.contact_sheet, mine, folder, segmenter.jobs)
    n_failed, n_known = len(folder.failures), len(folder.known)
    known = f", {n_known} of them known (--retry-failed tries them again)" if n_known else ""
    left_out = told_of_left_out(len(inputs.not_chosen))
    maps = counted(len(mine) - n_failed, "map")
    ui.log.info("%s: %s, %d failed%s%s", out, maps, n_failed, known, left_out)
    if options.json:
        sys.stdout.writelines(summary(mine, inputs, folder))
    return EXIT_SOME_FAILED if n_failed > n_known else EXIT_OK


def _fovs(items: Sequence[Source], root: Path | None) -> FovFolder | None:
    """The folder of --fov, if any; a usage or input error if it is of none of the photographs."""
    if root is None:
        return None
    folder = FovFolder(root, [source.id for source in items])
    folder.require_any(source.id for source in items if not source.refusal)
    return folder


def config_of(segmenter: Segmenter) -> dict:
    """What shapes maps and probabilities beside the weights."""
    options, model = segmenter.options, segmenter.model
    frame = model.preset.frame
    config = {
        "frame_sizes_px": list(frame.sizes_px),
        "frame": frame.kind,
        "calibration": to_dict(model.calibration) if model.calibration else None,
        "threshold": segmenter.threshold,
        **to_dict(segmenter.map_config),
        "tile_px": options.tile_px,
        "fov": "given" if options.fov else "found",
    }
    if options.test_time_augmentation:
        config["test_time_augmentation"] = "mirror images"
    return config


@dataclass(frozen=True)
class _Road:
    """The way from a source to its map; its steps before and after the network run in threads."""

    segmenter: Segmenter
    files: InputFiles
    folder: OutputFolder
    ms: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))  # by id

    def go(self, todo: list[Source]) -> None:
        """Read, segment and write; each finished map is noted in the ledger at once.

        Raises:
            Stopped: between two photographs, if a stop was asked for.
        """
        jobs = self.segmenter.jobs
        part = self.folder.part
        of = f", part {part.number} of {part.total}" if part.total > 1 else ""
        with ui.progress(f"infer {self.folder.root}{of}", len(todo), "photograph") as bar:
            groups = self._batches(ordered_map(self._read, todo, jobs))
            for results in ordered_map(self._drawn, groups, jobs):
                for result in results:
                    self._note(result)
                    bar.advance(failed=isinstance(result, Failure))
                stop.check()

    def _read(self, source: Source) -> Input | Failure:
        """Read a photograph and bring it to the frame; in a thread of its own."""
        with self._timed("read", source):
            return self.files.read(source, self.segmenter, self.folder.kinds.overlay)

    def _batches(self, results: Iterable[Input | Failure]) -> Iterator[list]:
        """What came of the sources, in groups: a failure alone, frames of one size as a batch.

        The network is loaded at the first frame: if all that is left fails again, never.
        Not in a thread: while tensorflow is imported, nothing can be said on stderr.
        """
        group: list[Input] = []
        for result in results:
            if isinstance(result, Failure):
                yield [result]
                continue
            batch = self.segmenter.batch
            if group and group[0].frame.image.shape != result.frame.image.shape:
                yield group
                group = []
            group.append(result)
            if len(group) == batch:
                yield group
                group = []
        if group:
            yield group

    def _drawn(self, group: list) -> list[Failure | Written]:
        """Put a batch of frames through the network, and write the files of each."""
        if isinstance(group[0], Failure):
            return group
        from fundusseg.nets import runtime

        try:
            images = np.stack([item.frame.image for item in group])
            fovs = np.stack([item.frame.fov for item in group])
            with self._timed("network", *(item.source for item in group)):
                scores = self.segmenter.scores(images, fovs)
        except runtime.OUT_OF_MEMORY:
            reason = f"{LACK_OF_MEMORY}; give a smaller --batch, or --tile"
            return [Failure(item.source, reason, is_unavailable=True) for item in group]
        results: list[Failure | Written] = []
        for item, of_item in zip(group, scores, strict=True):
            with self._timed("write", item.source):
                results.append(self._written(item, of_item))
        return results

    def _written(self, item: Input, scores: np.ndarray) -> Failure | Written:
        """Cut the map at the photograph's own size, and write the files."""
        source, kinds = item.source, self.folder.kinds
        try:
            drawn = self.segmenter.segmentation(item.frame, scores)
            overlay = None if item.pixels is None else outlined(item.pixels, drawn.vessels)
            contents = kinds.encoded(source.id, drawn.vessels, drawn.probability, overlay)
            outputs = self.folder.write(source.id, contents)
        except MemoryError:  # an earlier map is right if there is none for another
            return Failure(source, LACK_OF_MEMORY, is_unavailable=True)
        except InputError as error:
            number = getattr(error.__cause__, "errno", None)
            if number in _FAULTS_OF_A_NAME or isinstance(error, StrangersFile):
                return Failure(source, f"its map {error.reason}", is_unavailable=True)
            raise
        doubt = "shows nothing, so its map is empty" if item.is_blank else drawn.doubt
        row = status_line(_row(item, drawn, doubt, kinds.names(source.id)[0]))
        folder = self.folder.earlier.scope.folder_of(source)
        record = MapRecord(row, outputs, item.hashes, item.stamps, folder)
        return Written(source, record, doubt)

    @contextmanager
    def _timed(self, stage: str, *sources: Source) -> Iterator[None]:
        """Note the milliseconds that a stage takes; of several photographs each has its share."""
        began = time.perf_counter()
        yield
        ms = 1000 * (time.perf_counter() - began) / len(sources)
        for source in sources:
            self.ms[source.id][stage] = round(ms, 1)

    def _note(self, result: Failure | Written) -> None:
        source, status = result.source, FAILED if isinstance(result, Failure) else OK
        if isinstance(result, Failure):
            self.folder.fail(result)
        else:
            self.folder.finish(source.id, result.record)
        told = {"id": source.id, "source": source.name, "status": status, "reason": result.reason}
        ui.event("photograph", **told, ms=self.ms.pop(source.id, {}))
        if result.reason:
            ui.log.warning("%s: %s", escaped(source.label), result.reason)


def _row(item: Input, drawn: Segmentation, doubt: str, map: str) -> StatusRow:
    """The row of a photograph that has become a map."""
    height, width = item.frame.geometry.source_shape
    return StatusRow(
        id=item.source.id,
        status=OK,
        reason=doubt,
        source_sha256=item.source_sha256,
        width_px=str(width),
        height_px=str(height),
        fov_y_px=f"{drawn.field_of_view.y_px:.1f}",
        fov_x_px=f"{drawn.field_of_view.x_px:.1f}",
        fov_diameter_px=f"{drawn.field_of_view.diameter_px:.1f}",
        fov_method=drawn.field_of_view.method,
        expected_dice=_figure(drawn.expected_dice),
        mean_entropy_bits=_figure(drawn.mean_entropy),
        sharpness_ratio=_figure(drawn.quality.sharpness),
        evenness_ratio=_figure(drawn.quality.evenness),
        dark_edge_ratio=_figure(drawn.quality.dark_edge),
        pixel_um="" if item.pixel_um is None else f"{item.pixel_um:.6g}",
        source=item.source.name,
        map=map,
    )


def _figure(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4f}"
