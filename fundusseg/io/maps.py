"""Vessel maps to be scored or measured: a folder from infer, or any folder of maps.

A map `x` is an image `x.png` (tif, gif, ...) with its probabilities in `x.prob.png` where
that is there, or one file of arrays, `x.npz` or `x.h5`, with `map` and `probability`. An
image with more than two grey levels is a probability map by itself.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fundusseg.config import DEFAULT_THRESHOLD
from fundusseg.errors import InputError
from fundusseg.io import arrays, images
from fundusseg.io.layouts import walk
from fundusseg.io.manifest import NAME, read_manifest
from fundusseg.io.status import StatusRow, read_status

ARRAY_SUFFIXES = (".npz", ".h5")
MOST_LABELS = 4  # grey levels: probabilities have more


@dataclass(frozen=True)
class MapFile:
    """One map of a folder. probability: the .prob.png beside it; None if there is none."""

    id: str
    path: Path
    probability: Path | None = None


@dataclass(frozen=True)
class VesselMap:
    """vessels: bool (Y, X). probability: float32 (Y, X) in [0, 1]; None for a binary map."""

    vessels: np.ndarray
    probability: np.ndarray | None


class MapFolder:
    """The maps in a folder by id, and what infer wrote beside them.

    `leave_out` (where a report goes) is not walked.

    Attributes:
        files: the maps by id.
        status: the rows of status.tsv (or of its parts, before they are merged).
        threshold: of the model, as the manifest has it; None without a manifest.
        threshold_source, model_sha256: likewise; "" without.

    Raises:
        InputError: if the folder cannot be walked, two files are the map of one id, or
            status.tsv or the manifest is damaged.
    """

    def __init__(self, root: Path, leave_out: Path | None = None):
        self.root = root
        if not root.is_dir():
            raise InputError(root, "is no folder", "give the folder that infer wrote")
        self.files = _map_files(root, leave_out)
        self.status: list[StatusRow] = []
        for path in _whole_or_parts(root, "status.tsv", "status-*-of-*.tsv"):
            self.status += read_status(path)
        manifests = [
            read_manifest(path, tables=())
            for path in _whole_or_parts(root, NAME, "manifest-*-of-*.json")
        ]
        found = manifests[0] if manifests else {}
        threshold = found.get("threshold")
        self.threshold = None if threshold is None else float(threshold)
        self.threshold_source = str(found.get("threshold_source") or "")
        self.model_sha256 = str(found.get("model_sha256") or "")

    def read(self, file: MapFile, threshold: float | None = None) -> VesselMap:
        """Read a map and its probabilities.

        Args:
            threshold: vessel is where the probability is at least this; None takes the map
                that is stored, or, where only probabilities are, the manifest's threshold.

        Raises:
            InputError: if a file cannot be read, or holds no map.
        """
        vessels, probability = _stored(file)
        if probability is not None and (vessels is None or threshold is not None):
            fallback = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
            vessels = probability >= (fallback if threshold is None else threshold)
        return VesselMap(vessels, probability)


def _map_files(root: Path, leave_out: Path | None) -> dict[str, MapFile]:
    files: dict[str, MapFile] = {}
    names = walk(root, leave_out)
    known = set(names)
    for name in names:
        id = _map_id(name)
        if id is None:
            continue
        if id in files:
            problem = f"and {files[id].path.name} are both the map of {id}"
            raise InputError(root / name, problem, "remove one of them")
        probability = id + images.PROBABILITY_SUFFIX
        files[id] = MapFile(id, root / name, root / probability if probability in known else None)
    return files


def _map_id(name: str) -> str | None:
    """The id of the map in the file `name` (relative, with /); None if it is no map."""
    lower = name.lower()
    if lower.endswith((images.PROBABILITY_SUFFIX, images.OVERLAY_SUFFIX)):
        return None
    if lower.endswith(ARRAY_SUFFIXES):
        return str(PurePosixPath(name).with_suffix(""))
    return images.without_suffix(name) if images.image_suffix(name) else None


def _whole_or_parts(root: Path, name: str, pattern: str) -> list[Path]:
    whole = root / name
    return [whole] if whole.exists() else sorted(root.glob(pattern))


def _stored(file: MapFile) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The map, bool (Y, X), and the probability, float32 (Y, X); one of them may be None."""
    if file.path.suffix.lower() in ARRAY_SUFFIXES:
        return _stored_arrays(file.path)
    if file.probability is not None:
        vessels = images.read_mask(file.path)
        probability = images.read_probability(file.probability)
        _require_shape(file.probability, probability, vessels.shape)
        return vessels, probability
    grey = images.read_probability(file.path)
    if images.is_binary(grey):
        return images.read_mask(file.path), None
    # To sort all pixels takes long, and one in 256 nearly always tells.
    if len(np.unique(grey[::16, ::16])) <= MOST_LABELS:
        levels = len(np.unique(grey))
        if levels <= MOST_LABELS:
            problem = f"has {levels} grey levels: labels, and no map of vessels"
            raise InputError(file.path, problem, images.MAKE_BINARY)
    return None, grey


def _stored_arrays(path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    found = _npz_arrays(path) if path.suffix.lower() == ".npz" else arrays.read_arrays(path)[0]
    vessels, probability = found.get("map"), found.get("probability")
    present = [values for values in (vessels, probability) if values is not None]
    if not present:
        raise InputError(path, "holds neither an array `map` nor `probability`")
    for values in present:
        if values.ndim != 2:
            raise InputError(path, f"has an array of shape {values.shape}, not (Y, X)")
        _require_shape(path, values, present[0].shape)
    if vessels is not None and not images.is_binary(vessels):
        raise InputError(path, "has an array `map` of more than two values")
    if probability is not None and not (
        probability.min(initial=0) >= 0 and probability.max(initial=0) <= 1
    ):
        raise InputError(path, "has probabilities that are NaN or not in [0, 1]")
    return (
        None if vessels is None else vessels != 0,
        None if probability is None else probability.astype(np.float32),
    )


def _npz_arrays(path: Path) -> dict[str, np.ndarray]:
    with arrays.opened_npz(path) as file:
        return {name: file[name] for name in ("map", "probability") if name in file.files}


def _require_shape(path: Path, values: np.ndarray, shape: tuple[int, int]) -> None:
    if values.shape != shape:
        sizes = f"{values.shape[1]}x{values.shape[0]}, its map {shape[1]}x{shape[0]}"
        raise InputError(path, f"is {sizes}", "make both anew with infer")
