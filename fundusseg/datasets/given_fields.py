"""The fields of view that the user provides for the items of a truth."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from fundusseg.datasets.fov_folder import FovFolder
from fundusseg.datasets.truth import TruthImage, TruthItem, prepared_diameter_px
from fundusseg.errors import InputError
from fundusseg.files.masks import OF_ANOTHER, REMOVE_FIELD
from fundusseg.fundus.field_of_view import are_of_one_eye
from fundusseg.fundus.geometry import to_frame


class GivenFields:
    """The masks in the folder of --fov, which replace a truth's own fields of view.

    Args:
        items: those that are scored; each must have a mask.
        paths: the files below `root`, from `folders.walk`, if the caller has them already.

    Raises:
        UsageError: if there is no such folder.
        InputError: if an item has no mask there, or more than one.
    """

    def __init__(self, root: Path, items: list[TruthItem], paths: list[str] | None = None):
        self.folder = FovFolder(root, [item.id for item in items], paths)
        self._count = Counter(item.stem for item in items)
        self.names = {item.id: self._name(item) for item in items}

    def path_of(self, item: TruthItem) -> Path:
        """The file of an item's field of view."""
        return self.folder.path_of(self.names[item.id])

    def replaced(self, item: TruthItem, image: TruthImage) -> TruthImage:
        """`image` with the field of view of this folder, brought to the image's frame.

        Raises:
            InputError: if it cannot be read, is empty, has another size than the photograph, or
                lies beside the field of view that the truth has.
        """
        fov = self.folder.mask_of(self.names[item.id], image.source_shape)
        if image.geometry is not None:
            fov = to_frame(fov, image.geometry) >= 0.5
        if image.fov is not None and not are_of_one_eye(fov, image.fov):
            raise InputError(self.path_of(item), OF_ANOTHER, REMOVE_FIELD)
        diameter_px = prepared_diameter_px(fov, item)
        return replace(image, fov=fov, diameter_px=diameter_px, fov_method="given")

    def _name(self, item: TruthItem) -> str:
        """The name under which the folder has an item's mask: its id, else its stem."""
        try:
            self.folder.path_of(item.id)
        except InputError:
            if self._count[item.stem] > 1:
                raise
            self.folder.path_of(item.stem)
            return item.stem
        return item.id
