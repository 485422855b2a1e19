"""The files that infer writes for one photograph, as bytes, and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import h5py
import numpy as np

from fundusseg.io import arrays
from fundusseg.io.images import (
    OVERLAY_SUFFIX,
    PROBABILITY_SUFFIX,
    map_png,
    probability_png,
    rgb_png,
)


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
