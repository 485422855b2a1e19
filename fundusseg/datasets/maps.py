"""Vessel maps to be scored or measured: a folder from infer, or any folder of maps.

A map `x` is an image `x.png` (tif, gif, ...), with its probabilities in `x.prob.png` if that
exists, or one file of arrays, `x.npz` or `x.h5`, with `map`, `probability`, or both. An image of
more than four grey levels is read as probabilities. The pictures of a report are no maps.

Of a folder that infer wrote only the maps that its status table lists count: others are of
photographs that are gone. Where it holds one map in two formats, the file of arrays is read.
"""

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from fundusseg.config import DEFAULT_THRESHOLD, FrameConfig, MapConfig, OutOfRangeError
from fundusseg.datasets.folders import parted, walk
from fundusseg.errors import InputError
from fundusseg.files import arrays, encoders, images, masks
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import read_checksums, sha256_of
from fundusseg.files.ledger import has_ledger
from fundusseg.files.manifest import NAME, read_manifest, require_tables, whole_or_parts
from fundusseg.files.models import calibration_from
from fundusseg.files.names import nfc
from fundusseg.files.status import NAME as STATUS
from fundusseg.files.status import StatusRow, read_status
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import canonical_geometry
from fundusseg.fundus.vessel_map import vessel_map

ARRAY_SUFFIXES = (".npz", ".h5")
INFERS_SUFFIXES = (*ARRAY_SUFFIXES, ".png")
_ARRAYS = ("map", "probability")


@dataclass(frozen=True)
class MapFile:
    """The files of one map: its own, and the .prob.png beside it, if there is one."""

    id: str
    path: Path
    probability: Path | None = None


@dataclass(frozen=True)
class VesselMap:
    """A map that was read.

    Attributes:
        vessels: bool (Y, X).
        probability: float32 (Y, X) in [0, 1]; None for a binary map.
    """

    vessels: np.ndarray
    probability: np.ndarray | None


