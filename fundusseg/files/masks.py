"""Masks and probabilities read from image files, and what is refused as neither.

One policy for vessels, truths, maps and fields of view: two grey levels, alpha alone, or soft
coverage. Labels, colours and pictures are none.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from fundusseg import ui
from fundusseg.errors import InputError, blamed_on
from fundusseg.files.decoders import FORMATS, Picture, decoded
from fundusseg.files.images import SOFT_RANGE, Photograph
from fundusseg.files.regular import regular_bytes
from fundusseg.fundus.field_of_view import holds_light
from fundusseg.fundus.vessel_darkness import darker_share

MASK_THRESHOLD = 127
MOST_LABELS = 4  # a picture of three or four grey levels holds labels
MOST_LEVELS_OF_LABELS = 16  # and a mask of up to so many does if they fill areas
MOST_FLAT = 0.02  # of the pixels between black and white, whose neighbours are all as they are
MOST_SOFT = 0.3  # of the pixels of a mask with soft edges; more is a photograph
MOST_VESSEL = 0.5  # of a mask's pixels; real ones have a tenth
WIDEST_VESSEL = 0.1  # of the shorter side; real ones have a third of it
MOST_SOLID = 0.3  # of what is white, that is wider; of real masks 0.02
LEAST_DARKER = 0.6  # of the vessels; by chance it is half
LEAST_CENTRE = 0.5  # of the middle of a field of view, that is in it
COLOUR_SPREAD = 64  # between a pixel's channels; what JPEG does to grey is below
MOST_COLOUR = 0.001  # of the pixels of a grey picture
PROBABILITY_MARGIN = 0.1  # below 0 and above 1, where probabilities were resampled
MAKE_BINARY = "make vessels white and all else black"
OF_ANOTHER = "lies beside what its photograph shows"
REMOVE_FIELD = "mend it, or remove it to have one found"


class NoMask(InputError):
    """A picture is of another kind: a photograph, an inverted mask, a field of view."""


def read_mask(path: Path) -> np.ndarray:
    """Read a mask of any format as bool (Y, X).

    Of two grey levels, whatever they are (0 and 1, or red on black), the brighter one is True;
    of more, what is above 127 in 8 bits. Where all that shows has one colour, alpha is the mask.

    Raises:
        InputError: if the file cannot be read or decoded, is a picture in colours (arteries red
            and veins blue) or a grey photograph, or has few grey levels, as labels have, or none
            that is white.
    """
    return _mask(path)[0]


def read_mask_of(
    path: Path, shape: tuple[int, int] | None = None, is_turned: bool = False
) -> np.ndarray:
    """Read the mask of a photograph, of `shape` (Y, X) if given, bool.

    Args:
        is_turned: an orientation has turned the photograph. If none turns the mask, that is
            warned of: it may have been drawn on the pixels as they are stored.

    Raises:
        InputError: as `read_mask`, or if the mask has another size.
    """
    mask, mask_is_turned = _mask(path)
    if shape is not None:
        require_shape(path, mask, shape)
    if is_turned and not mask_is_turned:
        text = "%s: has no EXIF orientation, but its photograph is turned by one; are they alike?"
        ui.log.warning(text, path)
    return mask


def read_vessels(
    path: Path,
    shape: tuple[int, int] | None = None,
    is_turned: bool = False,
    photograph: Photograph | None = None,
) -> np.ndarray:
    """Read a manual mask of vessels, bool; arguments as of `read_mask_of`.

    One without vessels is warned of, and one whose vessels are not those of `photograph`, if given.

    Raises:
        NoMask: if more than half is vessel, as in an inverted mask, or most of it is wide areas, as
            in a field of view, or it is a photograph.
        InputError: as `read_mask_of`.
    """
    mask = read_mask_of(path, shape, is_turned)
    if not mask.any():
        ui.log.warning("%s: is a mask without vessels", path)
        return mask
    share = mask.mean()
    # Black on white: in an inverted mask of vessels the black is thin, around a field of view not.
    if _solid_share(mask) > MOST_SOLID and (
        share <= MOST_VESSEL or _solid_share(~mask) > MOST_SOLID
    ):
        problem = f"is no mask of vessels: {share:.0%} white in one disc; is it a field of view?"
        raise NoMask(path, problem, MAKE_BINARY)
    require_upright(path, mask)
    share = None if photograph is None else darker_share(photograph.pixels, mask)
    if share is not None and share < LEAST_DARKER:
        text = "%s: lies beside the vessels of its photograph; is it another's, mirrored or moved?"
        ui.log.warning(text, path)
    return mask


def require_upright(path: Path, vessels: np.ndarray) -> None:
    """Raise if more of a map or mask, bool of any shape, is vessel than in any eye.

    Raises:
        NoMask: if so.
    """
    if (share := vessels.mean()) > MOST_VESSEL:
        problem = f"is no mask or map of vessels: {share:.0%} of it is white; is it inverted?"
        raise NoMask(path, problem, MAKE_BINARY)


def require_shape(path: Path, mask: np.ndarray, shape: tuple[int, int]) -> None:
    """Raise if a mask (Y, X) has not the shape of its photograph.

    Raises:
        InputError: naming both sizes.
    """
    if mask.shape != shape:
        sizes = f"{mask.shape[1]}x{mask.shape[0]}, its photograph {shape[1]}x{shape[0]}"
        remedy = "masks must have their photograph's size"
        if mask.shape == shape[::-1]:
            remedy += ", turned as its EXIF orientation says"
        raise InputError(path, f"is {sizes}", remedy)


def read_field_of_view(
    path: Path, shape: tuple[int, int], photograph: Photograph | None = None
) -> np.ndarray:
    """Read the given field of view of a photograph of `shape` (Y, X), bool.

    Args:
        photograph: if given, the field of view must hold its light.

    Raises:
        InputError: as `read_mask_of`, or if it is empty, inverted or another photograph's.
    """
    mask = read_mask_of(path, shape, photograph is not None and photograph.is_turned)
    if not mask.any():
        raise InputError(path, "is an empty field of view", REMOVE_FIELD)
    if _centre(mask).mean() < LEAST_CENTRE:
        raise InputError(path, "is dark inside; is it inverted?", REMOVE_FIELD)
    if photograph is not None and not holds_light(mask, photograph.pixels):
        raise InputError(path, OF_ANOTHER, REMOVE_FIELD)
    return mask


def read_probability(path: Path) -> np.ndarray:
    """Read a grey image as float32 (Y, X) probabilities in [0, 1], by its full bit depth.

    Raises:
        InputError: if the file cannot be read or decoded, is a picture in colours, or has
            values that are no probabilities.
    """
    with blamed_on(path):
        picture = decoded(regular_bytes(path), path)
        grey = _only_alpha(picture)
        if grey is None:
            grey = picture.values[..., 0]
            if not is_binary(grey):  # else it may be a mask, of red on black
                _require_grey(picture)
        return _probability(path, grey)


def require_no_labels(path: Path, grey: np.ndarray) -> None:
    """Raise if a picture (Y, X) of grey levels, of any unit, holds labels.

    Raises:
        InputError: if it has three or four levels.
    """
    # Sorting all pixels is slow, and one in 256 is nearly always enough to see more levels.
    if len(np.unique(grey[::16, ::16])) <= MOST_LABELS:
        n_levels = len(np.unique(grey))
        if 2 < n_levels <= MOST_LABELS:
            problem = f"has {n_levels} grey levels: labels, no mask or map of vessels"
            raise InputError(path, problem, MAKE_BINARY)


def is_binary(grey: np.ndarray) -> bool:
    """Whether a picture (Y, X) has two levels at most."""
    return bool(((grey == grey.min()) | (grey == grey.max())).all())


def is_plain_mask(path: Path) -> bool:
    """Whether a file is a grey picture of two levels; one in colours is not decoded for it."""
    if not path.is_file():
        return False
    with (
        suppress(Exception),
        Image.open(path, formats=FORMATS) as image,
    ):  # what is damaged says so later
        if image.mode in ("1", "L", "P"):
            return sum(map(bool, image.convert("L").histogram())) == 2
    return False


def _mask(path: Path) -> tuple[np.ndarray, bool]:
    """As `read_mask`, and whether an orientation has turned it."""
    with blamed_on(path):
        picture = decoded(regular_bytes(path), path)
        grey = _only_alpha(picture)
        if grey is None:
            grey = picture.scaled_to_8_bit()
            is_grey = grey.shape[2] == 1
            grey = grey[..., 0] if is_grey else np.asarray(Image.fromarray(grey).convert("L"))
        counts = np.bincount(grey.reshape(-1), minlength=256)
        levels = np.flatnonzero(counts)
        if len(levels) == 2:
            return grey == levels[1], picture.is_turned
        if len(levels) > 2:
            _require_grey(picture)
            if not picture.is_jpeg:  # which makes four levels of two at its best quality
                require_no_labels(path, grey)
                _require_no_areas_between(path, grey, levels)
            _require_soft_edges(path, counts)
        return grey > (0 if grey.max(initial=0) == 1 else MASK_THRESHOLD), picture.is_turned


def _only_alpha(picture: Picture) -> np.ndarray | None:
    """The alpha, uint8 (Y, X), of a picture that shows one colour and hides the rest; or None."""
    if picture.alpha is None:
        return None
    shown = picture.values[picture.alpha >= 128]
    return picture.alpha if (shown == shown[0]).all() else None


def _require_grey(picture: Picture) -> None:
    """Raise if a picture has colours that mean something."""
    if picture.values.shape[2] == 3:
        channels = picture.scaled_to_8_bit()
        spread = channels.max(axis=2) - channels.min(axis=2)
        if (spread > COLOUR_SPREAD).mean() > MOST_COLOUR:
            problem = "is a picture in colours, no mask or map"
            raise NoMask(picture.path, problem, MAKE_BINARY)


def _require_soft_edges(path: Path, counts: np.ndarray) -> None:
    """Raise if a picture with these counts of 256 grey levels is no mask, its edges soft."""
    levels = np.flatnonzero(counts)
    if levels[-1] < SOFT_RANGE[1]:  # half of what is drawn in grey would be lost
        problem = f"is no mask: of its {len(levels)} grey levels {levels[-1]} is the brightest"
        raise NoMask(path, problem, MAKE_BINARY)
    if counts[slice(*SOFT_RANGE)].sum() > MOST_SOFT * counts.sum():
        raise NoMask(path, "is a grey picture, no mask", MAKE_BINARY)


def _require_no_areas_between(path: Path, grey: np.ndarray, levels: np.ndarray) -> None:
    """Raise if a mask of few grey levels has areas of one between its darkest and brightest.

    Soft edges are no areas: a pixel of them has neighbours of other levels.
    """
    if len(levels) <= MOST_LEVELS_OF_LABELS:
        between = (grey > levels[0]) & (grey < levels[-1])
        is_flat = ndimage.maximum_filter(grey, 3) == ndimage.minimum_filter(grey, 3)
        if (is_flat & between).sum() > MOST_FLAT * between.sum():
            problem = f"has {len(levels)} grey levels: labels, no mask or map of vessels"
            raise InputError(path, problem, MAKE_BINARY)


def _solid_share(mask: np.ndarray) -> float:
    """How much of what is True in (Y, X) lies in parts that are wider than any vessel."""
    stride = max(1, min(mask.shape) // 128)
    small = np.pad(mask[::stride, ::stride], 1)
    radius = WIDEST_VESSEL / 2 * (min(small.shape) - 2)
    core = ndimage.distance_transform_edt(small) > radius
    if not core.any():
        return 0.0
    opened = ndimage.distance_transform_edt(~core) <= radius
    return float((opened & small).sum() / small.sum())


def _centre(mask: np.ndarray) -> np.ndarray:
    """The middle of the box around what is True in (Y, X), a fifth of its sides."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    middles, sides = ((rows[0] + rows[-1]) // 2, (columns[0] + columns[-1]) // 2), (rows, columns)
    y, x = (
        slice(middle - len(side) // 10, middle + len(side) // 10 + 1)
        for middle, side in zip(middles, sides, strict=True)
    )
    return mask[y, x]


def _probability(path: Path, grey: np.ndarray) -> np.ndarray:
    if not np.issubdtype(grey.dtype, np.integer):
        if not np.isfinite(grey).all():
            raise InputError(path, "has values that are no numbers")
        low, high = grey.min(initial=0), grey.max(initial=0)
        if low < -PROBABILITY_MARGIN or high > 1 + PROBABILITY_MARGIN:
            problem = f"has values from {low:g} to {high:g}, no probabilities from 0 to 1"
            raise InputError(path, problem)
        return np.clip(grey, 0, 1).astype(np.float32)
    depth = 255 if grey.dtype == np.uint8 else 65535
    highest = int(grey.max(initial=0))
    if (
        grey.min(initial=0) < 0
        or highest > depth
        or (highest <= 255 < depth and not is_binary(grey))
    ):
        problem = f"has values up to {highest} and no probabilities of 16 bits (0 to 65535)"
        raise InputError(path, problem, "save it with 8 bits, or scale it")
    return (grey / depth).astype(np.float32)
