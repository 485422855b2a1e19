"""A prepared sample and the header that the shards of a data set share, as plain attributes.

They stand like this in HDF5 and NPZ alike (see `shards`). Beside the prepared arrays a sample
carries the untouched mask and field of view at the source's own size, so that maps are scored
there from shards alone.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fundusseg.config import FrameConfig
from fundusseg.errors import InputError
from fundusseg.files.arrays import stored_values
from fundusseg.files.names import escaped, is_inside, unescaped
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import Geometry
from fundusseg.serial import canonical_json, config_hash, from_dict, to_dict

FORMAT = "fundusseg-shard"
VERSION = 1
FRAME_ARRAYS = ("image", "fov", "mask", "mask2")
NATIVE_ARRAYS = ("native_fov", "native_mask", "native_mask2")
ARRAY_ATTRIBUTES = {
    "image": {"axes": "YXC", "unit": "sRGB 0..255"},
    **dict.fromkeys(FRAME_ARRAYS[1:], {"axes": "YX", "unit": "coverage 0..255"}),
    **dict.fromkeys(NATIVE_ARRAYS, {"axes": "YX", "unit": "0 or 1"}),
}
_IDENTITY = ("id", "split", "subject", "group", "source", "source_sha256")  # of Sample, SampleRef


@dataclass(frozen=True)
class Sample:
    """One photograph, prepared.

    image: uint8 (Y, X, 3) sRGB. mask, mask2: uint8 (Y, X), vessel coverage of each pixel,
    255 = all of it; None without a mask. fov: uint8 (Y, X), coverage by the field of view.
    native_mask, native_mask2, native_fov: bool (Y, X) at the source's own size, untouched.
    source: path relative to the data set. All frames are geometry.frame_px wide.
    """

    id: str
    split: str
    subject: str
    group: str
    source: str
    source_sha256: str
    field_of_view: FieldOfView
    geometry: Geometry
    image: np.ndarray
    fov: np.ndarray
    mask: np.ndarray | None = None
    mask2: np.ndarray | None = None
    native_fov: np.ndarray | None = None
    native_mask: np.ndarray | None = None
    native_mask2: np.ndarray | None = None

    @property
    def labelled_mask(self) -> np.ndarray:
        """`mask` of a sample whose reference says that it is labelled."""
        assert self.mask is not None  # `SampleRef.labelled` is that it has one
        return self.mask


@dataclass(frozen=True)
class ShardHeader:
    """What all shards of a folder share. config_sha256 covers all that shaped the samples."""

    preset: str
    frame: FrameConfig
    data_set: str
    num_shards: int
    config_sha256: str

    @staticmethod
    def of(
        preset: str, frame: FrameConfig, data_set: str, num_shards: int, choices: dict
    ) -> "ShardHeader":
        """The header whose hash covers the frame and the `choices` made beside it."""
        shaped = {"version": VERSION, "preset": preset, "frame": to_dict(frame), **choices}
        return ShardHeader(preset, frame, data_set, num_shards, config_hash(shaped))


@dataclass(frozen=True)
class SampleRef:
    """Where a sample lies, and what can be known without reading its arrays."""

    id: str
    split: str
    subject: str
    group: str
    source: str
    source_sha256: str
    labelled: bool
    path: Path
    key: str


def header_from(attributes: dict, path: Path) -> ShardHeader:
    """The header in a file's attributes.

    InputError if it is no shard, or a newer one, ValueError if their hash does not hold.
    """
    if attributes.get("format") != FORMAT:
        raise InputError(path, "is no fundusseg shard")
    if int(attributes["version"]) > VERSION:
        problem = f"has shard version {attributes['version']}, newer than {VERSION}"
        raise InputError(path, problem, "use a newer fundusseg")
    attributes = _unsealed(attributes)
    config = json.loads(attributes["config"])
    return ShardHeader(
        config["preset"],
        from_dict(FrameConfig, config["frame"], str(path)),
        config["data_set"],
        int(attributes["num_shards"]),
        str(attributes["config_sha256"]),
    )


def header_attributes(header: ShardHeader, shard: int = 0, **more: object) -> dict:
    """What stands at the root of shard number `shard`, with `more`, sealed."""
    config = {"preset": header.preset, "frame": to_dict(header.frame), "data_set": header.data_set}
    attributes = {
        "format": FORMAT,
        "version": VERSION,
        "kind": "samples",
        "shard": shard,
        "num_shards": header.num_shards,
        "config_sha256": header.config_sha256,
        "config": canonical_json(config),
        **more,
    }
    return _sealed(attributes)


def sample_attributes(sample: Sample) -> dict:
    """All of a sample but its arrays, with their checksums, sealed."""
    geometry, field_of_view = sample.geometry, sample.field_of_view
    attributes = {
        **{name: escaped(getattr(sample, name)) for name in _IDENTITY},
        "source_shape": list(geometry.source_shape),
        "box": list(geometry.box),
        "frame_px": geometry.frame_px,
        "fov_y_px": field_of_view.y_px,
        "fov_x_px": field_of_view.x_px,
        "fov_diameter_px": field_of_view.diameter_px,
        "fov_method": field_of_view.method,
        "arrays": canonical_json(
            {name: zlib.crc32(values.data) for name, values in sample_arrays(sample).items()}
        ),
    }
    return _sealed(attributes)


def sample_arrays(sample: Sample) -> dict[str, np.ndarray]:
    """A sample's arrays by name, uint8; see `ARRAY_ATTRIBUTES`."""
    arrays = {name: getattr(sample, name) for name in ARRAY_ATTRIBUTES}
    return {
        name: np.ascontiguousarray(values, np.uint8)
        for name, values in arrays.items()
        if values is not None
    }


