"""From scores of images to rows of the table: means with intervals, pooled, paired, by stratum."""

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from fundusseg.metrics.bootstrap import Interval, mean_interval, paired_interval
from fundusseg.metrics.calibration import ReliabilityBins
from fundusseg.metrics.centreline import CentrelineCounts, cldice
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts
from fundusseg.stages.scoring.image import (
    CALIBRATION,
    OVERLAP,
    RANKING,
    SWEEP_THRESHOLDS,
    ImageScore,
    swept,
)

MAPS, DIFFERENCE, SECOND, FLOOR, ORACLE = "maps", "difference", "second observer", "floor", "oracle"
NO_COUNTS = Counts(0, 0, 0, 0)
NO_CENTRELINE = CentrelineCounts(0, 0, 0, 0, 0)
STRATUM_FIGURES = ("dice", "cldice", "sensitivity", "precision", "nsd_2px", "auroc")


@dataclass(frozen=True)
class Figure:
    """A figure of merit as the table shows it."""

    key: str
    title: str
    decimals: int = 4


FIGURES = (
    Figure("dice", "Dice"),
    Figure("iou", "IoU"),
    Figure("sensitivity", "sensitivity"),
    Figure("specificity", "specificity"),
    Figure("precision", "precision"),
    Figure("accuracy", "accuracy"),
    Figure("mcc", "MCC"),
    Figure("auroc", "AUROC"),
    Figure("auprc", "AUPRC"),
    Figure("cldice", "clDice"),
    Figure("nsd_1px", "NSD at 1 px"),
    Figure("nsd_2px", "NSD at 2 px"),
    Figure("hausdorff_95_px", "HD95 (px)", 2),
    Figure("parts", "connected parts", 1),
    Figure("truth_parts", "connected parts of the truth", 1),
    Figure("brier", "Brier"),
    Figure("ece", "ECE"),
    Figure("mse_continuous", "MSE, continuous map"),
    Figure("ssim_continuous", "SSIM, continuous map"),
    Figure("psnr_db_continuous", "PSNR (dB), continuous map", 2),
    Figure("mse_binary", "MSE, binary map"),
    Figure("ssim_binary", "SSIM, binary map"),
    Figure("psnr_db_binary", "PSNR (dB), binary map", 2),
)


@dataclass
class Pool:
    """Counts of all images together."""

    counts: Counts = NO_COUNTS
    centreline: CentrelineCounts = NO_CENTRELINE
    histogram: ScoreHistogram | None = None

    def add(self, score: ImageScore, histogram: ScoreHistogram | None) -> None:
        """Add one image; its histogram is not kept."""
        self.counts += score.counts
        self.centreline += score.centreline
        if histogram is not None:
            self.histogram = histogram if self.histogram is None else self.histogram + histogram

    def values(self) -> dict[str, float]:
        """The figures that follow from pooled counts; NaN where there is no pixel."""
        found = {key: figure(self.counts) for key, figure in OVERLAP.items()}
        found["cldice"] = cldice(self.centreline)
        if self.histogram is not None:
            bins = ReliabilityBins.of_histogram(self.histogram)
            found |= {key: figure(self.histogram) for key, figure in RANKING.items()}
            found |= {key: figure(bins) for key, figure in CALIBRATION.items()}
        return found


@dataclass
class System:
    """Whose maps are scored: a PRED, the second observer, the floor, or an oracle.

    scores: one for each image of the truth, in order; None where there is no map.
    """

    label: str
    role: str
    scores: list[ImageScore | None] = field(default_factory=list)
    pool: Pool = field(default_factory=Pool)

    @functools.cached_property
    def pooled(self) -> dict[str, float]:
        """The pooled figures by key; to be asked for when all images are in."""
        return self.pool.values()

    def column(self, key: str, counted: Sequence[bool]) -> list[float] | None:
        """A figure of each counted image, NaN where undefined; None if it does not apply."""
        scores = list(compress(self.scores, counted))
        if scores and not any(score is not None and key in score.values for score in scores):
            return None
        return [math.nan if score is None else score.values.get(key, math.nan) for score in scores]


@dataclass(frozen=True)
class Row:
    """A line of the table. interval: None if the figure does not apply to binary maps."""

    figure: Figure
    of: str
    role: str
    interval: Interval | None
    pooled: float | None


