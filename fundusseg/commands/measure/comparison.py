"""--compare: masks of the same photographs, measured alike, and how far maps agree with them."""

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg import ui
from fundusseg.commands.measure.rows import MapRows, MeasuredRows, cells_of, failed_row, is_made
from fundusseg.datasets.choice import told_of_left_out
from fundusseg.datasets.truth import open_truth
from fundusseg.errors import FAULTS, InputError, UsageError, reason_of
from fundusseg.evaluation.matching import paired
from fundusseg.evaluation.protocol import training_overlap
from fundusseg.evaluation.study import chosen_items
from fundusseg.files.atomic import output_folder, write_bytes, write_text
from fundusseg.files.checksums import sha256_of
from fundusseg.files.names import unescaped
from fundusseg.files.row_table import RowTable
from fundusseg.metrics.agreement import Agreement, agreement
from fundusseg.morphometry.definitions import COLUMNS, DEFINITIONS
from fundusseg.options import MeasureOptions
from fundusseg.report import markdown
from fundusseg.report.plots import agreement_plot
from fundusseg.wording import counted

MAPS, SECOND = "maps", "second observer"  # each against the first observer
GOOD_ICC, POOR_ICC = 0.75, 0.5  # Koo and Li, J Chiropr Med 15:155, 2016
LEAST_PERSONS = 3  # as of an interval in score
_TSV = "agreement.tsv"
_MD = "agreement.md"
_SECOND_ICC = "second observer's ICC"
_HEADER = (
    "measure",
    "n",
    "maps",
    "masks",
    "bias",
    "limits of agreement",
    "ICC(2,1)",
    "95 %",
    "Spearman",
    _SECOND_ICC,
    "to be trusted",
)
_Columns = dict[str, np.ndarray]  # float (N,) by column, NaN for an empty cell


@dataclass(frozen=True)
class _Compared:
    """A measure of maps and of masks: values, float (N,), and their agreement, by MAPS, SECOND."""

    column: str
    values: dict[str, tuple[np.ndarray, np.ndarray]]
    agreements: dict[str, Agreement]


