"""Shards: files of prepared samples, with all that training, prediction and scoring need.

HDF5 holds many samples a file (`shard-00000-of-00008.h5`), NPZ one (`<id>.npz`); the keys
are the same (see `samples`).
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fundusseg.datasets import samples
from fundusseg.datasets.samples import Sample, SampleRef, ShardHeader
from fundusseg.errors import InputError
from fundusseg.files import arrays
from fundusseg.files.atomic import TEMPORARY_PREFIX, write_bytes
from fundusseg.files.images import image_suffix
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import WHOLE, Part, outputs_of, part_totals, read_manifest
from fundusseg.files.names import name_bytes
from fundusseg.serial import canonical_json

_Stored = Callable[[str], tuple[dict, Mapping]]  # attributes and arrays of a sample, by its key


def shard_name(shard: int, num_shards: int) -> str:
    """The file name of shard number `shard` (from 0) of `num_shards`."""
    return f"shard-{shard:05d}-of-{num_shards:05d}.h5"


def _key(number: int) -> str:
    return f"samples/{number:06d}"


def write_shard(path: Path, header: ShardHeader, shard: int, prepared: Iterable[Sample]) -> None:
    """Write samples to one HDF5 shard, atomically; what its file will hold is in memory till then.

    32 samples of 1024 pixels are some 200 MiB.
    """
    with arrays.new_hdf5(path) as file:
        count = 0
        for number, sample in enumerate(prepared):
            group = file.create_group(_key(number))
            group.attrs.update(samples.sample_attributes(sample))
            for name, values in samples.sample_arrays(sample).items():
                arrays.put(group, name, values, True, **samples.ARRAY_ATTRIBUTES[name])
            count = number + 1
        file.attrs.update(samples.header_attributes(header, shard, samples=count))


def write_sample(path: Path, header: ShardHeader, sample: Sample) -> None:
    """Write one sample to one NPZ file, atomically; its metadata is the JSON text `meta`.

    In how many parts it was made is no part of it: N parts give the bytes of one run.
    """
    meta = {
        "root": samples.header_attributes(replace(header, num_shards=1)),
        "sample": samples.sample_attributes(sample),
    }
    named: dict[str, Any] = {
        "meta": np.array(canonical_json(meta)),
        **samples.sample_arrays(sample),
    }
    buffer = BytesIO()  # zipfile on a full disk says so in many lines
    np.savez_compressed(buffer, **named)
    write_bytes(path, buffer.getbuffer())


class ShardFolder:
    """The shards of one data set.

    Raises:
        InputError: if there is no shard, one is missing or damaged, they are of a newer
            version, they were not prepared alike, two hold one sample, or one holds another than
            the manifest tells of.
    """

    header: ShardHeader

    def __init__(self, root: Path) -> None:
        self.root = root
        h5_paths = sorted(root.glob("shard-*.h5")) if root.is_dir() else []
        npz_paths = [] if h5_paths else _npz_files(root)
        if not h5_paths and not npz_paths:
            problem = "holds no shards (shard-*.h5 or *.npz)" if root.is_dir() else "is no folder"
            remedy = "make them with: fundusseg prep SRC OUT"
            if root.is_file():
                remedy = f"give the folder of shards that it lies in, {root.parent}"
            raise InputError(root, problem, remedy)
        refs: list[SampleRef] = []
        for path in h5_paths or npz_paths:
            refs += self._refs(path)
        if h5_paths:
            self._require_all(h5_paths)
            for path in sorted({*root.glob("[!.]*.h5")} - {*h5_paths}):
                problem = "lies beside shards, and is not named as one"
                raise InputError(path, problem, "move it into a folder of its own")
        self.refs = sorted(refs, key=lambda ref: name_bytes(ref.id))
        self._require_single()
        parts = self._parts(are_npz=bool(npz_paths))
        paths = [root / part.named(MANIFEST) for part in parts]
        manifests = [read_manifest(path) for path in paths if path.is_file()]
        self._require_one_set(manifests)
        if npz_paths:
            self._require_listed(npz_paths, parts)
        if len(manifests) == len(parts):  # else prep is not finished, or one is not there any more
            self._require_told_of(manifests)

    def of_split(self, split: str) -> list[SampleRef]:
        """The references of one split, or of all of them ("all"), by id in byte order."""
        return [ref for ref in self.refs if split in ("all", ref.split)]

    def read(self, ref: SampleRef, native: bool = False) -> Sample:
        """Read a sample, its arrays at the source's own size only if `native`.

        InputError if it is damaged.
        """
        wanted = samples.FRAME_ARRAYS + (samples.NATIVE_ARRAYS if native else ())
        with _opened(ref.path) as (_, stored):
            return samples.sample_from(*stored(ref.key), wanted)

    def _refs(self, path: Path) -> list[SampleRef]:
        with _opened(path) as (root, stored):
            self._adopt(root, path)
            keys = [_key(number) for number in range(int(root.get("samples", 1)))]
            return [samples.ref_from(stored(key)[0], path, key) for key in keys]

    def _adopt(self, attributes: dict, path: Path) -> None:
        """Take the first shard's header for the folder's; the others must have the same."""
        header = samples.header_from(attributes, path)
        if getattr(self, "header", header) != header:
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
        """Raise InputError if two shards hold one id: parts between which the data set changed."""
        for one, other in itertools.pairwise(self.refs):
            if one.id == other.id:
                problem = f"and {one.path.relative_to(self.root)} both hold {one.id}"
                raise InputError(other.path, problem, "run the same prep again, all its parts")

    def _parts(self, are_npz: bool) -> list[Part]:
        """Those that prep's manifests are of: the whole or, before a merge, its parts."""
        if (self.root / MANIFEST).is_file():
            return [WHOLE]
        total = self.header.num_shards
        if are_npz:  # which do not tell
            total = max(part_totals(self.root), default=1)
        return [Part(number, total) for number in range(total)]

    def _require_one_set(self, manifests: list[dict]) -> None:
        """Raise InputError if the data set changed between two parts.

        Photographs that came or went may be in none of them, or in two.
        """
        if len({values.get("ids_sha256", "") for values in manifests}) > 1:
            problem = "holds parts of a data set that changed in between"
            raise InputError(self.root, problem, "run the same prep again, all its parts")

    def _require_told_of(self, manifests: list[dict]) -> None:
        """Raise InputError for a sample whose photograph no manifest lists.

        A shard file of another run can have the name, and the settings, of one of this.
        """
        told = {sha256 for values in manifests for sha256 in values.get("inputs", {}).values()}
        for ref in self.refs:
            if told and ref.source_sha256 and ref.source_sha256 not in told:
                problem = f"holds another {ref.id} than the manifest says"
                raise InputError(ref.path, problem, "run the same prep again with --verify")

    def _require_listed(self, paths: list[Path], parts: list[Part]) -> None:
        """Raise InputError unless the files are those that prep's manifests list.

        Names of NPZ do not tell how many there are.
        """
        names = [part.named(MANIFEST) for part in parts]
        unfinished = [name for name in names if not (self.root / name).is_file()]
        if unfinished:
            problem = f"is not finished ({unfinished[0]} is missing)"
            raise InputError(self.root, problem, "run the same prep again")
        listed = {self.root / name for part in parts for name, _ in outputs_of(self.root, part)}
        for path in sorted(listed.difference(paths)):
            raise InputError(path, "is missing", "run the same prep again")
        for path in sorted(set(paths) - listed):
            raise InputError(path, "is not what prep wrote here last", "move it elsewhere")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict, _Stored]]:
    """The root attributes of a shard, and what it holds of each sample."""
    if path.suffix != ".npz":
        with arrays.open_hdf5(path) as file:
            yield dict(file.attrs), lambda key: (dict(file[key].attrs), file[key])
        return
    with arrays.open_npz(path) as archive:
        if "meta" not in archive.files:
            raise InputError(path, "is no fundusseg shard")
        meta = json.loads(str(archive["meta"]))
        yield meta["root"], lambda _: (meta["sample"], archive)


def standing_header(root: Path) -> ShardHeader | None:
    """The header of the first shard in a folder that can be read, finished or not; or None."""
    for path in (*sorted(root.glob("shard-*.h5")), *_npz_files(root)):
        with suppress(InputError):
            with _opened(path) as (attributes, _):
                return samples.header_from(attributes, path)
    return None


def are_shards(paths: Iterable[str]) -> bool:
    """Whether the files of a folder are what prep writes: shard-*.h5, or .npz and no picture."""
    paths = list(paths)
    if any(fnmatch(path, "shard-*.h5") and "/" not in path for path in paths):
        return True
    return any(path.endswith(".npz") for path in paths) and not any(map(image_suffix, paths))


def _npz_files(root: Path) -> list[Path]:
    """All but the temporary files that a killed or a living prep keeps there."""
    paths = root.rglob("*.npz")
    return sorted(path for path in paths if not path.name.startswith(TEMPORARY_PREFIX))
