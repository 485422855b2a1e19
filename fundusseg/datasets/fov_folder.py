"""A folder of field-of-view masks that the user provides (--fov), for photographs or a truth."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fundusseg.datasets.folders import walk
from fundusseg.datasets.truth import TruthImage, TruthItem, prepared_diameter_px
from fundusseg.errors import InputError, UnavailableError, UsageError
from fundusseg.files.images import Photograph, image_suffix, without_suffix
from fundusseg.files.masks import OF_ANOTHER, REMOVE_FIELD, read_field_of_view
from fundusseg.files.names import escaped, nfc
from fundusseg.fundus.field_of_view import are_of_one_eye
from fundusseg.fundus.geometry import to_frame
from fundusseg.wording import counted

_ENDINGS = ("_mask", "_fov", "_training_mask", "_test_mask")


class FovFolder:
    """Masks by the id of their photograph, or by its stem where only one photograph has that.

    A mask that is named like a photograph's whole id is no other's. A mask's stem may end in _mask,
    _fov, _training_mask or _test_mask.

    Args:
        ids: of all photographs; a stem that several of them have identifies no mask.
        paths: the files below `root`, from `folders.walk`, if the caller has them already.

    Raises:
        UsageError: if there is no such folder.
        InputError: if it cannot be walked.
    """

    def __init__(self, root: Path, ids: Iterable[str], paths: list[str] | None = None):
        if not root.is_dir():
            raise UsageError(f"{root}: is no folder; give --fov that of the masks, or leave it out")
        self.root = root
        names = [nfc(id) for id in ids]
        self._count = Counter(map(_stem, names))
        owned = {*names, *map(without_suffix, names)}
        self._by_path: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for path in walk(root) if paths is None else paths:
            if image_suffix(path):
                bare = nfc(without_suffix(path))
                self._by_path.setdefault(bare, []).append(root / path)
                if owned.isdisjoint(bare.removesuffix(ending) for ending in ("", *_ENDINGS)):
                    self._by_stem.setdefault(bare.rpartition("/")[2], []).append(root / path)

    def require_any(self, ids: Iterable[str]) -> None:
        """Raise InputError if this is another folder: none of some photographs has a mask here."""
        tried = list(ids)
        if not tried or any(map(self._may_have, tried)):
            return
        count = sum(map(len, self._by_path.values()))
        problem = f"holds {counted(count, 'picture')}, and none is named like a photograph"
        remedy = f"name the mask of {escaped(tried[0])} like it, or leave --fov out"
        if not count:
            problem = "holds no field-of-view mask, as no picture is there"
            remedy = "give --fov another folder, or leave it out"
        raise InputError(self.root, problem, remedy)

    def _may_have(self, id: str) -> bool:
        try:
            return self._found(id) is not None
        except InputError:  # which of several it is, its photograph's row says
            return True

    def path_of(self, id: str) -> Path:
        """The file of a photograph's mask.

        Raises:
            UnavailableError: if there is none.
            InputError: if there are several, or it could be that of several photographs.
        """
        mask = self._found(id)
        if mask is None:
            problem = f"has no field of view for {id}"
            raise UnavailableError(self.root, problem, "add it, or leave --fov out")
        return mask

    def _found(self, id: str) -> Path | None:
        """The same, None if there is none."""
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
        return mask

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


class GivenFields:
    """The masks in the folder of --fov, which replace a truth's own fields of view.

    Args:
        items: those that are scored; each must have a mask, by its id or else by its stem.
        paths: the files below `root`, from `folders.walk`, if the caller has them already.

    Attributes:
        files: the mask of each item, by the item's id.

    Raises:
        UsageError: if there is no such folder.
        InputError: if an item has no mask there, or more than one.
    """

    def __init__(self, root: Path, items: list[TruthItem], paths: list[str] | None = None):
        folder = FovFolder(root, [item.id for item in items], paths)
        folder.require_any(name for item in items for name in (item.id, item.stem))
        count = Counter(item.stem for item in items)
        self.files: dict[str, Path] = {}
        for item in items:
            try:
                self.files[item.id] = folder.path_of(item.id)
            except InputError:
                if count[item.stem] > 1:
                    raise
                self.files[item.id] = folder.path_of(item.stem)

    def replaced(self, item: TruthItem, image: TruthImage) -> TruthImage:
        """`image` with the field of view of this folder, brought to the image's frame.

        Raises:
            InputError: if it cannot be read, is empty, has another size than the photograph, or
                lies beside the field of view that the truth has.
        """
        path = self.files[item.id]
        fov = read_field_of_view(path, image.source_shape)
        if image.geometry is not None:
            fov = to_frame(fov, image.geometry) >= 0.5
        if image.fov is not None and not are_of_one_eye(fov, image.fov):
            raise InputError(path, OF_ANOTHER, REMOVE_FIELD)
        diameter_px = prepared_diameter_px(fov, item)
        return replace(image, fov=fov, diameter_px=diameter_px, fov_method="given")


def _stem(id: str) -> str:
    return without_suffix(id.rpartition("/")[2])
