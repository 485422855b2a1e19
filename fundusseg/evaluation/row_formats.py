"""Rows of the tables as cells of a Markdown table, and as JSON."""

import math
from dataclasses import asdict

from fundusseg.evaluation.summary import FIGURE_BY_KEY, SUMMARY_FIGURES, Row, StratumRow, SystemRow
from fundusseg.evaluation.systems import ORACLE, System
from fundusseg.files.names import escaped
from fundusseg.metrics.intervals import Interval
from fundusseg.report import markdown

TABLE_HEADER = (
    "figure",
    "of",
    "mean over images",
    "95 % interval",
    "pooled",
    "images",
    "subjects",
    "n/a",
)
NOT_APPLICABLE = "n/a (binary)"
SUMMARY_HEADER = (
    "system",
    *(FIGURE_BY_KEY[key].title for key in SUMMARY_FIGURES),
    "images (subjects)",
)
_FEWEST_DECIMALS, _MOST_DECIMALS = 2, 4


def summary_cells(row: SystemRow) -> tuple[str, ...]:
    """A line of the last tables, under `SUMMARY_HEADER`."""
    cells = map(_interval_cell, row.intervals.values())
    dice = row.intervals["dice"]
    assert dice is not None  # it applies to every system
    return (escaped(row.of), *cells, f"{dice.n_images} ({dice.n_subjects})")


def table_cells(row: Row) -> tuple[str, ...]:
    """A line of the table of all figures, under `TABLE_HEADER`."""
    of, interval, decimals = escaped(row.of), row.interval, row.figure.decimals
    if interval is None:
        return (row.figure.title, of, *[NOT_APPLICABLE] * 3, "", "", "")
    return (
        row.figure.title,
        of,
        markdown.number(interval.mean, decimals),
        markdown.interval(interval.low, interval.high, decimals),
        markdown.number(row.pooled, decimals),
        str(interval.n_images),
        str(interval.n_subjects),
        str(interval.n_undefined),
    )


def stratum_cells(row: StratumRow) -> tuple[str, ...]:
    """A line of the table of strata: names, numbers, then a cell for each figure."""
    figures = (_interval_cell(interval) for interval in row.intervals.values())
    names = (escaped(row.grouping), escaped(row.stratum), escaped(row.of))
    return (*names, str(row.n_images), str(row.n_subjects), *figures)


def json_row(row: Row) -> dict:
    """A row for JSON; without a mean if the figure does not apply to binary maps."""
    names = {"figure": row.figure.key, "of": escaped(row.of), "role": row.role}
    return {**names, **_json_interval(row.interval), "pooled": _json_number(row.pooled)}


def json_stratum(row: StratumRow) -> dict:
    """The figures of one stratum for JSON."""
    return {
        "grouping": escaped(row.grouping),
        "stratum": escaped(row.stratum),
        "of": escaped(row.of),
        "n_images": row.n_images,
        "n_subjects": row.n_subjects,
        "figures": {key: _json_interval(interval) for key, interval in row.intervals.items()},
    }


def json_pool(system: System) -> dict:
    """The pooled counts, from which all pooled figures but those of probabilities follow.

    An oracle has no maps at its threshold, and so no skeletons.
    """
    centreline = None if system.role == ORACLE else asdict(system.pool.centreline)
    return {**asdict(system.pool.counts), "centreline": centreline}


def _interval_cell(interval: Interval | None) -> str:
    """Mean and bounds, to two digits of half the interval: more of them would mean nothing."""
    if interval is None:
        return NOT_APPLICABLE
    half = (interval.high - interval.low) / 2
    decimals = 3  # of an interval that is not known, or has no width
    if 0 < half < math.inf:
        meant = 1 - math.floor(math.log10(half))
        decimals = min(max(meant, _FEWEST_DECIMALS), _MOST_DECIMALS)
    mean = markdown.number(interval.mean, decimals)
    if math.isnan(interval.low):
        return mean
    return f"{mean} ({markdown.interval(interval.low, interval.high, decimals)})"


def _json_interval(interval: Interval | None) -> dict:
    values = {} if interval is None else asdict(interval)
    return {key: _json_number(value) for key, value in values.items()}


def _json_number(value: float | None) -> float | str | None:
    """NaN as null, infinity as "inf"."""
    if value is None or math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
