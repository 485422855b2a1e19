"""The photographs that are measured on: real ones where FUNDUSSEG_DATA is, else phantoms."""

import os
from pathlib import Path

import numpy as np
from scipy import ndimage

from fundusseg.datasets import layouts
from fundusseg.datasets.phantom_names import phantom_names
from fundusseg.files import encoders, masks
from fundusseg.files.encoders import picture_bytes
from fundusseg.phantom.drawing import PhantomConfig, phantom

SIZES = {"CHASE_DB1": (960, 999 / 960), "HRF": (2336, 1.5)}


def data_set(name: str, work: Path, count: int) -> tuple[Path, str]:
    """A data set folder of CHASE_DB1's or HRF's size, and what it is made of."""
    real = Path(os.environ.get("FUNDUSSEG_DATA", "")) / name
    if os.environ.get("FUNDUSSEG_DATA") and real.is_dir():
        return real, f"{name}"
    height, aspect = SIZES[name]
    folder = work / f"{name}-phantoms"
    for number in range(count):
        names = phantom_names("pairs", number, count)
        drawn = phantom(PhantomConfig(size_px=height, aspect=aspect), number)
        for file, pixels in (
            (names.photograph.replace(".png", ".jpg"), drawn.photograph),
            (names.mask, drawn.mask),
            (names.fov, drawn.fov),
        ):
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture_bytes(pixels, file))
    return folder, f"phantoms of {name}'s size"


def photographs_of(folder: Path, count: int) -> list[Path]:
    """The first photographs of a data set folder."""
    return [folder / entry.photograph for entry in layouts.data_set(folder).entries[:count]]


def noisy_maps(folder: Path, out: Path) -> Path:
    """Maps to score: the masks with a twentieth of their pixels flipped near the vessels."""
    generator = np.random.default_rng(1)
    for entry in layouts.data_set(folder).entries:
        mask = masks.read_mask(folder / entry.mask)
        near = ndimage.binary_dilation(mask, iterations=2)
        noisy = mask ^ (near & (generator.random(mask.shape) < 0.05))
        probability = np.clip(ndimage.uniform_filter(noisy.astype(np.float32), 3), 0, 1)
        for suffix, data in (
            (".png", encoders.map_png(probability >= 0.5)),
            (encoders.PROBABILITY_SUFFIX, encoders.probability_png(probability)),
        ):
            path = out / (entry.id + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return out