class MapFolder:
    """The maps in a folder by id, and what infer wrote beside them.

    Args:
        paths: the files below `root`, from `folders.walk`, if the caller has them already.

    Attributes:
        files: the maps by id.
        status: the rows of status.tsv (or of its parts, before they are merged).
        unlisted: ids of files that status.tsv does not list, and that are not in `files`.
        threshold: the model's, from the manifest; None without a manifest.
        threshold_source: where that threshold comes from, from the manifest; "" without one.
        model_sha256: the model's hash, from the manifest; "" without one.
        calibration: what made its probabilities of the network's scores, from the manifest; None
            where they are those scores.
        trained_on: the beginnings of the SHA-256 of the photographs that the model saw, by part
            ("train", "validation"), from the manifest; empty where it does not tell.

    Raises:
        InputError: if `root` is no folder or cannot be walked, two files are the map of one id,
            or status.tsv or the manifest is damaged.
    """

    def __init__(self, root: Path, paths: list[str] | None = None):
        self.root = root
        if not root.is_dir():
            raise InputError(root, "is no folder", "give the folder that infer wrote")
        is_infers = is_written_by_infer(root)
        paths, _ = parted(root, walk(root) if paths is None else paths, with_maps=True)
        listed = _listed(root) if is_infers else {}
        self.files = _map_files(root, paths, is_infers, listed)
        names = {nfc(id): id for id in self.files}
        self.status: list[StatusRow] = []
        for path in whole_or_parts(root, STATUS):
            for row in read_status(path):
                id = row.id if row.id in self.files else names.get(nfc(row.id), row.id)
                self.status.append(replace(row, id=id))
        self._rows = {row.id: row for row in self.status}
        self.unlisted = [id for id in self.files if id not in self._rows] if is_infers else []
        for id in self.unlisted:
            del self.files[id]
        manifests = [read_manifest(path) for path in whole_or_parts(root, NAME)]
        for values in manifests:
            require_tables(root, values)
        self._sha256 = listed if manifests else {}  # beside unfinished work the list is older
        manifest = manifests[0] if manifests else {}
        threshold = manifest.get("threshold")
        self.threshold = None if threshold is None else float(threshold)
        self.threshold_source = str(manifest.get("threshold_source") or "")
        self.model_sha256 = str(manifest.get("model_sha256") or "")
        self.trained_on: dict[str, list[str]] = manifest.get("trained_on", {})
        self._config: dict = manifest.get("config", {})
        self.calibration = calibration_from(self._config.get("calibration"), root / NAME)

    def row(self, id: str) -> StatusRow | None:
        """The row of a map in status.tsv; None in a folder that infer did not write."""
        return self._rows.get(id)

    def field_of_view(self, id: str) -> FieldOfView | None:
        """The field of view in which infer drew a map, as status.tsv tells; None if it does not.

        Raises:
            InputError: if a cell of it is no number.
        """
        numbers = self._numbers(id, "fov_diameter_px", "fov_y_px", "fov_x_px")
        if numbers is None:
            return None
        diameter_px, y_px, x_px = numbers
        return FieldOfView(y_px, x_px, diameter_px, self._rows[id].fov_method)

    def pixel_um(self, id: str) -> float | None:
        """The side of a map's pixel, as status.tsv tells; None if it does not.

        Raises:
            InputError: if the cell of it is no number.
        """
        numbers = self._numbers(id, "pixel_um")
        return None if numbers is None else numbers[0]

    def _numbers(self, id: str, *columns: str) -> list[float] | None:
        """Cells of a map's row; None where it has none, or the first is empty."""
        row = self.row(id)
        if row is None or not getattr(row, columns[0]):
            return None
        try:
            return [float(getattr(row, column)) for column in columns]
        except ValueError as error:
            problem = f"has a {columns[0]} of {id} that is no number"
            raise InputError(self.root / STATUS, problem, "run infer again") from error

    def read(self, file: MapFile, threshold: float | None = None) -> VesselMap:
        """Read a map and its probabilities.

        Args:
            threshold: in [0, 1]; a pixel is vessel if its probability is at least this. None
                takes the map that is stored or, if only probabilities are, the manifest's
                threshold (`DEFAULT_THRESHOLD` without a manifest). Binary maps ignore it. Small
                objects are left out of a map so cut as infer left them out.

        Raises:
            InputError: if a file cannot be read, is a label image, has values that are no
                probabilities, the map and its probabilities differ in size, or a file is not what
                infer wrote.
        """
        for path in filter(None, (file.path, file.probability)):
            self._require_as_written(path)
        vessels, probability = _stored(file)
        if probability is not None and (vessels is None or threshold is not None):
            fallback = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
            cut_at = fallback if threshold is None else threshold
            vessels = self._cut(file.id, probability, cut_at)
        assert vessels is not None  # there is a map, or it was cut from the probabilities
        return VesselMap(vessels, probability)

    def _require_as_written(self, path: Path) -> None:
        written = self._sha256.get(str(path.relative_to(self.root)))
        if written is not None and bytes.fromhex(sha256_of(path)) != written:
            problem = "has been changed since infer wrote it"
            remedy = "run the same infer with --verify, or move maps of your own to another folder"
            raise InputError(path, problem, remedy)

    def _cut(self, id: str, probability: np.ndarray, threshold: float) -> np.ndarray:
        """The map that infer makes of these probabilities.

        Merely thresholded where status.tsv or the manifest lacks what cleaning needs.
        """
        field_of_view, config = self.field_of_view(id), self._config
        if field_of_view is None or not config:
            return probability >= threshold
        try:
            cleaning = MapConfig(config["longest_gap_px"], config["smallest_object_px"])
            frame = FrameConfig(config["frame"], tuple(config["frame_sizes_px"]))
            size_px = frame.size_px(field_of_view.diameter_px)
            shape = probability.shape
            geometry = canonical_geometry(frame.kind, size_px, shape, field_of_view)
            return vessel_map(probability, threshold, cleaning, geometry)
        except (KeyError, TypeError, ValueError, OutOfRangeError) as error:
            raise InputError(
                self.root / NAME, "is damaged (no frame)", "run infer again"
            ) from error


def is_written_by_infer(root: Path) -> bool:
    """Whether a folder holds the status table that infer writes, or parts of one."""
    return root.is_dir() and bool(whole_or_parts(root, STATUS))


