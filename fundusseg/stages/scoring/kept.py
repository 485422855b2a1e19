"""What an earlier score of the same maps left: printed again, not computed again."""

from dataclasses import asdict
from pathlib import Path

from fundusseg.config import config_hash
from fundusseg.errors import InputError
from fundusseg.io.files import read_text, sha256_of
from fundusseg.io.layouts import walk
from fundusseg.io.ledger import Ledger, LedgerFiles, SourceStamp, outputs_stand
from fundusseg.io.manifest import NAME, package_versions
from fundusseg.io.status import status_name
from fundusseg.options import ScoreOptions
from fundusseg.stages.scoring.output import REPORT, REPORT_FILES, SUMMARY, TABLE_HEADING

_KEY = "score"
_NOT_ASKED = ("out", "json", "jobs", "force")  # of the options, what changes no figure


def fingerprint(preds: list[Path], truth: Path, options: ScoreOptions) -> str:
    """Over the options, the versions, and size and time of every file that could be read."""
    asked = {name: str(value) for name, value in asdict(options).items() if name not in _NOT_ASKED}
    given = [*preds, truth, *filter(None, (options.fov, options.groups, options.subjects))]
    stamps = [[str(path), _stamps(path, options.out)] for path in given]
    return config_hash({"options": asked, "stamps": stamps, "versions": package_versions()})


def kept(options: ScoreOptions, mark: str) -> tuple[str, int] | None:
    """What to print and the exit code, if the finished report in --out is of this `mark`."""
    record = Ledger(options.out).records.get(_KEY)
    if options.force or record is None or record["config"] != mark:
        return None
    if not outputs_stand(options.out, record["outputs"], verify=True):
        return None
    if options.json:
        return read_text(options.out / SUMMARY), record["exit_code"]
    return read_text(options.out / REPORT).split(TABLE_HEADING)[-1], record["exit_code"]


def require_own_ledger(out: Path) -> None:
    """Raise if infer or prep is at work in `out`, though there is no manifest of it yet.

    Raises:
        InputError: if so.
    """
    if any(record["key"] != _KEY for record in LedgerFiles(out)):
        problem = "is where another stage is at work"
        raise InputError(out, problem, "choose another output folder")


def keep(out: Path, mark: str, exit_code: int) -> None:
    """Note that the report in `out` is finished."""
    outputs = {name: sha256_of(out / name) for name in (*REPORT_FILES, NAME)}
    ledger = LedgerFiles(out)
    ledger.begin()
    ledger.append(_KEY, mark, outputs=outputs, exit_code=exit_code)


def _stamps(path: Path, leave_out: Path) -> list:
    if path.is_file():
        return SourceStamp.of(path).as_list()
    return [[ascii(name), *_stamp(path / name)] for name in walk(path, leave_out)]


def _stamp(path: Path) -> list:
    """Size and time; of what every run writes anew, the hash, since its time tells nothing."""
    try:
        if path.name in (NAME, status_name()):
            return [sha256_of(path)]
        return SourceStamp.of(path).as_list()
    except (OSError, InputError):  # such as a link to nowhere, which may be no map at all
        return []
