"""measure: what the vessels of maps say, in units; one row for each map."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.commands.measure.comparison import Comparison
from fundusseg.commands.measure.rows import MapRows, MeasuredRows
from fundusseg.datasets.choice import told_of_left_out
from fundusseg.datasets.maps import MapFolder, require_finished
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UsageError
from fundusseg.files.atomic import output_folder
from fundusseg.files.lock import waited_for
from fundusseg.files.manifest import Part, part_totals, parts_of
from fundusseg.files.names import escaped, name_bytes
from fundusseg.files.row_table import RowTable
from fundusseg.files.single import require_file_to_write
from fundusseg.files.status import NAME as STATUS
from fundusseg.morphometry import definitions
from fundusseg.options import MeasureOptions
from fundusseg.parallel import ordered_map
from fundusseg.wording import counted

_EXAMPLE = "vessels.csv"


def run_measure(maps: Path, out: Path, options: MeasureOptions) -> int:
    """Write a row for each map in the folder `maps` to the table `out`.

    Rows of an earlier run are kept where the map and all else they follow from are the same, also
    those of maps that are left out now; a part of an array has its own rows only, so that `merge`
    finds parts that fit. With `compare`, the masks of the same photographs are measured too, and
    how far both agree is printed and written beside the table.

    Returns:
        The exit code: 3 if some maps (or masks) failed, or a mask has no map.

    Raises:
        FundussegError: if a folder, table or option is wrong, or a stop is asked for.
    """
    _require_names_of_tables(out, options)
    if maps.is_dir():
        require_finished(maps)
        _require_all_parts(maps)
    job = MapRows(MapFolder(maps), options)
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
        require_file_to_write(table.path, _EXAMPLE)
    folders = dict.fromkeys(table.path.parent for table in tables)
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: is no folder; make it first")
    for folder in folders:
        output_folder(folder)
    with ExitStack() as held:
        for path in sorted(table.path for table in tables):
            held.enter_context(waited_for(path))
        return _written(job, tables, maps, out, options)


def _written(
    job: MapRows, tables: list[RowTable], maps: Path, out: Path, options: MeasureOptions
) -> int:
    """Measure what is left, and write the tables; the exit code."""
    part = Part(*options.part)
    for table in tables:
        table.read()
    for table in tables:
        _require_common_maps(table, [*job.ids, *job.left_out])
    for whole in filter(None, (out, options.segments)):
        _remove_other_parts(whole, part)
    comparison = None if options.compare is None else Comparison(job, out, options)
    mine = job.ids[part.number :: part.total]
    todo = [id for id in mine if not job.is_made(tables, id)]
    known = (maps, counted(len(mine), "map"), len(mine) - len(todo))
    ui.log.info("%s: %s, %d of them measured before", *known)
    how = (job.settings, options.threads)
    failed = _measured(tables, todo, job.rows, *how, f"measure {maps}", "map")
    others = job.left_out if part.total == 1 else []
    for table in tables:
        earlier = [id for id in others if id in table.ids and job.stays(table, id)]
        table.conclude(sorted([*mine, *earlier], key=name_bytes), has_all=table is tables[0])
    left_out = told_of_left_out(len(job.left_out))
    said = (tables[0].path, counted(len(mine), "row"), failed, left_out)
    ui.log.info("%s: %s, %d failed%s", *said)
    if comparison is not None:
        todo = comparison.begin()
        what = (f"measure {options.compare}", "mask")
        failed += comparison.missing
        failed += _measured([comparison.masks], todo, comparison.rows, *how, *what)
        sys.stdout.write(comparison.conclude(out))
    return EXIT_SOME_FAILED if failed else EXIT_OK


def _measured(
    tables: list[RowTable],
    ids: list[str],
    rows_of: Callable[[str], MeasuredRows],
    settings: str,
    threads: int,
    title: str,
    unit: str,
) -> int:
    """Measure what is left, and note the rows in their tables; how many failed."""
    failed = 0
    with ui.progress(title, len(ids), unit) as bar:
        for made in ordered_map(rows_of, ids, threads):
            if made.reason:
                ui.log.warning("%s: %s", escaped(made.id), made.reason)
                failed += 1
            for table, rows in reversed(list(zip(tables, made.tables, strict=False))):
                table.append(made.id, rows, settings, made.made_from)  # the first has the last word
            bar.advance(failed=bool(made.reason))
            stop.check()
    return failed


def _require_names_of_tables(out: Path, options: MeasureOptions) -> None:
    """Raise UsageError where something else stands, or the name promises what is no text.

    And where both tables would have one.
    """
    given = (options.fov, options.pixel_um, options.compare)
    read = [one for one in given if one is not None]
    if options.segments and os.path.realpath(out) == os.path.realpath(options.segments):
        raise UsageError(f"{out}: is OUT and --segments; give each table a name of its own")
    for path in filter(None, (out, options.segments)):
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; give the table a name, such as {_EXAMPLE}")
        require_file_to_write(path, _EXAMPLE, read)
        if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            name = path.with_suffix(".csv").name
            raise UsageError(f"{path}: is written as CSV; name it {name}, which Excel opens too")


def _require_all_parts(maps: Path) -> None:
    """Raise InputError where infer has not finished all parts, so that maps would be missing."""
    if (maps / STATUS).exists():
        return
    for total in part_totals(maps, STATUS):
        done = sum(part.total == total for part in parts_of(maps, STATUS).values())
        if done < total:
            problem = f"has the maps of {done} of {counted(total, 'part')}"
            raise InputError(maps, problem, "run the others first, then fundusseg merge")


def _remove_other_parts(whole: Path, part: Part) -> None:
    """Remove a table's parts of other numbers, which merge would take for this run's."""
    for path, of in parts_of(whole.parent, whole.name).items():
        if of.total != part.total:
            path.unlink(missing_ok=True)


def _require_common_maps(table: RowTable, ids: list[str]) -> None:
    """Refuse to write over the measures of other maps."""
    if table.ids and table.ids.isdisjoint(ids):
        problem = "holds the measures of other maps"
        raise InputError(table.path, problem, "choose another name, or give --force")
