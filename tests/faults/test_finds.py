"""What the fuzzing found, as small inputs: tests/faults/fuzzing.py makes them, and many others.

What it found by a value rather than by bytes has its tests beside the reader's own.
"""

import base64
import time
import zipfile
import zlib

import pytest

from fundusseg.datasets.maps import MapFolder
from fundusseg.errors import InputError
from fundusseg.files import images, masks

# A TIFF whose directories follow one another by the million, of which tifffile made pages.
PAGES = (
    "eNrz9NRi4GBgYOBkYGBkYfj/n4HBAchjBLIZGSBsJkZmMBukihnKBmE2JLYgVH0VEIsh6RWHshkEGBhkkNR3CDCMgl"
    "Ew6AAo/Y/qH9U/qn9U/0jQ/59MMFj0Uyv8RtPNqP5R/SNX/ygYBaOAnsATZdwBNCaggTTuoEHiuMMvAcS4gwbSuIMD"
    "G+q4w0gHabOIU9d7mTh1HWdG1dFDXcspfLIK9jCw9KY9dqAAUtdFuGHdBVIXuBAGLr9ZiB0Eorqg6dRovNFDXe8V4t"
    "QpGY2WdbQFAHf0Wfk="
)

# A TIFF whose width is a fraction.
FRACTION = (
    "eNrtkr0KwjAUhe9tVRykVPAHdAmdREQQSgcn1z6DODg0WHAo6CLia/kwjo6+RL2tUUInJ5FyPji5h5DkWxLHU2oTkU"
    "fETWJpKwmz/+kOu2X3Ja7pRVpW99ihnsyrpMuNcq9Y+taZgdkv3hy+zyiikfHeJGPT75KJdXch73dkPujFOTjstlkS"
    "LNU6CmcqCjcXqsKVHFOtdbpP5tmJAAAAfEsuwA8//PDDDz/88MNfH3/+Y+DH/4Mffvjhhx9++P/bDwAAANSJJzYE8q"
    "U="
)


@pytest.mark.parametrize("read", [images.read_photograph, masks.read_mask, masks.read_probability])
def test_a_file_of_endless_pages_is_refused_at_once(tmp_path, read):
    (tmp_path / "x.tif").write_bytes(zlib.decompress(base64.b64decode(PAGES)))
    began = time.process_time()
    with pytest.raises(InputError, match="holds 101 pictures"):
        read(tmp_path / "x.tif")
    assert time.process_time() - began < 5


def test_a_width_that_is_no_number_is_damage(tmp_path):
    (tmp_path / "x.tif").write_bytes(zlib.decompress(base64.b64decode(FRACTION)))
    with pytest.raises(InputError, match="is no image that can be decoded"):
        masks.read_mask(tmp_path / "x.tif")


def test_a_member_of_an_npz_that_is_no_array_is_damage(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("map.npy", b"no array")
    folder = MapFolder(tmp_path)
    with pytest.raises(InputError, match="is damaged or no NPZ"):
        folder.read(folder.files["x"])
