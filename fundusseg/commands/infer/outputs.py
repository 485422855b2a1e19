"""The files that infer writes for one photograph, as bytes, and their names."""

import functools
import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fundusseg.datasets.sources import Source
from fundusseg.errors import InputError
from fundusseg.files import arrays
from fundusseg.files.encoders import (
    OVERLAY_SUFFIX,
    PROBABILITY_SUFFIX,
    map_png,
    probability_png,
    rgb_png,
)

# What ids of PNG maps do not end in: x.prob.png is the probabilities of x to every reader.
_NO_MAPS = tuple(suffix.removesuffix(".png") for suffix in (PROBABILITY_SUFFIX, OVERLAY_SUFFIX))


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
        named: dict[str, Any] = {"map": vessels.astype(np.uint8), "probability": probability}
        buffer = BytesIO()
        if self.format == "npz":
            np.savez_compressed(buffer, **named)
        else:
            with h5py.File(buffer, "w") as file:
                file.attrs[arrays.SEAL] = arrays.crc32_of(named)
                for name, values in named.items():
                    arrays.put(file, name, values, axes="YX")
        return buffer.getvalue()


def with_refusals(items: tuple[Source, ...], kinds: OutputKinds) -> tuple[Source, ...]:
    """The inputs, those refused whose map no reader would take for one, by its name."""
    if kinds.format != "png":
        return items
    return tuple(
        replace(item, refusal=_no_map(item))
        if item.id.lower().endswith(_NO_MAPS) and not item.refusal
        else item
        for item in items
    )


def _no_map(item: Source) -> str:
    remedy = "give --format npz" if item.ref else "give --keep-suffix or --format npz"
    return f"would write {item.id}.png, which no command takes for a map; {remedy}, or rename it"


def require_free_names(
    out: Path, items: Iterable[tuple[str, Path | str]], kinds: OutputKinds
) -> None:
    """Raise if one of the inputs would be overwritten.

    Args:
        items: id and path of every input; no id twice.

    Raises:
        InputError: naming the one that would be lost.
    """
    paths = dict(items)
    suffixes = kinds.names("")
    real_folder = functools.cache(os.path.realpath)

    def place(path: Path | str) -> tuple[str, str]:
        folder, name = os.path.split(path)
        return real_folder(folder), name

    outs = {real_folder(os.path.dirname(os.path.join(out, id))) for id in paths}
    targets = (os.path.realpath(path) for path in paths.values() if os.path.islink(path))
    places = map(place, itertools.chain(paths.values(), targets))
    inputs = {(folder, name) for folder, name in places if folder in outs}
    for id in paths if inputs else ():
        for suffix in suffixes:
            path = os.path.join(out, id + suffix)
            if place(path) in inputs:
                raise InputError(
                    path, "is an input, a map would overwrite it", "choose another OUT"
                )
