"""What names say: the part of a data set that a folder holds, and the role of the files in it.

The one table of parts and their spellings, and of the words for photographs, masks and fields of
view. A mask folder is ambiguous: beside one that is named for vessels (labels, GT, manual) it holds
the fields of view, else the vessels.
"""

import functools
import re

PARTS = {
    "train": ("train", "training", "trainset", "trainingset", "tr"),
    "validation": ("val", "valid", "validation", "validating", "dev", "devel", "development"),
    "test": (
        *("test", "tests", "testing", "testset", "testingset", "eval", "evaluation"),
        *("holdout", "hold", "held", "ts"),  # hold-out
    ),
}
_FILLERS = ("set", "sets", "subset", "data", "dataset", "split", "part", "fold", "folder", "out")
# A name that has a part's word among others (external_test) counts as that part: a missed test part
# would be trained on. These words are exceptions; they often mean something else.
_MAY_BE_NONE = ("dev", "devel", "development", "eval", "evaluation", "hold", "held", "ts")
_NEVER_ALONE = ("tr", "ts")  # imagesTr, labelsTs (nnU-Net)

_LISTS = ("txt", "csv", "tsv", "json", "yaml", "yml", "xls", "xlsx", "mat")

# Folders, as regular expressions that ignore case.
PHOTOGRAPHS = (
    r"(?:images?|imgs?|photos?|photographs?|pictures?|inputs?|originals?(?:[ _-]images?)?"
    r"|(?:colou?r[ _-]?)?fundus(?:[ _-]?(?:images?|photos?|photographs?))?)"
)
VESSELS = (
    r"(?:labels?|gts?|ground[ _-]?truths?|targets?|segmentations?|annotations?|tracings?|drawn"
    r"|drawings?|1st[ _-]manual|manuals?1?(?:[ _-]?(?:segmentations?|masks?|annotations?|labels?))?"
    r"|(?:blood[ _-]?)?vessels?(?:[ _-]?(?:segmentations?|masks?|maps?|labels?|gts?))?)"
)
MASKS = r"masks?(?:[ _-]?images?)?"
SECOND = r"(?:masks2|labels2|manual2|2nd[ _-]manual)"
FIELDS = r"(?:fovs?|rois?|fields?[ _-]of[ _-]views?)"
# What a mask's stem has behind that of its photograph.
_KIND = (
    r"(?:manual[12]?|mask|gt|labels?|vessels?|ground_?truth|seg|segmentation|annotation)(?:_orig)?"
)
PLAIN_ENDING = rf"[_.-]{_KIND}"
ENDING = rf"[_.-](?:{_KIND}|1stHO|2ndHO|ah|vk|fov|training_mask|test_mask)"

_MASK_WORDS = tuple(
    "mask masks gt gts label labels manual manuals truth groundtruth annotation annotations "
    "segmentation segmentations fov fovs".split()
)
_PART_OF = {word: part for part, words in PARTS.items() for word in words}
_ROLES = re.compile("|".join((PHOTOGRAPHS, VESSELS, MASKS, SECOND, FIELDS)), re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def without_part(path: str) -> tuple[str, str]:
    """The part that the folders of a path (with /) name, or "", and the path without that word.

    The folder nearest to the file counts: `training_set/images/x` and `images/Train/x` are
    `images/x` of "train", `test_images/x` is `images/x` of "test", `DRIVE_test/x` `DRIVE/x`.
    """
    *folders, name = path.split("/")
    for place in reversed(range(len(folders))):
        part, rest = _part_and_rest(folders[place])
        if part:
            folders[place : place + 1] = [rest] if rest else []
            return part, "/".join([*folders, name])
    return "", path


@functools.lru_cache(10_000)
def _part_and_rest(folder: str) -> tuple[str, str]:
    """The part that one folder's name says, and the role that stands beside it; "" for neither."""
    parts = [match for match in _WORD.finditer(folder) if match.group().lower() in _PART_OF]
    if len(parts) != 1:
        return "", ""
    start, end = parts[0].span()
    rest = (folder[:start] + folder[end:]).strip(" _.-")
    words = [word.lower() for word in _WORD.findall(rest)]
    said = parts[0].group().lower()
    part = _PART_OF[said]
    if said not in _NEVER_ALONE and all(len(word) == 1 or word in _FILLERS for word in words):
        return part, ""
    is_certain = part != "train" and said not in _MAY_BE_NONE  # external_test
    return (part, rest) if is_certain or _ROLES.fullmatch(rest) else ("", "")


def lists_parts(path: str) -> bool:
    """Whether a file is called a list of a part's photographs, as test.txt or split.json."""
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    words = {word.lower() for word in _WORD.findall(stem)}
    return suffix.lower() in _LISTS and not words.isdisjoint(("split", "splits", *_PART_OF))


def names_a_mask(bare: str) -> bool:
    """Whether a path without suffix is called a mask, by its folder or by the end of its stem."""
    folders, _, stem = bare.rpartition("/")
    if _is_of_masks(folders):
        return True
    # Words are slow to tell, and of a million photographs nearly none end so.
    if not stem.rstrip("0123456789 _.-").lower().endswith(_MASK_WORDS):
        return False
    return _WORD.findall(stem)[-1].lower() in _MASK_WORDS


@functools.lru_cache(10_000)
def _is_of_masks(folders: str) -> bool:
    folder = without_part(f"{folders}/")[1].rstrip("/").rpartition("/")[2]
    role = _ROLES.fullmatch(folder)
    if role and not re.fullmatch(PHOTOGRAPHS, folder, re.IGNORECASE):
        return True
    return any(word.lower() in _MASK_WORDS for word in _WORD.findall(folder))
