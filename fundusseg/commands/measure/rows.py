"""The rows of maps: what is measured of each, in which field of view, and what it follows from."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from fundusseg import ui
from fundusseg.datasets.choice import Choice
from fundusseg.datasets.fov_folder import FovFolder
from fundusseg.datasets.maps import MapFile, MapFolder
from fundusseg.errors import FAULTS, InputError, UsageError, reason_of
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import package_versions
from fundusseg.files.names import NameDict, escaped, name_bytes
from fundusseg.files.row_table import RowTable
from fundusseg.files.status import FAILED, OK, StatusRow
from fundusseg.files.tables import rows_by_id
from fundusseg.fundus.field_of_view import FieldOfView, circle_of, field_of_view_of_mask
from fundusseg.morphometry import definitions
from fundusseg.morphometry.measures import map_measures
from fundusseg.options import MeasureOptions
from fundusseg.serial import config_hash
from fundusseg.wording import counted

_HASH_DIGITS = 16


@dataclass(frozen=True)
class MeasuredRows:
    """What came of a map: its rows in each table, without the id, and a hash of what made them.

    reason: why it failed.
    """

    id: str
    tables: list[list[list[str]]]
    made_from: str
    reason: str = ""


class MapRows:
    """What is measured, and how: the maps by id with all that their rows follow from.

    Attributes:
        ids: of the maps that are measured, in byte order.
        left_out: of those that --include and --exclude do not take.
    """

    def __init__(self, folder: MapFolder, options: MeasureOptions):
        self.folder, self.options = folder, options
        known = {*folder.files, *(row.id for row in folder.status)}
        if not known:
            raise InputError(folder.root, "holds no maps", "give the folder that infer wrote")
        everything = sorted(known, key=name_bytes)
        self.choice = Choice(options.include, options.exclude)
        self.ids, self.left_out = self.choice.divided(folder.root, everything, str, "map")
        self._fovs = FovFolder(options.fov, everything) if options.fov else None
        if self._fovs is not None:
            self._fovs.require_any(self.ids)
        self._pixels_um = _pixel_sizes(options.pixel_um)
        if isinstance(self._pixels_um, dict):
            self._tell_unsized(str(options.pixel_um), self._pixels_um)
        settings = {
            "columns": [*definitions.COLUMNS, *definitions.SEGMENT_COLUMNS],
            "min_confidence": options.min_confidence,
            "fov": options.fov is not None,
            "pixel_um": _noted_pixel_sizes(options.pixel_um),
            "versions": package_versions(),
        }
        self.settings = config_hash(settings)[:_HASH_DIGITS]

    def _tell_unsized(self, table: str, sizes: NameDict[float]) -> None:
        """Warn of maps that the table of --pixel-um has no row for; InputError if it has none."""
        unsized = [id for id in self.ids if id not in sizes]
        if len(unsized) == len(self.ids):
            problem = f"names none of the {counted(len(unsized), 'map')}"
            raise InputError(table, problem, f"their ids are like {escaped(unsized[0])}")
        if unsized:
            said = (table, counted(len(unsized), "map"), escaped(unsized[0]))
            ui.log.warning("%s: has no row for %s, the first is %s", *said)

    def is_made(self, tables: list[RowTable], id: str) -> bool:
        """Whether the tables have the rows of a map as they would be made now.

        tables: the first has one row of each map, the others those of its segments, if it has any.
        """
        measures, *others = tables
        if id not in measures.ids or not is_made(measures, id, self.settings, self._made_from):
            return False
        count = int(measures.cells(id)["segments_count"] or 0) if others else 0
        return all(
            table.count(id) == count
            and (not count or is_made(table, id, self.settings, self._made_from))
            for table in others
        )

    def stays(self, table: RowTable, id: str) -> bool:
        """Whether an earlier run's rows of a map that is left out are right, or say it failed."""
        return self.is_made([table], id) or table.has(id, self.settings, "")

    def rows(self, id: str) -> MeasuredRows:
        """Measure a map; in a thread of its own."""
        try:
            made_from = self._made_from(id)
            drawn = self.folder.read(self._file(id))
            row, segments = self.measured(id, drawn.vessels, drawn.probability)
        except FAULTS as error:
            reason = reason_of(error)
            return MeasuredRows(id, [[failed_row(reason)], []], "", reason)
        told = _told(self.folder.row(id), self.options.min_confidence)
        return MeasuredRows(id, [[cells_of({**row, **told})], segments], made_from)

    def measured(
        self, id: str, vessels: np.ndarray, probability: np.ndarray | None = None
    ) -> tuple[dict[str, str], list[list[str]]]:
        """Measure vessels, bool (Y, X), in the field of view of a map.

        Returns:
            The cells of their row by column, and the rows of their segments.

        Raises:
            InputError: if the field of view, or the size of the pixels, cannot be.
        """
        field_of_view, where, source = self._field_of_view(id, vessels.shape)
        diameter_px = field_of_view.diameter_px
        pixel_um = self._pixel_um(id, diameter_px)
        measures = map_measures(vessels, probability, where, field_of_view)
        row = {
            "status": OK,
            "image_width_px": str(vessels.shape[1]),
            "image_height_px": str(vessels.shape[0]),
            "fov_diameter_px": f"{diameter_px:.1f}",
            "fov_method": field_of_view.method,
            "fov_source": source,
            "resolution": "low" if diameter_px < definitions.LOW_PX else "ok",
            "pixel_um": "" if pixel_um is None else definitions.number(pixel_um),
            **definitions.cells(measures.values, diameter_px, pixel_um, probability is not None),
        }
        return row, definitions.segment_rows(measures.segments, diameter_px, pixel_um)

    def _file(self, id: str) -> MapFile:
        row = self.folder.row(id)
        if row is not None and row.status == FAILED:
            raise InputError(self.folder.root / id, f"has no map: {row.reason}")
        if id not in self.folder.files:
            raise InputError(self.folder.root / id, "has no map any more", "run infer again")
        return self.folder.files[id]

    def _made_from(self, id: str) -> str:
        """A hash of all that the row of a map follows from, but for the settings."""
        file = self._file(id)
        paths = (file.path, file.probability)
        return self.hash_of(id, [sha256_of(path) if path else None for path in paths])

    def hash_of(self, id: str, hashes: list[str | None]) -> str:
        """A hash of hashes, of what status.tsv knows, and of the field of view and pixel of a map.

        Raises:
            InputError: if the file of its field of view cannot be read.
        """
        fov = None if self._fovs is None else self._fovs.path_of(id)
        hashes = [*hashes, sha256_of(fov) if fov else None]
        pixel_um = self._pixels_um.get(id) if isinstance(self._pixels_um, dict) else self._pixels_um
        known = self.folder.row(id)
        cells = None if known is None else [escaped(cell) for cell in astuple(known)]
        return config_hash([hashes, cells, pixel_um])[:_HASH_DIGITS]

    def _field_of_view(
        self, id: str, shape: tuple[int, int]
    ) -> tuple[FieldOfView, np.ndarray, str]:
        """The field of view, its pixels, bool (Y, X), and where it is known from."""
        if self._fovs is not None:
            where = self._fovs.mask_of(id, shape)
            return field_of_view_of_mask(where), where, "--fov"
        known = self.folder.field_of_view(id)
        if known is not None:
            return known, circle_of(known, shape), "status.tsv"
        where = np.ones(shape, bool)
        return field_of_view_of_mask(where, "frame"), where, "none"

    def _pixel_um(self, id: str, diameter_px: float) -> float | None:
        """The side of a map's pixel: of --pixel-um, else of the photograph's file if it can be.

        InputError if no eye is as large as --pixel-um makes the field.
        """
        sizes = self._pixels_um
        pixel_um = sizes.get(id) if isinstance(sizes, dict) else sizes
        if pixel_um is None:
            told = self.folder.pixel_um(id)
            return told if told is not None and _is_of_an_eye(told, diameter_px) else None
        if not _is_of_an_eye(pixel_um, diameter_px):
            problem = f"has a field of view of {pixel_um * diameter_px / 1000:.3g} mm"
            remedy = f"a pixel of {pixel_um:g} um cannot be; give micrometres"
            raise InputError(self.folder.root / id, problem, remedy)
        return pixel_um