def require_finished(root: Path) -> None:
    """Raise InputError where infer was killed or is at work: tables there are of earlier work."""
    finished, tables = whole_or_parts(root, NAME), whole_or_parts(root, STATUS)
    if has_ledger(root) and len(finished) < max(1, len(tables)):
        raise InputError(root, "holds maps of an infer that has not finished", "run it again first")


def _map_files(
    root: Path, paths: list[str], is_infers: bool, listed: Container[str]
) -> dict[str, MapFile]:
    files: dict[str, MapFile] = {}
    known = set(paths)
    for name in sorted(paths, key=lambda path: path not in listed):  # what the last run wrote first
        id = _map_id(name)
        if id is None:
            continue
        if id in files:
            both = (name, files[id].path.name)
            if is_infers and all(path.endswith(INFERS_SUFFIXES) for path in both):
                continue  # the same map: in byte order the file of arrays comes first
            problem = f"and {files[id].path.name} are both the map of {id}"
            raise InputError(root / name, problem, "remove one of them")
        probability = id + encoders.PROBABILITY_SUFFIX
        files[id] = MapFile(id, root / name, root / probability if probability in known else None)
    return files


def _listed(root: Path) -> dict[str, bytes]:
    """The files that SHA256SUMS, or those of a job array's parts, name, and their SHA-256."""
    paths = [path for path in whole_or_parts(root, CHECKSUMS) if path.is_file()]
    pairs = (pair for path in paths for pair in read_checksums(path))
    return {name: bytes.fromhex(sha256) for name, sha256 in pairs}


def _map_id(name: str) -> str | None:
    """The id of the map in the file `name` (relative, with /); None for any other file."""
    lower = name.lower()
    if lower.endswith((encoders.PROBABILITY_SUFFIX, encoders.OVERLAY_SUFFIX)):
        return None
    if lower.endswith(ARRAY_SUFFIXES):
        return str(PurePosixPath(name).with_suffix(""))
    return images.without_suffix(name) if images.image_suffix(name) else None


def _stored(file: MapFile) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The map, bool (Y, X), and the probability, float32 (Y, X); one of them may be None."""
    if file.path.suffix.lower() in ARRAY_SUFFIXES:
        return _stored_arrays(file.path)
    if file.probability is not None:
        vessels = masks.read_mask(file.path)
        probability = masks.read_probability(file.probability)
        _require_shape(file.probability, probability, vessels.shape)
        return vessels, probability
    grey = masks.read_probability(file.path)
    if masks.is_binary(grey):
        return masks.read_mask(file.path), None
    masks.require_no_labels(file.path, grey)
    return None, grey


def _stored_arrays(path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    opened = arrays.open_npz if path.suffix.lower() == ".npz" else arrays.open_hdf5
    with opened(path) as file:
        stored = {name: arrays.stored_values(file, name) for name in _ARRAYS if name in file}
    vessels, probability = stored.get("map"), stored.get("probability")
    present = [values for values in (vessels, probability) if values is not None]
    if not present:
        raise InputError(path, "holds neither an array `map` nor `probability`")
    for values in present:
        if values.ndim != 2 or not values.size:
            raise InputError(path, f"has an array of shape {values.shape}, not (Y, X)")
        if values.dtype.kind not in "biuf":
            raise InputError(path, f"has an array of {values.dtype}, not of numbers")
        _require_shape(path, values, present[0].shape)
    if vessels is not None and not masks.is_binary(vessels):
        raise InputError(path, "has an array `map` of more than two values")
    if probability is not None and not (
        probability.min(initial=0) >= 0 and probability.max(initial=0) <= 1
    ):
        raise InputError(path, "has probabilities that are NaN or not in [0, 1]")
    return (
        None if vessels is None else vessels != 0,
        None if probability is None else probability.astype(np.float32),
    )


def _require_shape(path: Path, values: np.ndarray, shape: tuple[int, int]) -> None:
    if values.shape != shape:
        sizes = f"{values.shape[1]}x{values.shape[0]}, its map {shape[1]}x{shape[0]}"
        raise InputError(path, f"is {sizes}", "run infer again for both")
