"""score: vessel maps against manual masks; a table on stdout and, on request, a report."""

import sys
from contextlib import nullcontext
from pathlib import Path

from fundusseg import ui
from fundusseg.datasets.folders import walk
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, UsageError
from fundusseg.evaluation import cache
from fundusseg.evaluation.matching import of_other_photographs
from fundusseg.evaluation.protocol import remarks
from fundusseg.evaluation.report import PRINTED, TEXTS, Report, write_report
from fundusseg.evaluation.scoring import Evaluation, evaluated
from fundusseg.evaluation.study import open_study
from fundusseg.evaluation.systems import MAPS
from fundusseg.files.atomic import filled_folder
from fundusseg.files.lock import shared
from fundusseg.files.manifest import NAME, require_own_folder
from fundusseg.files.names import escaped
from fundusseg.files.text import read_text
from fundusseg.options import ScoreOptions
from fundusseg.report.markdown import named_in_a_line
from fundusseg.wording import counted


def run_score(preds: list[Path], truth: Path, options: ScoreOptions) -> int:
    """Score the maps in each of `preds` against `truth`, print the table, write the report.

    An image without a map, or whose map or mask cannot be read, costs only itself. A finished
    report of the same files and options is printed again, not computed again.

    Returns:
        The exit code: 3 if a map is missing or failed.

    Raises:
        FundussegError: if a folder or an option cannot be used as a whole, or a stop is asked for.
    """
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise UsageError(f"--threshold is {options.threshold}; it must be from 0 to 1")
    out = options.out
    _require_apart(preds, truth, out)
    if out is not None:
        require_own_folder(out, "score")
        cache.require_own_ledger(out)
    paths = _walked(preds, truth, options)
    if out is not None:
        of_inputs = cache.fingerprint(preds, truth, options, paths)
        stored = None if options.force else cache.stored_exit_code(out, of_inputs)
        if stored is not None:
            ui.log.info("%s is finished", out)
            sys.stdout.write(read_text(out / PRINTED[options.json]))
            return stored
        of_settings = cache.settings_hash(preds, truth, out, options)
        if not options.force:
            cache.require_same_settings(out, of_settings)
            cache.require_own_files(out, (*TEXTS, NAME))
    study = open_study(preds, truth, options, paths)
    with nullcontext() if out is None else filled_folder(out):
        report = Report(evaluated(study))
    code = _printed(report)
    if out is not None:
        with shared(out, of_settings):
            if not options.force:  # another run may have finished since it was looked at
                cache.require_same_settings(out, of_settings)
            cache.store(out, of_inputs, write_report(report, out), code, of_settings)
        ui.log.info("%s: report.md, and report.html to mail", out)
    return code


def _require_apart(preds: list[Path], truth: Path, out: Path | None) -> None:
    """Warn of masks scored against themselves; raise UsageError if the report would lie in them."""
    places = {path.resolve() for path in preds}
    if truth.resolve() in places:
        ui.log.warning("%s: is PRED and TRUTH, so it is compared with itself", truth)
    if out is not None and out.resolve() in places | {truth.resolve()}:
        raise UsageError(f"{out}: is PRED or TRUTH; choose a folder of its own for the report")


def _walked(preds: list[Path], truth: Path, options: ScoreOptions) -> dict[Path, list[str]]:
    """The files below each folder that is read; what is no folder is refused where it is opened."""
    folders = dict.fromkeys([*preds, truth, *filter(None, [options.fov])])
    return {folder: walk(folder, options.out) for folder in folders if folder.is_dir()}


def _printed(report: Report) -> int:
    """Print the table, and what was left out; the exit code."""
    sys.stdout.write(report.printed(report.evaluation.options.json))
    return _concluded(report.evaluation)


def _concluded(evaluation: Evaluation) -> int:
    """Warn of what was left out, and choose the exit code."""
    items, warning = evaluation.items, ui.log.warning
    pairs = zip(items, evaluation.sizes, strict=True)
    unusable = {item.id for item, size in pairs if size is None}
    if unusable:
        of = f"{len(unusable)} of {counted(len(items), 'mask')}"
        warning("%s: not usable: %s, as %s", evaluation.truth.root, of, evaluation.truth_errors[0])
    for pairing in evaluation.pairings:
        root = pairing.folder.root
        reasons = evaluation.faults[pairing.label].items()
        faults = {escaped(id): escaped(reason) for id, reason in reasons if id not in unusable}
        if faults:
            of = f"{len(faults)} of {counted(len(items), 'image')}"
            names, first = named_in_a_line(list(faults)), next(iter(faults.values()))
            warning("%s: %s without a usable map: %s; the first %s", root, of, names, first)
        for ids, told in (
            (pairing.without_truth, "without a truth"),
            (pairing.folder.unlisted, "not scored, as its status.tsv does not list what is gone"),
            (
                of_other_photographs(pairing, evaluation.truth),
                "made from other bytes than the truth's photograph of that name has",
            ),
        ):
            if ids:
                names = named_in_a_line([escaped(id) for id in ids])
                warning("%s: %s %s: %s", root, counted(len(ids), "map"), told, names)
        for remark in remarks(evaluation, pairing):
            warning("%s: %s", root, remark)
    for system in evaluation.systems:
        if system.role != MAPS:
            continue
        if evaluation.options.threshold is not None and system.is_binary:
            warning("%s: has binary maps: --threshold does not apply", system.label)
        if system.pool.counts.tp == 0 < system.pool.counts.fn:
            text = "%s: no map hits a vessel; is full scale what is certain, and are they its maps?"
            warning(text, system.label)
    return EXIT_SOME_FAILED if any(evaluation.faults.values()) else EXIT_OK
