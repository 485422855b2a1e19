"""What a score compares: the items of a truth, the maps matched to them, and the options."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fundusseg import ui
from fundusseg.config import DEFAULT_THRESHOLD
from fundusseg.datasets.choice import Choice, told_of_left_out
from fundusseg.datasets.fov_folder import GivenFields
from fundusseg.datasets.maps import (
    MapFolder,
    VesselMap,
    is_written_by_infer,
    require_finished,
)
from fundusseg.datasets.truth import MaskTruth, Truth, TruthImage, TruthItem, open_truth
from fundusseg.errors import InputError
from fundusseg.evaluation.matching import Pairing, labels_of, paired
from fundusseg.evaluation.strata import strata
from fundusseg.evaluation.trained_baseline import TrainedBaseline, trained_baseline
from fundusseg.files import masks
from fundusseg.files.tables import read_subjects
from fundusseg.fundus.field_of_view import circle_of
from fundusseg.fundus.geometry import to_frame
from fundusseg.options import ScoreOptions
from fundusseg.wording import counted


@dataclass(frozen=True)
class Study:
    """Opened and matched, but no image decoded; `image` and `map` may be called in threads.

    Attributes:
        split: "train", "validation", "test" or "all".
        left_out: how many items of it --include and --exclude do not take.
        items: those of `truth` that are scored.
        pairings: one for each PRED.
        strata: the stratum of each item, by the name of the grouping.
        given_fields: the masks of --fov; None without it.
        baseline: the classical filter of --baseline; None without it.
    """

    truth: Truth
    split: str
    left_out: int
    items: tuple[TruthItem, ...]
    pairings: tuple[Pairing, ...]
    strata: dict[str, list[str]]
    given_fields: GivenFields | None
    baseline: TrainedBaseline | None
    options: ScoreOptions

    def image(self, item: TruthItem) -> TruthImage:
        """The masks of one item; InputError if they, or its field of view, cannot be used."""
        image = self.truth.read(item, needs_fov=self.given_fields is None)
        if self.given_fields is not None:
            return self.given_fields.replaced(item, image)
        return image if image.fov is not None else self._in_infers_field(item, image)

    @property
    def has_infers_fields(self) -> bool:
        """Whether the fields of view, if any, are those that infer found: the truth has none."""
        return self.given_fields is None and isinstance(self.truth, MaskTruth)

    def _in_infers_field(self, item: TruthItem, image: TruthImage) -> TruthImage:
        """`image` in the field of view in which infer drew the first map of it, if it did."""
        for pairing in self.pairings:
            file = pairing.maps.get(item.id)
            field_of_view = None if file is None else pairing.folder.field_of_view(file.id)
            if field_of_view is not None:
                fov = circle_of(field_of_view, image.mask.shape)
                diameter_px, method = field_of_view.diameter_px, field_of_view.method
                return replace(image, fov=fov, diameter_px=diameter_px, fov_method=method)
        return image

    def map(
        self,
        pairing: Pairing,
        item: TruthItem,
        image: TruthImage,
        threshold: float | None = None,
    ) -> VesselMap:
        """The map of one item, in the frame of its masks.

        Args:
            threshold: in place of that of the options, if any.

        Raises:
            InputError: if it cannot be read, is inverted, or has another size than the photograph.
        """
        file = pairing.maps[item.id]
        threshold = self.options.threshold if threshold is None else threshold
        stored = pairing.folder.read(file, threshold)
        if stored.vessels.shape != image.source_shape:
            (height, width), (y, x) = stored.vessels.shape, image.source_shape
            problem = f"is {width}x{height}, its truth {x}x{y}"
            raise InputError(file.path, problem, "maps must have their photograph's size")
        if pairing.folder.row(file.id) is None:  # infer's own maps are never taken for inverted
            _require_upright(file.path, stored, threshold, image)
        if image.geometry is None:
            return stored
        probability = stored.probability
        if probability is not None:
            probability = np.clip(to_frame(probability, image.geometry), 0, 1)
        return VesselMap(to_frame(stored.vessels, image.geometry) >= 0.5, probability)


def open_study(
    preds: list[Path], root: Path, options: ScoreOptions, paths: dict[Path, list[str]]
) -> Study:
    """Open the truth in `root` and the maps, choose the items, and match the maps to them.

    Nothing is decoded but the baseline's train images, since its threshold is needed first.
    `paths` are the files below each folder, from `folders.walk`.

    Raises:
        InputError: if a folder or a table cannot be used as a whole, or a match is ambiguous.
        UsageError: if an option does not fit the truth.
    """
    if is_written_by_infer(root) and not is_written_by_infer(preds[0]):
        problem = f"is what infer wrote, and {preds[0]} is not"
        raise InputError(root, problem, "give the maps first and the truth last: PRED... TRUTH")
    for pred in preds:
        require_finished(pred)
    subjects = read_subjects(options.subjects) if options.subjects else None
    truth = open_truth(root, options.at, options.layout, subjects, paths.get(root))
    split, items = chosen_items(truth, options.split)
    if options.split == "auto" and len(items) < len(truth.items):
        counts = (root, len(items), len(truth.items))
        ui.log.info("%s: the test part, %d of all %d; --split all scores all", *counts)
    choice = Choice(options.include, options.exclude)
    items, left_out = choice.divided(truth.root, items, lambda item: item.id, "mask")
    if left_out:
        told = told_of_left_out(len(left_out))
        ui.log.info("%s: %s%s", root, counted(len(items), "image"), told)
    pairings = tuple(
        paired(MapFolder(pred, paths.get(pred)), label, truth, items)
        for pred, label in zip(preds, labels_of(preds), strict=True)
    )
    fov = options.fov
    given_fields = GivenFields(fov, items, paths.get(fov)) if fov is not None else None
    groups = strata(items, options.groups)
    baseline = None
    if options.baseline:
        baseline = trained_baseline(truth, items, options.threads)
    return Study(
        truth, split, len(left_out), tuple(items), pairings, groups, given_fields, baseline, options
    )


def chosen_items(truth: Truth, split: str) -> tuple[str, list[TruthItem]]:
    """The split that is scored ("auto" is test if the truth has splits, else all), and its items.

    Raises:
        InputError: if no item is in that split.
    """
    has_splits = any(item.split for item in truth.items)
    if split == "auto":
        split = "test" if has_splits else "all"
    items = [item for item in truth.items if split in ("all", item.split)]
    if items:
        return split, items
    problem = f"has no image with a mask in the split {split}" if has_splits else "has no splits"
    raise InputError(truth.root, problem, "choose another --split, such as all")


def _require_upright(
    path: Path, stored: VesselMap, threshold: float | None, image: TruthImage
) -> None:
    """Raise InputError if more of a map is vessel than in any eye."""
    vessels = stored.vessels
    if threshold is not None and stored.probability is not None:
        vessels = stored.probability >= DEFAULT_THRESHOLD
    inside = vessels if image.fov is None or image.geometry else vessels[image.fov]
    masks.require_upright(path, inside)
