"""Shards: prepared samples with all that training, prediction and scoring need.

HDF5 holds many samples a file (`shard-00000-of-00008.h5`), NPZ one (`<id>.npz`); the keys
are the same. Beside the prepared arrays each sample carries the untouched mask and field
of view at the source's own size, so that maps are scored there from shards alone.
"""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path

import h5py
import numpy as np

from fundusseg.config import FrameConfig, canonical_json, config_hash, from_dict, to_dict
from fundusseg.errors import InputError
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import Geometry
from fundusseg.io import arrays
from fundusseg.io.files import TEMPORARY_PREFIX, atomic
from fundusseg.io.images import image_suffix
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import manifest_name, read_manifest
from fundusseg.io.status import escaped, unescaped

FORMAT = "fundusseg-shard"
VERSION = 1
# What zipfile, zlib and numpy raise on a flipped or missing byte, by where it is.
_NPZ_FAULTS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


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


FRAME_ARRAYS = ("image", "fov", "mask", "mask2")
NATIVE_ARRAYS = ("native_fov", "native_mask", "native_mask2")
_ARRAY_ATTRIBUTES = {
    "image": {"axes": "YXC", "unit": "sRGB 0..255"},
    "fov": {"axes": "YX", "unit": "coverage 0..255"},
    "mask": {"axes": "YX", "unit": "coverage 0..255"},
    "mask2": {"axes": "YX", "unit": "coverage 0..255"},
    "native_fov": {"axes": "YX", "unit": "0 or 1"},
    "native_mask": {"axes": "YX", "unit": "0 or 1"},
    "native_mask2": {"axes": "YX", "unit": "0 or 1"},
}


@dataclass(frozen=True)
class ShardHeader:
    """What all shards of a folder share. config_sha256 covers all that shaped the samples."""

    preset: str
    frame: FrameConfig
    data_set: str
    num_shards: int
    config_sha256: str

    @staticmethod
    def of(preset: str, frame: FrameConfig, data_set: str, num_shards: int, choices: dict):
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
    source_sha256: str
    labelled: bool
    path: Path
    key: str


def shard_name(shard: int, num_shards: int) -> str:
    """The file name of shard number `shard` (from 0) of `num_shards`."""
    return f"shard-{shard:05d}-of-{num_shards:05d}.h5"


