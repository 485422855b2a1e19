"""measure: what the vessels of maps say, in units; one row for each map."""

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from fundusseg import stop, ui
from fundusseg.datasets.fov_folder import FovFolder
from fundusseg.datasets.maps import MapFile, MapFolder
from fundusseg.errors import (
    EXIT_OK,
    EXIT_SOME_FAILED,
    LACK_OF_MEMORY,
    InputError,
    UsageError,
)
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import Part, package_versions
from fundusseg.files.names import NameDict, escaped, name_bytes
from fundusseg.files.row_table import RowTable
from fundusseg.files.status import FAILED, OK
from fundusseg.files.tables import rows_by_id
from fundusseg.fundus.field_of_view import FieldOfView, circle_of, field_of_view_of_mask
from fundusseg.morphometry import definitions
from fundusseg.morphometry.measures import map_measures
from fundusseg.options import MeasureOptions
from fundusseg.parallel import ordered_map
from fundusseg.processor import free_cores
from fundusseg.serial import config_hash

_HASH_DIGITS = 16


@dataclass(frozen=True)
class _Rows:
    """What came of a map: its row without the id, the rows of its segments, and its hash."""

    id: str
    row: list[str]
    segments: list[list[str]]
    made_from: str
    reason: str = ""


def run_measure(maps: Path, out: Path, options: MeasureOptions) -> int:
    """Write a row for each map in the folder `maps` to the table `out`.

    Rows of an earlier run are kept where the map and all else they follow from are the same.

    Returns:
        The exit code: 3 if some maps failed.

    Raises:
        FundussegError: if a folder, table or option is wrong, or a stop is asked for.
    """
    folder = MapFolder(maps)
    job = _Job(folder, options)
    part = Part(*options.part)
    tables = [
        RowTable(path.with_name(part.named(path.name)), columns, options.force)
        for path, columns in (
            (out, definitions.COLUMNS),
            (options.segments, definitions.SEGMENT_COLUMNS),
        )
        if path is not None
    ]
    for table in tables:
        if not table.path.parent.is_dir():
            raise UsageError(f"{table.path.parent}: is no folder; make it first")
        table.read()
    _require_common_maps(tables[0], job.ids)
    mine = job.ids[part.number :: part.total]
    todo = [id for id in mine if not all(job.is_made(table, id) for table in tables)]
    ui.log.info("%s: %d maps, %d of them measured before", maps, len(mine), len(mine) - len(todo))
    failed = 0
    with ui.progress(f"measure {maps}", len(todo), "maps") as bar:
        for made in ordered_map(job.rows, todo, options.jobs or free_cores()):
            if made.reason:
                ui.log.warning("%s: %s", escaped(made.id), made.reason)
                failed += 1
            if options.segments is not None:
                tables[1].append(made.id, made.segments, job.settings, made.made_from)
            tables[0].append(made.id, [made.row], job.settings, made.made_from)  # the last word
            bar.advance()
            stop.check()
    for table in tables:
        table.conclude(mine)
    ui.log.info("%s: %d rows, %d failed", tables[0].path, len(mine), failed)
    return EXIT_SOME_FAILED if failed else EXIT_OK


