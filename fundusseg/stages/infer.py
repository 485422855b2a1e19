"""infer: photographs become vessel maps, one row of status.tsv for each."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.config import DEFAULT_MODEL, FrameConfig, Preset, config_hash
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UsageError
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.framing import framed
from fundusseg.fundus.geometry import Geometry, from_frame
from fundusseg.fundus.overlay import outlined
from fundusseg.io import images, models
from fundusseg.io.files import output_folder, sha256_of, sweep, write_bytes
from fundusseg.io.fov_folder import FovFolder
from fundusseg.io.ledger import Ledger, SourceStamp, outputs_stand
from fundusseg.io.manifest import manifest, manifest_name, write_manifest
from fundusseg.io.outputs import OutputKinds
from fundusseg.io.shards import ShardFolder
from fundusseg.io.sources import Source, Sources, sources
from fundusseg.io.status import FAILED, OK, StatusRow, status_name, write_status
from fundusseg.metrics.expected import expected_dice
from fundusseg.parallel import free_cores, ordered_map
from fundusseg.stages.segmenting import ready_predictor


@dataclass(frozen=True)
class InferOptions:
    """What the command line says beside IN and OUT; threshold None is the model's own."""

    model: str = DEFAULT_MODEL
    threshold: float | None = None
    fov: Path | None = None
    outputs: OutputKinds = OutputKinds()
    layout: str = "auto"
    split: str = "all"
    keep_suffix: bool = False
    null_separated: bool = False
    tile_px: int = 0
    precision: str = "auto"
    jobs: int = 0
    shard: int = 0
    num_shards: int = 1
    force: bool = False
    verify: bool = False


@dataclass(frozen=True)
class Prepared:
    """A photograph in the canonical frame, and what the way back needs.

    image: uint8 (S, S, 3). fov: uint8 (S, S) coverage. pixels: the photograph itself,
    uint8 (Y, X, 3), None from a shard.
    """

    source: Source
    image: np.ndarray
    fov: np.ndarray
    geometry: Geometry
    field_of_view: FieldOfView
    source_sha256: str
    pixels: np.ndarray | None


@dataclass(frozen=True)
class Failure:
    """A source that gave no map, and why."""

    source: Source
    reason: str


