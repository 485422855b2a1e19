"""A folder of field-of-view masks that the user provides (--fov)."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fundusseg.datasets.folders import walk
from fundusseg.errors import InputError, UnavailableError, UsageError
from fundusseg.files.images import Photograph, image_suffix, without_suffix
from fundusseg.files.masks import read_field_of_view
from fundusseg.files.names import nfc

_ENDINGS = ("_mask", "_fov", "_training_mask", "_test_mask")


class FovFolder:
    """Masks by the id of their photograph, or by its stem where only one photograph has that.

    A mask's stem may end in _mask, _fov, _training_mask or _test_mask.

    Args:
        ids: of all photographs that masks are asked for: what several of them share tells none.
        paths: the files below `root`, from `folders.walk`, if the caller has them already.

    Raises:
        UsageError: if there is no such folder.
        InputError: if it cannot be walked.
    """

    def __init__(self, root: Path, ids: Iterable[str], paths: list[str] | None = None):
        if not root.is_dir():
            raise UsageError(f"{root}: is no folder of field-of-view masks")
        self.root = root
        self._count = Counter(_stem(nfc(id)) for id in ids)
        self._by_path: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for path in walk(root) if paths is None else paths:
            if image_suffix(path):
                bare = nfc(without_suffix(path))
                self._by_path.setdefault(bare, []).append(root / path)
                self._by_stem.setdefault(bare.rpartition("/")[2], []).append(root / path)

    def path_of(self, id: str) -> Path:
        """The file of a photograph's mask.

        Raises:
            UnavailableError: if there is none.
            InputError: if there are several, or it could be that of several photographs.
        """
        name = nfc(id)
        # --keep-suffix leaves the suffix in the id
        mask = self._only(self._by_path, name) or self._only(self._by_path, without_suffix(name))
        if mask:
            return mask
        last = name.rpartition("/")[2]
        mask = self._only(self._by_stem, last) or self._only(self._by_stem, _stem(name))
        if mask and self._count[_stem(name)] > 1:
            problem = f"does not tell whose mask {mask.name} is: several photographs are named so"
            raise InputError(self.root, problem, "name the masks like the photographs' paths")
        if mask:
            return mask
        problem = f"has no field of view for {id}"
        raise UnavailableError(self.root, problem, "add it, or leave --fov out")

    def _only(self, masks_by_name: dict[str, list[Path]], name: str) -> Path | None:
        for ending in ("", *_ENDINGS):
            masks = masks_by_name.get(name + ending, [])
            if len(masks) > 1:
                problem = f"has several masks named {name + ending}"
                raise InputError(self.root, problem, "name them like the photographs' paths")
            if masks:
                return masks[0]
        return None

    def mask_of(
        self, id: str, shape: tuple[int, int], photograph: Photograph | None = None
    ) -> np.ndarray:
        """The mask of a photograph, bool (Y, X), True inside the field of view.

        Args:
            shape: (Y, X) of the photograph.
            photograph: if given, the mask must hold its light.

        Raises:
            InputError: if there is no mask, or as `read_field_of_view`.
        """
        return read_field_of_view(self.path_of(id), shape, photograph)


def _stem(id: str) -> str:
    return without_suffix(id.rpartition("/")[2])