@dataclass(frozen=True)
class StratumRow:
    """The figures of one system in one stratum of one grouping, by key."""

    grouping: str
    stratum: str
    of: str
    n_images: int
    n_subjects: int
    intervals: dict[str, Interval | None]


@dataclass(frozen=True)
class Cohort:
    """The images that means are over: those that every PRED has a map of, and their subjects."""

    counted: tuple[bool, ...]
    subjects: tuple[str, ...]
    seed: int

    @property
    def counted_subjects(self) -> list[str]:
        """The subject of each counted image."""
        return list(compress(self.subjects, self.counted))


def oracle(system: System, counted: Sequence[bool], label: str) -> System | None:
    """`system` cut at the threshold with the highest mean Dice on these very images.

    No result: it tells how much a better threshold could bring. None without probabilities.
    """
    kept = list(compress(system.scores, counted))
    if not kept or any(score is None or score.sweep is None for score in kept):
        return None
    dice = [
        np.mean([OVERLAP["dice"](swept(score, number)) for score in kept])
        for number in range(len(SWEEP_THRESHOLDS))
    ]
    if np.isnan(dice).all():
        return None
    best = int(np.nanargmax(dice))
    found = System(f"{label} (at {SWEEP_THRESHOLDS[best]:.3f})", ORACLE)
    for score, is_counted in zip(system.scores, counted, strict=True):
        cut = None
        if is_counted:
            counts = swept(score, best)
            values = {key: figure(counts) for key, figure in OVERLAP.items()}
            cut = ImageScore(counts, NO_CENTRELINE, values)
            found.pool.add(cut, None)
        found.scores.append(cut)
    return found


def table_rows(systems: Sequence[System], cohort: Cohort) -> list[Row]:
    """All rows, figure by figure: PREDs, their differences to the first, then the others.

    PREDs have a row for every figure, the others for those that apply to them.
    """
    maps = [system for system in systems if system.role == MAPS]
    others = [system for system in systems if system.role != MAPS]
    rows = []
    for figure in FIGURES:
        if figure.key == "truth_parts":
            rows += [_row(figure, maps[0], cohort, of="first observer")]
            continue
        rows += [_row(figure, system, cohort) for system in maps]
        rows += [_difference(figure, system, maps[0], cohort) for system in maps[1:]]
        rows += [row for system in others if (row := _row(figure, system, cohort)).interval]
    return rows


def stratum_rows(
    systems: Sequence[System], strata: dict[str, list[str]], cohort: Cohort
) -> list[StratumRow]:
    """The figures that strata are compared by, for every stratum of every grouping.

    Oracles are left out: they are bounds for the whole set.
    """
    rows = []
    shown = [system for system in systems if system.role != ORACLE]
    for grouping, of_image in strata.items():
        for stratum in sorted(set(of_image)):
            members = tuple(
                is_counted and name == stratum
                for is_counted, name in zip(cohort.counted, of_image, strict=True)
            )
            part = Cohort(members, cohort.subjects, cohort.seed)
            rows += [_stratum_row(grouping, stratum, system, part) for system in shown]
    return rows


def _row(figure: Figure, system: System, cohort: Cohort, of: str = "") -> Row:
    column = system.column(figure.key, cohort.counted)
    found = None
    if column is not None:
        found = mean_interval(column, cohort.counted_subjects, seed=cohort.seed)
    pooled = system.pooled.get(figure.key) if column is not None else None
    return Row(figure, of or system.label, system.role, found, pooled)


def _difference(figure: Figure, second: System, first: System, cohort: Cohort) -> Row:
    """second - first on the same images."""
    columns = [system.column(figure.key, cohort.counted) for system in (second, first)]
    pooled = [system.pooled.get(figure.key) for system in (second, first)]
    of = f"{second.label} - {first.label}"
    if None in columns:
        return Row(figure, of, DIFFERENCE, None, None)
    found = paired_interval(*columns, cohort.counted_subjects, seed=cohort.seed)
    return Row(figure, of, DIFFERENCE, found, None if None in pooled else operator.sub(*pooled))


def _stratum_row(grouping: str, stratum: str, system: System, part: Cohort) -> StratumRow:
    intervals: dict[str, Interval | None] = {}
    for key in STRATUM_FIGURES:
        column = system.column(key, part.counted)
        intervals[key] = (
            None if column is None else mean_interval(column, part.counted_subjects, seed=part.seed)
        )
    subjects = part.counted_subjects
    return StratumRow(grouping, stratum, system.label, len(subjects), len(set(subjects)), intervals)
