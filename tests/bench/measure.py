"""measure on HRF's maps: time, and memory of few and of many; and merge of a large table."""

import csv
import shutil
from pathlib import Path

from fundusseg.files.encoders import PROBABILITY_SUFFIX
from fundusseg.files.manifest import Part
from tests.bench.photographs import data_set, noisy_maps
from tests.bench.processes import Usage, measured
from tests.bench.tables import table

SET = "HRF"
MAPS, FEW = 45, 6
ROWS, PARTS = 100_000, 10


def measure_table(work: Path) -> tuple[str, Usage, float]:
    """A section, what all maps took, and their peak memory over that of the few largest.

    So that what more memory there is comes of the number of maps, not of more vessels.
    """
    folder, source = data_set(SET, work, MAPS)
    maps = noisy_maps(folder, work / "noisy-maps")
    few = work / "few-maps"
    drawn = [path for path in maps.rglob("*.png") if not path.name.endswith(PROBABILITY_SUFFIX)]
    for path in sorted(drawn, key=lambda path: path.stat().st_size)[-FEW:]:
        for name in (path.name, path.stem + PROBABILITY_SUFFIX):
            copied = few / path.relative_to(maps).with_name(name)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path.with_name(name), copied)
    runs = {
        name: measured("measure", where, work / f"{where.name}.csv")
        for name, where in ((f"{FEW} maps", few), ("all maps", maps))
    }
    rows = [
        (f"{source}, {name}", f"{used.wall_s:.0f}", f"{used.cpu_s:.0f}", f"{used.peak_mib:.0f}")
        for name, used in runs.items()
    ]
    every = runs["all maps"]
    section = table("## measure", ("", "wall s", "CPU s", "peak MiB"), rows)
    return section, every, every.peak_mib / runs[f"{FEW} maps"].peak_mib


def merge_table(work: Path) -> tuple[str, Usage]:
    """A section, and what it takes to join the parts of a table of `ROWS` rows."""
    with (work / "few-maps.csv").open(newline="") as file:
        header, row, *_ = csv.reader(file)
    whole = work / "large.csv"
    for part in range(PARTS):
        path = whole.with_name(Part(part, PARTS).named(whole.name))
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([f"{n:06d}", *row[1:]] for n in range(part, ROWS, PARTS))
    used = measured("merge", whole)
    rows = [(f"{ROWS:,} rows of {PARTS} parts", f"{used.wall_s:.1f}", f"{used.peak_mib:.0f}")]
    return table("## merge of a table of measures", ("", "wall s", "peak MiB"), rows), used
