"""One input of infer, read and brought to the canonical frame."""

from dataclasses import dataclass

import numpy as np

from fundusseg.config import FrameConfig, Preset
from fundusseg.errors import InputError, UsageError
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.framing import framed
from fundusseg.fundus.geometry import Geometry
from fundusseg.io import images
from fundusseg.io.fov_folder import FovFolder
from fundusseg.io.models import Model
from fundusseg.io.shards import ShardFolder
from fundusseg.io.sources import Source
from fundusseg.io.status import OK, StatusRow
from fundusseg.options import InferOptions


@dataclass(frozen=True)
class Prepared:
    """A photograph in the canonical frame, and what the way back needs.

    image: uint8 (S, S, 3). fov: uint8 (S, S) coverage. pixels: the photograph itself,
    uint8 (Y, X, 3), None where no overlay is drawn, so as not to hold it for nothing.
    is_blank: it shows nothing, so its fov is empty.
    """

    source: Source
    image: np.ndarray
    fov: np.ndarray
    geometry: Geometry
    field_of_view: FieldOfView
    source_sha256: str
    pixels: np.ndarray | None
    is_blank: bool = False


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
    is_blank = images.is_blank(photograph.pixels)
    return Prepared(
        source,
        found.image,
        np.zeros_like(found.fov) if is_blank else found.fov,
        found.geometry,
        found.field_of_view,
        photograph.sha256,
        photograph.pixels if keep_pixels else None,
        is_blank,
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


def require_fitting_tile(tile_px: int, preset: Preset) -> None:
    """Raise UsageError if the network cannot halve tiles of this size."""
    if tile_px % preset.generator.stride:
        raise UsageError(f"--tile must be a multiple of {preset.generator.stride} for this model")


def require_fitting_shards(shards: ShardFolder | None, model: Model, options: InferOptions) -> None:
    """Raise if shards cannot go through this model, or not with these options.

    Raises:
        UsageError: if an option needs the photographs.
        InputError: if they have another frame.
    """
    if shards is None:
        return
    if options.overlay or options.fov:
        raise UsageError("shards hold no photograph: --overlay and --fov go with photographs")
    if shards.header.frame != model.preset.frame:
        problem = f"was prepared with another frame than the model {model.folder} has"
        raise InputError(shards.root, problem, f"prepare it with --preset {model.preset.name}")


def status_row(item: Prepared, dice: float | None) -> StatusRow:
    """The row of a photograph that has become a map; dice: expected, None where unknown."""
    height, width = item.geometry.source_shape
    return StatusRow(
        id=item.source.id,
        status=OK,
        source_sha256=item.source_sha256,
        width_px=str(width),
        height_px=str(height),
        fov_y_px=f"{item.field_of_view.y_px:.1f}",
        fov_x_px=f"{item.field_of_view.x_px:.1f}",
        fov_diameter_px=f"{item.field_of_view.diameter_px:.1f}",
        fov_method=item.field_of_view.method,
        expected_dice="" if dice is None else f"{dice:.4f}",
    )
