"""Words in, exit code out: the only module that knows typer.

A command checks its words and calls one `run_<command>`; what that raises becomes one line
on stderr and an exit code (errors.py). Stages are imported inside the commands, so that
help comes at once.
"""

import contextlib
import dataclasses
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from fundusseg import __version__, errors, stop, ui
from fundusseg.config import LARGEST_SEED
from fundusseg.options import (
    InferOptions,
    PhantomOptions,
    PrepOptions,
    ScoreOptions,
    TrainOptions,
)

Options = TypeVar("Options")

app = typer.Typer(
    name="fundusseg",
    help="Vessel maps from retinal photographs.",
    epilog=(
        "Exit status: 0 done; 1 input or environment wrong; 2 wrong command line; "
        "3 finished, some images failed; 70 a bug; 75 stopped, run again to go on; 130 Ctrl-C."
    ),
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Layout = Literal["auto", "fives", "drive", "chase", "stare", "hrf", "les-av", "pairs"]
InferLayout = Literal["auto", "none", "fives", "drive", "chase", "stare", "hrf", "les-av", "pairs"]
DrawnLayout = Literal["fives", "drive", "chase", "stare", "hrf", "les-av", "pairs"]
Precision = Literal["auto", "float32", "bfloat16"]

Quiet = Annotated[bool, typer.Option("--quiet", help="Warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="More messages; tracebacks of errors.")]
LogFile = Annotated[Path | None, typer.Option("--log-file", help="All messages, with times.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Threads; 0: one per free core.")]
Force = Annotated[bool, typer.Option("--force", help="Make finished work anew.")]
Verify = Annotated[bool, typer.Option("--verify", help="Hash inputs and outputs of finished work.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of all random numbers.")
]
Threshold = Annotated[
    float | None, typer.Option("--threshold", min=0, max=1, help="In place of the model's own.")
]
SubjectsFile = Annotated[
    Path | None, typer.Option("--subjects", help="TSV with the columns id and subject.")
]
FovFolder = Annotated[
    Path | None, typer.Option("--fov", help="Folder of field-of-view masks, by name.")
]


@app.command()
def prep(
    src: Annotated[Path, typer.Argument(metavar="SRC", help="Data set folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the shards.")],
    preset: Annotated[
        Literal["native", "pix2pix"], typer.Option("--preset", help="Frame and network.")
    ] = PrepOptions.preset,
    layout: Annotated[Layout, typer.Option("--layout", help="Layout of SRC.")] = PrepOptions.layout,
    format: Annotated[
        Literal["h5", "npz"], typer.Option("--format", help="Kind of shard.")
    ] = PrepOptions.format,
    split: Annotated[
        Literal["auto", "train", "test"],
        typer.Option("--split", help="auto: the data set's own; or one part for all."),
    ] = PrepOptions.split,
    subjects: SubjectsFile = PrepOptions.subjects,
    shard: Annotated[
        int | None, typer.Option("--shard", min=0, help="This part only.")
    ] = PrepOptions.shard,
    num_shards: Annotated[
        int, typer.Option("--num-shards", min=0, help="Number of shards; 0: by size.")
    ] = PrepOptions.num_shards,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what matches what.")] = False,
    jobs: Jobs = PrepOptions.jobs,
    force: Force = PrepOptions.force,
    verify: Verify = PrepOptions.verify,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Turn a data set folder into shards.

    Example: fundusseg prep CHASE_DB1/ shards/
    """
    _start(quiet, verbose, log_file)
    _require_existing(src, subjects)
    _require_part(shard, num_shards)
    from fundusseg.stages.prep import run_prep
    from fundusseg.stages.prep_plan import planned

    options = _options(PrepOptions, locals())
    if dry_run:
        sys.stdout.write(planned(src, out, options).table())
        return errors.EXIT_OK
    return run_prep(src, out, options)


@app.command()
def train(
    paths: Annotated[
        list[Path], typer.Argument(metavar="SHARDS... OUT", help="Shard folders, model folder.")
    ],
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Length in steps.")
    ] = TrainOptions.steps,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Length in epochs.")
    ] = TrainOptions.epochs,
    split: Annotated[
        Literal["train", "all"],
        typer.Option("--split", help="all: every photograph, none validates."),
    ] = TrainOptions.split,
    adversarial_weight: Annotated[
        float | None,
        typer.Option("--adversarial-weight", min=0, help="Of the discriminator; 0: none."),
    ] = TrainOptions.adversarial_weight,
    start_from: Annotated[
        str | None,
        typer.Option("--start-from", metavar="MODEL", help="Begin with this model's weights."),
    ] = TrainOptions.start_from,
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON with any keys of the preset.")
    ] = TrainOptions.config,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print the layers; no training.")
    ] = False,
    seed: Seed = TrainOptions.seed,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of convolutions.")
    ] = TrainOptions.precision,
    distribute: Annotated[
        Literal["none", "mirrored", "multi-worker"],
        typer.Option(
            "--distribute", help="Over all GPUs; over all processes of srun or TF_CONFIG."
        ),
    ] = TrainOptions.distribute,
    jobs: Jobs = TrainOptions.jobs,
    force: Force = TrainOptions.force,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Train a model on shards; the same command goes on where it stopped.

    Example: fundusseg train shards/ model/ --steps 3000
    """
    _start(quiet, verbose, log_file)
    if len(paths) < (1 if summary else 2):
        raise errors.UsageError("train needs at least one shard folder and the model folder")
    _require_existing(*(paths if summary else paths[:-1]), config)
    from fundusseg.stages import train as stage

    options = _options(TrainOptions, locals())
    if summary:
        sys.stdout.write(stage.summary(paths, options))
        return errors.EXIT_OK
    return stage.run_train(paths[:-1], paths[-1], options)


@app.command()
def infer(
    given: Annotated[
        str, typer.Argument(metavar="IN", help="Folder, file, shards, or - for a list on stdin.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the maps.")],
    model: Annotated[
        str, typer.Option("--model", help="Model folder, or the name of a shipped one.")
    ] = InferOptions.model,
    threshold: Threshold = InferOptions.threshold,
    fov: FovFolder = InferOptions.fov,
    probability: Annotated[
        bool, typer.Option("--probability", help="Write <name>.prob.png (16 bit) too.")
    ] = InferOptions.probability,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Write the photograph with outlines too.")
    ] = InferOptions.overlay,
    format: Annotated[
        Literal["png", "npz", "h5"], typer.Option("--format", help="Kind of output.")
    ] = InferOptions.format,
    layout: Annotated[
        InferLayout, typer.Option("--layout", help="none: every image is a photograph.")
    ] = InferOptions.layout,
    split: Annotated[
        Literal["all", "train", "validation", "test"], typer.Option("--split", help="Of shards.")
    ] = InferOptions.split,
    keep_suffix: Annotated[
        bool, typer.Option("--keep-suffix", help="a.jpg becomes a.jpg.png.")
    ] = InferOptions.keep_suffix,
    null_separated: Annotated[
        bool, typer.Option("--null", help="The list is NUL-separated.")
    ] = InferOptions.null_separated,
    tile_px: Annotated[
        int, typer.Option("--tile", min=0, help="Side of tiles in pixels of the frame; 0: none.")
    ] = InferOptions.tile_px,
    keep_specks: Annotated[
        bool, typer.Option("--keep-specks", help="Keep the smallest parts of the maps too.")
    ] = InferOptions.keep_specks,
    test_time_augmentation: Annotated[
        bool, typer.Option("--test-time-augmentation", help="Mean over four mirror images.")
    ] = InferOptions.test_time_augmentation,
    shard: Annotated[
        int, typer.Option("--shard", min=0, help="This part only (from 0).")
    ] = InferOptions.shard,
    num_shards: Annotated[
        int, typer.Option("--num-shards", min=1, help="Number of parts.")
    ] = InferOptions.num_shards,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of convolutions.")
    ] = InferOptions.precision,
    batch: Annotated[
        int, typer.Option("--batch", min=0, help="Frames at once on a GPU; 0: 8.")
    ] = InferOptions.batch,
    jobs: Jobs = InferOptions.jobs,
    force: Force = InferOptions.force,
    verify: Verify = InferOptions.verify,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Write a vessel map for every photograph, and a status table.

    Example: fundusseg infer photographs/ maps/
    """
    _start(quiet, verbose, log_file)
    _require_existing(fov, None if given == "-" else Path(given))
    _require_part(shard, num_shards)
    from fundusseg.stages import infer as stage

    options = _options(InferOptions, locals())
    return stage.run_infer(given, out, options)


@app.command()
def score(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PRED... TRUTH", help="Map folders; then the truth.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for tables, report and plots.")
    ] = ScoreOptions.out,
    split: Annotated[
        Literal["default", "train", "validation", "test", "all"],
        typer.Option("--split", help="default: test where the truth has splits."),
    ] = ScoreOptions.split,
    threshold: Threshold = ScoreOptions.threshold,
    whole_frame: Annotated[
        bool, typer.Option("--whole-frame", help="Outside the field of view too.")
    ] = ScoreOptions.whole_frame,
    at: Annotated[
        Literal["native", "prepared"], typer.Option("--at", help="Size that is scored.")
    ] = ScoreOptions.at,
    fov: FovFolder = ScoreOptions.fov,
    groups: Annotated[
        Path | None, typer.Option("--groups", help="TSV with id and columns to group by.")
    ] = ScoreOptions.groups,
    floor: Annotated[
        bool, typer.Option("--floor", help="A row for a filter that learnt nothing.")
    ] = ScoreOptions.floor,
    json: Annotated[
        bool, typer.Option("--json", help="JSON on stdout, not Markdown.")
    ] = ScoreOptions.json,
    layout: Annotated[
        Layout, typer.Option("--layout", help="Layout of TRUTH.")
    ] = ScoreOptions.layout,
    subjects: SubjectsFile = ScoreOptions.subjects,
    seed: Seed = ScoreOptions.seed,
    jobs: Jobs = ScoreOptions.jobs,
    force: Force = ScoreOptions.force,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Compare maps with masks: a table on stdout, a report with --out.

    Example: fundusseg score maps/ CHASE_DB1/ --out report/
    """
    _start(quiet, verbose, log_file)
    if len(paths) < 2:
        raise errors.UsageError("score needs at least one folder of maps, and the truth")
    _require_existing(*paths, fov, groups, subjects)
    from fundusseg.stages import score as stage

    options = _options(ScoreOptions, locals())
    return stage.run_score(paths[:-1], paths[-1], options)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the data set.")],
    count: Annotated[
        int, typer.Option("--count", min=1, help="Number of photographs.")
    ] = PhantomOptions.count,
    size_px: Annotated[
        int, typer.Option("--size", min=64, max=4096, help="Height in pixels.")
    ] = PhantomOptions.size_px,
    layout: Annotated[
        DrawnLayout, typer.Option("--layout", help="Layout of OUT.")
    ] = PhantomOptions.layout,
    seed: Seed = PhantomOptions.seed,
    jobs: Jobs = PhantomOptions.jobs,
    force: Force = PhantomOptions.force,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Draw a synthetic data set with exact truth.

    Example: fundusseg phantom phantoms/ --count 24
    """
    _start(quiet, verbose, log_file)
    from fundusseg.stages import phantom as stage

    options = _options(PhantomOptions, locals())
    return stage.run_phantom(out, options)


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of a job array.")],
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Join the status tables and manifests of a job array.

    Example: fundusseg merge maps/
    """
    _start(quiet, verbose, log_file)
    from fundusseg.stages import merge as stage

    return stage.run_merge(out)


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders to check.")],
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Print a line for every fault in shards, models or output folders.

    Example: fundusseg check shards/ model/ maps/
    """
    _start(quiet, verbose, log_file)
    from fundusseg.stages import check as stage

    return stage.run_check(paths)


@app.command()
def info(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Model folder or shipped model.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> int:
    """Print versions, devices and models, or a model's card.

    Example: fundusseg info
    """
    _start(quiet, verbose, log_file)
    from fundusseg.stages import info as stage

    return stage.run_info(model)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Vessel maps from retinal photographs, as Unix batch commands."""
    if show:
        print(f"fundusseg {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code. `arguments` defaults to the process's own."""
    stop.install()
    _replace_closed_streams()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if "" in words:
            raise errors.UsageError("an argument is empty; is a variable of the shell not set?")
        if not words:
            with contextlib.redirect_stdout(sys.stderr):
                app(["--help"], standalone_mode=False)
            return errors.EXIT_USAGE
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except errors.FundussegError as error:
        if ui.is_verbose():
            traceback.print_exc()
        return _refused(str(error), error.exit_code)
    except stop.Interrupted:
        return _refused(f"interrupted; {stop.GOES_ON}", errors.EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout went away: what Python would still flush has no reader either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _refused("stdout: broken pipe", errors.EXIT_ERROR)
    except OSError as error:
        where = error.filename or "input or output"
        return _refused(f"{where}: {error.strerror or error}", errors.EXIT_ERROR)
    except typer.TyperException as error:
        return _refused(f"{error.format_message()}; see fundusseg --help", errors.EXIT_USAGE)
    except Exception:
        traceback.print_exc()
        return _refused(
            "this is a bug; please report the lines above, the command line and `fundusseg info`",
            errors.EXIT_BUG,
        )


def _replace_closed_streams() -> None:
    """Where the parent has closed stdin, stdout or stderr (>&-), what goes there goes nowhere.

    Their descriptors are taken, or the next file that is opened would be stdout.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")


def _start(quiet: bool, verbose: bool, log_file: Path | None) -> None:
    if quiet and verbose:
        raise errors.UsageError("--quiet and --verbose exclude each other")
    ui.start_logging(quiet, verbose, log_file)


def _options(kind: type[Options], words: dict) -> Options:
    """The options of a command from its parameters, which have the same names."""
    names = [field.name for field in dataclasses.fields(kind) if field.name in words]
    return kind(**{name: words[name] for name in names})


def _require_existing(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.exists():
            raise errors.UsageError(f"{path}: does not exist; check the spelling")


def _require_part(shard: int | None, num_shards: int) -> None:
    if shard is not None and shard >= num_shards:
        raise errors.UsageError(f"--shard {shard} is not below --num-shards {num_shards}")


def _refused(message: str, code: int) -> int:
    """Print one line on stderr; `code`."""
    ui.print_error(message)
    return code