def run_infer(given: str, out: Path, options: InferOptions) -> int:
    """Write a vessel map for every photograph that `given` names, a status table, a manifest.

    Finished maps are kept; tensorflow is loaded only if there is one to make.

    Returns:
        The exit code: 3 if some photographs failed.

    Raises:
        FundussegError: if inputs, model or output folder are wrong, or a stop is asked for.
    """
    folder = models.model_folder(options.model)
    preset, threshold, calibration = models.read_config(folder)
    found = sources(
        given, out, options.layout, options.split, options.keep_suffix, options.null_separated
    )
    _require_fitting_shards(found.shards, preset, folder, options)
    job = _Job(found, out, options, folder, preset, threshold, calibration)
    output_folder(out)
    job.open_ledger()
    for count, what, first in found.left_out:
        ui.log.info("%s: %d %s are left out, the first is %s", given, count, what, first)
    todo = job.unfinished()
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

    def __init__(
        self,
        found: Sources,
        out: Path,
        options: InferOptions,
        folder: Path,
        preset: Preset,
        threshold: float,
        calibration: models.Calibration | None,
    ):
        self.found, self.out, self.options = found, out, options
        self.folder, self.preset, self.calibration = folder, preset, calibration
        self.threshold = threshold if options.threshold is None else options.threshold
        self.mine = found.items[options.shard :: options.num_shards]
        self.given_fovs = FovFolder(options.fov) if options.fov else None
        self.model_sha256 = models.model_sha256(folder)
        self.config = {
            "frame_px": preset.frame.size_px,
            "frame": preset.frame.kind,
            "threshold": self.threshold,
            "tile_px": options.tile_px,
            "fov": "given" if options.fov else "found",
        }
        self.config_sha256 = config_hash({**self.config, "model": self.model_sha256})
        self.failures: dict[str, Failure] = {}

    def open_ledger(self) -> None:
        """Read what earlier runs finished in the output folder."""
        self.ledger = Ledger(self.out, self.options.shard, self.options.num_shards)
        if self.options.force:
            self.ledger.clear()
        self.ledger.require_config(self.config_sha256)

    def unfinished(self) -> list[Source]:
        """This task's sources that have no finished map."""
        return [source for source in self.mine if not self._is_finished(source)]

    def work_through(self, todo: list[Source]) -> None:
        """Read, segment and write; each finished map is noted in the ledger at once.

        Raises:
            Stopped: between two photographs, if a stop was asked for.
        """
        (self.out / manifest_name(self.options.shard, self.options.num_shards)).unlink(
            missing_ok=True
        )
        for parent in {(self.out / source.id).parent for source in todo} - {self.out}:
            if parent.is_dir():
                sweep(parent)
        with ui.progress(f"infer {self.out}", len(todo), "photographs") as bar:
            jobs = self._jobs()
            segmented = self._segmented(ordered_map(self._prepared, todo, jobs))
            for result in ordered_map(self._written, segmented, jobs):
                self._note(result)
                bar.advance()
                stop.check()

    def conclude(self) -> int:
        """Write status table and manifest; 3 if a source failed."""
        rows, inputs, outputs = [], {}, {}
        for source in self.mine:
            if source.id in self.failures:
                reason = self.failures[source.id].reason
                rows.append(StatusRow(source.id, FAILED, reason))
                continue
            record = self.ledger.records[source.id]
            rows.append(StatusRow(*record["row"]))
            inputs[source.id] = rows[-1].source_sha256
            outputs.update({name: record["outputs"][name] for name in self._names(source)})
        task = (self.options.shard, self.options.num_shards)
        write_status(self.out / status_name(*task), rows)
        failures = {id: failure.reason for id, failure in self.failures.items()}
        values = manifest(
            "infer",
            self.config,
            inputs,
            outputs,
            failures,
            model_sha256=self.model_sha256,
            threshold=self.threshold,
            threshold_source="the model" if self.options.threshold is None else "--threshold",
        )
        write_manifest(self.out / manifest_name(*task), values)
        ui.log.info("%s: %d maps, %d failed", self.out, len(inputs), len(failures))
        return EXIT_SOME_FAILED if failures else EXIT_OK

    def _is_finished(self, source: Source) -> bool:
        """Whether the ledger has it, its files stand, and the source has not changed."""
        record = self.ledger.records.get(source.id)
        if record is None or any(name not in record["outputs"] for name in self._names(source)):
            return False
        wanted = {name: record["outputs"][name] for name in self._names(source)}
        if not outputs_stand(self.out, wanted, self.options.verify):
            return False
        try:
            stamps = self._stamps(source)
            if stamps == record["stamps"] and not self.options.verify:
                return True
            same = source.ref is None and self.given_fovs is None
            return same and sha256_of(source.path) == StatusRow(*record["row"]).source_sha256
        except (OSError, InputError):
            return False

    def _stamps(self, source: Source) -> list[list[int]]:
        """Size and time of the photograph (or shard), and of its given field of view."""
        paths = [source.path]
        if self.given_fovs is not None:
            paths.append(self.given_fovs.path_of(source.id))
        return [SourceStamp.of(path).as_list() for path in paths]

    def _names(self, source: Source) -> tuple[str, ...]:
        return self.options.outputs.names(source.id)

    def _jobs(self) -> int:
        return self.options.jobs or free_cores()

    def _prepared(self, source: Source) -> tuple[Prepared, list] | Failure:
        """Decode a photograph and bring it to the frame; in a thread of its own."""
        try:
            if source.refusal:
                return Failure(source, source.refusal)
            stamps = self._stamps(source)
            if source.ref is not None:
                return _from_shard(source, self.found.shards), stamps
            return _from_file(source, self.preset.frame, self.given_fovs), stamps
        except InputError as error:
            return Failure(source, error.reason)
        except OSError as error:
            return Failure(source, f"cannot be read ({error.strerror})")

    def _segmented(self, prepared: Iterable) -> Iterator:
        """Put each frame through the network, in the main thread."""
        options = self.options
        predictor = ready_predictor(self.folder, options.precision, options.tile_px, options.jobs)
        for result in prepared:
            if isinstance(result, Failure):
                yield result
                continue
            item, stamps = result
            frame = predictor.probabilities(item.image[np.newaxis], item.fov[np.newaxis])[0]
            yield item, stamps, frame

    def _written(self, result) -> Failure | tuple[Source, dict]:
        """Bring the probabilities back to the source's size and write the files."""
        if isinstance(result, Failure):
            return result
        item, stamps, frame = result
        probability = from_frame(frame, item.geometry)
        vessels = probability >= self.threshold
        kinds = self.options.outputs
        overlay = outlined(item.pixels, vessels) if kinds.overlay else None
        contents = kinds.encoded(item.source.id, vessels, probability, overlay)
        for name, data in contents.items():
            write_bytes(self.out / name, data)
        row = _row(item, self._expected_dice(frame, item.fov))
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        return item.source, {"row": list(astuple(row)), "outputs": hashes, "stamps": stamps}

    def _expected_dice(self, frame: np.ndarray, fov: np.ndarray) -> float | None:
        if self.calibration is None:
            return None
        scores = frame[fov > 127]
        slope, intercept = self.calibration.slope, self.calibration.intercept
        return expected_dice(scores, scores >= self.threshold, slope, intercept)

    def _note(self, result) -> None:
        if isinstance(result, Failure):
            ui.log.warning("%s: %s", result.source.path, result.reason)
            self.failures[result.source.id] = result
        else:
            source, record = result
            self.ledger.add(source.id, self.config_sha256, **record)


