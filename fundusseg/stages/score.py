"""score: vessel maps against manual masks; a table on stdout and, if asked for, a report."""

import sys
from pathlib import Path

from fundusseg import ui
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, UsageError
from fundusseg.io.files import output_folder
from fundusseg.io.given_fields import GivenFields
from fundusseg.io.manifest import require_own_folder
from fundusseg.io.maps import MapFolder
from fundusseg.io.status import escaped
from fundusseg.io.tables import read_subjects
from fundusseg.io.truth import truth_of
from fundusseg.options import ScoreOptions
from fundusseg.parallel import free_cores
from fundusseg.report.markdown import named_in_a_line
from fundusseg.stages.scoring.floor import trained_floor
from fundusseg.stages.scoring.inputs import chosen_refs, labels_of, paired, strata
from fundusseg.stages.scoring.kept import fingerprint, keep, kept, require_own_ledger
from fundusseg.stages.scoring.output import Report, printed, write_report
from fundusseg.stages.scoring.run import Collected, Scorer, collected

__all__ = ["ScoreOptions", "run_score"]


def run_score(preds: list[Path], truth: Path, options: ScoreOptions) -> int:
    """Score the maps in each of `preds` against `truth`, print the table, write the report.

    An image without a map, or whose map or mask cannot be read, costs only itself. A finished
    report of the same files and options is printed again, not made again.

    Returns:
        The exit code: 3 if a map is missing or failed.

    Raises:
        FundussegError: if a folder or an option is wrong as a whole, or a stop is asked for.
    """
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise UsageError(f"--threshold is {options.threshold}; it must be from 0 to 1")
    if options.out is not None:
        require_own_folder(options.out, "score")
        require_own_ledger(options.out)
        mark = fingerprint(preds, truth, options)
        found = kept(options, mark) if options.out.is_dir() else None
        if found is not None:
            ui.log.info("%s is finished", options.out)
            sys.stdout.write(found[0])
            return found[1]
    scorer = opened(preds, truth, options)
    groups = strata(scorer.refs, options.groups)
    if options.out is not None:
        output_folder(options.out)
    results = collected(scorer, groups)
    report = Report(results)
    sys.stdout.write(printed(report, options.json))
    if options.out is not None:
        write_report(report, options.out)
    code = _concluded(results)
    if options.out is not None:
        keep(options.out, mark, code)
    return code


def opened(preds: list[Path], truth: Path, options: ScoreOptions) -> Scorer:
    """Open everything, choose the images and match the maps, before any is decoded.

    Only the floor's train images are read here, since its threshold is needed first.
    """
    subjects = read_subjects(options.subjects) if options.subjects else None
    source = truth_of(truth, options.at, options.layout, subjects, leave_out=options.out)
    split, refs = chosen_refs(source, options.split)
    if options.split == "default" and len(refs) < len(source.refs):
        counts = (truth, len(refs), len(source.refs))
        ui.log.info("%s: the test part, %d of %d images; --split all scores all", *counts)
    labels = labels_of(preds)
    pairings = tuple(
        paired(MapFolder(pred, leave_out=options.out), label, source, refs)
        for pred, label in zip(preds, labels, strict=True)
    )
    given_fields = GivenFields(options.fov, refs) if options.fov else None
    floor = trained_floor(source, refs, options.jobs or free_cores()) if options.floor else None
    return Scorer(source, split, tuple(refs), pairings, given_fields, floor, options)


def _concluded(results: Collected) -> int:
    """Tell what was left out, and choose the exit code."""
    for pairing in results.scorer.pairings:
        faults = [escaped(id) for id in results.faults[pairing.label]]
        if faults:
            ui.log.warning(
                "%s: %d of %d images without a usable map: %s",
                pairing.folder.root,
                len(faults),
                len(results.scorer.refs),
                named_in_a_line(faults),
            )
        if pairing.without_truth:
            ui.log.warning(
                "%s: %d maps have no truth: %s",
                pairing.folder.root,
                len(pairing.without_truth),
                named_in_a_line([escaped(id) for id in pairing.without_truth]),
            )
    return EXIT_SOME_FAILED if any(results.faults.values()) else EXIT_OK
