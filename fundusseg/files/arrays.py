"""Named arrays in HDF5 and NPZ files, and what a damaged one comes to.

HDF5 is written compressed, checksummed, and as the same bytes for the same input: no time, host
or user is stored. A flipped byte in an array (fletcher32) and a truncated file come from h5py as
any of five errors without the path, from NPZ as any of a dozen; here they become an `InputError`.
What is flipped in a name, a type or a shape, HDF5 does not see: so there is a checksum of all.
"""

import errno
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from fundusseg.errors import FundussegError, InputError, UnavailableError
from fundusseg.files.atomic import write_bytes
from fundusseg.files.limits import require_few_bytes
from fundusseg.files.regular import open_regular, require_regular

MAKE_ANEW = "make it anew: prep and infer do with --verify"
SEAL = "crc32"  # the root attribute that holds `crc32_of` all arrays
_CHECKSUM = {"fletcher32": True}
_COMPRESSION = {"compression": "gzip", "compression_opts": 4, "shuffle": True, **_CHECKSUM}


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file that is built in memory, and written to `path` atomically at the end.

    On a disk that fills up under it HDF5 ends in a crash, or in dozens of lines. Without
    track_order, with which it would store the time in the root group. InputError if the file
    system refuses.
    """
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        yield file
    write_bytes(path, buffer.getbuffer())


@contextmanager
def open_hdf5(path: Path, remedy: str = MAKE_ANEW) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; `remedy` is what to do if it is damaged.

    Raises:
        InputError: if it is missing, damaged or no HDF5, also while it is read.
    """
    try:
        require_regular(path)
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(path, "does not exist") from error
    except PermissionError as error:
        raise _unreadable(path) from error
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(path, f"is damaged or no HDF5 ({reason})", remedy) from error


@contextmanager
def open_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an NPZ file for reading.

    InputError if it is missing, damaged, no NPZ or holds pickled objects, also while it is read.
    """
    try:
        with open_regular(path) as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            yield archive
    except (FundussegError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise InputError(path, "does not exist") from error
    except PermissionError as error:
        raise _unreadable(path) from error
    # zipfile, zlib and numpy raise a dozen kinds on a flipped byte: it must cost this file only.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(path, f"is damaged or no NPZ ({reason})", MAKE_ANEW) from error


def stored_values(stored: Mapping, name: str) -> np.ndarray:
    """The array `name` of an open HDF5 file or group, or NPZ.

    ValueError or KeyError if there is none, or it is larger than any of ours: a file of a few bytes
    can promise terabytes.
    """
    if isinstance(stored, np.lib.npyio.NpzFile):
        require_few_bytes(_promised_bytes(stored, name))
        values = stored[name]
    elif isinstance(dataset := stored[name], h5py.Dataset):
        require_few_bytes(dataset.nbytes)
        values = dataset[()]
    else:
        values = None
    if not isinstance(values, np.ndarray | np.generic):
        raise ValueError(f"{name} is no array")
    return values


def _promised_bytes(stored: np.lib.npyio.NpzFile, name: str) -> int:
    """The size of an array of an NPZ, as its header has it."""
    assert stored.zip is not None  # it is open
    with stored.zip.open(f"{name}.npy") as file:
        is_first = np.lib.format.read_magic(file) == (1, 0)
        read = (
            np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        return math.prod(shape) * dtype.itemsize


def _unreadable(path: Path) -> UnavailableError:
    return UnavailableError(path, f"cannot be read ({os.strerror(errno.EACCES)})")


def put(
    group: h5py.Group, name: str, values: np.ndarray, compress: bool = True, **attributes: str
) -> None:
    """Store an array in an HDF5 group with its attributes (axes, unit, ...) and a checksum.

    Args:
        values: of any shape and dtype; a number or an empty array has no checksum.
        compress: in one chunk, by gzip.
    """
    values = np.asarray(values)
    filters = (_COMPRESSION if compress else _CHECKSUM) if values.ndim and values.size else {}
    chunks = values.shape if filters else None
    stored = group.create_dataset(name, data=values, chunks=chunks, track_times=False, **filters)
    stored.attrs.update(attributes)


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], attributes: Mapping, compress: bool = True
) -> None:
    """Write arrays by name, which may hold /, to the HDF5 file `path`, atomically.

    In whatever order they come, the bytes are the same.
    """
    with new_hdf5(path) as file:
        file.attrs.update({**attributes, SEAL: crc32_of(arrays)})
        for name in sorted(arrays):
            put(file, name, arrays[name], compress)


def crc32_of(arrays: Mapping[str, np.ndarray]) -> int:
    """A checksum of what arrays are, and hold; they are taken in the order of their names."""
    crc = 0
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        described = f"{name} {values.dtype.str} {np.shape(arrays[name])} "
        crc = zlib.crc32(values.tobytes(), zlib.crc32(described.encode(), crc))
    return crc


def read_arrays(path: Path, remedy: str = MAKE_ANEW) -> tuple[dict[str, np.ndarray], dict]:
    """Read all arrays, by their full names, and the root attributes but for the checksum.

    InputError if the file is missing, damaged or no HDF5; `remedy` is what to do then. Files of
    before have no checksum.
    """
    with open_hdf5(path, remedy) as file:
        arrays: dict[str, np.ndarray] = {}

        def visit(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = stored_values(file, name)

        file.visititems(visit)
        attributes = dict(file.attrs)
        if attributes.pop(SEAL, crc := crc32_of(arrays)) != crc:
            raise ValueError("its checksum does not hold")
        return arrays, attributes