class Comparison:
    """The masks of the maps' photographs, and a folder beside the table for what comes of them.

    Attributes:
        masks: the table of their measures, a row for each observer.
        missing: how many masks of maps that are measured have none.

    Raises:
        InputError: if the truth, or the folder, cannot be used, or no map that is measured
            belongs to a mask.
        UsageError: if only a part of the maps is measured.
    """

    def __init__(self, job: MapRows, out: Path, options: MeasureOptions):
        assert options.compare is not None  # else there is nothing to compare with
        if options.part != (0, 1):
            raise UsageError("--compare needs all maps: run the parts, merge, then give it alone")
        self._job = job
        self._truth = open_truth(options.compare, "native", "auto", None)
        self._split, items = chosen_items(self._truth, options.split)
        self._others = len(self._truth.items) - len(items) if options.split == "auto" else 0
        self._pairing = paired(job.folder, str(job.folder.root), self._truth, items)
        by_map = {file.id: item for item in items if (file := self._pairing.maps.get(item.id))}
        self._items = {id: by_map[id] for id in job.ids if id in by_map}
        ids = self._pairing.ids
        self._faults = {
            id: reason
            for id, reason in self._pairing.faults.items()
            if job.choice.takes(ids.get(id, id))
        }
        self.missing = len(self._faults)
        if not self._items and not self._faults:
            problem = "holds no mask of the maps that --include and --exclude take"
            raise InputError(self._truth.root, problem, "choose others, or leave --compare out")
        self._folder = out.with_name(f"{out.stem}-agreement")
        self.masks = RowTable(
            self._folder / "masks.csv", ("id", "observer", *COLUMNS[1:]), options.force
        )
        if self._folder.is_dir() and any(self._folder.iterdir()) and not options.force:
            self.masks.read()
            if not self.masks.path.exists() and not self.masks.ids:
                problem = "holds files that are not ours"
                raise InputError(self._folder, problem, "choose another name, or give --force")
        self._sha256_of = functools.lru_cache(10_000)(sha256_of)  # a shard holds many masks

    def begin(self) -> list[str]:
        """Make the folder; the maps whose masks are still to be measured."""
        for fault in sorted(set(self._faults.values()))[:1]:
            masks = counted(self.missing, "mask has", "masks have")
            ui.log.warning("%s: %s no map, as %s", self._truth.root, masks, fault)
        if self._others:
            said = "%s: %s of other parts left out; --split all takes all"
            ui.log.info(said, self._truth.root, counted(self._others, "mask"))
        if seen := training_overlap(self._pairing):
            ui.log.warning("%s: %s", self._job.folder.root, seen)
        output_folder(self._folder)
        self.masks.read()
        settings = self._job.settings
        return [id for id in self._items if not is_made(self.masks, id, settings, self._made_from)]

    def rows(self, id: str) -> MeasuredRows:
        """Measure the masks of a map's photograph, in the map's field of view."""
        blamed = "its map "
        try:
            shape = self._job.folder.read(self._job.folder.files[id]).vessels.shape
            blamed = ""
            made_from = self._made_from(id)
            blamed = "its mask "
            image = self._truth.read(self._items[id], needs_fov=False)
            masks = [mask for mask in (image.mask, image.mask2) if mask is not None]
            if image.mask.shape != shape:
                problem = f"is {image.mask.shape}, its map {shape} (Y, X)"
                raise InputError(id, problem, "maps must have their photograph's size")
            blamed = ""
            rows = [cells_of(self._job.measured(id, mask)[0]) for mask in masks]
        except FAULTS as error:
            reason = f"{blamed}{reason_of(error)}"
            return MeasuredRows(id, [[["1", *failed_row(reason)]]], "", reason)
        return MeasuredRows(
            id, [[[str(number), *row] for number, row in enumerate(rows, start=1)]], made_from
        )

    def _made_from(self, id: str) -> str:
        hashes: list[str | None] = [
            self._sha256_of(path) for path in self._truth.files(self._items[id])
        ]
        return self._job.hash_of(id, hashes)

    def conclude(self, out: Path) -> str:
        """Write tables and plots; the table as Markdown.

        Args:
            out: the table of the maps.
        """
        self.masks.conclude(self._items)
        compared = _compared(list(self._items), out, self.masks.path)
        text = self._printed(compared)
        plotted = [each for each in compared if each.agreements[MAPS].n]
        for each in plotted:
            series = [(of, *each.values[of], each.agreements[of]) for of in each.values]
            write_bytes(self._folder / f"{each.column}.png", agreement_plot(each.column, series))
        pictures = [markdown.picture(f"{each.column}.png", each.column) for each in plotted]
        sections = (("Plots", "\n".join(pictures)), ("Agreement", text))
        title = f"Measures of {self._job.folder.root.name} and {self._truth.root.resolve().name}"
        write_text(self._folder / _TSV, _tsv(compared))
        write_text(self._folder / _MD, markdown.document(title, sections))
        ui.log.info("%s: the table, and a plot of each measure", self._folder / _MD)
        return text

    def _printed(self, compared: list[_Compared]) -> str:
        part = "" if self._split == "all" else f", {self._split} part"
        part += told_of_left_out(len(self._job.left_out))
        said = (
            f"{counted(len(self._items), 'map')} against masks{part}, each measured in the map's "
            f"field of view. To be trusted: yes if the interval of the ICC is above {GOOD_ICC}, no "
            f"if the ICC is below {POOR_ICC}, else with care; n/a for fewer than {LEAST_PERSONS} "
            "persons."
        )
        if seen := training_overlap(self._pairing):
            said += f"\n\nNote that {seen}: agreement is better there than on new photographs."
        persons = {self._items[id].subject for id in self._items}
        are_few = len(persons) < LEAST_PERSONS
        rows = [_row(each, are_few) for each in compared]
        header: Sequence[str] = _HEADER
        if not any(SECOND in each.agreements for each in compared):
            at = _HEADER.index(_SECOND_ICC)
            header, rows = _without(at, _HEADER), [_without(at, row) for row in rows]
        return f"{said}\n\n{markdown.table(header, rows)}"