def write_shard(path: Path, header: ShardHeader, shard: int, samples: Iterable[Sample]) -> None:
    """Write samples to one HDF5 shard, atomically, one sample in memory at a time."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        count = 0
        for number, sample in enumerate(samples):
            group = file.create_group(f"samples/{number:06d}")
            group.attrs.update(_sealed(_sample_attributes(sample)))
            for name, values in _sample_arrays(sample).items():
                arrays.put(group, name, values, **_ARRAY_ATTRIBUTES[name])
            count = number + 1
        file.attrs.update(_sealed({**_root_attributes(header, shard), "samples": count}))


def write_sample(path: Path, header: ShardHeader, sample: Sample) -> None:
    """Write one sample to one NPZ file, atomically; its metadata is the JSON text `meta`."""
    meta = {
        "root": _sealed(_root_attributes(header, 0)),
        "sample": _sealed(_sample_attributes(sample)),
    }
    with atomic(path) as temporary:
        np.savez_compressed(
            temporary, meta=np.array(canonical_json(meta)), **_sample_arrays(sample)
        )


class ShardFolder:
    """The shards of one data set.

    Raises:
        InputError: if there is no shard, one is missing or damaged, they are of a newer
            version, or they were not prepared alike.
    """

    def __init__(self, root: Path):
        self.root = root
        h5_paths = sorted(root.glob("shard-*.h5")) if root.is_dir() else []
        npz_paths = [] if h5_paths else _npz_files(root)
        if not h5_paths and not npz_paths:
            problem = "holds no shards (shard-*.h5 or *.npz)" if root.is_dir() else "is no folder"
            raise InputError(root, problem, "make them with: fundusseg prep SRC OUT")
        self.header: ShardHeader | None = None
        refs: list[SampleRef] = []
        for path in h5_paths:
            refs += self._h5_refs(path)
        for path in npz_paths:
            refs.append(self._npz_ref(path))
        if h5_paths:
            self._require_all(h5_paths)
        else:
            self._require_listed(npz_paths)
        self.refs = sorted(refs, key=lambda ref: os.fsencode(ref.id))

    def of_split(self, split: str) -> list[SampleRef]:
        """The references of one split, or of all of them ("all"), by id in byte order."""
        return [ref for ref in self.refs if split in ("all", ref.split)]

    def read(self, ref: SampleRef, native: bool = False) -> Sample:
        """Read a sample; the arrays at the source's own size only if `native`.

        Raises:
            InputError: if the shard is damaged.
        """
        wanted = FRAME_ARRAYS + (NATIVE_ARRAYS if native else ())
        if ref.path.suffix == ".npz":
            with _opened_npz(ref.path) as file:
                return _sample(json.loads(str(file["meta"]))["sample"], file, wanted)
        with arrays.opened(ref.path) as file:
            group = file[ref.key]
            return _sample(dict(group.attrs), group, wanted)

    def _h5_refs(self, path: Path) -> list[SampleRef]:
        with arrays.opened(path) as file:
            self._adopt(dict(file.attrs), path)
            keys = [f"samples/{number:06d}" for number in range(int(file.attrs["samples"]))]
            return [_ref(dict(file[key].attrs), path, key) for key in keys]

    def _npz_ref(self, path: Path) -> SampleRef:
        with _opened_npz(path) as file:
            meta = json.loads(str(file["meta"]))
            self._adopt(meta["root"], path)
            return _ref(meta["sample"], path, "")

    def _adopt(self, attributes: dict, path: Path) -> None:
        """Take the first shard's header for the folder's; the others must have the same."""
        header = _header(attributes, path)
        if self.header not in (None, header):
            remedy = "prepare the whole folder anew with --force"
            raise InputError(path, "was prepared with other settings than its neighbours", remedy)
        self.header = header

    def _require_all(self, paths: list[Path]) -> None:
        present = {path.name for path in paths}
        for shard in range(self.header.num_shards):
            name = shard_name(shard, self.header.num_shards)
            if name not in present:
                raise InputError(self.root / name, "is missing", "run the same prep again")

    def _require_listed(self, paths: list[Path]) -> None:
        """NPZ names do not tell how many there are, so prep's manifest, or its parts', does."""
        whole = self.root / MANIFEST
        total = self.header.num_shards
        parts = [self.root / manifest_name(part, total) for part in range(total)]
        manifests = [whole] if whole.is_file() else parts
        unfinished = [path.name for path in manifests if not path.is_file()]
        if unfinished:
            problem = f"is not finished ({unfinished[0]} is missing)"
            raise InputError(self.root, problem, "run the same prep again")
        present = set(paths)
        for name in (name for path in manifests for name in read_manifest(path)["outputs"]):
            path = self.root / unescaped(name)
            if path not in present:
                raise InputError(path, "is missing", "run the same prep again")


def _header(attributes: dict, path: Path) -> ShardHeader:
    """The header in a file's attributes; InputError if it is no shard, or a newer one."""
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


def _root_attributes(header: ShardHeader, shard: int) -> dict:
    config = {
        "preset": header.preset,
        "frame": to_dict(header.frame),
        "data_set": header.data_set,
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": "samples",
        "shard": shard,
        "num_shards": header.num_shards,
        "config_sha256": header.config_sha256,
        "config": canonical_json(config),
    }


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