class _Job:
    """What is measured, and how: the maps by id with all that their rows follow from."""

    def __init__(self, folder: MapFolder, options: MeasureOptions):
        self.folder, self.options = folder, options
        known = {*folder.files, *(row.id for row in folder.status)}
        if not known:
            raise InputError(folder.root, "holds no maps", "give the folder that infer wrote")
        self.ids = sorted(known, key=name_bytes)
        self._fovs = FovFolder(options.fov, self.ids) if options.fov else None
        self._pixels_um = _pixel_sizes(options.pixel_um)
        settings = {
            "columns": [*definitions.COLUMNS, *definitions.SEGMENT_COLUMNS],
            "min_confidence": options.min_confidence,
            "versions": package_versions(),
        }
        self.settings = config_hash(settings)[:_HASH_DIGITS]

    def is_made(self, table: RowTable, id: str) -> bool:
        """Whether a table has the rows of a map as they would be made now."""
        if id not in table.ids:
            return False
        try:
            return table.has(id, self.settings, self._made_from(id))
        except (InputError, OSError):
            return False

    def rows(self, id: str) -> _Rows:
        """Measure a map; in a thread of its own."""
        try:
            return self._measured(id)
        except InputError as error:
            reason = error.reason
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except MemoryError:
            reason = LACK_OF_MEMORY
        cells = {"status": FAILED, "reason": escaped(reason)}
        return _Rows(id, [cells.get(name, "") for name in definitions.COLUMNS[1:]], [], "", reason)

    def _measured(self, id: str) -> _Rows:
        made_from = self._made_from(id)
        drawn = self.folder.read(self._file(id))
        shape = drawn.vessels.shape
        field_of_view, where, source = self._field_of_view(id, shape)
        pixel_um = self._pixel_um(id, field_of_view.diameter_px)
        found = map_measures(drawn.vessels, drawn.probability, where, field_of_view)
        row = self.folder.row(id)
        expected_dice = row.expected_dice if row else ""
        cells = {
            "status": OK,
            "image_width_px": str(shape[1]),
            "image_height_px": str(shape[0]),
            "fov_diameter_px": f"{field_of_view.diameter_px:.1f}",
            "fov_method": field_of_view.method,
            "fov_source": source,
            "resolution": "low" if field_of_view.diameter_px < definitions.LOW_PX else "ok",
            "pixel_um": "" if pixel_um is None else definitions.number(pixel_um),
            "expected_dice": expected_dice,
            "confidence": _confidence(expected_dice, self.options.min_confidence),
            **definitions.cells(found.values, field_of_view.diameter_px, pixel_um),
        }
        segments = definitions.segment_rows(found.segments, field_of_view.diameter_px, pixel_um)
        return _Rows(
            id, [cells.get(name, "") for name in definitions.COLUMNS[1:]], segments, made_from
        )

    def _file(self, id: str) -> MapFile:
        row = self.folder.row(id)
        if row is not None and row.status == FAILED:
            raise InputError(self.folder.root / id, f"has no map: {row.reason}")
        if id not in self.folder.files:
            raise InputError(self.folder.root / id, "has no map any more", "run infer again")
        return self.folder.files[id]

    def _made_from(self, id: str) -> str:
        """A hash of all that the row of a map follows from, but for the settings."""
        file, row = self._file(id), self.folder.row(id)
        fov = None if self._fovs is None else self._fovs.path_of(id)
        paths = (file.path, file.probability, fov)
        hashes = [None if path is None else sha256_of(path) for path in paths]
        pixel_um = self._pixels_um.get(id) if isinstance(self._pixels_um, dict) else self._pixels_um
        known = None if row is None else [escaped(cell) for cell in astuple(row)]
        return config_hash([hashes, known, pixel_um])[:_HASH_DIGITS]

    def _field_of_view(
        self, id: str, shape: tuple[int, int]
    ) -> tuple[FieldOfView, np.ndarray, str]:
        """The field of view, its pixels, bool (Y, X), and where it is known from."""
        if self._fovs is not None:
            where = self._fovs.mask_of(id, shape)
            return field_of_view_of_mask(where), where, "--fov"
        found = self.folder.field_of_view(id)
        if found is not None:
            return found, circle_of(found, shape), "status.tsv"
        where = np.ones(shape, bool)
        return field_of_view_of_mask(where, "frame"), where, "none"

    def _pixel_um(self, id: str, diameter_px: float) -> float | None:
        """The side of a map's pixel; InputError if no eye is as large as that makes the field."""
        sizes = self._pixels_um
        pixel_um = sizes.get(id) if isinstance(sizes, dict) else sizes
        if pixel_um is not None and not 1 <= pixel_um * diameter_px / 1000 <= 50:
            problem = f"has a field of view of {pixel_um * diameter_px / 1000:.3g} mm"
            remedy = f"a pixel of {pixel_um:g} um cannot be; give micrometres"
            raise InputError(self.folder.root / id, problem, remedy)
        return pixel_um


def _pixel_sizes(given: str | None) -> NameDict[float] | float | None:
    """The value of --pixel-um: one size for all, or sizes by id.

    Raises:
        UsageError: if it is neither a number above 0 nor a file.
        InputError: if the file is no such table.
    """
    if given is None:
        return None
    try:
        size = float(given)
    except ValueError:
        size = 0
    if 0 < size < float("inf"):
        return size
    path = Path(given)
    if not path.is_file():
        raise UsageError(f"--pixel-um {given}: is neither a number above 0 nor a file")
    sizes: NameDict[float] = NameDict()
    for id, row in rows_by_id(path, ("pixel_um",)).items():
        try:
            sizes[id] = float(row["pixel_um"])
        except ValueError as error:
            problem = f"has a pixel_um of {id} that is no number"
            raise InputError(path, problem, "correct it") from error
    return sizes


def _confidence(expected_dice: str, least: float | None) -> str:
    if least is None or not expected_dice:
        return ""
    return "ok" if float(expected_dice) >= least else "low"


def _require_common_maps(table: RowTable, ids: list[str]) -> None:
    """Refuse to write over the measures of other maps."""
    if table.ids and table.ids.isdisjoint(ids):
        problem = "holds the measures of other maps"
        raise InputError(table.path, problem, "choose another name, or give --force")
