"""Shards: files of prepared samples, with all that training, prediction and scoring need.

HDF5 holds many samples a file (`shard-00000-of-00008.h5`), NPZ one (`<id>.npz`); the keys
are the same (io/samples.py).
"""

import itertools
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

import h5py
import numpy as np

from fundusseg.config import canonical_json
from fundusseg.errors import InputError
from fundusseg.io import arrays
from fundusseg.io.files import TEMPORARY_PREFIX, atomic
from fundusseg.io.images import image_suffix
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import manifest_name, read_manifest
from fundusseg.io.samples import (
    ARRAY_ATTRIBUTES,
    FRAME_ARRAYS,
    NATIVE_ARRAYS,
    Sample,
    SampleRef,
    ShardHeader,
    header_attributes,
    header_from,
    ref_from,
    sample_arrays,
    sample_attributes,
    sample_from,
)
from fundusseg.io.status import unescaped


def shard_name(shard: int, num_shards: int) -> str:
    """The file name of shard number `shard` (from 0) of `num_shards`."""
    return f"shard-{shard:05d}-of-{num_shards:05d}.h5"


def write_shard(path: Path, header: ShardHeader, shard: int, samples: Iterable[Sample]) -> None:
    """Write samples to one HDF5 shard, atomically, one sample in memory at a time."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        count = 0
        for number, sample in enumerate(samples):
            group = file.create_group(f"samples/{number:06d}")
            group.attrs.update(sample_attributes(sample))
            for name, values in sample_arrays(sample).items():
                arrays.put(group, name, values, **ARRAY_ATTRIBUTES[name])
            count = number + 1
        file.attrs.update(header_attributes(header, shard, samples=count))


def write_sample(path: Path, header: ShardHeader, sample: Sample) -> None:
    """Write one sample to one NPZ file, atomically; its metadata is the JSON text `meta`."""
    meta = {"root": header_attributes(header), "sample": sample_attributes(sample)}
    with atomic(path) as temporary:
        np.savez_compressed(temporary, meta=np.array(canonical_json(meta)), **sample_arrays(sample))


class ShardFolder:
    """The shards of one data set.

    Raises:
        InputError: if there is no shard, one is missing or damaged, they are of a newer
            version, they were not prepared alike, or two hold one sample.
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
        self.refs = sorted(refs, key=lambda ref: os.fsencode(ref.id))
        self._require_single()
        manifests = self._manifests()
        if len(manifests) > 1:
            self._require_one_set(manifests)
        if npz_paths:
            self._require_listed(npz_paths, manifests)

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
                return sample_from(json.loads(str(file["meta"]))["sample"], file, wanted)
        with arrays.opened(ref.path) as file:
            group = file[ref.key]
            return sample_from(dict(group.attrs), group, wanted)

    def _h5_refs(self, path: Path) -> list[SampleRef]:
        with arrays.opened(path) as file:
            self._adopt(dict(file.attrs), path)
            keys = [f"samples/{number:06d}" for number in range(int(file.attrs["samples"]))]
            return [ref_from(dict(file[key].attrs), path, key) for key in keys]

    def _npz_ref(self, path: Path) -> SampleRef:
        with _opened_npz(path) as file:
            meta = json.loads(str(file["meta"]))
            self._adopt(meta["root"], path)
            return ref_from(meta["sample"], path, "")

    def _adopt(self, attributes: dict, path: Path) -> None:
        """Take the first shard's header for the folder's; the others must have the same."""
        header = header_from(attributes, path)
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

    def _require_single(self) -> None:
        """The parts of an array between whose tasks the data set changed hold some ids twice."""
        for one, other in itertools.pairwise(self.refs):
            if one.id == other.id:
                problem = f"and {one.path.relative_to(self.root)} both hold {one.id}"
                raise InputError(other.path, problem, "run the same prep again, all its parts")

    def _manifests(self) -> list[Path]:
        """Prep's manifest or, before a merge, those of its parts, whether they stand or not."""
        whole, total = self.root / MANIFEST, self.header.num_shards
        if whole.is_file():
            return [whole]
        return [self.root / manifest_name(part, total) for part in range(total)]

    def _require_one_set(self, manifests: list[Path]) -> None:
        """Photographs that came or went between two parts may be in none of them, or in two."""
        sets = {_ids_sha256(path) for path in manifests if path.is_file()}
        if len(sets) > 1:
            problem = "holds parts of a data set that changed in between"
            raise InputError(self.root, problem, "run the same prep again, all its parts")

    def _require_listed(self, paths: list[Path], manifests: list[Path]) -> None:
        """NPZ names do not tell how many there are, so prep's manifest, or its parts', does."""
        unfinished = [path.name for path in manifests if not path.is_file()]
        if unfinished:
            problem = f"is not finished ({unfinished[0]} is missing)"
            raise InputError(self.root, problem, "run the same prep again")
        listed = {
            self.root / unescaped(name)
            for path in manifests
            for name in read_manifest(path)["outputs"]
        }
        for path in sorted(listed.difference(paths)):
            raise InputError(path, "is missing", "run the same prep again")
        for path in sorted(set(paths) - listed):
            raise InputError(path, "is not what prep wrote here last", "move it elsewhere")


def _ids_sha256(manifest: Path) -> str:
    return read_manifest(manifest, tables=()).get("ids_sha256", "")


@contextmanager
def _opened_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with arrays.opened_npz(path) as found:
        if "meta" not in found.files:
            raise InputError(path, "is no fundusseg shard")
        yield found


def standing_header(root: Path) -> ShardHeader | None:
    """The header of the first shard in a folder that can be read, finished or not; or None."""
    for path in shard_files(root):
        with suppress(InputError):
            if path.suffix == ".npz":
                with _opened_npz(path) as file:
                    return header_from(json.loads(str(file["meta"]))["root"], path)
            with arrays.opened(path) as file:
                return header_from(dict(file.attrs), path)
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
