"""Names of a synthetic data set's files, in the layouts that `layouts` reads."""

from dataclasses import dataclass

TEST_FRACTION = 0.25
_HRF_GROUPS = ("h", "dr", "g")
_FIVES_GROUPS = "ADGN"


@dataclass(frozen=True)
class PhantomNames:
    """Paths relative to the data set's folder; None where the layout has no such file."""

    photograph: str
    mask: str
    mask2: str | None
    fov: str | None


def phantom_names(layout: str, number: int, count: int) -> PhantomNames:
    """The files of phantom `number` (from 0) of `count` in a layout.

    The last quarter is the test part, where the layout has folders for it.
    """
    is_test = number >= count - round(TEST_FRACTION * count)
    part = "test" if is_test else "train"
    return _NAMERS[layout](number, part)


def _pairs(number: int, part: str) -> PhantomNames:
    stem = f"{part}/{{}}/phantom-{number + 1:04d}.png".format
    return PhantomNames(stem("images"), stem("masks"), stem("masks2"), stem("fov"))


def _fives(number: int, part: str) -> PhantomNames:
    stem = f"{number + 1}_{_FIVES_GROUPS[number % 4]}.png"
    return PhantomNames(f"{part}/Original/{stem}", f"{part}/Ground truth/{stem}", None, None)


def _drive(number: int, part: str) -> PhantomNames:
    folder = "training" if part == "train" else "test"
    stem = f"{number + 1:02d}"
    return PhantomNames(
        f"{folder}/images/{stem}_{folder}.tif",
        f"{folder}/1st_manual/{stem}_manual1.gif",
        f"{folder}/2nd_manual/{stem}_manual2.gif",
        f"{folder}/mask/{stem}_{folder}_mask.gif",
    )


def _chase(number: int, part: str) -> PhantomNames:
    stem = f"Image_{number // 2 + 1:02d}{'LR'[number % 2]}"
    return PhantomNames(f"{stem}.jpg", f"{stem}_1stHO.png", f"{stem}_2ndHO.png", None)


def _stare(number: int, part: str) -> PhantomNames:
    stem = f"im{number + 1:04d}"
    return PhantomNames(
        f"stare-images/{stem}.ppm", f"labels-ah/{stem}.ah.ppm", f"labels-vk/{stem}.vk.ppm", None
    )


def _hrf(number: int, part: str) -> PhantomNames:
    stem = f"{number // 3 + 1:02d}_{_HRF_GROUPS[number % 3]}"
    return PhantomNames(f"images/{stem}.jpg", f"manual1/{stem}.tif", None, f"mask/{stem}_mask.tif")


def _les_av(number: int, part: str) -> PhantomNames:
    stem = f"{number + 1}"
    return PhantomNames(
        f"images/{stem}.png", f"vessel-segmentations/{stem}.png", None, f"masks/{stem}_mask.gif"
    )


_NAMERS = {
    "pairs": _pairs,
    "fives": _fives,
    "drive": _drive,
    "chase": _chase,
    "stare": _stare,
    "hrf": _hrf,
    "les-av": _les_av,
}
