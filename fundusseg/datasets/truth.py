"""What maps are scored against: a data set folder, shards, or a bare folder of masks.

All three offer the same (`Truth`), and read the images of one item at a time.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from fundusseg.datasets import folders, layouts, shards, splits
from fundusseg.datasets.layout_patterns import MASK_SUFFIX
from fundusseg.errors import InputError, UsageError, blamed_on
from fundusseg.files import decoders, images, masks
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import read_manifest
from fundusseg.files.names import escaped
from fundusseg.fundus.field_of_view import field_of_view_of_mask, found_field_of_view
from fundusseg.fundus.geometry import Geometry

HALF = 128  # of a coverage 0 to 255
_STEM = re.compile(rf"(?P<stem>.+?)(?:_(?:training|test))?{MASK_SUFFIX}", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class TruthItem:
    """A photograph that has a manual mask.

    Attributes:
        id: path relative to the truth's folder, without suffix.
        split: "train", "validation" or "test"; "" where the truth has no splits.
        subject: the person, for resampling.
        group: the data set's own stratum (a diagnosis in the file name), or "".
    """

    id: str
    split: str
    subject: str
    group: str

    @property
    def stem(self) -> str:
        """The id's last part without a known ending; see `stem_of`."""
        return stem_of(self.id)


@dataclass(frozen=True)
class TruthImage:
    """The masks of one photograph.

    Attributes:
        mask: bool (Y, X), vessels as the first observer drew them.
        mask2: bool (Y, X), the second observer's; None if there is none.
        fov: bool (Y, X), the field of view; None if it is not known.
        diameter_px: diameter of the field of view; the larger side of the frame without one.
        fov_method: how the field of view was determined ("given", "circle", "hull", ...), or "".
        geometry: from the source to this frame; None at the source's own size.
    """

    mask: np.ndarray
    mask2: np.ndarray | None
    fov: np.ndarray | None
    diameter_px: float
    fov_method: str
    geometry: Geometry | None = None

    @property
    def source_shape(self) -> tuple[int, int]:
        """(Y, X) of the photograph, and so of its map."""
        return self.mask.shape if self.geometry is None else self.geometry.source_shape


@dataclass(frozen=True)
class FramedPhotograph:
    """A photograph, uint8 (Y, X, 3).

    geometry: from the source to its frame; None if that is the photograph's own.
    """

    pixels: np.ndarray
    geometry: Geometry | None


class Truth(ABC):
    """Items that are known without decoding an image, and what belongs to each of them.

    kind, layout: for the report; layout is "" but for a data set. unlabelled: photographs without a
    mask. unprepared: why prep failed on a photograph, by escaped id; known of shards only.
    """

    kind: str
    root: Path
    items: list[TruthItem]
    layout = ""
    unlabelled = 0
    unprepared: Mapping[str, str] = {}

    @abstractmethod
    def read(self, item: TruthItem, needs_fov: bool = True) -> TruthImage:
        """The masks of one photograph; InputError if they, or its field of view, are of no use.

        Args:
            needs_fov: False where another field of view is taken: the truth's own may be of no use.
        """

    @abstractmethod
    def files(self, item: TruthItem) -> list[Path]:
        """The files that the masks and the field of view are read from."""

    def photograph(self, item: TruthItem) -> FramedPhotograph | None:
        """The photograph; None if there are none. InputError if it cannot be read."""
        return None

    def source_sha256(self, item: TruthItem) -> str:
        """SHA-256 of the photograph's file; "" where it is unknown: maps go by their names then."""
        return ""


