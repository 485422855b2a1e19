"""Many small photographs through a tiny network, for docs/scale.md: nothing grows with the number.

In one run; then a twentieth of them, one in a hundred cut off, in one run and as fifty parts, which
one process makes in turn. Photographs of 64 px, a hundred of them hard-linked, where TMPDIR says.
`python -m tests.bench.load COUNT` runs it alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import read_checksums
from fundusseg.files.encoders import picture_bytes
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.status import FAILED, OK, read_status
from fundusseg.files.status import NAME as STATUS
from fundusseg.phantom.drawing import PhantomConfig, phantom
from tests.batch import write_tiny_model
from tests.bench.processes import ROOT
from tests.bench.tables import put_measured, table

COUNT = 200_000
PARTS = 50
ORIGINALS = 100
PER_FOLDER = 1000
PHOTOGRAPH_PX = 64
BAD_EVERY = 100
LEAST = 200  # of those with bad ones among them
WARM = 0.2  # of a run's time, after which it should hold all that it needs
SAMPLE_S = 1
_COLUMNS = ("run", "photographs", "wall s", "CPU s", "memory, MiB", "files open", "rows", "maps")


@dataclass(frozen=True)
class Watched:
    """A process that ended. rss_mib, n_files: as (most until it was warm, most after)."""

    code: int
    wall_s: float
    cpu_s: float
    rss_mib: tuple[float, float]
    n_files: tuple[int, int]


def main(count: int = COUNT) -> int:
    """Measure, print, and put the table into docs/scale.md."""
    with tempfile.TemporaryDirectory() as folder:
        text = table("", _COLUMNS, [*_rows(Path(folder), count)])
    put_measured(ROOT / "docs" / "scale.md", __spec__.name, text)
    print(text)
    return 0


def _rows(work: Path, count: int) -> Iterator[tuple[str, ...]]:
    model = write_tiny_model(work / "model", frame_px=(PHOTOGRAPH_PX,))
    few = max(count // 20, LEAST)
    all_in, with_bad = work / "all", work / "bad"
    _write(work, all_in, count)
    _write(work, with_bad, few, BAD_EVERY)
    once, parts, of_bad = (work / f"maps-{name}" for name in ("once", "parts", "bad"))

    def infer(photographs: Path, maps: Path, *words) -> list:
        return ["infer", photographs, maps, "--model", model, "--jobs", 1, "--quiet", *words]

    yield _row("one run", count, watched([infer(all_in, once)]), once)
    tasks = [
        infer(with_bad, parts, "--shard", part, "--num-shards", PARTS) for part in range(PARTS)
    ]
    tried = watched([*tasks, ["merge", parts, "--quiet"]])
    yield _row(f"{PARTS} parts, and merge; 1 % cut off", few, tried, parts)
    yield _row("one run; 1 % cut off", few, watched([infer(with_bad, of_bad)]), of_bad)
    for name in (STATUS, CHECKSUMS, MANIFEST):
        if (parts / name).read_bytes() != (of_bad / name).read_bytes():
            raise RuntimeError(f"{name} of the parts is not that of one run")


def _write(work: Path, root: Path, count: int, bad_every: int = 0) -> None:
    """Write photographs, in folders of a thousand; of so many one is cut off."""
    originals = work / f"originals-{root.name}"
    originals.mkdir()
    for number in range(ORIGINALS):
        drawn = phantom(PhantomConfig(size_px=PHOTOGRAPH_PX), number).photograph
        data = picture_bytes(drawn, "x.png")
        is_bad = bad_every and number % bad_every == 0
        (originals / f"{number}.png").write_bytes(data[: len(data) // 2] if is_bad else data)
    for number in range(count):
        path = root / f"{number // PER_FOLDER:04d}" / f"{number:07d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(originals / f"{number % ORIGINALS}.png", path)


_IN_TURN = """
import json, sys
from fundusseg import cli
sys.exit(max(cli.main(words) for words in json.loads(sys.argv[1])))
"""


def watched(lines: list[list]) -> Watched:
    """Run command lines in turn in one process; look each second at its memory and open files."""
    words = json.dumps([list(map(str, line)) for line in lines])
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", _IN_TURN, words], cwd=ROOT)
    samples: list[tuple[float, float, int]] = []
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        samples.append((time.monotonic() - began, *_now(process.pid)))
        time.sleep(SAMPLE_S)
    wall_s = time.monotonic() - began
    cut = sum(at <= WARM * wall_s for at, *_ in samples) or 1
    rss, files = ([sample[n] for sample in samples] for n in (1, 2))
    return Watched(
        os.waitstatus_to_exitcode(status),
        wall_s,
        usage.ru_utime + usage.ru_stime,
        (max(rss[:cut]), max(rss[cut:], default=0.0)),
        (max(files[:cut]), max(files[cut:], default=0)),
    )


def _now(pid: int) -> tuple[float, int]:
    """Resident memory in MiB, and the number of open files; 0 of a process that has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, IndexError):
        return 0.0, 0


def _row(name: str, count: int, run: Watched, maps: Path) -> tuple[str, ...]:
    """A row of the table; RuntimeError if a photograph has no row, or a map is not there."""
    rows = Counter(row.status for row in read_status(maps / STATUS))
    names = [name for name, _ in read_checksums(maps / CHECKSUMS)]
    if rows.total() != count or not all((maps / name).is_file() for name in names):
        raise RuntimeError(f"{name}: {rows} of {count} photographs")
    if run.code != (3 if rows[FAILED] else 0) or len(names) != rows[OK]:
        raise RuntimeError(f"{name}: exit {run.code}, {len(names)} maps")
    return (
        name,
        f"{count:,}",
        f"{run.wall_s:,.0f}",
        f"{run.cpu_s:,.0f}",
        f"{run.rss_mib[0]:.0f}, then {run.rss_mib[1]:.0f}",
        f"{run.n_files[0]}, then {run.n_files[1]}",
        f"{rows[OK]:,} ok, {rows[FAILED]:,} failed",
        f"{len(names):,}",
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
