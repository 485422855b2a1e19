"""merge: the parts that a job array left become one status table and one manifest."""

import heapq
from pathlib import Path

from fundusseg import ui
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UsageError
from fundusseg.files import checksums, manifest, status
from fundusseg.files.atomic import sweep
from fundusseg.files.manifest import Part, merge_manifests, part_totals, read_manifest
from fundusseg.files.row_table import merge_tables
from fundusseg.wording import counted


def run_merge(out: Path) -> int:
    """Join manifest-K-of-N.json and its tables of all K in the folder `out`, or a table's parts.

    The results are the bytes that one run without parts would have written. What an array of one
    task wrote is whole already.

    Returns:
        The exit code: 3 if some photographs failed.

    Raises:
        UsageError: if there is no such folder.
        InputError: if there are no parts, or those of two numbers, if a part is missing, or
            parts do not fit together.
    """
    if not out.is_dir():
        return _merged_table(out)
    sweep(out)
    if (out / manifest.NAME).is_file() and not part_totals(out):
        counts = read_manifest(out / manifest.NAME)["counts"]
        ui.log.info("%s: is whole, and has no parts to merge", out)
        return EXIT_SOME_FAILED if counts.get("failed") else EXIT_OK
    parts = _parts(out)
    tables = _tables(out, parts)
    if tables:
        rows = (status.read_lines(out / part.named(status.NAME)) for part in parts)
        status.write_lines(out / status.NAME, heapq.merge(*rows, key=status.id_bytes))
    counts = merge_manifests(out, len(parts), tables)
    photographs = counted(counts["photographs"], "photograph")
    said = (out, counted(len(parts), "part"), photographs, counts["failed"])
    ui.log.info("%s: %s, %s, %d failed", *said)
    return EXIT_SOME_FAILED if counts["failed"] else EXIT_OK


def _merged_table(out: Path) -> int:
    """Join NAME-K-of-N.csv of all K, which measure wrote, to NAME.csv."""
    has_parts = out.parent.is_dir() and part_totals(out.parent, out.name)
    if not out.is_file() and not has_parts:
        raise UsageError(f"{out}: is no folder, and no table that measure wrote in parts")
    rows, failed = merge_tables(out)
    ui.log.info("%s: %s, %d failed", out, counted(rows, "row"), failed)
    return EXIT_SOME_FAILED if failed else EXIT_OK


def _parts(out: Path) -> list[Part]:
    """All parts, in order; of two numbers, one is older, and names do not tell which."""
    totals = part_totals(out)
    if not totals:
        problem = "holds no parts (manifest-K-of-N.json)"
        raise InputError(out, problem, "run infer or prep with --shard")
    if len(totals) > 1:
        problem = f"holds parts of {' and of '.join(map(str, totals))}"
        remedy = "run those that count again, or remove the manifest-K-of-N.json of the others"
        raise InputError(out, problem, remedy)
    return [Part(number, totals[0]) for number in range(totals[0])]


def _tables(out: Path, parts: list[Part]) -> list[str]:
    """The tables that the whole has beside its checksums, once every part has all of its own.

    Raises:
        InputError: naming the files that are missing, or a part that does not fit.
    """
    names = [part.named(manifest.NAME) for part in parts]
    manifests = [read_manifest(out / name) for name in names if (out / name).is_file()]
    tables = [status.NAME] if manifests[0]["stage"] == "infer" else []
    needed = [manifest.NAME, *tables, checksums.NAME]
    wanted = [part.named(name) for name in needed for part in parts]
    if missing := [name for name in wanted if not (out / name).is_file()]:
        problem = f"{', '.join(missing)} missing of {counted(len(parts), 'part')}"
        raise InputError(out, problem, "run those parts again, then merge")
    manifest.require_alike(out, parts, manifests)
    for values in manifests:
        manifest.require_tables(out, values)
    return tables
