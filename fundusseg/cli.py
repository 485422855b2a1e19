"""The commands, and `main`: words in, exit code out.

A command is a function of its paths and, if it takes options, one dataclass of options.py, of
which `command_line` makes the command line. It calls one `run_<command>`; what that raises becomes
one line on stderr and an exit code (errors.py). Stages are imported inside the commands, so that
help comes at once.
"""

import sys
import time
import traceback
import typing
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fundusseg import errors, stop, streams, ui
from fundusseg.command_line import app, command, path, require_existing, run
from fundusseg.options import (
    InferOptions,
    MeasureOptions,
    PartOptions,
    PhantomOptions,
    PrepOptions,
    ScoreOptions,
    StatusOptions,
    TrainOptions,
)

__all__ = ["app", "main"]


@command
def prep(
    src: Annotated[Path, path("SRC", "Folder of the data set.")],
    out: Annotated[Path, path("OUT", "Folder that the shards are written to.")],
    options: PrepOptions,
) -> int:
    """Turn a data set folder into shards.

    Example: fundusseg prep CHASE_DB1/ shards/
    """
    require_existing(src)
    _require_part("prep", options)
    from fundusseg.commands.prep.plan import planned
    from fundusseg.commands.prep.run import run_prep

    if options.dry_run:
        sys.stdout.write(planned(src, out, options).table())
        return errors.EXIT_OK
    return run_prep(src, out, options)


@command
def train(
    paths: Annotated[
        list[Path], path("SHARDS... OUT", "Shard folders, then the folder for the model.")
    ],
    options: TrainOptions,
) -> int:
    """Train a model on shards; the same command goes on where it stopped.

    Example: fundusseg train shards/ model/ --steps 3000
    """
    if len(paths) < (1 if options.summary else 2):
        _refuse("train", "needs at least one shard folder and the model folder")
    *folders, out = paths
    require_existing(*(folders or paths))
    from fundusseg.commands.train import run as stage

    if options.summary:
        sys.stdout.write(stage.summary(folders, out, options))
        return errors.EXIT_OK
    return stage.run_train(folders, out, options)


@command
def infer(
    given: Annotated[str, path("IN", "Folder, file or shards to read; - for a list on stdin.")],
    out: Annotated[Path, path("OUT", "Folder that the maps are written to.")],
    options: InferOptions,
) -> int:
    """Write a vessel map for every photograph, and a status table.

    Example: fundusseg infer photographs/ maps/
    """
    require_existing(None if given == "-" else Path(given))
    _require_part("infer", options)
    from fundusseg.commands.infer.run import run_infer

    return run_infer(given, out, options)


@command
def score(
    paths: Annotated[
        list[Path], path("PRED... TRUTH", "Folders of maps, then the masks that are the truth.")
    ],
    options: ScoreOptions,
) -> int:
    """Compare maps with masks: a table on stdout, a report with --out.

    Example: fundusseg score maps/ CHASE_DB1/ --out report/
    """
    if len(paths) < 2:
        _refuse("score", "needs at least one folder of maps, and the truth")
    require_existing(*paths)
    from fundusseg.commands.score import run_score

    return run_score(paths[:-1], paths[-1], options)


@command
def measure(
    options: MeasureOptions,
    paths: Annotated[
        list[Path] | None, path("MAPS OUT.csv", "Folder of maps, then the table to write.")
    ] = None,
) -> int:
    """Measure the vessels of maps: a table with a row for each.

    Example: fundusseg measure maps/ vessels.csv
    """
    if options.describe:
        from fundusseg.morphometry.definitions import described

        sys.stdout.write(described())
        return errors.EXIT_OK
    if paths is None or len(paths) != 2:
        _refuse("measure", "needs a folder of maps, and the name of the table")
    require_existing(paths[0])
    _require_part("measure", options)
    from fundusseg.commands.measure.run import run_measure

    maps, out = paths
    return run_measure(maps, out, options)


