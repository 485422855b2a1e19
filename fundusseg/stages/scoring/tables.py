"""Scores as cells and as JSON: rows of the table, of the strata, and of metrics.tsv."""

import math
from collections.abc import Iterator
from dataclasses import asdict

from fundusseg.io.status import escaped
from fundusseg.metrics.bootstrap import Interval
from fundusseg.report import markdown
from fundusseg.stages.scoring.image import ImageScore
from fundusseg.stages.scoring.run import Collected, ImageSize
from fundusseg.stages.scoring.summary import FIGURES, ORACLE, Row, StratumRow, System

NOT_APPLICABLE = "n/a (binary)"
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
FIGURE_BY_KEY = {figure.key: figure for figure in FIGURES}


def metrics_table(results: Collected) -> str:
    """metrics.tsv: a line for every image and system (no oracle), its counts and figures."""
    counts = ("tp", "fp", "fn", "tn")
    centreline = ("prediction_hits", "prediction_length", "truth_hits", "truth_length")
    sizes = ("width_px", "height_px", "fov_diameter_px", "fov_method")
    figures = tuple(figure.key for figure in FIGURES)
    header = (
        "id",
        "subject",
        "split",
        *results.strata,
        "of",
        "role",
        "status",
        "reason",
        "in_means",
    )
    shown = [system for system in results.systems if system.role != ORACLE]
    lines = [(*header, *sizes, *counts, *centreline, *figures)]
    for number, ref in enumerate(results.scorer.refs):
        groups = [names[number] for names in results.strata.values()]
        size = _size_cells(results.sizes[number])
        is_counted = "yes" if results.cohort.counted[number] else "no"
        for system in shown:
            score = system.scores[number]
            reason = results.faults.get(system.label, {}).get(ref.id, "")
            status = "ok" if score else reason.partition(":")[0] or "absent"
            who = (ref.id, ref.subject, ref.split, *groups, system.label, system.role)
            lines.append((*who, status, reason, is_counted, *size, *_score_cells(score)))
    return "".join("\t".join(map(escaped, line)) + "\n" for line in lines)


def _score_cells(score: ImageScore | None) -> Iterator[str]:
    if score is None:
        yield from [""] * (8 + len(FIGURES))
        return
    counts = (score.counts.tp, score.counts.fp, score.counts.fn, score.counts.tn)
    line = score.centreline
    lengths = (line.prediction_hits, line.prediction_length, line.truth_hits, line.truth_length)
    yield from map(str, (*counts, *lengths))
    absent = NOT_APPLICABLE if score.sweep is None else markdown.UNDEFINED
    for figure in FIGURES:
        value = score.values.get(figure.key)
        yield absent if value is None else markdown.number(value, 6)


def _size_cells(size: ImageSize | None) -> tuple[str, ...]:
    if size is None:
        return ("", "", "", "")
    return (str(size.width_px), str(size.height_px), f"{size.fov_diameter_px:.1f}", size.fov_method)


def table_cells(row: Row) -> tuple[str, ...]:
    """A line of the table of all figures, under `TABLE_HEADER`."""
    of, found, decimals = escaped(row.of), row.interval, row.figure.decimals
    if found is None:
        return (row.figure.title, of, NOT_APPLICABLE, NOT_APPLICABLE, NOT_APPLICABLE, "", "", "")
    return (
        row.figure.title,
        of,
        markdown.number(found.mean, decimals),
        markdown.interval(found.low, found.high, decimals),
        markdown.number(row.pooled, decimals),
        str(found.n_images),
        str(found.n_subjects),
        str(found.n_undefined),
    )


def stratum_cells(row: StratumRow) -> tuple[str, ...]:
    """A line of the table of strata: names, numbers, then a cell for each figure."""
    figures = (_stratum_cell(key, found) for key, found in row.intervals.items())
    names = (escaped(row.grouping), escaped(row.stratum), escaped(row.of))
    return (*names, str(row.n_images), str(row.n_subjects), *figures)


def _stratum_cell(key: str, found: Interval | None) -> str:
    if found is None:
        return NOT_APPLICABLE
    decimals = FIGURE_BY_KEY[key].decimals
    mean = markdown.number(found.mean, decimals)
    bounds = markdown.interval(found.low, found.high, decimals)
    return f"{mean} ({bounds})" if bounds != markdown.UNDEFINED else mean


def json_row(row: Row) -> dict:
    """A figure as JSON; without a mean if it does not apply to binary maps."""
    found = {"figure": row.figure.key, "of": escaped(row.of), "role": row.role}
    return {**found, **_json_interval(row.interval), "pooled": _json_number(row.pooled)}


def json_stratum(row: StratumRow) -> dict:
    """The figures of one stratum as JSON."""
    return {
        "grouping": escaped(row.grouping),
        "stratum": escaped(row.stratum),
        "of": escaped(row.of),
        "n_images": row.n_images,
        "n_subjects": row.n_subjects,
        "figures": {key: _json_interval(found) for key, found in row.intervals.items()},
    }


def _json_interval(found: Interval | None) -> dict:
    values = {} if found is None else asdict(found)
    return {key: _json_number(value) for key, value in values.items()}


def _json_number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value


def json_pool(system: System) -> dict:
    """The pooled counts that all pooled figures but those of probabilities follow from."""
    return {**asdict(system.pool.counts), "centreline": asdict(system.pool.centreline)}
