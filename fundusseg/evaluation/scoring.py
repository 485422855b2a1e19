"""The loop of score: one image at a time with all its maps, and the study with its scores.

Only counts and figures are kept of each image; histograms of probabilities are added up.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.datasets.maps import VesselMap
from fundusseg.datasets.truth import TruthImage, TruthItem
from fundusseg.errors import InputError, blamed_on
from fundusseg.evaluation.image import ImageScore, Reference, image_score
from fundusseg.evaluation.matching import Pairing
from fundusseg.evaluation.study import Study
from fundusseg.evaluation.systems import (
    BASELINE,
    BASELINE_LABEL,
    MAPS,
    ORACLE,
    SECOND,
    Cohort,
    System,
    best_threshold,
)
from fundusseg.evaluation.trained_baseline import baseline_map
from fundusseg.files.masks import NoMask
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.metrics.overlap import Counts
from fundusseg.parallel import ordered_map

# (role, label) of a system: its score on one image, and the histogram (None for a binary map).
Scores = dict[tuple[str, str], tuple[ImageScore, ScoreHistogram | None]]


@dataclass(frozen=True)
class ImageSize:
    """Size of the masks that were compared; the rest as of `TruthImage`."""

    width_px: int
    height_px: int
    fov_diameter_px: float
    fov_method: str


@dataclass(frozen=True)
class ImageResult:
    """The outcome of one image.

    Attributes:
        scores: of the systems that have a usable map of it.
        faults: why a PRED has none, by its label.
        size: None if the masks themselves cannot be used.
        truth_error: why they cannot.
    """

    scores: Scores
    faults: dict[str, str]
    size: ImageSize | None
    truth_error: InputError | None = None


@dataclass(frozen=True)
class Evaluation(Study):
    """A study with its scores.

    Attributes:
        sizes: of each item; None where its masks cannot be used.
        systems: PREDs first, then the second observer, the baseline and the oracles.
        faults: why an item has no score, by PRED's label, then by the item's id.
        cohort: the items that means are over.
        truth_errors: why the masks of an item cannot be used.
    """

    sizes: tuple[ImageSize | None, ...]
    systems: tuple[System, ...]
    faults: dict[str, dict[str, str]]
    cohort: Cohort
    truth_errors: tuple[InputError, ...]


def evaluated(study: Study) -> Evaluation:
    """Score every image of a study.

    Means are over the images of which every PRED has a usable map, so that systems are
    compared on the same images.

    Raises:
        NoMask: if no mask of the truth can be used, and it does not even hold masks.
        Stopped: if a stop is asked for between two images.
    """
    systems = {(MAPS, pairing.label): System(pairing.label, MAPS) for pairing in study.pairings}
    systems[SECOND, SECOND] = System(SECOND, SECOND)
    systems[BASELINE, BASELINE] = System(BASELINE_LABEL, BASELINE)
    faults: dict[str, dict[str, str]] = {pairing.label: {} for pairing in study.pairings}
    sizes, counted = [], []
    truth_errors: list[InputError] = []
    for item, result in zip(study.items, _results(study), strict=True):
        counted.append(not result.faults)
        sizes.append(result.size)
        truth_errors += filter(None, [result.truth_error])
        for label, reason in result.faults.items():
            faults[label][item.id] = reason
        for key, system in systems.items():
            score, histogram = result.scores.get(key, (None, None))
            system.scores.append(score)
            if counted[-1] and score is not None:
                system.pool.add(score, histogram)
    if len(truth_errors) == len(study.items):
        for error in truth_errors:  # else each of them has failed by itself
            if isinstance(error, NoMask):
                raise error
    subjects = tuple(item.subject for item in study.items)
    cohort = Cohort(tuple(counted), subjects, study.options.seed)
    return Evaluation(
        **vars(study),
        sizes=tuple(sizes),
        systems=_with_oracles(study, list(systems.values()), cohort),
        faults=faults,
        cohort=cohort,
        truth_errors=tuple(truth_errors),
    )


def image_result(study: Study, item: TruthItem) -> ImageResult:
    """Score all maps of one image; what cannot be read, or has no memory, becomes a fault."""
    try:
        with blamed_on(item.id):
            return _scored(study, item)
    except InputError as error:
        faults = {pairing.label: _fault(error) for pairing in study.pairings}
        return ImageResult({}, faults, None, error)


def _scored(study: Study, item: TruthItem) -> ImageResult:
    """As `image_result`; InputError if the masks are of no use, MemoryError if there is no room."""
    image = study.image(item)
    reference = Reference.of(image, study.options.whole_frame)
    scores: Scores = {}
    faults = {}
    for pairing in study.pairings:
        if item.id in pairing.faults:
            faults[pairing.label] = pairing.faults[item.id]
            continue
        try:
            with blamed_on(pairing.maps[item.id].path):
                vessel_map = study.map(pairing, item, image)
                scores[MAPS, pairing.label] = image_score(vessel_map, reference)
        except InputError as error:
            faults[pairing.label] = _fault(error)
    height, width = image.mask.shape
    size = ImageSize(width, height, image.diameter_px, image.fov_method)
    return ImageResult(scores | _scores_of_others(study, item, image, reference), faults, size)


def _scores_of_others(
    study: Study, item: TruthItem, image: TruthImage, reference: Reference
) -> Scores:
    """The scores of the second observer and of the baseline, if there are such."""
    scores: Scores = {}
    if image.mask2 is not None:
        scores[SECOND, SECOND] = image_score(VesselMap(image.mask2, None), reference)
    if study.baseline is not None:
        try:
            photograph = study.truth.photograph(item)
        except InputError as error:
            ui.log.warning("%s; there is no baseline for this image", error)
            return scores
        assert photograph is not None  # a truth without photographs has no baseline
        vessel_map = baseline_map(image, photograph, study.baseline.threshold)
        scores[BASELINE, BASELINE] = image_score(vessel_map, reference, calibrated=False)
    return scores


def _results(study: Study) -> Iterator[ImageResult]:
    with ui.progress(f"score {study.truth.root}", len(study.items), "image") as bar:
        score = functools.partial(image_result, study)
        for result in ordered_map(score, study.items, study.options.threads):
            yield result
            bar.advance()
            stop.check()


def _with_oracles(study: Study, systems: list[System], cohort: Cohort) -> tuple[System, ...]:
    """The PREDs, the other systems that have a score in the cohort, and the PREDs' oracles."""
    maps, others = systems[: len(study.pairings)], systems[len(study.pairings) :]
    oracles = [
        _oracle(study, pairing, system, cohort)
        for pairing, system in zip(study.pairings, maps, strict=True)
    ]
    shown = (system for system in others if any(compress(system.scores, cohort.counted)))
    return (*maps, *shown, *filter(None, oracles))


def _oracle(study: Study, pairing: Pairing, system: System, cohort: Cohort) -> System | None:
    """`system` at the threshold that is best on these very images: its maps are thresholded again.

    An upper bound for what a better threshold could gain, not a result. It has the overlap
    figures only. None if an image has no probabilities, or Dice is undefined everywhere.
    """
    threshold = best_threshold(system, cohort.counted)
    if threshold is None:
        return None
    prefix = "oracle" if len(study.pairings) == 1 else f"oracle of {system.label}"
    best = System(f"{prefix} (at {threshold:.3f})", ORACLE)

    def counts(item: TruthItem) -> Counts:
        image = study.image(item)
        vessels = study.map(pairing, item, image, threshold).vessels
        return Counts.of(vessels, image.mask, None if study.options.whole_frame else image.fov)

    counted = compress(study.items, cohort.counted)
    recounted = ordered_map(counts, counted, study.options.threads)
    for is_counted in cohort.counted:
        best.add_counts(next(recounted) if is_counted else None)
        stop.check()
    return best


def _fault(error: InputError) -> str:
    """The reason with the file's name, but without the folders that lead to it."""
    return f"failed: {Path(error.path).name} {error.reason}"
