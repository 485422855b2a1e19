"""What promises more than a picture can be is refused before memory is taken for it."""

import gzip
import os
import tracemalloc
from io import BytesIO

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from fundusseg.errors import InputError, PictureFault
from fundusseg.files import decoders, limits, masks
from fundusseg.files.arrays import read_arrays
from fundusseg.files.decoders import Picture, decoded
from fundusseg.files.images import read_photograph
from tests.files.image_files import lying_png, png_16_bit

TOO_MANY_PIXELS = "is too large \\(more than 64 million pixels\\)"


@pytest.mark.parametrize("size", [(8001, 8000), (60000, 60000), (2**31 - 1, 1)])
def test_a_picture_of_too_many_pixels_is_refused(tmp_path, size):
    with pytest.raises(PictureFault, match=TOO_MANY_PIXELS):
        decoded(lying_png(*size, b""), tmp_path / "x.png")


def test_so_are_planes_that_tifffile_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_PIXELS", 999)
    buffer = BytesIO()
    planes = np.zeros((3, 40, 40), np.uint16)
    tifffile.imwrite(buffer, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(PictureFault, match="is too large"):
        decoded(buffer.getvalue(), tmp_path / "x.tif")


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    (tmp_path / "x.png").touch()
    os.truncate(tmp_path / "x.png", limits.MOST_BYTES + 1)
    for read in (read_photograph, masks.read_mask, masks.read_probability):
        with pytest.raises(InputError, match="x.png: is too large \\(more than 256 million bytes"):
            read(tmp_path / "x.png")


def test_a_packed_file_is_unpacked_so_far_and_no_further(tmp_path, monkeypatch):
    for module in (decoders, limits):
        monkeypatch.setattr(module, "MOST_BYTES", 10**4)
    with pytest.raises(PictureFault, match="is too large"):
        decoded(gzip.compress(bytes(10**7)), tmp_path / "x.ppm.gz")


def test_so_are_16_bits_a_colour_of_fewer_pixels(tmp_path, monkeypatch):
    data = png_16_bit(np.zeros((40, 40, 3), np.uint16))
    assert decoded(data, tmp_path / "x.png").values.nbytes == 9600
    monkeypatch.setattr(limits, "MOST_BYTES", 9000)
    with pytest.raises(PictureFault, match="is too large"):
        decoded(data, tmp_path / "x.png")


def test_a_file_of_hundreds_of_pages_is_not_looked_through(tmp_path):
    pages = [Image.new("L", (8, 8))] * 200
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(PictureFault, match="holds 200 pictures"):
        decoded((tmp_path / "x.tif").read_bytes(), tmp_path / "x.tif")


def test_16_bits_become_8_without_several_copies_of_all(tmp_path):
    values = np.random.default_rng(0).integers(0, 2**16, (1500, 1000, 3), np.uint16)
    tracemalloc.start()
    scaled = Picture(tmp_path, values, None, False, False).scaled_to_8_bit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(scaled, np.rint(values / 257))
    assert peak < 2 * values.nbytes


@pytest.mark.parametrize("name", ["huge", "group", "link"])
def test_what_is_no_array_of_ours_is_damage(tmp_path, name):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        if name == "huge":
            file.create_dataset("map", (2**31, 2**31), "u1", chunks=True)
        elif name == "group":
            file.create_group("map")
        else:
            file["map"] = h5py.SoftLink("/map")
    if name == "huge":
        with pytest.raises(InputError, match="is damaged or no HDF5 \\(is too large"):
            read_arrays(tmp_path / "x.h5")
    from fundusseg.datasets.maps import MapFolder

    folder = MapFolder(tmp_path)
    with pytest.raises(InputError, match="x.h5: "):
        folder.read(folder.files["x"])


def test_no_other_program_is_run_for_a_picture(tmp_path):
    """Pillow would run Ghostscript."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(InputError, match="cannot identify"):
        decoded(eps, tmp_path / "x.png")
    assert not masks.is_plain_mask(tmp_path / "x.png")


def test_libtiff_says_nothing_by_itself(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "TIFF", compression="tiff_lzw")
    data = bytearray(buffer.getvalue())
    data[100:2000] = bytes(1900)
    with pytest.raises(InputError):
        decoded(bytes(data), tmp_path / "x.tif")
    assert capfd.readouterr().err == ""