@command
def phantom(
    out: Annotated[Path, path("OUT", "Folder that the data set is written to.")],
    options: PhantomOptions,
) -> int:
    """Draw a synthetic data set with exact truth.

    Example: fundusseg phantom phantoms/ --count 24
    """
    from fundusseg.commands.phantom import run_phantom

    return run_phantom(out, options)


@command
def merge(out: Annotated[Path, path("OUT", "Folder or table that a job array wrote.")]) -> int:
    """Join the tables and manifests of a job array.

    Example: fundusseg merge maps/
    """
    from fundusseg.commands.merge import run_merge

    return run_merge(out)


@command
def check(
    paths: Annotated[
        list[Path], path("PATH...", "Shards, model folders, output folders or tables to check.")
    ],
) -> int:
    """Tell whether shards, models, maps and tables are whole.

    Example: fundusseg check shards/ model/ maps/
    """
    from fundusseg.commands.check import run_check

    return run_check(paths)


@command
def status(
    out: Annotated[Path, path("OUT", "Folder that infer writes its maps to.")],
    options: StatusOptions,
) -> int:
    """Tell how far infer is in a folder, also while it is at work.

    Example: fundusseg status maps/
    """
    from fundusseg.commands.progress import run_status

    return run_status(out, options)


@command
def info(
    model: Annotated[
        str | None, path("[MODEL]", "Model folder, or the name of a shipped model.")
    ] = None,
) -> int:
    """Print versions, devices and models, or a model's card.

    Example: fundusseg info
    """
    from fundusseg.commands.info import run_info

    return run_info(model)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code. `arguments` defaults to the process's own."""
    streams.use_utf8(is_own_process=arguments is None)
    ui.run_as_command()
    stop.install()
    streams.replace_closed()
    began = time.monotonic()
    code = _exit_code(sys.argv[1:] if arguments is None else arguments)
    with suppress(
        errors.FundussegError
    ):  # a log file that is full: one line said it, or all is done
        ui.event("end", exit_code=code, seconds=round(time.monotonic() - began, 3))
    return code


def _exit_code(words: Sequence[str]) -> int:
    """Run a command line, and say what went wrong; the exit code."""
    try:
        code = run(words)
        sys.stdout.flush()
        return code
    except errors.FundussegError as error:
        if ui.is_verbose():
            traceback.print_exc()
        return _refused(str(error), error.exit_code)
    except stop.Interrupted:
        return _refused(f"interrupted; {stop.GOES_ON}", errors.EXIT_INTERRUPTED)
    except BrokenPipeError:
        streams.discard_stdout()
        return errors.EXIT_READER_GONE
    except MemoryError:
        problem = f"this {errors.LACK_OF_MEMORY}; give fewer --jobs, or more memory"
        return _refused(problem, errors.EXIT_ERROR)
    except OSError as error:
        where = error.filename or "input or output"
        return _refused(f"{where}: {error.strerror or error}", errors.EXIT_ERROR)
    except Exception:
        traceback.print_exc()
        return _refused(
            "this is a bug; please report the lines above, the command line and `fundusseg info`",
            errors.EXIT_BUG,
        )


def _require_part(command: str, options: PartOptions) -> None:
    """Raise if --shard K is none of the --num-shards N parts; prep alone takes N without K."""
    shard, count = options.shard, options.num_shards
    if shard is None:
        if count is not None and command != "prep":
            needed = f"--shard K, the part that this run makes, 0 to {count - 1}"
            _refuse(command, f"--num-shards {count} needs {needed}")
        return
    if not count:
        raise errors.UsageError(f"--shard {shard} needs --num-shards N, the number of parts")
    if shard >= count:
        raise errors.UsageError(
            f"--shard {shard} is not below --num-shards {count}: K counts from 0, so the last "
            f"part of {count} is --shard {count - 1}"
        )


def _refuse(command: str, problem: str) -> typing.NoReturn:
    raise errors.UsageError(f"{command} {problem}; see fundusseg {command} --help")


def _refused(message: str, code: int) -> int:
    """Print one line on stderr; `code`."""
    ui.print_error(message)
    return code
