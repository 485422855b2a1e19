"""What infer says on stdout: the plan of --dry-run, and the summary of --json."""

import json
from collections.abc import Iterator, Sequence

from fundusseg.commands.infer.output_folder import OutputFolder
from fundusseg.datasets.sources import Source, Sources
from fundusseg.files.names import escaped

FORMAT, VERSION = "fundusseg-infer", 1


def plan(mine: Sequence[Source], inputs: Sources, folder: OutputFolder) -> Iterator[str]:
    """A line for each photograph, and for each other file: what becomes of it, and why."""
    yield "name\twhat\twhy\n"
    for source in mine:
        yield _line(source.file, *_fate(source, folder))
    for left_out in inputs.left_out:
        for path in left_out.paths:
            yield _line(path, "passed over", left_out.what)


def summary(mine: Sequence[Source], inputs: Sources, folder: OutputFolder) -> Iterator[str]:
    """One JSON object: counts of what was asked for (of a part, in it), and where the rest stands.

    made, left: of this run; --dry-run makes none.
    """
    n_before, n_failed, n_known = map(len, (folder.earlier.finished, folder.failures, folder.known))
    n_made = len(folder.made)
    told = {
        "format": FORMAT,
        "version": VERSION,
        "out": escaped(str(folder.root)),
        "dry_run": folder.options.dry_run,
        "photographs": len(mine),
        "finished_before": n_before,
        "made": n_made,
        "failed": n_failed - n_known,
        "failed_before": n_known,
        "left": len(mine) - n_before - n_made - n_failed,
        "changed": len(folder.earlier.changed),
        "gone": len(folder.earlier.stale),
        "passed_over": {left_out.what: len(left_out.paths) for left_out in inputs.left_out},
    }
    yield json.dumps(told, indent=1) + "\n"


def _fate(source: Source, folder: OutputFolder) -> tuple[str, str]:
    earlier = folder.earlier
    if source.id in earlier.finished:
        return "finished", ""
    if source.id in folder.known:
        return "failed", f"{folder.failures[source.id]} (--retry-failed tries it again)"
    if source.refusal:
        return "will fail", source.refusal
    if source.id in earlier.changed:
        return "to be made", "another photograph has taken the name"
    if source.id in earlier.failed:
        return "to be made", "failed before"
    return "to be made", ""


def _line(*cells: str) -> str:
    return "\t".join(map(escaped, cells)) + "\n"
