"""A folder of field-of-view masks that a user hands in (--fov)."""

from pathlib import Path, PurePosixPath

import numpy as np

from fundusseg.errors import InputError, UnavailableError, UsageError
from fundusseg.io.images import image_suffix, read_field_of_view, without_suffix
from fundusseg.io.layouts import walk

_ENDINGS = ("_mask", "_fov", "_training_mask", "_test_mask")


class FovFolder:
    """Masks by the id of their photograph, or by its stem where that is unique.

    A mask's stem may end in _mask or _fov.

    Raises:
        UsageError: if there is no such folder.
    """

    def __init__(self, root: Path):
        if not root.is_dir():
            raise UsageError(f"{root}: is no folder of field-of-view masks")
        self.root = root
        self.by_name: dict[str, list[Path]] = {}
        for path in walk(root):
            if image_suffix(PurePosixPath(path).name):
                bare = without_suffix(path)
                for name in {bare, PurePosixPath(bare).name}:
                    self.by_name.setdefault(name, []).append(root / path)

    def path_of(self, id: str) -> Path:
        """The mask of a photograph.

        Raises:
            UnavailableError: if there is none.
            InputError: if there are several.
        """
        bare = without_suffix(id)  # --keep-suffix leaves it in the id
        for name in dict.fromkeys((id, bare, PurePosixPath(id).name, PurePosixPath(bare).name)):
            for ending in ("", *_ENDINGS):
                found = self.by_name.get(name + ending, [])
                if len(found) > 1:
                    problem = f"has several masks named {name + ending}"
                    raise InputError(self.root, problem, "name them like the photographs' paths")
                if found:
                    return found[0]
        problem = f"has no field of view for {id}"
        raise UnavailableError(self.root, problem, "add it, or leave --fov out")

    def mask_of(self, id: str, shape: tuple[int, int]) -> np.ndarray:
        """The mask of a photograph, bool (Y, X).

        Raises:
            InputError: if there is none, or it is unreadable, empty, or of another size.
        """
        return read_field_of_view(self.path_of(id), shape)
