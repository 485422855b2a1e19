"""Rows of the tables: means with intervals, pooled figures, paired differences, strata."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fundusseg.evaluation.systems import MAPS, ORACLE, Cohort, System
from fundusseg.metrics.intervals import Interval, mean_interval, paired_interval

SUMMARY_FIGURES = ("dice", "cldice", "auroc", "sensitivity", "specificity", "nsd_2px", "ece")
DIFFERENCE = "difference"  # the role of a row that compares two PREDs
STRATUM_FIGURES = ("dice", "cldice", "sensitivity", "precision", "nsd_2px", "auroc")


@dataclass(frozen=True)
class Figure:
    """A figure of merit: its key in `ImageScore.values`, and how the tables show it.

    range: that t intervals are cut at.
    """

    key: str
    title: str
    decimals: int = 4
    range: tuple[float, float] = (0, 1)


FIGURES = (
    Figure("dice", "Dice"),
    Figure("iou", "IoU"),
    Figure("sensitivity", "sensitivity"),
    Figure("specificity", "specificity"),
    Figure("precision", "precision"),
    Figure("accuracy", "accuracy"),
    Figure("mcc", "MCC", range=(-1, 1)),
    Figure("auroc", "AUROC"),
    Figure("auprc", "AUPRC"),
    Figure("cldice", "clDice"),
    Figure("nsd_1px", "NSD at 1 px"),
    Figure("nsd_2px", "NSD at 2 px"),
    Figure("hausdorff_95_px", "HD95 (px)", 2, (0, math.inf)),
    Figure("connected_components", "connected components", 1, (0, math.inf)),
    Figure("truth_connected_components", "connected components of the truth", 1, (0, math.inf)),
    Figure("brier", "Brier"),
    Figure("ece", "ECE"),
    Figure("mse_continuous", "MSE, continuous map", range=(0, 4)),
    Figure("ssim_continuous", "SSIM, continuous map", range=(-1, 1)),
    Figure("psnr_db_continuous", "PSNR (dB), continuous map", 2, (-math.inf, math.inf)),
    Figure("mse_binary", "MSE, binary map", range=(0, 4)),
    Figure("ssim_binary", "SSIM, binary map", range=(-1, 1)),
    Figure("psnr_db_binary", "PSNR (dB), binary map", 2, (-math.inf, math.inf)),
)
FIGURE_BY_KEY = {figure.key: figure for figure in FIGURES}


@dataclass(frozen=True)
class Row:
    """A line of the table of all figures.

    Attributes:
        of: the system's label, or those of the two that are compared.
        role: the system's, or `DIFFERENCE`.
        interval: None if the figure does not apply to binary maps.
        pooled: None if the figure has no pooled form.
    """

    figure: Figure
    of: str
    role: str
    interval: Interval | None
    pooled: float | None


@dataclass(frozen=True)
class SystemRow:
    """The `SUMMARY_FIGURES` of one system, or of the difference of two.

    Attributes:
        intervals: by the figure's key; None if it does not apply to binary maps.
    """

    of: str
    role: str
    intervals: dict[str, Interval | None]


@dataclass(frozen=True)
class StratumRow:
    """The `STRATUM_FIGURES` of one system in one stratum of one grouping.

    Attributes:
        of: the system's label.
        intervals: by the figure's key; None if it does not apply to binary maps.
    """

    grouping: str
    stratum: str
    of: str
    n_images: int
    n_subjects: int
    intervals: dict[str, Interval | None]


def table_rows(systems: Sequence[System], cohort: Cohort) -> list[Row]:
    """All rows, figure by figure: PREDs, their differences to the first, then other systems.

    PREDs have a row for every figure, the other systems for those that apply to them.
    """
    maps = [system for system in systems if system.role == MAPS]
    others = [system for system in systems if system.role != MAPS]
    rows = []
    for figure in FIGURES:
        if figure.key == "truth_connected_components":
            rows.append(_row(figure, maps[0], cohort, of="first observer"))
            continue
        rows += [_row(figure, system, cohort) for system in maps]
        rows += [_difference(figure, system, maps[0], cohort) for system in maps[1:]]
        rows += [row for system in others if (row := _row(figure, system, cohort)).interval]
    return rows


def system_rows(rows: Sequence[Row]) -> list[SystemRow]:
    """The rows of `table_rows` by system, in their order; oracles, which are no results, aside."""
    intervals: dict[tuple[str, str], dict[str, Interval | None]] = {}
    for row in rows:
        if row.figure.key in SUMMARY_FIGURES and row.role != ORACLE:
            intervals.setdefault((row.of, row.role), {})[row.figure.key] = row.interval
    return [
        SystemRow(of, role, {key: by_key.get(key) for key in SUMMARY_FIGURES})
        for (of, role), by_key in intervals.items()
    ]


def stratum_rows(
    systems: Sequence[System], strata: dict[str, list[str]], cohort: Cohort
) -> list[StratumRow]:
    """A row for every system and every stratum of every grouping.

    Oracles are left out: they are bounds for the whole set.

    Args:
        strata: the stratum of each image, by the name of the grouping.
    """
    rows = []
    shown = [system for system in systems if system.role != ORACLE]
    for grouping, stratum_of in strata.items():
        for stratum in sorted(set(stratum_of)):
            members = tuple(
                is_counted and name == stratum
                for is_counted, name in zip(cohort.counted, stratum_of, strict=True)
            )
            part = Cohort(members, cohort.subjects, cohort.seed)
            rows += [_stratum_row(grouping, stratum, system, part) for system in shown]
    return rows


def _row(figure: Figure, system: System, cohort: Cohort, of: str = "") -> Row:
    interval = _interval(figure.key, system, cohort)
    pooled = None if interval is None else system.pooled.get(figure.key)
    return Row(figure, of or system.label, system.role, interval, pooled)


def _difference(figure: Figure, second: System, first: System, cohort: Cohort) -> Row:
    """second - first on the same images."""
    minuend = second.column(figure.key, cohort.counted)
    subtrahend = first.column(figure.key, cohort.counted)
    pooled = [system.pooled.get(figure.key) for system in (second, first)]
    of = f"{second.label} - {first.label}"
    if minuend is None or subtrahend is None:
        return Row(figure, of, DIFFERENCE, None, None)
    interval = paired_interval(minuend, subtrahend, cohort.counted_subjects, seed=cohort.seed)
    difference = None if None in pooled else operator.sub(*pooled)
    return Row(figure, of, DIFFERENCE, interval, difference)


def _stratum_row(grouping: str, stratum: str, system: System, part: Cohort) -> StratumRow:
    intervals = {key: _interval(key, system, part) for key in STRATUM_FIGURES}
    subjects = part.counted_subjects
    return StratumRow(grouping, stratum, system.label, len(subjects), len(set(subjects)), intervals)


def _interval(key: str, system: System, cohort: Cohort) -> Interval | None:
    column = system.column(key, cohort.counted)
    if column is None:
        return None
    interval = mean_interval(column, cohort.counted_subjects, seed=cohort.seed)
    bounds = np.clip((interval.low, interval.high), *FIGURE_BY_KEY[key].range)
    return replace(interval, low=float(bounds[0]), high=float(bounds[1]))
