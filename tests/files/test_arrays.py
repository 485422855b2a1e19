"""Named arrays in HDF5: the same bytes for the same input, and damage comes as one line."""

import time
import zipfile
from contextlib import suppress
from io import BytesIO

import h5py
import numpy as np
import pytest

from fundusseg.errors import InputError, Stopped
from fundusseg.files.arrays import open_hdf5, open_npz, read_arrays, stored_values, write_arrays
from tests.batch import flip_byte, small_disk

ARRAYS = {
    "probability": np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50),
    "net/kernel": np.arange(24, dtype=np.int64).reshape(2, 3, 4),
    "mask": np.eye(9, dtype=bool),
    "step": np.array(37),
    "none": np.zeros((0, 3), np.uint8),
}


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "x.h5", ARRAYS, {"format": "test", "version": 1})
    return tmp_path / "x.h5"


def test_round_trip(path):
    found, attributes = read_arrays(path)
    assert set(found) == set(ARRAYS)
    for name, values in ARRAYS.items():
        assert np.array_equal(found[name], values)
        assert np.asarray(found[name]).dtype == values.dtype
    assert attributes == {"format": "test", "version": 1}


def test_same_input_same_bytes_a_second_later(path, tmp_path):
    time.sleep(1.1)  # HDF5 counts time in seconds
    backwards = dict(reversed(ARRAYS.items()))
    write_arrays(tmp_path / "y.h5", backwards, {"format": "test", "version": 1})
    assert path.read_bytes() == (tmp_path / "y.h5").read_bytes()


def test_a_flipped_byte_in_an_array_is_found(path):
    with h5py.File(path) as file:
        offset = file["probability"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 20] ^= 1
    path.write_bytes(data)
    assert_damaged(path)


@pytest.mark.parametrize("kept", [0, 10, 500, 0.5, 0.99])
def test_a_truncated_file_is_found(path, kept):
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept >= 1 else kept * len(data))])
    assert_damaged(path)


def test_what_is_no_hdf5_is_found(path):
    path.write_text("text\n")
    assert_damaged(path)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_arrays(tmp_path / "x.h5")


def test_a_missing_name_is_an_input_error(path):
    with pytest.raises(InputError, match="x.h5"), open_hdf5(path) as file:
        file["other"]


def assert_damaged(path) -> None:
    with pytest.raises(InputError, match="is damaged or no HDF5") as caught:
        read_arrays(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limit_bytes", [100, 3000, 9000])
def test_a_disk_that_ends_within_hdf5_is_one_line_and_leaves_nothing(tmp_path, limit_bytes):
    arrays = {"a": np.random.default_rng(1).integers(0, 256, 10_000, np.uint8)}
    with small_disk(limit_bytes), pytest.raises(InputError, match="cannot be written") as caught:
        write_arrays(tmp_path / "x.h5", arrays, {})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    write_arrays(tmp_path / "x.h5", arrays, {})


def test_no_flipped_byte_makes_other_arrays(tmp_path):
    """HDF5 itself sees a flipped byte in an array, and none in a name, a type or a shape."""
    path, arrays = tmp_path / "x.h5", {"a/b": np.arange(6.0).reshape(2, 3), "c": np.array(37)}
    write_arrays(path, arrays, {})
    data = path.read_bytes()
    for place in range(0, len(data), 3):
        flip_byte(path, place)
        with suppress(InputError):
            found, _ = read_arrays(path)
            assert found.keys() == arrays.keys()
            assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
        path.write_bytes(data)


def test_a_missing_npz_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="x.npz: does not exist"), open_npz(tmp_path / "x.npz"):
        pass


@pytest.mark.parametrize("error", [MemoryError(), Stopped("SIGTERM")])
def test_what_is_no_fault_of_an_npz_passes_through(tmp_path, error):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(type(error)), open_npz(tmp_path / "x.npz"):
        raise error


def test_an_npz_that_promises_more_than_it_holds_takes_no_memory(tmp_path):
    header = BytesIO()
    promised = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**7)}
    np.lib.format.write_array_header_1_0(header, promised)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    with (
        pytest.raises(InputError, match="x.npz: is damaged or no NPZ .*is too large"),
        open_npz(tmp_path / "x.npz") as stored,
    ):
        stored_values(stored, "a")
