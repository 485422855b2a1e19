"""Measure, print, and write docs/bench.md."""

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from fundusseg.fundus.phantom import PhantomConfig, phantom
from fundusseg.io import images
from fundusseg.io.manifest import package_versions
from fundusseg.io.phantom_set import picture_bytes
from fundusseg.parallel import free_cores, processor
from tests.batch import write_tiny_model
from tests.bench.photographs import data_set, noisy_maps, photographs_of
from tests.bench.processes import ROOT, import_seconds, measured, steps_alone

STAGE_IMAGES = 8
SMALL_IMAGES = 10_000
GROWTH = (100, 1000, SMALL_IMAGES)


def main() -> int:
    """All tables, in one run; `FUNDUSSEG_DATA` names the folder of real data sets."""
    sections = [heading()]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("CHASE_DB1", "HRF"):
            sections.append(infer_table(name, work))
        sections.append(growth_table(work))
        sections.append(score_table(work))
    text = "\n\n".join(sections) + "\n"
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "bench.md").write_text(text)
    print(text)
    return 0


def heading() -> str:
    """What was measured on."""
    versions = package_versions()
    packages = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "numpy", "scipy"))
    return (
        "# Time and memory\n\n"
        f"`make bench`: {processor()}, {free_cores()} cores free, Python "
        f"{platform.python_version()}, {packages}. One run, nothing repeated; other work on the "
        "machine may have slowed it. CPU s are processor seconds of all threads."
    )


def infer_table(name: str, work: Path) -> str:
    """Each step of infer alone, one thread, then the real run on all cores."""
    folder, source = data_set(name, work, STAGE_IMAGES)
    steps = steps_alone(photographs_of(folder, STAGE_IMAGES))
    out = work / f"{name}-maps"
    few, many = work / "few", work / "many"
    copies(photographs_of(folder, STAGE_IMAGES), few, 2)
    copies(photographs_of(folder, STAGE_IMAGES), many, 2 + 3 * STAGE_IMAGES)
    start, run = measured("infer", few, out / "few"), measured("infer", many, out / "many")
    images_run = 3 * STAGE_IMAGES
    cpu_s, wall_s = (run.cpu_s - start.cpu_s) / images_run, (run.wall_s - start.wall_s) / images_run
    total = sum(steps.values())
    rows = [(step, f"{seconds:.3f}") for step, seconds in steps.items()]
    rows += [
        ("sum of the steps alone", f"{total:.3f}"),
        ("real run, CPU s, start-up aside", f"{cpu_s:.3f}"),
        ("real run, wall s, start-up aside", f"{wall_s:.3f}"),
        ("efficiency: sum / (cores x wall)", f"{total / (free_cores() * wall_s):.2f}"),
        ("real run of 2 images, wall s (start-up)", f"{start.wall_s:.2f}"),
        ("import tensorflow alone, wall s", f"{import_seconds('tensorflow'):.2f}"),
        (f"peak memory of {2 + images_run} images, MiB", f"{run.peak_mib:.0f}"),
    ]
    return table(f"## infer, {source}, seconds per image", ("", name), rows)


def copies(paths: list[Path], folder: Path, count: int) -> None:
    """A folder of `count` hard links (or copies) of photographs, in turn."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(count):
        source = paths[number % len(paths)]
        link(source, folder / f"{number:05d}{source.suffix}")


def link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def growth_table(work: Path) -> str:
    """Tiny photographs through a tiny model: what the batch contract costs per image."""
    model = write_tiny_model(work / "tiny-model")
    small = work / "small"
    small.mkdir()
    originals = []
    for number in range(4):
        originals.append(small / f"{number}.png")
        drawn = phantom(PhantomConfig(size_px=64), number).photograph
        originals[-1].write_bytes(picture_bytes(drawn, originals[-1].name))
    rows = []
    for count in GROWTH:
        copies(originals, work / "inputs", count)
        out = work / f"small-maps-{count}"
        first = measured("infer", work / "inputs", out, "--model", model)
        again = measured("infer", work / "inputs", out, "--model", model)
        rows.append(
            (
                f"{count}",
                f"{1000 * first.wall_s / count:.1f}",
                f"{first.peak_mib:.0f}",
                f"{again.wall_s:.2f}",
                f"{1000 * again.wall_s / count:.2f}",
                f"{again.peak_mib:.0f}",
            )
        )
    columns = (
        "photographs",
        "first run, ms each",
        "peak MiB",
        "second run, s",
        "ms each",
        "peak MiB",
    )
    return table("## Growth: 64-px photographs, a tiny network, start-up included", columns, rows)


def score_table(work: Path) -> str:
    """score on HRF at native size, all metrics, plots and gallery."""
    folder, source = data_set("HRF", work, STAGE_IMAGES)
    maps = noisy_maps(folder, work / "noisy-maps")
    used = measured("score", maps, folder, "--split", "all", "--out", work / "score")
    rows = [
        (
            source,
            str(len(list(maps.rglob(f"*{images.PROBABILITY_SUFFIX}")))),
            f"{used.wall_s:.0f}",
            f"{used.cpu_s:.0f}",
            f"{used.peak_mib:.0f}",
        )
    ]
    columns = ("set", "images", "wall s", "CPU s", "peak MiB")
    return table("## score at native size, all metrics and plots", columns, rows)


def table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table under a title."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, *rows)]
    lines.insert(1, "|" + "---|" * len(columns))
    return title + "\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