def sample_from(attributes: dict, stored: Mapping, wanted: tuple[str, ...]) -> Sample:
    """A sample from its attributes and those of its `stored` arrays that are `wanted`.

    ValueError if a checksum does not hold.
    """
    attributes = _unsealed(attributes)
    arrays: dict[str, Any] = {}
    for name, checksum in json.loads(attributes["arrays"]).items():
        if name in wanted:
            values = stored_values(stored, name)
            if zlib.crc32(np.ascontiguousarray(values).data) != checksum:
                raise ValueError(f"the checksum of {name} does not hold")
            arrays[name] = values.astype(bool) if name in NATIVE_ARRAYS else values
    height, width = attributes["source_shape"]
    return Sample(
        **_identity(attributes),
        field_of_view=FieldOfView(
            attributes["fov_y_px"],
            attributes["fov_x_px"],
            attributes["fov_diameter_px"],
            attributes["fov_method"],
        ),
        geometry=Geometry((height, width), tuple(attributes["box"]), attributes["frame_px"]),
        **arrays,
    )


def ref_from(attributes: dict, path: Path, key: str) -> SampleRef:
    """The reference to the sample in a file that has these attributes.

    ValueError if their hash does not hold; InputError if its id, which maps are named by, does
    not stay inside a folder.
    """
    attributes = _unsealed(attributes)
    identity = _identity(attributes)
    if not is_inside(identity["id"]):
        raise InputError(path, f"names {attributes['id']}, which is not inside its folder")
    return SampleRef(
        **identity,
        labelled="mask" in json.loads(attributes["arrays"]),
        path=path,
        key=key,
    )


def _identity(attributes: dict) -> dict[str, Any]:
    return {name: unescaped(attributes[name]) for name in _IDENTITY}


def _sealed(attributes: dict) -> dict:
    """With their own hash, since HDF5 sees a flipped byte only inside an array's values."""
    return {**attributes, "attributes_sha256": config_hash(attributes)}


def _unsealed(attributes: dict) -> dict:
    """As plain values, without the hash; ValueError if it does not hold."""
    plain = {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in attributes.items()
    }
    if plain.pop("attributes_sha256", None) != config_hash(plain):
        raise ValueError("the hash of its attributes does not hold")
    return plain
