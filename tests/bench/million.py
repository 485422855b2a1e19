"""A million photographs on paper: what resume check, merge and check cost, for docs/scale.md.

The files are real and small: a hundred 64-px photographs are inferred, then each photograph and
its map is hard-linked ten thousand times; ledgers, status tables and manifests are written as
a job array of a hundred tasks leaves them. What the bytes of real photographs cost to read
is no part of it. `python -m tests.bench.million COUNT` runs it alone.
"""

import hashlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import sha256_of
from fundusseg.files.encoders import picture_bytes
from fundusseg.files.ledger import STATE_FOLDER, LedgerFiles
from fundusseg.files.manifest import NAME, Part, read_manifest, write_manifest
from fundusseg.files.status import NAME as STATUS
from fundusseg.files.status import write_lines
from fundusseg.phantom.drawing import PhantomConfig, phantom
from fundusseg.processor import free_cores
from tests.batch import write_tiny_model
from tests.bench.processes import ROOT, Usage, measured
from tests.bench.tables import put_measured

COUNT = 1_000_000
PARTS = 100
ORIGINALS = 100
PER_FOLDER = 1000
TAB = "\t"


def main(count: int = COUNT) -> int:
    """Measure, print, and put the tables into docs/scale.md."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        finished_set(work, count)
        text = tables(work, count)
    put_measured(ROOT / "docs" / "scale.md", __spec__.name, text)
    print(text)
    return 0


def tables(work: Path, count: int) -> str:
    """Every command, run over the finished set."""
    photographs, maps, names = work / "photographs", work / "maps", work / "list"
    model = ("--model", work / "model")
    from_list = {"cwd": photographs, "stdin": names}
    task = ("--shard", PARTS // 2, "--num-shards", PARTS)
    first = ("--shard", 0, "--num-shards", count)
    runs = {}
    runs["merge MAPS"] = measured("merge", maps)
    merged = whole_hashes(maps)
    files = files_table(maps, names, count)  # a run without parts removes theirs
    runs["infer - MAPS < LIST"] = measured("infer", "-", maps, *model, **from_list)
    require_same(merged, maps)
    runs["infer PHOTOGRAPHS MAPS"] = measured("infer", photographs, maps, *model)
    require_same(merged, maps)
    runs["check MAPS"] = measured("check", maps)  # a task takes the whole's manifest away
    runs[f"the same from LIST as one task of {PARTS}"] = measured(
        "infer", "-", maps, *model, *task, **from_list
    )
    runs["a fresh task: infer - NEW < LIST, 1 photograph of its own"] = measured(
        "infer", "-", work / "new", *model, *first, **from_list
    )
    heading = (
        f"{count:,} photographs, finished by {PARTS} tasks; {free_cores()} cores free, "
        f"Python {platform.python_version()}. One run, nothing repeated."
    )
    return "\n\n".join([heading, runs_table(runs), files])


def finished_set(work: Path, count: int) -> None:
    """Write photographs, maps and all tables of a finished job array, and the list of names."""
    originals, records, one = originals_inferred(work, write_tiny_model(work / "model"))
    photographs, maps = work / "photographs", work / "maps"
    ids = [f"{n // PER_FOLDER:04d}/{n:07d}_21015_0_0" for n in range(count)]
    for folder in sorted({id.split("/")[0] for id in ids}):
        (photographs / folder).mkdir(parents=True)
        (maps / folder).mkdir(parents=True)
    for number, id in enumerate(ids):
        photograph, map = originals[number % ORIGINALS]
        os.link(photograph, f"{photographs}/{id}.png")
        os.link(map, f"{maps}/{id}.png")
    (work / "list").write_text("".join(f"{id}.png\n" for id in ids))
    for key in ("format", "version", "packages", "counts", "tables"):
        del one[key]
    one["ids_sha256"] = hashlib.sha256("\0".join(ids).encode()).hexdigest()
    for part in range(PARTS):
        numbers = range(part, count, PARTS)
        write_part(maps, part, [(ids[n], records[n % ORIGINALS]) for n in numbers], one)


def originals_inferred(work: Path, model: Path) -> tuple[list[tuple[Path, Path]], list, dict]:
    """A few photographs through the network: their files, ledger records and manifest."""
    photographs, maps = work / "originals", work / "originals-maps"
    photographs.mkdir()
    for number in range(ORIGINALS):
        drawn = phantom(PhantomConfig(size_px=64), number).photograph
        path = photographs / f"{number:03d}.png"
        path.write_bytes(picture_bytes(drawn, path.name))
    measured("infer", photographs, maps, "--model", model)
    finished = (record for record in LedgerFiles(maps) if "row" in record)
    records = sorted(finished, key=lambda record: record["key"])
    files = [(photographs / f"{n:03d}.png", maps / f"{n:03d}.png") for n in range(ORIGINALS)]
    return files, records, read_manifest(maps / NAME)


def write_part(maps: Path, part: int, members: list[tuple[str, dict]], one: dict) -> None:
    """What one task of the array leaves beside its maps.

    Args:
        members: id, and the record of the photograph that it is a link to.
        one: what the manifest of those photographs holds that is common to all parts.
    """
    task = Part(part, PARTS)
    rows, outputs, lines = [], {}, []
    for id, record in members:
        ((sha256, size_bytes),) = record["outputs"].values()
        rows.append(f"{id}\t{record['row'].partition(TAB)[2]}")
        made = {"outputs": {f"{id}.png": [sha256, size_bytes]}, "row": rows[-1]}
        folder = str(maps.parent / "photographs" / id.split("/")[0])
        lines.append(json.dumps({**record, **made, "key": id, "folder": folder}, sort_keys=True))
        outputs[f"{id}.png"] = sha256
    (maps / STATE_FOLDER).mkdir(exist_ok=True)
    ledger = maps / STATE_FOLDER / f"{task.named('ledger')}.jsonl"
    ledger.write_text("".join(f"{line}\n" for line in lines))
    table = task.named(STATUS)
    write_lines(maps / table, rows)
    counts = {"photographs": len(rows), "failed": 0}
    more = {key: value for key, value in one.items() if key not in ("stage", "config")}
    write_manifest(
        maps, "infer", one["config"], outputs, part=task, counts=counts, tables=[table], **more
    )


def whole_hashes(maps: Path) -> list[str]:
    """Of the tables and the manifest of the whole."""
    return [sha256_of(maps / name) for name in (STATUS, CHECKSUMS, NAME)]


def require_same(merged: list[str], maps: Path) -> None:
    """Raise if a run without parts wrote other bytes than merge did."""
    if whole_hashes(maps) != merged:
        raise RuntimeError(f"{maps}: a run without parts gives other bytes than merge")


def runs_table(runs: dict[str, Usage]) -> str:
    """One row a command."""
    lines = ["| command | wall s | CPU s | peak memory, MiB |", "|---|---|---|---|"]
    for command, used in runs.items():
        name = command.replace("<", "\\<")
        lines.append(f"| {name} | {used.wall_s:.1f} | {used.cpu_s:.1f} | {used.peak_mib:.0f} |")
    return "\n".join(lines)


def files_table(maps: Path, names: Path, count: int) -> str:
    """One row a kind of file that is no image."""
    kinds = {
        "list on stdin": [names],
        "status.tsv": [maps / STATUS],
        "SHA256SUMS": [maps / CHECKSUMS],
        "manifest.json": [maps / NAME],
        "ledgers of the parts": list((maps / STATE_FOLDER).glob("ledger*.jsonl")),
        "status tables of the parts": list(maps.glob("status-*.tsv")),
        "checksums of the parts": list(maps.glob("SHA256SUMS-*")),
        "manifests of the parts": list(maps.glob("manifest-*.json")),
    }
    lines = ["| files | number | MB | bytes a photograph |", "|---|---|---|---|"]
    for kind, paths in kinds.items():
        size = sum(path.stat().st_size for path in paths)
        lines.append(f"| {kind} | {len(paths)} | {size / 1e6:.0f} | {size / count:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
