"""One input of infer, read and brought to the canonical frame."""

from dataclasses import dataclass

import numpy as np

from fundusseg.config import FrameConfig
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.framing import framed
from fundusseg.fundus.geometry import Geometry
from fundusseg.io import images
from fundusseg.io.fov_folder import FovFolder
from fundusseg.io.shards import ShardFolder
from fundusseg.io.sources import Source


@dataclass(frozen=True)
class Prepared:
    """A photograph in the canonical frame, and what the way back needs.

    image: uint8 (S, S, 3). fov: uint8 (S, S) coverage. pixels: the photograph itself,
    uint8 (Y, X, 3), None where no overlay is drawn, so as not to hold it for nothing.
    """

    source: Source
    image: np.ndarray
    fov: np.ndarray
    geometry: Geometry
    field_of_view: FieldOfView
    source_sha256: str
    pixels: np.ndarray | None


def from_file(
    source: Source, frame: FrameConfig, given_fovs: FovFolder | None, keep_pixels: bool
) -> Prepared:
    """Read a photograph, with its field of view from `given_fovs` or found.

    Raises:
        InputError: if the photograph or its field of view cannot be read.
    """
    photograph = images.read_photograph(source.path)
    given = None
    if given_fovs is not None:
        given = given_fovs.mask_of(source.id, photograph.pixels.shape[:2])
    found = framed(photograph.pixels, given, frame)
    return Prepared(
        source,
        found.image,
        found.fov,
        found.geometry,
        found.field_of_view,
        photograph.sha256,
        photograph.pixels if keep_pixels else None,
    )


def from_shard(source: Source, shards: ShardFolder) -> Prepared:
    """Read a prepared photograph from its shard.

    Raises:
        InputError: if the shard is damaged.
    """
    sample = shards.read(source.ref)
    return Prepared(
        source,
        sample.image,
        sample.fov,
        sample.geometry,
        sample.field_of_view,
        sample.source_sha256,
        None,
    )
