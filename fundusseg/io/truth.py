"""What maps are scored against: a data set folder, shards, or a bare folder of masks.

All three give the same: references that cost nothing, and for each of them the masks and
the field of view, read one image at a time.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from fundusseg.errors import InputError, UsageError
from fundusseg.fundus.field_of_view import field_of_view_of_mask, found_field_of_view
from fundusseg.fundus.geometry import Geometry
from fundusseg.io import images, layouts, shards, splits
from fundusseg.io.files import sha256_of
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import read_manifest
from fundusseg.io.samples import SampleRef

_STEM = re.compile(
    rf"(?P<stem>.+?)(?:_(?:training|test))?{layouts.MASK_SUFFIX}", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class TruthRef:
    """A photograph with a manual mask.

    split is "" where the truth has no splits; group is the data set's own stratum or "".
    """

    id: str
    split: str
    subject: str
    group: str

    @property
    def stem(self) -> str:
        """The name that maps of it may go by."""
        return stem_of(self.id)


@dataclass(frozen=True)
class TruthImage:
    """The masks of one photograph.

    mask: bool (Y, X), the first observer's. mask2: the second's, or None. fov: bool (Y, X);
    None where nothing tells it. diameter_px: of the field of view, else the frame's larger
    side. fov_method: how the field of view came about, "" without one. geometry: from the
    source to this frame; None at the source's own size.
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
class View:
    """A photograph, uint8 (Y, X, 3), in the frame that `geometry` leads to (None: its own)."""

    pixels: np.ndarray
    geometry: Geometry | None


class DataSetTruth:
    """The masks of a data set in one of the known layouts."""

    kind = "data set folder"

    def __init__(self, source: layouts.DataSet, subjects: dict[str, str] | None):
        self.root = source.root
        self.layout = source.layout
        labelled = [entry for entry in source.entries if entry.mask is not None]
        self.unlabelled = len(source.entries) - len(labelled)
        self.unprepared: dict[str, str] = {}  # by escaped id, why; known of shards only
        self.entries = {entry.id: entry for entry in labelled}
        self._sha256: dict[str, str] = {}
        members = _memberships(source, subjects)
        self.refs = [
            TruthRef(entry.id, member.split, member.subject, member.group)
            for entry in labelled
            for member in (members[entry.id],)
        ]

    def read(self, ref: TruthRef) -> TruthImage:
        """The masks of one photograph.

        Raises:
            InputError: if a file cannot be read, sizes differ, or the field of view is empty.
        """
        entry = self.entries[ref.id]
        mask = images.read_vessels(self.root / entry.mask)
        mask2 = entry.mask2 and images.read_vessels(self.root / entry.mask2, mask.shape)
        if entry.fov is not None:
            fov = images.read_field_of_view(self.root / entry.fov, mask.shape)
            diameter_px = field_of_view_of_mask(fov).diameter_px
            return TruthImage(mask, mask2, fov, diameter_px, "given")
        pixels = images.read_photograph(self.root / entry.photograph).pixels
        images.require_shape(self.root / entry.mask, mask, pixels.shape[:2])
        field_of_view, fov = found_field_of_view(pixels)
        return TruthImage(mask, mask2, fov, field_of_view.diameter_px, field_of_view.method)

    def view(self, ref: TruthRef) -> View:
        """The photograph at its own size; InputError if it cannot be read."""
        path = self.root / self.entries[ref.id].photograph
        return View(images.read_photograph(path).pixels, None)

    def files(self, ref: TruthRef) -> list[Path]:
        """The files that the masks and the field of view come from."""
        entry = self.entries[ref.id]
        names = (entry.mask, entry.mask2, entry.fov or entry.photograph)
        return [self.root / name for name in names if name is not None]

    def source_sha256(self, ref: TruthRef) -> str:
        """SHA-256 of the photograph's file, taken once; "" if it cannot be read."""
        if ref.id not in self._sha256:
            try:
                self._sha256[ref.id] = sha256_of(self.root / self.entries[ref.id].photograph)
            except InputError:
                self._sha256[ref.id] = ""
        return self._sha256[ref.id]


class ShardTruth:
    """The masks in the shards of one data set, at native size or as they were prepared."""

    kind = "shards"

    def __init__(self, root: Path, at: str, subjects: dict[str, str] | None):
        self.root = root
        self.at = at
        self.folder = shards.ShardFolder(root)
        self.layout = ""
        self.samples = {ref.id: ref for ref in self.folder.refs if ref.labelled}
        self.unlabelled = len(self.folder.refs) - len(self.samples)
        self.unprepared = _failures_of_prep(root)
        self.refs = [
            TruthRef(ref.id, ref.split, _subject(ref, subjects, root), ref.group)
            for ref in self.samples.values()
        ]

    def read(self, ref: TruthRef) -> TruthImage:
        """The masks of one photograph; InputError if the shard is damaged."""
        found = self.folder.read(self.samples[ref.id], native=self.at == "native")
        field_of_view = found.field_of_view
        if self.at == "native":
            return TruthImage(
                found.native_mask,
                found.native_mask2,
                found.native_fov,
                field_of_view.diameter_px,
                field_of_view.method,
            )
        mask2 = None if found.mask2 is None else _covered(found.mask2)
        fov = _covered(found.fov)
        return TruthImage(
            _covered(found.mask),
            mask2,
            fov,
            prepared_diameter_px(fov, ref),
            field_of_view.method,
            found.geometry,
        )

    def view(self, ref: TruthRef) -> View:
        """The photograph in its frame; InputError if the shard is damaged."""
        found = self.folder.read(self.samples[ref.id])
        return View(found.image, found.geometry)

    def files(self, ref: TruthRef) -> list[Path]:
        """The shard that holds the masks."""
        return [self.samples[ref.id].path]

    def source_sha256(self, ref: TruthRef) -> str:
        """SHA-256 of the photograph's file, as prep noted it."""
        return self.samples[ref.id].source_sha256


