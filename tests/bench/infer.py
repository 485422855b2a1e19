"""infer as a whole: its efficiency, memory and growth, and what test-time augmentation costs."""

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path

from fundusseg.files.encoders import picture_bytes
from fundusseg.phantom.drawing import PhantomConfig, phantom
from fundusseg.processor import free_cores
from tests.batch import write_tiny_model
from tests.bench.photographs import data_set, photographs_of
from tests.bench.processes import ROOT, measured, steps_alone
from tests.bench.tables import table

STAGE_IMAGES = 8
FEW = 2
MANY = FEW + 12 * STAGE_IMAGES
MEMORY = (20, 200)
GROWTH = (100, 1000, 10_000)
GROWTH_START = 10
GROWTH_ROUNDS = 5


def infer_table(name: str, work: Path) -> tuple[str, dict[str, float]]:
    """Each step of infer alone, one thread, then the real run on all cores; and what must hold."""
    folder, source = data_set(name, work, STAGE_IMAGES)
    steps = steps_alone(photographs_of(folder, STAGE_IMAGES))
    few, many = work / f"{name}-few", work / f"{name}-many"
    copies(photographs_of(folder, STAGE_IMAGES), few, FEW)
    copies(photographs_of(folder, STAGE_IMAGES), many, MANY)
    start, run = measured("infer", few, work / "few"), measured("infer", many, work / "many")
    shutil.rmtree(work / "few")
    shutil.rmtree(work / "many")
    cpu_s = (run.cpu_s - start.cpu_s) / (MANY - FEW)
    wall_s = (run.wall_s - start.wall_s) / (MANY - FEW)
    total = sum(steps.values())
    holds = {
        "efficiency": total / (free_cores() * wall_s),
        "cpu_to_steps": cpu_s / total,
        "cpu_s": cpu_s,
        "peak_mib": run.peak_mib,
    }
    rows = [(step, f"{seconds:.3f}") for step, seconds in steps.items()]
    rows += [
        ("sum of the steps alone", f"{total:.3f}"),
        ("real run, CPU s, start-up aside", f"{cpu_s:.3f}"),
        ("real run, wall s, start-up aside", f"{wall_s:.3f}"),
        ("efficiency: sum / (cores x wall)", f"{holds['efficiency']:.2f}"),
        ("real run's CPU s / sum", f"{holds['cpu_to_steps']:.2f}"),
        (f"peak memory of {MANY} images, MiB", f"{run.peak_mib:.0f}"),
    ]
    return table(f"## infer, {source}, seconds per image", ("", name), rows), holds


def memory_table(work: Path) -> tuple[str, float]:
    """Peak memory of few and of many large photographs; and their ratio."""
    folder, source = data_set("HRF", work, STAGE_IMAGES)
    peaks = []
    for count in MEMORY:
        copies(photographs_of(folder, STAGE_IMAGES), work / "large", count)
        peaks.append(measured("infer", work / "large", work / "large-maps").peak_mib)
        shutil.rmtree(work / "large-maps")
    rows = [(f"{count}", f"{peak:.0f}") for count, peak in zip(MEMORY, peaks, strict=True)]
    text = f"{source}, all cores."
    return table("## Peak memory of infer", ("photographs", "MiB"), rows, text), peaks[1] / peaks[0]


