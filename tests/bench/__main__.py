"""Measure, print, and write docs/bench.md.

`python -m tests.bench ways formats` measures only these sections, and prints them.
"""

import platform
import sys
import tempfile
from pathlib import Path

from fundusseg.files import encoders
from fundusseg.files.manifest import package_versions
from fundusseg.processor import free_cores, processor_name
from tests.bench import formats, infer, load, measure, million, network, startup, training
from tests.bench.photographs import data_set, noisy_maps, photographs_of
from tests.bench.processes import ROOT, measured
from tests.bench.tables import table

FORMAT_IMAGES = 4


class Bench:
    """The sections as they are measured, and what must hold: (what, goal, figure, is kept)."""

    def __init__(self, work: Path):
        self.work = work
        self.goals: list[tuple[str, str, str, str]] = []

    def infer(self) -> list[str]:
        """Steps and real runs on both sets."""
        sections = []
        for name in ("CHASE_DB1", "HRF"):
            section, holds = infer.infer_table(name, self.work)
            sections.append(section)
            self._goal(f"{name}: efficiency", holds["efficiency"], at_least=0.85)
            self._goal(f"{name}: CPU s to the sum of the steps", holds["cpu_to_steps"], 1.1)
            if name == "CHASE_DB1":
                self._goal(f"{name}: CPU s from file to PNG", holds["cpu_s"], 0.35)
            else:
                self._goal(f"{name}: peak memory, MiB", holds["peak_mib"], 1536)
        return sections

    def augmentation(self) -> list[str]:
        """Test-time augmentation."""
        return [infer.augmentation_table(self.work)]

    def startup(self) -> list[str]:
        """Start-up."""
        folder, _ = data_set("CHASE_DB1", self.work, infer.STAGE_IMAGES)
        section, ratio = startup.startup_table(photographs_of(folder, 1)[0], self.work)
        self._goal("start-up to import and weights", ratio, 1.3)
        return [section]

    def memory(self) -> list[str]:
        """Peak memory."""
        section, ratio = infer.memory_table(self.work)
        few, many = infer.MEMORY
        self._goal(f"peak memory of {many} to that of {few}", ratio, 1.1)
        return [section]

    def growth(self) -> list[str]:
        """Growth."""
        section, ratio = infer.growth_table(self.work)
        least, *_, most = infer.GROWTH
        self._goal(f"time an image at {most} to that at {least}", ratio, 1.05)
        return [section]

    def network(self) -> list[str]:
        """The generator against matrix products."""
        found = network.rate()
        ratio = found["generator"] / found["product"]
        self._goal("network's GFLOP/s to those of matrix products", ratio, at_least=0.4)
        rows = [
            (f"the generator, a frame of {network.FRAME_PX} px, GFLOP", f"{found['gflop']:.1f}"),
            ("the generator, GFLOP/s", f"{found['generator']:.0f}"),
            (f"products of {network.MATRIX}-wide matrices, GFLOP/s", f"{found['product']:.0f}"),
            ("ratio", f"{ratio:.2f}"),
        ]
        text = "One thread, the automatic precision, in turns, medians, by processor time."
        return [table("## The network against the processor", ("", ""), rows, text)]

    def ways(self) -> list[str]:
        """Ways to run the network."""
        return [network.ways_table()]

    def training(self) -> list[str]:
        """Input pipeline against step."""
        section, ratio = training.training_table()
        self._goal("input pipeline to training step, samples/s", ratio, at_least=4)
        return [section]

    def formats(self) -> list[str]:
        """Encoders and decoders."""
        found = {
            name: photographs_of(data_set(name, self.work, infer.STAGE_IMAGES)[0], FORMAT_IMAGES)
            for name in ("CHASE_DB1", "HRF")
        }
        infer.copies(found["CHASE_DB1"], self.work / "encoded", FORMAT_IMAGES)
        maps = self.work / "encoded-maps"
        measured("infer", self.work / "encoded", maps, "--probability", "--overlay")
        return [formats.png_table(maps), formats.decoding_table(found)]

    def score(self) -> list[str]:
        """score on HRF at native size, all metrics, plots and gallery."""
        folder, source = data_set("HRF", self.work, infer.STAGE_IMAGES)
        maps = noisy_maps(folder, self.work / "noisy-maps")
        used = measured("score", maps, folder, "--split", "all", "--out", self.work / "score")
        count = len(list(maps.rglob(f"*{encoders.PROBABILITY_SUFFIX}")))
        rows = [
            (source, f"{count}", f"{used.wall_s:.0f}", f"{used.cpu_s:.0f}", f"{used.peak_mib:.0f}")
        ]
        columns = ("set", "images", "wall s", "CPU s", "peak MiB")
        return [table("## score at native size, all metrics and plots", columns, rows)]

    def measure(self) -> list[str]:
        """measure on HRF's maps, and merge of its tables."""
        section, used, growth = measure.measure_table(self.work)
        self._goal(f"measure: wall s of {measure.MAPS} HRF maps", used.wall_s, 120)
        self._goal(f"measure: peak memory of all to that of {measure.FEW}", growth, 1.1)
        merging, merged = measure.merge_table(self.work)
        self._goal(f"merge: wall s of {measure.ROWS:,} rows of measures", merged.wall_s, 10)
        return [section, merging]

    def million(self) -> list[str]:
        """A finished set of a million photographs, to a page of its own."""
        million.main()
        return []

    def load(self) -> list[str]:
        """Many small photographs, to the same page."""
        load.main()
        return []

    def _goal(
        self, what: str, figure: float, at_most: float = 0.0, at_least: float | None = None
    ) -> None:
        is_kept = figure <= at_most if at_least is None else figure >= at_least
        goal = f"at most {at_most:g}" if at_least is None else f"at least {at_least:g}"
        shown = f"{figure:.0f}" if figure >= 100 else f"{figure:.2f}"
        self.goals.append((what, goal, shown, "yes" if is_kept else "no"))


SECTIONS = (
    "infer augmentation startup memory growth network ways training formats score measure"
    " million load"
).split()


def main(words: list[str]) -> int:
    """Measure all sections, or those named; `FUNDUSSEG_DATA` is the folder of real data sets."""
    unknown = sorted(set(words) - set(SECTIONS))
    if unknown:
        print(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
        return 2
    sections = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for name in words or SECTIONS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            sections += getattr(bench, name)()
    goals = table("## What must hold", ("", "goal", "measured", "kept"), bench.goals)
    text = "\n\n".join([heading(), *([goals] if bench.goals else []), *sections]) + "\n"
    if not words:
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
        f"`make bench`: {processor_name()}, {free_cores()} cores free, Python "
        f"{platform.python_version()}, {packages}. Where nothing else is said, one run, nothing "
        "repeated; other work on the machine may have slowed it. CPU s are processor seconds of "
        "all threads. What follows from it: docs/speed.md."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