class MaskTruth:
    """A bare folder of masks: no photographs, no splits, no field of view."""

    kind = "folder of masks"
    layout = ""
    unlabelled = 0
    unprepared: dict[str, str] = {}

    def __init__(self, root: Path, subjects: dict[str, str] | None, leave_out: Path | None = None):
        self.root = root
        names = [name for name in layouts.walk(root, leave_out) if images.image_suffix(name)]
        self.paths: dict[str, Path] = {}
        for name in names:
            id = images.without_suffix(name)
            if id in self.paths:
                raise InputError(
                    root / name, f"and {self.paths[id].name} are both the mask of {id}"
                )
            self.paths[id] = root / name
        if not self.paths:
            raise InputError(root, "holds no masks", "give a data set folder, shards, or masks")
        self.refs = [self._ref(id, subjects) for id in self.paths]

    def _ref(self, id: str, subjects: dict[str, str] | None) -> TruthRef:
        stem = stem_of(id)
        subject = splits.subject_of(stem) if subjects is None else _listed(id, subjects, self.root)
        return TruthRef(id, "", subject, splits.group_of(stem))

    def read(self, ref: TruthRef) -> TruthImage:
        """The mask; InputError if it cannot be read."""
        mask = images.read_vessels(self.paths[ref.id])
        return TruthImage(mask, None, None, float(max(mask.shape)), "")

    def view(self, ref: TruthRef) -> None:
        """There are no photographs."""

    def files(self, ref: TruthRef) -> list[Path]:
        """The mask itself."""
        return [self.paths[ref.id]]

    def source_sha256(self, ref: TruthRef) -> str:
        """Unknown, so nothing is matched by it."""
        return ""


Truth = DataSetTruth | ShardTruth | MaskTruth


def prepared_diameter_px(fov: np.ndarray, ref: TruthRef) -> float:
    """The diameter of a field of view, bool (Y, X), in its frame.

    Raises:
        InputError: if nothing is left of it there.
    """
    if not fov.any():
        problem = "has a field of view of which nothing is left at the prepared size"
        raise InputError(ref.id, problem, "score at native size")
    return field_of_view_of_mask(fov).diameter_px


def truth_of(
    root: Path,
    at: str,
    layout: str,
    subjects: dict[str, str] | None,
    leave_out: Path | None = None,
) -> Truth:
    """Open TRUTH, whichever of the three it is.

    Args:
        at: "native", or "prepared" for the size of the shards.
        layout: a data set's layout; "auto" also takes shards and bare masks.
        subjects: the person of each id, in place of what the file names tell.
        leave_out: a folder that is not walked, where the report goes.

    Raises:
        InputError: if it is none of the three, damaged, or an id has no subject.
        UsageError: if `at` is "prepared" and it is no shards.
    """
    paths = layouts.walk(root, leave_out)
    if layout == "auto" and shards.are_shards(paths):
        return ShardTruth(root, at, subjects)
    if at != "native":
        raise UsageError(f"{root}: only shards can be scored at the prepared size")
    if layout != "auto":
        return DataSetTruth(layouts.data_set(root, layout, leave_out), subjects)
    found = layouts.recognised(root, layouts.parted(root, paths)[0])
    if found is None:
        return MaskTruth(root, subjects, leave_out)
    return DataSetTruth(layouts.checked(found), subjects)


def stem_of(id: str) -> str:
    """The last part of an id without a known ending such as _manual1, _1stHO, .ah or _test."""
    return _STEM.fullmatch(PurePosixPath(id).name)["stem"]


def _memberships(
    source: layouts.DataSet, subjects: dict[str, str] | None
) -> dict[str, splits.Membership]:
    """As prep deals them out; without splits where there are too few subjects for them."""
    undivided = splits.memberships(source.root, source.entries, "test", subjects)
    if len({member.subject for member in undivided.values()}) >= splits.LEAST_SUBJECTS:
        return splits.memberships(source.root, source.entries, "auto", subjects)
    return {id: replace(member, split="") for id, member in undivided.items()}


def _subject(ref: SampleRef, subjects: dict[str, str] | None, root: Path) -> str:
    return ref.subject if subjects is None else _listed(ref.id, subjects, root)


def _listed(id: str, subjects: dict[str, str], root: Path) -> str:
    if id not in subjects:
        raise InputError(root / id, "has no row in the subjects file", f"add {id}")
    return subjects[id]


def _covered(coverage: np.ndarray) -> np.ndarray:
    """The pixels that are covered by half or more, of a coverage 0..255."""
    return coverage >= 128


def _failures_of_prep(root: Path) -> dict[str, str]:
    """Why photographs are not among the shards, by escaped id, from prep's manifest."""
    path = root / MANIFEST
    return read_manifest(path)["failures"] if path.is_file() else {}
