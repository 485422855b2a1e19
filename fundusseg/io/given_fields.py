"""The fields of view that a user gives for the images of a truth."""

from dataclasses import replace
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.fundus.geometry import to_frame
from fundusseg.io.fov_folder import FovFolder
from fundusseg.io.truth import TruthImage, TruthRef, prepared_diameter_px


class GivenFields:
    """The masks in the folder of --fov, in place of a truth's own fields of view.

    Raises:
        UsageError: if there is no such folder.
        InputError: if an image has none there, or more than one.
    """

    def __init__(self, root: Path, refs: list[TruthRef]):
        self.folder = FovFolder(root)
        self.names = {ref.id: self._name(ref) for ref in refs}

    def path_of(self, ref: TruthRef) -> Path:
        """The file of an image's field of view."""
        return self.folder.path_of(self.names[ref.id])

    def replaced(self, ref: TruthRef, image: TruthImage) -> TruthImage:
        """`image` with the field of view of this folder.

        Raises:
            InputError: if it cannot be read, is empty, or has another size.
        """
        fov = self.folder.mask_of(self.names[ref.id], image.source_shape)
        if image.geometry is not None:
            fov = to_frame(fov, image.geometry) >= 0.5
        diameter_px = prepared_diameter_px(fov, ref)
        return replace(image, fov=fov, diameter_px=diameter_px, fov_method="given")

    def _name(self, ref: TruthRef) -> str:
        """What the folder knows an image by: its id or, where a mask names it, its stem."""
        try:
            self.folder.path_of(ref.id)
        except InputError:
            self.folder.path_of(ref.stem)
            return ref.stem
        return ref.id
