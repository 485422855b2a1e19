"""The table of layouts: which paths are photographs, masks and fields of view in each.

Patterns are of paths relative to the data set's folder, without suffix and without the words that
name a part (folder_names.py).
"""

from dataclasses import dataclass

from fundusseg.datasets.folder_names import (
    ENDING,
    FIELDS,
    MASKS,
    PHOTOGRAPHS,
    PLAIN_ENDING,
    SECOND,
    VESSELS,
)

MASK_SUFFIX = f"(?:{ENDING})?"
ANY = r"(?:.*/)?"
PLACE = rf"(?P<place>{ANY})"
FOLDER = rf"(?P<folder>{ANY})"
_Pattern = tuple[str, str]


@dataclass(frozen=True)
class LayoutForm:
    """One of the forms that a layout has.

    patterns: (role, regular expression with the group stem and, maybe, folder or place).

    Files belong together if stem and folder are equal and, where several have both, place is, too.
    has_parts: its folders are often named for parts (train, test); where they are, it is preferred
    to a form that fits as well.
    """

    name: str
    patterns: tuple[_Pattern, ...]
    has_parts: bool = False


def _form(name: str, *patterns: _Pattern, has_parts: bool = False) -> LayoutForm:
    return LayoutForm(name, patterns, has_parts)


def _in_folders(photographs: str, vessels: str, second: str, fields: str) -> tuple[_Pattern, ...]:
    """The patterns of photographs, masks and fields of view that each have folders of their own."""
    return (
        ("photograph", PLACE + rf"{photographs}/(?P<stem>[^/]+)"),
        ("mask", PLACE + rf"{vessels}/(?P<stem>[^/]+?){MASK_SUFFIX}"),
        ("mask2", PLACE + rf"{second}/(?P<stem>[^/]+?){MASK_SUFFIX}"),
        ("fov", PLACE + rf"{fields}/(?P<stem>[^/]+?){MASK_SUFFIX}"),
    )


FORMS = (
    _form(
        "fives",
        ("photograph", ANY + r"Original/(?P<stem>\d+_[ADGN])"),
        ("mask", ANY + r"Ground truth/(?P<stem>\d+_[ADGN])"),
        has_parts=True,
    ),
    _form(
        "drive",
        ("photograph", ANY + r"images/(?P<stem>\d+)_(?:training|test)"),
        ("mask", ANY + r"(?:1st_manual|masks)/(?P<stem>\d+)_manual1"),
        ("mask2", ANY + r"(?:2nd_manual|masks2)/(?P<stem>\d+)_manual2"),
        ("fov", ANY + r"(?:mask|fov)/(?P<stem>\d+)_(?:training|test)_mask"),
        has_parts=True,
    ),
    _form(
        "chase",
        ("mask", ANY + r"(?P<stem>Image_\d+[LR])_1stHO"),
        ("mask2", ANY + r"(?P<stem>Image_\d+[LR])_2ndHO"),
        ("fov", ANY + r"fov/(?P<stem>Image_\d+[LR])(?:_\w+)?"),
        ("photograph", ANY + r"(?P<stem>Image_\d+[LR])"),
    ),
    _form(
        "stare",
        ("fov", ANY + r"fov/(?P<stem>im\d{4})(?:_\w+)?"),
        ("mask", ANY + r"(?P<stem>im\d{4})\.ah"),
        ("mask2", ANY + r"(?P<stem>im\d{4})\.vk"),
        ("photograph", ANY + r"(?P<stem>im\d{4})"),
    ),
    _form(
        "hrf",
        ("photograph", ANY + r"images/(?P<stem>\d\d_(?:h|dr|g))"),
        ("mask", ANY + r"(?:manual1|masks|masks_derived)/(?P<stem>\d\d_(?:h|dr|g))"),
        ("fov", ANY + r"(?:mask|fov)/(?P<stem>\d\d_(?:h|dr|g))(?:_mask)?"),
    ),
    _form(
        "les-av",
        ("photograph", ANY + r"images/(?P<stem>\d+)"),
        ("mask", ANY + r"(?:vessel-segmentations|masks_derived)/(?P<stem>\d+)"),
        ("fov", ANY + r"masks/(?P<stem>\d+)(?:_mask)?"),
        ("fov", ANY + r"fov/(?P<stem>\d+)(?:_mask)?"),
    ),
    _form("pairs", *_in_folders("images", "masks(?:_derived)?", "masks2", "fov"), has_parts=True),
    _form(
        "pairs",
        *_in_folders(PHOTOGRAPHS, VESSELS, SECOND, f"(?:{MASKS}|{FIELDS})"),
        has_parts=True,
    ),
    _form("pairs", *_in_folders(PHOTOGRAPHS, MASKS, SECOND, FIELDS), has_parts=True),
    _form(
        "pairs",
        ("mask2", FOLDER + r"(?P<stem>[^/]+?)[_.-]manual2"),
        ("fov", FOLDER + r"(?P<stem>[^/]+?)[_.-](?:fov|roi)"),
        ("mask", FOLDER + rf"(?P<stem>[^/]+?){PLAIN_ENDING}"),
        ("photograph", FOLDER + r"(?P<stem>[^/]+)"),
    ),
)