def _require_fitting_shards(
    shards: ShardFolder | None, preset: Preset, folder: Path, options: InferOptions
) -> None:
    if shards is None:
        return
    if options.outputs.overlay or options.fov:
        raise UsageError("shards hold no photograph: --overlay and --fov go with photographs")
    if shards.header.frame != preset.frame:
        problem = f"was prepared with another frame than the model {folder} has"
        raise InputError(shards.root, problem, f"prepare it with --preset {preset.name}")


def _from_file(source: Source, frame: FrameConfig, given_fovs: FovFolder | None) -> Prepared:
    photograph = images.read_photograph(source.path)
    given = None
    if given_fovs is not None:
        given = given_fovs.mask_of(source.id, photograph.pixels.shape[:2])
    found = framed(photograph.pixels, given, frame.kind, frame.size_px)
    return Prepared(
        source,
        found.image,
        found.fov,
        found.geometry,
        found.field_of_view,
        photograph.sha256,
        photograph.pixels,
    )


def _from_shard(source: Source, shards: ShardFolder) -> Prepared:
    sample = shards.read(source.ref)
    return Prepared(
        source,
        sample.image,
        sample.fov,
        sample.geometry,
        sample.field_of_view,
        sample.source_sha256,
        None,
    )


def _row(item: Prepared, dice: float | None) -> StatusRow:
    height, width = item.geometry.source_shape
    return StatusRow(
        id=item.source.id,
        status=OK,
        source_sha256=item.source_sha256,
        width_px=str(width),
        height_px=str(height),
        fov_y_px=f"{item.field_of_view.y_px:.1f}",
        fov_x_px=f"{item.field_of_view.x_px:.1f}",
        fov_diameter_px=f"{item.field_of_view.diameter_px:.1f}",
        fov_method=item.field_of_view.method,
        expected_dice="" if dice is None else f"{dice:.4f}",
    )