def _compared(ids: list[str], maps: Path, masks: Path) -> list[_Compared]:
    """Each measure, in a unit that cameras have in common, of maps and of masks by either hand.

    The half-height widths of a map are held against the widths of its mask.
    """
    names = [
        _column(definition.columns) for definition in DEFINITIONS if definition.dimension != "plain"
    ]
    drawn = _columns(maps, ids, names)
    first, second = (_columns(masks, ids, names, observer) for observer in ("1", "2"))
    compared = []
    for name in names:
        of_mask = name.removeprefix("half_height_")
        values = {MAPS: (drawn[name], first[of_mask])}
        if of_mask == name and np.isfinite(second[name]).any():
            values[SECOND] = second[name], first[name]
        compared.append(
            _Compared(name, values, {of: agreement(*both) for of, both in values.items()})
        )
    return compared


def _column(columns: tuple[str, ...]) -> str:
    """Of a measure's columns the one in diameters, if there is one."""
    return next((name for name in columns if name.endswith("_fov")), columns[0])


def _columns(path: Path, ids: list[str], names: list[str], observer: str = "") -> _Columns:
    with path.open(newline="", encoding="utf-8") as file:
        rows = {
            unescaped(row["id"]): row
            for row in csv.DictReader(file)
            if row.get("observer", "") == observer
        }
    cells = [[rows.get(id, {}).get(name) or "nan" for id in ids] for name in names]
    return dict(zip(names, np.array(cells, float).reshape(len(names), -1), strict=True))


def _trust(agreed: Agreement, are_few: bool) -> str:
    if np.isnan(agreed.icc) or are_few:
        return markdown.UNDEFINED
    if agreed.icc < POOR_ICC:
        return "no"
    return "yes" if agreed.icc_low >= GOOD_ICC or agreed.icc == 1 else "with care"


def _row(each: _Compared, are_few: bool) -> list[str]:
    agreed, second = each.agreements[MAPS], each.agreements.get(SECOND)
    means = [_mean(values) for values in each.values[MAPS]]
    has_limits = np.isfinite(agreed.low)
    limits = f"{_short(agreed.low)} to {_short(agreed.high)}" if has_limits else markdown.UNDEFINED
    return [
        each.column,
        str(agreed.n),
        *map(_short, means),
        _short(agreed.bias),
        limits,
        markdown.number(agreed.icc, 2),
        markdown.interval(agreed.icc_low, agreed.icc_high, 2),
        markdown.number(agreed.spearman, 2),
        "" if second is None else markdown.number(second.icc, 2),
        _trust(agreed, are_few),
    ]


def _without(column: int, cells: Sequence[str]) -> list[str]:
    return [*cells[:column], *cells[column + 1 :]]


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _short(value: float) -> str:
    return markdown.UNDEFINED if np.isnan(value) else f"{value:.3g}"


def _tsv(compared: list[_Compared]) -> str:
    """All figures: a row for each measure of maps, and of the second observer."""
    names = tuple(Agreement.__dataclass_fields__)
    lines = [("measure", "of", "mean", "mean_first_observer", *names)]
    for each in compared:
        for of, agreed in each.agreements.items():
            numbers = [*map(_mean, each.values[of]), *(getattr(agreed, name) for name in names)]
            shown = ["" if np.isnan(value) else f"{value:.6g}" for value in numbers]
            lines.append((each.column, of, *shown))
    return "".join("\t".join(line) + "\n" for line in lines)