class DataSetTruth(Truth):
    """The masks of a data set in one of the known layouts."""

    kind = "data set folder"

    def __init__(self, source: layouts.DataSet, subjects: dict[str, str] | None):
        self.root = source.root
        self.layout = source.layout
        labelled = [entry for entry in source.entries if entry.mask is not None]
        self.unlabelled = len(source.entries) - len(labelled)
        self.entries = {entry.id: entry for entry in labelled}
        self._sha256: dict[str, str] = {}
        members = _memberships(source, subjects)
        self.items = [TruthItem(entry.id, **vars(members[entry.id])) for entry in labelled]

    def read(self, item: TruthItem, needs_fov: bool = True) -> TruthImage:
        entry = self.entries[item.id]
        path = self.root / entry.photograph
        photograph = None
        is_needed = needs_fov and entry.fov is None  # else the masks may be whole without it
        with nullcontext() if is_needed else suppress(InputError):
            photograph = images.read_photograph(path)
        shape = photograph.pixels.shape[:2] if photograph else None
        is_turned = photograph.is_turned if photograph else decoders.is_turned(path)
        assert entry.mask is not None  # `entries` are those with a mask
        mask = masks.read_vessels(self.root / entry.mask, shape, is_turned, photograph)
        mask2 = None
        if entry.mask2 is not None:
            path2 = self.root / entry.mask2
            mask2 = masks.read_vessels(path2, mask.shape, is_turned, photograph)
        if entry.fov or photograph:
            with nullcontext() if needs_fov else suppress(InputError):
                return TruthImage(mask, mask2, *self._field_of_view(entry, mask.shape, photograph))
        return TruthImage(mask, mask2, None, float(max(mask.shape)), "")

    def _field_of_view(
        self, entry: layouts.Entry, shape: tuple[int, int], photograph: images.Photograph | None
    ) -> tuple[np.ndarray, float, str]:
        """The field of view, its diameter in pixels, and how it was determined."""
        if entry.fov is not None:
            fov = masks.read_field_of_view(self.root / entry.fov, shape, photograph)
            return fov, field_of_view_of_mask(fov).diameter_px, "given"
        assert photograph is not None  # one of the two there is
        with blamed_on(self.root / entry.photograph):
            field_of_view, fov = found_field_of_view(photograph.pixels)
        return fov, field_of_view.diameter_px, field_of_view.method

    def photograph(self, item: TruthItem) -> FramedPhotograph:
        path = self.root / self.entries[item.id].photograph
        return FramedPhotograph(images.read_photograph(path).pixels, None)

    def files(self, item: TruthItem) -> list[Path]:
        entry = self.entries[item.id]
        names = (entry.mask, entry.mask2, entry.fov or entry.photograph)
        return [self.root / name for name in names if name is not None]

    def source_sha256(self, item: TruthItem) -> str:
        if item.id not in self._sha256:
            self._sha256[item.id] = ""
            with suppress(InputError):
                self._sha256[item.id] = sha256_of(self.root / self.entries[item.id].photograph)
        return self._sha256[item.id]


class ShardTruth(Truth):
    """The masks in the shards of one data set.

    Args:
        at: "native" for the masks' own size, "prepared" for the size of the frame.
        subjects: the person of each id; None takes those that prep stored.

    Raises:
        InputError: if a shard or prep's manifest is damaged, or an id has no subject.
    """

    kind = "shards"

    def __init__(self, root: Path, at: str, subjects: dict[str, str] | None):
        self.root = root
        self.at = at
        self.folder = shards.ShardFolder(root)
        self.samples = {ref.id: ref for ref in self.folder.refs if ref.labelled}
        self.unlabelled = len(self.folder.refs) - len(self.samples)
        path = root / MANIFEST
        failures = read_manifest(path).get("failures", {}) if path.is_file() else {}
        self.unprepared = {escaped(id): escaped(reason) for id, reason in failures.items()}
        self.items = [
            TruthItem(
                ref.id,
                ref.split,
                ref.subject
                if subjects is None
                else splits.listed_subject(root / ref.id, ref.id, subjects),
                ref.group,
            )
            for ref in self.samples.values()
        ]

    def read(self, item: TruthItem, needs_fov: bool = True) -> TruthImage:
        sample = self.folder.read(self.samples[item.id], native=self.at == "native")
        field_of_view = sample.field_of_view
        if self.at == "native":
            assert sample.native_mask is not None  # `samples` are those with a mask
            return TruthImage(
                sample.native_mask,
                sample.native_mask2,
                sample.native_fov,
                field_of_view.diameter_px,
                field_of_view.method,
            )
        fov = sample.fov >= HALF
        return TruthImage(
            sample.labelled_mask >= HALF,
            None if sample.mask2 is None else sample.mask2 >= HALF,
            fov,
            prepared_diameter_px(fov, item),
            field_of_view.method,
            sample.geometry,
        )

    def photograph(self, item: TruthItem) -> FramedPhotograph:
        sample = self.folder.read(self.samples[item.id])
        return FramedPhotograph(sample.image, sample.geometry)

    def files(self, item: TruthItem) -> list[Path]:
        return [self.samples[item.id].path]

    def source_sha256(self, item: TruthItem) -> str:
        return self.samples[item.id].source_sha256