def _sample_attributes(sample: Sample) -> dict:
    geometry, field_of_view = sample.geometry, sample.field_of_view
    return {
        "id": escaped(sample.id),
        "split": sample.split,
        "subject": escaped(sample.subject),
        "group": sample.group,
        "source": escaped(sample.source),
        "source_sha256": sample.source_sha256,
        "source_shape": list(geometry.source_shape),
        "box": list(geometry.box),
        "frame_px": geometry.frame_px,
        "fov_y_px": field_of_view.y_px,
        "fov_x_px": field_of_view.x_px,
        "fov_diameter_px": field_of_view.diameter_px,
        "fov_method": field_of_view.method,
        "arrays": canonical_json(
            {name: zlib.crc32(values) for name, values in _sample_arrays(sample).items()}
        ),
    }


def _sample_arrays(sample: Sample) -> dict[str, np.ndarray]:
    found = {}
    for entry in fields(sample):
        if entry.name in _ARRAY_ATTRIBUTES:
            values = getattr(sample, entry.name)
            if values is not None:
                found[entry.name] = np.ascontiguousarray(values, np.uint8)
    return found


def _sample(attributes: dict, stored: Mapping, wanted: tuple[str, ...]) -> Sample:
    """A sample from its attributes and those of its `stored` arrays that are `wanted`."""
    attributes = _unsealed(attributes)
    found: dict[str, np.ndarray] = {}
    for name, checksum in json.loads(attributes["arrays"]).items():
        if name in wanted:
            values = stored[name][()]
            if zlib.crc32(np.ascontiguousarray(values)) != checksum:
                raise ValueError(f"the checksum of {name} does not hold")
            found[name] = values.astype(bool) if name in NATIVE_ARRAYS else values
    height, width = attributes["source_shape"]
    return Sample(
        id=unescaped(attributes["id"]),
        split=attributes["split"],
        subject=unescaped(attributes["subject"]),
        group=attributes["group"],
        source=unescaped(attributes["source"]),
        source_sha256=attributes["source_sha256"],
        field_of_view=FieldOfView(
            attributes["fov_y_px"],
            attributes["fov_x_px"],
            attributes["fov_diameter_px"],
            attributes["fov_method"],
        ),
        geometry=Geometry((height, width), tuple(attributes["box"]), attributes["frame_px"]),
        **found,
    )


def _ref(attributes: dict, path: Path, key: str) -> SampleRef:
    attributes = _unsealed(attributes)
    return SampleRef(
        id=unescaped(attributes["id"]),
        split=attributes["split"],
        subject=unescaped(attributes["subject"]),
        group=attributes["group"],
        source_sha256=attributes["source_sha256"],
        labelled="mask" in json.loads(attributes["arrays"]),
        path=path,
        key=key,
    )


@contextmanager
def _opened_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an NPZ file, its faults turned into `InputError`; pickled content is refused."""
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as found:
            if "meta" not in found.files:
                raise InputError(path, "is no fundusseg shard")
            yield found
    except _NPZ_FAULTS as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(path, f"is damaged or no NPZ ({reason})", arrays.MAKE_ANEW) from error


def standing_header(root: Path) -> ShardHeader | None:
    """The header of the first shard in a folder that can be read, finished or not; or None."""
    for path in shard_files(root):
        with suppress(InputError):
            if path.suffix == ".npz":
                with _opened_npz(path) as file:
                    return _header(json.loads(str(file["meta"]))["root"], path)
            with arrays.opened(path) as file:
                return _header(dict(file.attrs), path)
    return None


def are_shards(paths: Iterable[str]) -> bool:
    """Whether the files of a folder are what prep writes: shard-*.h5, or .npz and no picture."""
    paths = list(paths)
    if any(fnmatch(path, "shard-*.h5") and "/" not in path for path in paths):
        return True
    return any(path.endswith(".npz") for path in paths) and not any(map(image_suffix, paths))


def shard_files(root: Path) -> Iterator[Path]:
    """The shard files directly in (HDF5) or below (NPZ) a folder, in order of name."""
    yield from sorted(root.glob("shard-*.h5"))
    yield from _npz_files(root)


def _npz_files(root: Path) -> list[Path]:
    """All but the temporary files that a killed or a living prep keeps there."""
    paths = root.rglob("*.npz")
    return sorted(path for path in paths if not path.name.startswith(TEMPORARY_PREFIX))
