"""The files that infer writes for one photograph, as bytes, and their names."""

import functools
import itertools
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from fundusseg.errors import InputError
from fundusseg.io import arrays
from fundusseg.io.images import (
    OVERLAY_SUFFIX,
    PROBABILITY_SUFFIX,
    map_png,
    probability_png,
    rgb_png,
)
from fundusseg.io.ledger import files_of
from fundusseg.io.manifest import NAME, PART_NAME, read_manifest
from fundusseg.io.status import unescaped

_SUFFIXES = (".png", ".npz", ".h5", PROBABILITY_SUFFIX, OVERLAY_SUFFIX)


@dataclass(frozen=True)
class OutputKinds:
    """Which files a photograph gets. format: "png", "npz" or "h5"."""

    format: str = "png"
    probability: bool = False
    overlay: bool = False

    def names(self, id: str) -> tuple[str, ...]:
        """The files' names relative to the output folder, the map first."""
        names = [f"{id}.{self.format}"]
        if self.probability and self.format == "png":
            names.append(id + PROBABILITY_SUFFIX)
        if self.overlay:
            names.append(id + OVERLAY_SUFFIX)
        return tuple(names)

    def encoded(
        self, id: str, vessels: np.ndarray, probability: np.ndarray, overlay: np.ndarray | None
    ) -> Mapping[str, bytes]:
        """The files' bytes by name.

        Args:
            vessels: bool (Y, X). probability: float32 (Y, X). overlay: uint8 (Y, X, 3).
        """
        contents = [
            map_png(vessels) if self.format == "png" else self._arrays(vessels, probability)
        ]
        if self.probability and self.format == "png":
            contents.append(probability_png(probability))
        if overlay is not None:
            contents.append(rgb_png(overlay))
        return dict(zip(self.names(id), contents, strict=True))

    def _arrays(self, vessels: np.ndarray, probability: np.ndarray) -> bytes:
        """`map` uint8 0 or 1 and `probability` float32, both (Y, X), in NPZ or HDF5."""
        found = {"map": vessels.astype(np.uint8), "probability": probability}
        buffer = BytesIO()
        if self.format == "npz":
            np.savez_compressed(buffer, **found)
        else:
            with h5py.File(buffer, "w") as file:
                for name, values in found.items():
                    arrays.put(file, name, values, axes="YX")
        return buffer.getvalue()


def require_own_files(out: Path, names: Iterable[str], ledger: Iterable[dict]) -> None:
    """Raise if a file that infer did not write would be written over.

    What stands in a folder, and no ledger and no manifest of infer there names, is somebody's own.

    Args:
        names: of the files that are to be written, without those that are known as ours.
        ledger: records; read only if one of the files stands.

    Raises:
        InputError: naming the file.
    """
    with os.scandir(out) as entries:
        if all(entry.name.startswith(".") for entry in entries):
            return
    others = {name for name in names if os.path.lexists(os.path.join(out, name))}
    for record in ledger if others else ():
        others.difference_update(files_of(record))
    if others:
        others.difference_update(*outputs_in_manifests(out).values())
    if others:
        remedy = "move it away, choose another OUT, or give --force"
        path = out / min(others, key=os.fsencode)
        raise InputError(path, "is there, and infer did not write it", remedy)


def outputs_in_manifests(out: Path) -> dict[str, list[str]]:
    """The outputs by id that manifests of infer in a folder name, the whole one and those of parts.

    Other people's files of such a name are passed over.
    """
    found: dict[str, list[str]] = {}
    for path in out.glob("manifest*.json"):
        if path.name == NAME or PART_NAME.fullmatch(path.name):
            with suppress(InputError):
                values = read_manifest(path, tables=("inputs", "outputs"))
                for id in values["inputs"] if values["stage"] == "infer" else ():
                    names = (id + suffix for suffix in _SUFFIXES)
                    ours = [unescaped(name) for name in names if name in values["outputs"]]
                    found.setdefault(unescaped(id), []).extend(ours)
    return found


def require_free_names(
    out: Path, items: Iterable[tuple[str, Path | str]], kinds: OutputKinds
) -> None:
    """Raise if two files would get one name in `out`, or one of the inputs would be overwritten.

    Args:
        items: id and path of every input; no id twice.

    Raises:
        InputError: naming both inputs, or the one that would be lost.
    """
    paths = dict(items)
    suffixes = kinds.names("")
    # x's probabilities, x.prob.png, are the map of x.prob: one suffix ends in another.
    for longer, shorter in itertools.permutations(suffixes, 2):
        if longer.endswith(shorter):
            middle = longer.removesuffix(shorter)
            for id in paths:
                if id + middle in paths:
                    problem = f"and {paths[id + middle]} would both write {id}{longer}"
                    remedy = "give --keep-suffix, or rename one of them"
                    raise InputError(paths[id], problem, remedy)
    real_folder = functools.cache(os.path.realpath)

    def place(path: Path | str) -> tuple[str, str]:
        folder, name = os.path.split(path)
        return real_folder(folder), name

    outs = {real_folder(os.path.dirname(os.path.join(out, id))) for id in paths}
    inputs = {found for found in map(place, paths.values()) if found[0] in outs}
    for id in paths if inputs else ():
        for suffix in suffixes:
            path = os.path.join(out, id + suffix)
            if place(path) in inputs:
                raise InputError(
                    path, "is an input, a map would overwrite it", "choose another OUT"
                )
