"""status: how far a run of infer is, while it is at work or after."""

import json
import sys
import time
from pathlib import Path

from fundusseg import ui
from fundusseg.errors import EXIT_OK, UsageError
from fundusseg.files.lock import in_use
from fundusseg.files.running import Run, read_runs
from fundusseg.options import StatusOptions
from fundusseg.wording import counted

FORMAT, VERSION = "fundusseg-status", 1
COLUMNS = ("part", "photographs", "finished", "failed", "left", "per_s", "state")
OVER, AT_WORK, STOPPED, NOT_BEGUN = "over", "at work", "stopped", "not begun"
_SILENT_S = 900


def run_status(out: Path, options: StatusOptions) -> int:
    """Print a line for each part of a run on stdout, or JSON, and on stderr what is left of all.

    Raises:
        UsageError: if there is no such folder.
        InputError: if infer has never begun there.
    """
    if not out.is_dir():
        raise UsageError(f"{out}: is no folder; give the OUT of infer")
    runs, is_held = read_runs(out), in_use(out)
    total = len(runs)
    rows = [
        {"part": f"{number} of {total}", **_figures(run), "state": _state(run, is_held)}
        for number, run in enumerate(runs)
    ]
    counts = {name: sum(row[name] or 0 for row in rows) for name in COLUMNS[1:5]}
    per_s = sum(row["per_s"] or 0 for row in rows if row["state"] == AT_WORK)
    left_s = counts["left"] / per_s if per_s else None
    all_parts = {**counts, "per_s": per_s or None, "left_s": left_s}
    if options.json:
        told = {"format": FORMAT, "version": VERSION, "parts": rows, "all": all_parts}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return EXIT_OK
    print(*COLUMNS, sep="\t")
    for row in rows:
        print(*("" if row[name] is None else row[name] for name in COLUMNS), sep="\t")
    more = f", {ui.span(left_s)} left" if left_s else ""
    missing = sum(row["state"] == NOT_BEGUN for row in rows)
    parts = f", not begun: {missing} of {counted(total, 'part')}" if missing else ""
    photographs = counted(counts["photographs"], "photograph")
    said = (out, counts["finished"], photographs, counts["failed"], more, parts)
    ui.log.info("%s: %d of %s finished, %d failed%s%s", *said)
    return EXIT_OK


def _figures(run: Run | None) -> dict:
    if run is None:
        return dict.fromkeys(COLUMNS[1:6])
    per_s = None if run.per_s is None else round(run.per_s, 3)
    figures = (run.asked, run.finished, run.failed, run.left, per_s)
    return dict(zip(COLUMNS[1:6], figures, strict=True))


def _state(run: Run | None, is_held: bool) -> str:
    """The lock tells that some part is at work; one that has long said nothing is none of them."""
    if run is None:
        return NOT_BEGUN
    if run.is_over:
        return OVER
    is_silent = time.time() - run.last_s > _SILENT_S
    return AT_WORK if is_held and not is_silent else STOPPED
