"""The loop of score: one image at a time, all its maps, and what stays of it.

What stays are counts and figures; histograms of probabilities are added up and dropped.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.errors import InputError
from fundusseg.io.given_fields import GivenFields
from fundusseg.io.maps import VesselMap
from fundusseg.io.truth import Truth, TruthImage, TruthRef
from fundusseg.metrics.curves import ScoreHistogram
from fundusseg.options import ScoreOptions
from fundusseg.parallel import free_cores, ordered_map
from fundusseg.stages.scoring.floor import Floor, floor_map
from fundusseg.stages.scoring.image import ImageScore, Reference, image_score
from fundusseg.stages.scoring.inputs import Pairing, read_map
from fundusseg.stages.scoring.summary import FLOOR, MAPS, SECOND, Cohort, System, oracle


@dataclass(frozen=True)
class ImageSize:
    """Size of the masks that were compared, and how the field of view came about ("": none)."""

    width_px: int
    height_px: int
    fov_diameter_px: float
    fov_method: str


@dataclass(frozen=True)
class ImageResult:
    """What came of one image.

    scored: the score and the histogram (None for binary maps) by (role, label). faults: why
    there is none, by PRED's label. size: None if the truth itself is at fault.
    """

    scored: dict[tuple[str, str], tuple[ImageScore, ScoreHistogram | None]]
    faults: dict[str, str]
    size: ImageSize | None


@dataclass(frozen=True)
class Scorer:
    """All that is needed to score an image; its methods may run in several threads."""

    truth: Truth
    split: str
    refs: tuple[TruthRef, ...]
    pairings: tuple[Pairing, ...]
    given_fields: GivenFields | None
    floor: Floor | None
    options: ScoreOptions

    def image(self, ref: TruthRef) -> TruthImage:
        """The masks of one image; InputError if they are at fault."""
        found = self.truth.read(ref)
        return found if self.given_fields is None else self.given_fields.replaced(ref, found)

    def map(self, pairing: Pairing, ref: TruthRef, image: TruthImage) -> VesselMap:
        """The map of one image; InputError if it is at fault."""
        return read_map(pairing, ref, image, self.options.threshold)

    def result(self, ref: TruthRef) -> ImageResult:
        """Score all maps of one image."""
        try:
            image = self.image(ref)
        except InputError as error:
            return ImageResult(
                {}, {pairing.label: _fault(error) for pairing in self.pairings}, None
            )
        reference = Reference.of(image, self.options.whole_frame)
        scored, faults = {}, {}
        for pairing in self.pairings:
            if ref.id in pairing.faults:
                faults[pairing.label] = pairing.faults[ref.id]
                continue
            try:
                found = self.map(pairing, ref, image)
                scored[MAPS, pairing.label] = image_score(found, reference)
            except InputError as error:
                faults[pairing.label] = _fault(error)
        height, width = image.mask.shape
        size = ImageSize(width, height, image.diameter_px, image.fov_method)
        return ImageResult(scored | self._baselines(ref, image, reference), faults, size)

    def _baselines(self, ref: TruthRef, image: TruthImage, reference: Reference) -> dict:
        """The second observer's score and the floor's, where there are such."""
        found = {}
        if image.mask2 is not None:
            found[SECOND, SECOND] = image_score(VesselMap(image.mask2, None), reference)
        if self.floor is not None:
            try:
                answer = floor_map(image, self.truth.view(ref), self.floor.threshold)
                found[FLOOR, FLOOR] = image_score(answer, reference, calibrated=False)
            except InputError as error:
                ui.log.warning("%s; it has no floor", error)
        return found


@dataclass(frozen=True)
class Collected:
    """All scores.

    sizes: of each image, None where the truth is at fault. systems: PREDs first. faults: by
    PRED's label, then by id. strata: the stratum of each image by grouping.
    """

    scorer: Scorer
    sizes: tuple[ImageSize | None, ...]
    systems: tuple[System, ...]
    faults: dict[str, dict[str, str]]
    cohort: Cohort
    strata: dict[str, list[str]]


def collected(scorer: Scorer, strata: dict[str, list[str]]) -> Collected:
    """Score every image.

    Means are over the images that every PRED has a usable map of, so that systems are
    compared on the same images.

    Raises:
        Stopped: if a stop is asked for between two images.
    """
    systems = {(MAPS, pairing.label): System(pairing.label, MAPS) for pairing in scorer.pairings}
    systems |= {(role, role): System(role, role) for role in (SECOND, FLOOR)}
    faults: dict[str, dict[str, str]] = {pairing.label: {} for pairing in scorer.pairings}
    sizes, counted = [], []
    for ref, result in zip(scorer.refs, _results(scorer), strict=True):
        counted.append(not result.faults)
        sizes.append(result.size)
        for label, reason in result.faults.items():
            faults[label][ref.id] = reason
        for key, system in systems.items():
            score, histogram = result.scored.get(key, (None, None))
            system.scores.append(score)
            if counted[-1] and score is not None:
                system.pool.add(score, histogram)
    subjects = tuple(ref.subject for ref in scorer.refs)
    cohort = Cohort(tuple(counted), subjects, scorer.options.seed)
    shown = _with_oracles(list(systems.values()), cohort)
    return Collected(scorer, tuple(sizes), shown, faults, cohort, strata)


def _results(scorer: Scorer) -> Iterator[ImageResult]:
    title = f"score {scorer.truth.root}"
    with ui.progress(title, len(scorer.refs), "images") as bar:
        for result in ordered_map(scorer.result, scorer.refs, scorer.options.jobs or free_cores()):
            yield result
            bar.advance()
            stop.check()


def _with_oracles(systems: list[System], cohort: Cohort) -> tuple[System, ...]:
    """The systems with a score that counts, and an oracle for every PRED with probabilities."""
    maps = [system for system in systems if system.role == MAPS]
    baselines = [
        system
        for system in systems
        if system.role != MAPS and any(itertools.compress(system.scores, cohort.counted))
    ]
    oracles = [
        oracle(system, cohort.counted, "oracle" if len(maps) == 1 else f"oracle of {system.label}")
        for system in maps
    ]
    return (*maps, *baselines, *(found for found in oracles if found is not None))


def _fault(error: InputError) -> str:
    """The reason with the file's name, but without the folders that lead to it."""
    return f"failed: {Path(error.path).name} {error.reason}"
