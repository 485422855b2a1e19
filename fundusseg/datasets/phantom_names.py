"""Names of a synthetic data set's files, in the layouts that `layouts` reads."""

from dataclasses import dataclass

from fundusseg.errors import UsageError

TEST_FRACTION = 0.25
# Of photograph, mask, second mask and field of view, "" for none; number is from 1.
_NAMES: dict[str, tuple[str, ...]] = {
    "pairs": tuple(f"{{part}}/{role}/{{file}}" for role in ("images", "masks", "masks2", "fov")),
    "fives": (
        "{part}/Original/{number}_{disease}.png",
        "{part}/Ground truth/{number}_{disease}.png",
        "",
        "",
    ),
    "drive": (
        "{drive_part}/images/{number:02d}_{drive_part}.tif",
        "{drive_part}/1st_manual/{number:02d}_manual1.gif",
        "{drive_part}/2nd_manual/{number:02d}_manual2.gif",
        "{drive_part}/mask/{number:02d}_{drive_part}_mask.gif",
    ),
    "chase": ("{eye}.jpg", "{eye}_1stHO.png", "{eye}_2ndHO.png", ""),
    "stare": (
        "stare-images/im{number:04d}.ppm",
        "labels-ah/im{number:04d}.ah.ppm",
        "labels-vk/im{number:04d}.vk.ppm",
        "",
    ),
    "hrf": ("images/{person}.jpg", "manual1/{person}.tif", "", "mask/{person}_mask.tif"),
    "les-av": (
        "images/{number}.png",
        "vessel-segmentations/{number}.png",
        "",
        "masks/{number}_mask.gif",
    ),
}
_MOST = {"hrf": 3 * 99, "stare": 9999}  # photographs, by the digits that their names have


@dataclass(frozen=True)
class PhantomNames:
    """Paths relative to the data set's folder; None where the layout has no such file."""

    photograph: str
    mask: str
    mask2: str | None
    fov: str | None


def phantom_names(layout: str, place: int, count: int) -> PhantomNames:
    """The files of phantom `place` (from 0) of `count` in a layout.

    The last quarter is the test part, where the layout has folders for it.
    """
    is_test = place >= count - round(TEST_FRACTION * count)
    words = {
        "number": place + 1,
        "file": f"phantom-{place + 1:04d}.png",
        "part": "test" if is_test else "train",
        "drive_part": "test" if is_test else "training",
        "disease": "ADGN"[place % 4],
        "eye": f"Image_{place // 2 + 1:02d}{'LR'[place % 2]}",
        "person": f"{place // 3 + 1:02d}_{('h', 'dr', 'g')[place % 3]}",
    }
    photograph, mask, mask2, fov = (name.format(**words) for name in _NAMES[layout])
    return PhantomNames(photograph, mask, mask2 or None, fov or None)


def require_names(layout: str, count: int) -> None:
    """Raise UsageError if a layout has no names for so many photographs."""
    most = _MOST.get(layout, count)
    if count > most:
        raise UsageError(f"--count is {count}; the layout {layout} has names for {most}")
