"""Small folders of shards: how they are prepared, what they hold, and when it was written."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from fundusseg.commands.prep.run import PrepOptions
from fundusseg.datasets.samples import Sample
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files.manifest import STATE_FOLDER

SMALL = PrepOptions(preset="pix2pix", jobs=1)
TWO = replace(SMALL, num_shards=2)


def samples(out: Path) -> dict[str, Sample]:
    """Every sample by id, its native masks too."""
    folder = ShardFolder(out)
    return {ref.id: folder.read(ref, native=True) for ref in folder.refs}


def contents(out: Path) -> dict[str, bytes]:
    """The bytes of all files but those of the state folder, whose stamps hold times."""
    paths = [path for path in out.rglob("*") if path.is_file() and STATE_FOLDER not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def times(out: Path) -> dict[str, int]:
    """When each shard was written."""
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.suffix in (".h5", ".npz")
    }


def changed(before: dict[str, int], out: Path) -> set[str]:
    """The shards written, or gone, since `times` was asked."""
    after = times(out)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def same(one: Sample, other: Sample) -> bool:
    """Whether two samples are equal field for field, value for value."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Sample)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)