class MaskTruth(Truth):
    """A bare folder of masks: no photographs, no splits, no field of view.

    Args:
        paths: the files below `root`, from `folders.walk`, without those of output folders.
        subjects: the person of each id; None derives it from the file name.

    Raises:
        InputError: if there is no mask, two of one id, or an id has no subject.
    """

    kind = "folder of masks"

    def __init__(self, root: Path, paths: list[str], subjects: dict[str, str] | None):
        self.root = root
        self.masks: dict[str, Path] = {}
        for name in filter(images.image_suffix, paths):
            id = images.without_suffix(name)
            if id in self.masks:
                problem = f"and {self.masks[id].name} are both the mask of {id}"
                raise InputError(root / name, problem)
            self.masks[id] = root / name
        if not self.masks:
            raise InputError(root, "holds no masks", "give a data set folder, shards, or masks")
        self.items = [self._item(id, subjects) for id in self.masks]

    def _item(self, id: str, subjects: dict[str, str] | None) -> TruthItem:
        stem, folder = stem_of(id), id.rpartition("/")[0]
        named = splits.subject_of(stem, folder)
        subject = named if subjects is None else splits.listed_subject(self.root / id, id, subjects)
        return TruthItem(id, "", subject, splits.group_of(stem))

    def read(self, item: TruthItem, needs_fov: bool = True) -> TruthImage:
        mask = masks.read_vessels(self.masks[item.id])
        return TruthImage(mask, None, None, float(max(mask.shape)), "")

    def files(self, item: TruthItem) -> list[Path]:
        return [self.masks[item.id]]


def open_truth(
    root: Path,
    at: str,
    layout: str,
    subjects: dict[str, str] | None,
    paths: list[str] | None = None,
) -> Truth:
    """Open the truth in a folder, whichever of the three kinds it is.

    Args:
        at: "native", or "prepared" for the size of the shards.
        layout: a data set's layout; "auto" recognises it, and also shards and bare masks.
        subjects: the person of each id, in place of what the file names tell.
        paths: the files below `root`, from `folders.walk`, if the caller has them already.

    Raises:
        InputError: if it is none of the three, damaged, or an id has no subject.
        UsageError: if `at` is "prepared" and `root` holds no shards.
    """
    paths = folders.walk(root) if paths is None else paths
    if layout == "auto" and shards.are_shards(paths):
        return ShardTruth(root, at, subjects)
    if at != "native":
        raise UsageError(
            f"{root}: only shards can be scored at the prepared size; give shards as TRUTH"
        )
    if layout != "auto":
        return DataSetTruth(layouts.data_set(root, layout, paths=paths), subjects)
    paths, _ = folders.parted(root, paths)
    recognised = layouts.recognised(root, paths)
    if recognised is None:
        return MaskTruth(root, paths, subjects)
    return DataSetTruth(layouts.checked(recognised), subjects)


def prepared_diameter_px(fov: np.ndarray, item: TruthItem) -> float:
    """The diameter in pixels of an item's field of view, bool (Y, X), in the prepared frame.

    InputError if nothing of it is left there.
    """
    if not fov.any():
        problem = "has a field of view of which nothing is left at the prepared size"
        raise InputError(item.id, problem, "score at native size")
    return field_of_view_of_mask(fov).diameter_px


def stem_of(id: str) -> str:
    """The last part of an id without a known ending such as _manual1, _1stHO, .ah or _test."""
    match = _STEM.fullmatch(PurePosixPath(id).name)
    assert match is not None  # the ending is optional
    return match["stem"]


def _memberships(
    source: layouts.DataSet, subjects: dict[str, str] | None
) -> dict[str, splits.Membership]:
    """Splits as prep assigns them; "" for all where there are too few subjects to split."""
    undivided = splits.memberships(source.root, source.entries, "test", subjects)
    if len({member.subject for member in undivided.values()}) >= splits.LEAST_SUBJECTS:
        return splits.memberships(source.root, source.entries, "auto", subjects)
    return {id: replace(member, split="") for id, member in undivided.items()}
