"""Small data sets of phantoms, in every layout that strangers download or repackage."""

import gzip
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fundusseg.phantom.drawing import Phantom, PhantomConfig, phantom

Names = dict[str, str]  # path by role: photograph, mask, mask2, fov


@dataclass(frozen=True)
class Form:
    """layout: the name that auto must recognise. names: the paths of every photograph's files."""

    layout: str
    names: tuple[Names, ...]


@cache
def small_phantom(seed: int) -> Phantom:
    """One of a few phantoms, 128 pixels wide."""
    return phantom(PhantomConfig(size_px=128), seed)


def encoded(pixels: np.ndarray, name: str) -> bytes:
    """Pixels (bool or uint8) as an image file of the format that `name` asks for."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    suffix = name.removesuffix(".gz").rpartition(".")[2].lower()
    format, options = {
        "jpg": ("JPEG", {"quality": 95}),
        "tif": ("TIFF", {"compression": "tiff_lzw"}),
        "ppm": ("PPM", {}),
        "gif": ("GIF", {}),
        "png": ("PNG", {"compress_level": 1}),
    }[suffix]
    image = Image.fromarray(pixels)
    buffer = BytesIO()
    (image.convert("RGB") if suffix == "ppm" else image).save(buffer, format, **options)
    data = buffer.getvalue()
    return gzip.compress(data, mtime=0) if name.endswith(".gz") else data


def draw(root: Path, form: Form) -> Path:
    """Write the data set of `form` to `root`; the photographs repeat after six."""
    for seed, names in enumerate(form.names):
        for role, name in names.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(getattr(small_phantom(seed % 6), role), name))
    return root


def _form(layout: str, keys: list[tuple[str, ...]], *templates: tuple[str, str]) -> Form:
    return Form(layout, tuple({role: t.format(*key) for role, t in templates} for key in keys))


_FIVES = "FIVES A Fundus Image Dataset for AI/{0}"
_CHASE_KEYS = [("01", "L"), ("01", "R"), ("02", "L"), ("11", "L"), ("11", "R")]
_STARE_KEYS = [("im0001",), ("im0002",), ("im0077",), ("im0139",), ("im0240",)]
_HRF_KEYS = [("01_h",), ("02_dr",), ("05_g",), ("06_h",), ("15_dr",)]
_LES_AV_KEYS = [("1",), ("12",), ("111",), ("119",)]
_PAIR_KEYS = [("train", "p1 left"), ("train", "p1 right"), ("train", "p2_OD"), ("test", "p3_OS")]

FORMS = {
    "fives": _form(
        "fives",
        [("train", "1_A"), ("train", "2_D"), ("train", "3_G"), ("test", "1_A"), ("test", "2_N")],
        ("photograph", _FIVES + "/Original/{1}.png"),
        ("mask", _FIVES + "/Ground truth/{1}.png"),
    ),
    "drive": _form(
        "drive",
        [("training", "21"), ("training", "22"), ("training", "23"), ("test", "01")],
        ("photograph", "{0}/images/{1}_{0}.tif"),
        ("mask", "{0}/1st_manual/{1}_manual1.gif"),
        ("mask2", "{0}/2nd_manual/{1}_manual2.gif"),
        ("fov", "{0}/mask/{1}_{0}_mask.gif"),
    ),
    "drive-all": _form(
        "drive",
        [("training", "21"), ("training", "22"), ("training", "23"), ("test", "01")],
        ("photograph", "all/images/{1}_{0}.tif"),
        ("mask", "all/masks/{1}_manual1.gif"),
        ("mask2", "all/masks2/{1}_manual2.gif"),
        ("fov", "all/fov/{1}_{0}_mask.gif"),
    ),
    "chase-flat": _form(
        "chase",
        _CHASE_KEYS,
        ("photograph", "Image_{0}{1}.jpg"),
        ("mask", "Image_{0}{1}_1stHO.png"),
        ("mask2", "Image_{0}{1}_2ndHO.png"),
    ),
    "chase-foldered": _form(
        "chase",
        _CHASE_KEYS,
        ("photograph", "images/Image_{0}{1}.jpg"),
        ("mask", "masks/Image_{0}{1}_1stHO.png"),
        ("mask2", "masks2/Image_{0}{1}_2ndHO.png"),
        ("fov", "fov/Image_{0}{1}.gif"),
    ),
    "chase-all": _form(
        "chase",
        _CHASE_KEYS,
        ("photograph", "all/images/Image_{0}{1}.jpg"),
        ("mask", "all/masks/Image_{0}{1}_1stHO.png"),
        ("mask2", "all/masks2/Image_{0}{1}_2ndHO.png"),
        ("fov", "all/fov/Image_{0}{1}.gif"),
    ),
    "stare-flat": _form(
        "stare",
        _STARE_KEYS,
        ("photograph", "{0}.ppm"),
        ("mask", "{0}.ah.ppm"),
        ("mask2", "{0}.vk.ppm"),
    ),
    "stare-foldered": _form(
        "stare",
        _STARE_KEYS,
        ("photograph", "stare-images/{0}.ppm.gz"),
        ("mask", "labels-ah/{0}.ah.ppm.gz"),
        ("mask2", "labels-vk/{0}.vk.ppm.gz"),
    ),
    "stare-all": _form(
        "stare",
        _STARE_KEYS,
        ("photograph", "all/images/{0}.ppm"),
        ("mask", "all/masks/{0}.ah.ppm"),
        ("mask2", "all/masks2/{0}.vk.ppm"),
        ("fov", "all/fov/{0}.png"),
    ),
    "hrf": _form(
        "hrf",
        _HRF_KEYS,
        ("photograph", "images/{0}.JPG"),
        ("mask", "manual1/{0}.tif"),
        ("fov", "mask/{0}_mask.tif"),
    ),
    "hrf-all": _form(
        "hrf",
        _HRF_KEYS,
        ("photograph", "all/images/{0}.jpg"),
        ("mask", "all/masks/{0}.tif"),
        ("fov", "all/fov/{0}_mask.tif"),
    ),
    "les-av": _form(
        "les-av",
        _LES_AV_KEYS,
        ("photograph", "images/{0}.png"),
        ("mask", "vessel-segmentations/{0}.png"),
        ("fov", "masks/{0}_mask.gif"),
    ),
    "les-av-all": _form(
        "les-av",
        _LES_AV_KEYS,
        ("photograph", "all/images/{0}.png"),
        ("mask", "all/masks_derived/{0}.png"),
        ("fov", "all/fov/{0}_mask.gif"),
    ),
    "pairs": _form(
        "pairs",
        _PAIR_KEYS,
        ("photograph", "{0}/images/{1}.png"),
        ("mask", "{0}/masks/{1}.png"),
        ("mask2", "{0}/masks2/{1}.png"),
        ("fov", "{0}/fov/{1}.png"),
    ),
    "pairs-flat": _form(
        "pairs",
        _PAIR_KEYS,
        ("photograph", "images/{1}.png"),
        ("mask", "masks/{1}_manual1.png"),
    ),
    "pairs-all": _form(
        "pairs",
        [("500",), ("502",), ("504",), ("506",)],
        ("photograph", "all/images/{0}.png"),
        ("mask", "all/masks/{0}.png"),
    ),
}
