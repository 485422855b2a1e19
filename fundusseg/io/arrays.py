"""Named arrays in HDF5 and NPZ files, and what a damaged one comes to.

HDF5 is written compressed, checksummed, and as the same bytes for the same input: no time, host
or user is stored. A flipped byte (fletcher32) and a truncated file come from h5py as any of five
errors without the path, from NPZ as any of a dozen; here they become an `InputError`.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from fundusseg.errors import InputError

MAKE_ANEW = "make it anew: prep and infer do with --verify"
_CHECKSUM = {"fletcher32": True}
_COMPRESSION = {"compression": "gzip", "compression_opts": 4, "shuffle": True, **_CHECKSUM}


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, its faults turned into `InputError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(path, "does not exist") from error
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(path, f"is damaged or no HDF5 ({reason})", MAKE_ANEW) from error


@contextmanager
def opened_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an NPZ file, its faults turned into `InputError`; pickled content is refused."""
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as found:
            yield found
    except InputError:
        raise
    # zipfile, zlib and numpy raise a dozen kinds on a flipped byte: it must cost this file only.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(path, f"is damaged or no NPZ ({reason})", MAKE_ANEW) from error


def put(
    group: h5py.Group, name: str, values: np.ndarray, compress: bool = True, **attributes
) -> None:
    """Store an array with its attributes (axes, unit, ...); always with a checksum."""
    values = np.asarray(values)
    filters = (_COMPRESSION if compress else _CHECKSUM) if values.ndim and values.size else {}
    chunks = values.shape if filters else None
    stored = group.create_dataset(name, data=values, chunks=chunks, track_times=False, **filters)
    stored.attrs.update(attributes)


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], attributes: Mapping, compress: bool = True
) -> None:
    """Write arrays by name to `path` (not atomic by itself).

    With track_order, HDF5 would store the time in the root group.

    Raises:
        OSError: if the disk has no room for them; HDF5 itself ends in a crash if it fills up.
    """
    if shutil.disk_usage(path.parent).free < sum(values.nbytes for values in arrays.values()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for name, values in arrays.items():
            put(file, name, values, compress)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read all arrays, by their full names, and the root attributes.

    Raises:
        InputError: if the file is missing, damaged or no HDF5.
    """
    with opened(path) as file:
        arrays: dict[str, np.ndarray] = {}

        def visit(name: str, item) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        file.visititems(visit)
        return arrays, dict(file.attrs)
