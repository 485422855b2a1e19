"""merge: the parts that a job array left become one status table and one manifest."""

import itertools
import re
from pathlib import Path

from fundusseg import ui
from fundusseg.errors import EXIT_OK, InputError, UsageError
from fundusseg.io.manifest import PART_NAME, manifest_name, merged, read_manifest, write_manifest
from fundusseg.io.status import id_bytes, read_lines, status_name, write_lines


def run_merge(out: Path) -> int:
    """Join manifest-K-of-N.json (and status-K-of-N.tsv) of all K in the folder `out`.

    The results are the bytes that one run without parts would have written.

    Raises:
        UsageError: if there is no such folder.
        InputError: if there are no parts, or those of two numbers, if a part is missing, or
            parts do not fit together.
    """
    if not out.is_dir():
        raise UsageError(f"{out}: is no folder")
    total = _number_of_parts(out)
    paths = [out / manifest_name(part, total) for part in range(total)]
    headers = [read_manifest(path, tables=()) for path in paths if path.is_file()]
    missing = [path.name for path in paths if not path.is_file()]
    stage = headers[0]["stage"]
    tables = [out / status_name(part, total) for part in range(total)] if stage == "infer" else []
    missing += [path.name for path in tables if not path.is_file()]
    if missing:
        remedy = "run those parts again, then merge"
        raise InputError(out, f"{', '.join(missing)} missing of {total} parts", remedy)
    merged(headers, paths)  # that they fit together is known before anything is written
    if tables:
        lines = sorted(itertools.chain.from_iterable(map(read_lines, tables)), key=id_bytes)
        write_lines(out / status_name(), lines)
        del lines
    whole = merged(map(read_manifest, paths), paths)
    write_manifest(out / manifest_name(), whole)
    counts = whole["counts"]
    ui.log.info(
        "%s: %d parts, %d outputs, %d failed", out, total, counts["outputs"], counts["failed"]
    )
    return EXIT_OK


def _number_of_parts(out: Path) -> int:
    """N, from the names of the parts; of two numbers, one is older, and names do not tell which."""
    names = [
        re.fullmatch(PART_NAME, path.name) for path in sorted(out.glob("manifest-*-of-*.json"))
    ]
    totals = sorted({int(match["total"]) for match in names if match})
    if not totals:
        raise InputError(
            out, "holds no parts (manifest-K-of-N.json)", "run infer or prep with --shard"
        )
    if len(totals) > 1:
        problem = f"holds parts of {' and of '.join(map(str, totals))}"
        remedy = "run those that count again, or remove the manifest-K-of-N.json of the others"
        raise InputError(out, problem, remedy)
    return totals[0]
