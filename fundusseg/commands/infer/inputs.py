"""One input of infer: the files that its map is made from, read and brought to the frame."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg.config import Preset
from fundusseg.datasets.fov_folder import FovFolder
from fundusseg.datasets.shards import ShardFolder
from fundusseg.datasets.sources import Source
from fundusseg.errors import (
    FAULTS,
    InputError,
    UnavailableError,
    UsageError,
    blamed_on,
    reason_of,
)
from fundusseg.files import images
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import stamp
from fundusseg.files.models import Model
from fundusseg.fundus.framing import Framed
from fundusseg.options import InferOptions
from fundusseg.segmenter import Segmenter


@dataclass(frozen=True)
class Input:
    """A photograph in the model's frame.

    pixels: the photograph itself, uint8 (Y, X, 3); None where no overlay is drawn, so as not to
    hold it for nothing. stamps, hashes: of its files; stamps were taken before they were read.
    is_blank: it shows nothing. pixel_um: the side of a pixel, where the photograph's file says it.
    """

    source: Source
    frame: Framed
    source_sha256: str
    pixels: np.ndarray | None
    stamps: list[list[int]]
    hashes: list[str]
    is_blank: bool
    pixel_um: float | None = None


@dataclass(frozen=True)
class Failure:
    """A source that gave no map, and why.

    is_unavailable: nothing is known of what it holds now, so an earlier map of it may be right.
    hashes, stamps: of its files, by which it is known again; empty where they cannot be read.
    """

    source: Source
    reason: str
    is_unavailable: bool = False
    hashes: Sequence[str] = ()
    stamps: Sequence[list[int]] = ()


class InputFiles:
    """The files that a map is made from: the photograph (or shard), and a given field of view.

    Args:
        fovs: the folder of --fov. shards: where the sources lie, if in shards.
    """

    def __init__(self, fovs: FovFolder | None, shards: ShardFolder | None):
        self.fovs, self.shards = fovs, shards
        self._sha256_of = functools.lru_cache(10_000)(sha256_of)  # a shard holds many sources

    def paths(self, source: Source) -> list[Path | str]:
        """The files' paths, the photograph's first; InputError without a field of view."""
        return [source.file] if self.fovs is None else [source.file, self.fovs.path_of(source.id)]

    def stamps(self, source: Source) -> list[list[int]]:
        """Size and modification time of each; OSError or InputError if there is none."""
        return [stamp(path) for path in self.paths(source)]

    def hashes(self, source: Source, photograph_sha256: str = "") -> list[str]:
        """SHA-256 of each; a photograph's may be known from reading it. InputError likewise."""
        first, *others = self.paths(source)
        is_known = photograph_sha256 and source.ref is None
        return [
            photograph_sha256 if is_known else self._sha256_of(first),
            *map(self._sha256_of, others),
        ]

    def read(self, source: Source, segmenter: Segmenter, keep_pixels: bool) -> Input | Failure:
        """Read a photograph, or its sample in a shard, and bring it to the frame."""
        if source.refusal:
            return Failure(source, source.refusal, is_unavailable=True)
        stamps: list[list[int]] = []
        try:
            stamps = self.stamps(source)
            return self._read(source, stamps, segmenter, keep_pixels)
        except FAULTS as error:
            is_known = isinstance(error, InputError) and not isinstance(error, UnavailableError)
            known_by = self._known_by(source, stamps) if is_known else ()
            return Failure(source, reason_of(error), not is_known, *known_by)

    def _known_by(
        self, source: Source, before: list[list[int]]
    ) -> tuple[list[str], list[list[int]]]:
        """By what a photograph that failed is known again; nothing if it has changed since."""
        try:
            hashes = self.hashes(source)
            return (hashes, before) if self.stamps(source) == before else ([], [])
        except (InputError, OSError):
            return [], []

    def _read(
        self, source: Source, stamps: list[list[int]], segmenter: Segmenter, keep_pixels: bool
    ) -> Input:
        if self.shards is not None:
            assert source.ref is not None  # each source in shards has one
            sample = self.shards.read(source.ref, native=True)
            assert sample.native_fov is not None  # prep stores one of every photograph
            fovs = (sample.fov, sample.native_fov)
            frame = Framed(sample.image, *fovs, sample.geometry, sample.field_of_view)
            hashes = self.hashes(source)
            return Input(source, frame, sample.source_sha256, None, stamps, hashes, is_blank=False)
        photograph = images.read_photograph(source.path)
        shape = photograph.pixels.shape[:2]
        try:
            given = None if self.fovs is None else self.fovs.mask_of(source.id, shape, photograph)
        except UnavailableError:
            raise
        except InputError as error:  # the row names the photograph
            problem = f"its field of view {error.path} {error.problem}"
            raise InputError(source.path, problem, error.remedy) from error
        with blamed_on(source.path):
            frame = segmenter.framed(photograph.pixels, given)
        pixels = photograph.pixels if keep_pixels else None
        is_blank = not frame.fov.any() and images.is_blank(photograph.pixels)
        hashes = self.hashes(source, photograph.sha256)
        about = (stamps, hashes, is_blank, photograph.pixel_um)
        return Input(source, frame, photograph.sha256, pixels, *about)


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