def _is_of_an_eye(pixel_um: float, diameter_px: float) -> bool:
    """Whether a field of view can be as large as such pixels make it: 1 to 50 mm."""
    return 1 <= pixel_um * diameter_px / 1000 <= 50


def is_made(table: RowTable, id: str, settings: str, made_from: Callable[[str], str]) -> bool:
    """Whether a table has the rows of an id as they would be made now."""
    try:
        return table.has(id, settings, made_from(id))
    except (InputError, OSError):
        return False


def cells_of(row: dict[str, str]) -> list[str]:
    """The cells of a row in the order of the columns, without the id."""
    return [row.get(name, "") for name in definitions.COLUMNS[1:]]


def failed_row(reason: str) -> list[str]:
    """The row of a map that could not be measured, without the id."""
    return cells_of({"status": FAILED, "reason": escaped(reason)})


def _noted_pixel_sizes(given: str | None) -> str | None:
    """What --pixel-um gives, in a few characters: the number, or the hash of the table."""
    return sha256_of(Path(given)) if given is not None and Path(given).is_file() else given


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


def _told(known: StatusRow | None, least: float | None) -> dict[str, str]:
    """What infer says of a map, by column, and whether that is enough."""
    if known is None:
        return {}
    told = {name: getattr(known, name) for name in ("reason", *definitions.CONFIDENCE)}
    if least is not None and known.expected_dice:
        is_enough = float(known.expected_dice) >= least and not known.reason
        told["confidence"] = "ok" if is_enough else "low"
    return told
