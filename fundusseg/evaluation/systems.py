"""The scores of one system: the maps of a PRED, a second observer, the baseline, or an oracle."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from fundusseg.evaluation.image import (
    CALIBRATION,
    OVERLAP,
    RANKING,
    SWEEP_THRESHOLDS,
    ImageScore,
    rethresholded,
)
from fundusseg.metrics.calibration import ReliabilityBins
from fundusseg.metrics.centreline import CentrelineCounts, cldice
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts

MAPS, SECOND, BASELINE, ORACLE = "maps", "second observer", "baseline", "oracle"
BASELINE_LABEL = "baseline (Sato's filter)"
NO_COUNTS = Counts(0, 0, 0, 0)
NO_CENTRELINE = CentrelineCounts(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Cohort:
    """The images that means are over: those of which every PRED has a usable map.

    Attributes:
        counted: whether each image is one of them.
        subjects: the subject of each image.
        seed: of the resampling of subjects.
    """

    counted: tuple[bool, ...]
    subjects: tuple[str, ...]
    seed: int

    @property
    def counted_subjects(self) -> list[str]:
        """The subject of each image that is counted."""
        return list(compress(self.subjects, self.counted))


@dataclass
class Pool:
    """Counts of all images together; histogram: of the probabilities, None if no map had any."""

    counts: Counts = NO_COUNTS
    centreline: CentrelineCounts = NO_CENTRELINE
    histogram: ScoreHistogram | None = None

    def add(self, score: ImageScore, histogram: ScoreHistogram | None) -> None:
        """Add one image."""
        self.counts += score.counts
        self.centreline += score.centreline
        if histogram is not None:
            self.histogram = histogram if self.histogram is None else self.histogram + histogram

    def values(self) -> dict[str, float]:
        """The figures that pooled counts define, by key; NaN without a pixel."""
        values = {key: figure(self.counts) for key, figure in OVERLAP.items()}
        values["cldice"] = cldice(self.centreline)
        if self.histogram is not None:
            bins = ReliabilityBins.of_histogram(self.histogram)
            values |= {key: figure(self.histogram) for key, figure in RANKING.items()}
            values |= {key: figure(bins) for key, figure in CALIBRATION.items()}
        return values


@dataclass
class System:
    """The scores of one system.

    Attributes:
        role: `MAPS`, `SECOND`, `BASELINE` or `ORACLE`.
        scores: one for each image of the study, in order; None where there is no map.
        pool: the images of the cohort together.
    """

    label: str
    role: str
    scores: list[ImageScore | None] = field(default_factory=list)
    pool: Pool = field(default_factory=Pool)

    @functools.cached_property
    def pooled(self) -> dict[str, float]:
        """The pooled figures by key, computed once: read it when all images are added."""
        return self.pool.values()

    @property
    def is_binary(self) -> bool:
        """Whether there are maps, and none of them has probabilities."""
        scores = [*filter(None, self.scores)]
        return bool(scores) and all(score.sweep is None for score in scores)

    def add_counts(self, counts: Counts | None) -> None:
        """Add an image of which only the overlap is known, or (None) nothing."""
        if counts is None:
            self.scores.append(None)
            return
        values = {key: figure(counts) for key, figure in OVERLAP.items()}
        score = ImageScore(counts, NO_CENTRELINE, values)
        self.scores.append(score)
        self.pool.add(score, None)

    def column(self, key: str, counted: Sequence[bool]) -> list[float] | None:
        """A figure of each counted image, NaN where undefined; None if it does not apply."""
        scores = list(compress(self.scores, counted))
        if scores and not any(score is not None and key in score.values for score in scores):
            return None
        return [math.nan if score is None else score.values.get(key, math.nan) for score in scores]


def best_threshold(system: System, counted: Sequence[bool]) -> float | None:
    """The one of `SWEEP_THRESHOLDS` with the highest mean Dice on the images that are counted.

    Small objects, which the sweep cannot leave out, count when it is chosen.

    Returns:
        None if an image has no probabilities, or Dice is undefined everywhere.
    """
    scores = list(compress(system.scores, counted))
    swept = [score for score in scores if score is not None and score.sweep is not None]
    if not scores or len(swept) < len(scores):
        return None
    numbers = range(len(SWEEP_THRESHOLDS))
    dice = np.array(
        [[OVERLAP["dice"](rethresholded(score, number)) for score in swept] for number in numbers]
    )
    is_defined = ~np.isnan(dice).all(axis=0)  # an image without a pixel that counts has no Dice
    if not is_defined.any():
        return None
    return float(SWEEP_THRESHOLDS[int(np.argmax(np.nanmean(dice[:, is_defined], axis=1)))])