def growth_table(work: Path) -> tuple[str, float]:
    """Tiny photographs through a tiny model: what the batch contract costs per image.

    Returns:
        The table, and the time per image of the largest run to that of the smallest.
    """
    model = write_tiny_model(work / "tiny-model")
    originals = []
    for number in range(4):
        originals.append(work / f"small-{number}.png")
        drawn = phantom(PhantomConfig(size_px=64), number).photograph
        originals[-1].write_bytes(picture_bytes(drawn, originals[-1].name))
    inputs, out = work / "small", work / "small-maps"
    starts, rows, between_maps, less_start = [], [], {}, {}
    for count in (*[GROWTH_START] * GROWTH_ROUNDS, *[GROWTH[0]] * (GROWTH_ROUNDS - 1), *GROWTH):
        copies(originals, inputs, count)
        shutil.rmtree(out, ignore_errors=True)
        first = measured("infer", inputs, out, "--model", model)
        if count == GROWTH_START:
            starts.append(first.wall_s)
            continue
        written = [path.stat().st_mtime for path in out.glob("*.png")]
        between_maps.setdefault(count, []).append((max(written) - min(written)) / (count - 1))
        less_start.setdefault(count, []).append(
            (first.wall_s - statistics.median(starts)) / (count - GROWTH_START)
        )
        if count == GROWTH[0] and len(between_maps[count]) < GROWTH_ROUNDS:
            continue
        again = measured("infer", inputs, out, "--model", model)
        rows.append(
            (
                f"{count}",
                f"{1000 * statistics.median(between_maps[count]):.2f}",
                f"{1000 * statistics.median(less_start[count]):.2f}",
                f"{first.peak_mib:.0f}",
                f"{again.wall_s:.2f}",
                f"{1000 * again.wall_s / count:.2f}",
                f"{again.peak_mib:.0f}",
            )
        )
    ratio = less_start[GROWTH[-1]][0] / statistics.median(between_maps[GROWTH[0]])
    columns = (
        "photographs",
        "first map to last, ms each",
        f"run less a run of {GROWTH_START}, ms each",
        "peak MiB",
        "second run, s",
        "ms each",
        "peak MiB",
    )
    text = (
        f"Start-up is a run of {GROWTH_START}, {statistics.median(starts):.2f} s, median of "
        f"{GROWTH_ROUNDS}; the run of {GROWTH[0]} too is a median of {GROWTH_ROUNDS}. All that a "
        f"run of {GROWTH[-1]} does beyond its start-up, each, is {ratio:.2f} times what passes "
        f"between two maps of a run of {GROWTH[0]}."
    )
    return table("## Growth: 64-px photographs, a tiny network", columns, rows, text), ratio


def augmentation_table(work: Path) -> str:
    """What test-time augmentation costs, and gains on the test part of CHASE_DB1."""
    folder, source = data_set("CHASE_DB1", work, STAGE_IMAGES)
    rows = []
    few, many = work / "CHASE_DB1-few", work / "CHASE_DB1-many"
    for inputs, count in ((few, FEW), (many, MANY)):
        copies(photographs_of(folder, STAGE_IMAGES), inputs, count)
    model = ("--model", "split")  # which has not seen the test part
    for name, option in (("without", ()), ("with", ("--test-time-augmentation",))):
        words = (*model, *option)
        start = measured("infer", few, work / f"few-{name}", *words)
        run = measured("infer", many, work / f"many-{name}", *words)
        maps = work / f"test-{name}"
        measured("infer", folder, maps, "--probability", *words)
        found = figures(maps, folder)
        rows.append(
            (
                name,
                f"{(run.wall_s - start.wall_s) / (MANY - FEW):.3f}",
                f"{(run.cpu_s - start.cpu_s) / (MANY - FEW):.3f}",
                *(f"{found[metric]:.4f}" for metric in ("dice", "cldice", "auroc")),
            )
        )
    columns = ("", "wall s an image", "CPU s an image", "Dice", "clDice", "AUROC")
    text = f"Figures: means over the test part of {source}, at its own size."
    return table("## infer --test-time-augmentation", columns, rows, text)


def figures(maps: Path, truth: Path) -> dict[str, float]:
    """Means over the images of the test part, from `score --json`."""
    words = ["score", str(maps), str(truth), "--split", "test", "--json", "--quiet"]
    done = subprocess.run(
        [ROOT / "bin" / "fundusseg", *words], check=True, stdout=subprocess.PIPE, text=True
    )
    rows = json.loads(done.stdout)["rows"]
    return {row["figure"]: row["mean"] for row in rows if row["role"] == rows[0]["role"]}


def copies(paths: list[Path], folder: Path, count: int) -> None:
    """A folder of `count` hard links (or copies) of photographs, in turn."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(count):
        source = paths[number % len(paths)]
        _link(source, folder / f"{number:05d}{source.suffix}")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
