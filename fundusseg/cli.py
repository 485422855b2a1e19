"""Words in, exit code out: the only module that knows typer.

A command is a function of its paths and, if it takes options, one dataclass of options.py, of
which `_command` makes the command line. It calls one `run_<command>`; what that raises becomes
one line on stderr and an exit code (errors.py). Stages are imported inside the commands, so that
help comes at once.
"""

import contextlib
import difflib
import inspect
import io
import os
import sys
import traceback
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fundusseg import __version__, errors, stop, ui
from fundusseg.options import (
    MESSAGES,
    PANELS,
    InferOptions,
    MeasureOptions,
    MessageOptions,
    PartOptions,
    PhantomOptions,
    PrepOptions,
    ScoreOptions,
    StatusOptions,
    TrainOptions,
    fields_of,
)

WIDTH = 80  # of the help, wherever it goes
COLUMN = 26  # of the help, for names
_COMPLETION = "_FUNDUSSEG_COMPLETE"  # what typer names the variable of the shell's question
_OUTPUT_WORDS = ("-o", "--out", "--output")


class _Command(typer.core.TyperCommand):
    """A command whose help is plain text in titled panels.

    typer does not export the types of its contexts and formatters.
    """

    allow_extra_args = True  # `parse_args` refuses them, with better advice

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the command's name: paths as they are, in their order."""
        return ["[OPTIONS]", *(path.metavar for path in self._paths() if path.metavar)]

    def panels(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Paths, then options by panel: what each looks like, and its help."""
        rows = {"Paths": [(path.metavar or "", path.help or "") for path in self._paths()]}
        rows |= {panel: [] for panel in PANELS}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, typer.core.TyperOption):
                syntax = parameter.metavar or ", ".join(sorted(parameter.opts, key=len))
                rows[parameter.rich_help_panel or MESSAGES].append((syntax, parameter.help or ""))
        return {title: names for title, names in rows.items() if names}

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the panels."""
        for title, names in self.panels(ctx).items():
            with formatter.section(title):
                padded = [(f"{name:{COLUMN}}", help) for name, help in names]
                formatter.write_dl(padded, col_max=COLUMN)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; UsageError if there are more paths than the command takes."""
        extra = super().parse_args(ctx, args)
        if extra:
            are = f"and {len(extra) - 1} more are" if len(extra) > 1 else "is one"
            raise errors.UsageError(
                f"{extra[0]!r} {are} too many for {_usage(ctx)}; put quotes around paths with "
                f"spaces; give the folder in place of *.jpg; see {ctx.command_path} --help"
            )
        return extra

    def _paths(self) -> list[typer.core.TyperArgument]:
        return [path for path in self.params if isinstance(path, typer.core.TyperArgument)]


app = typer.Typer(
    name="fundusseg",
    epilog=(
        "Exit status: 0 done; 1 input or environment wrong; 2 wrong command line; 3 finished, some "
        "images failed; 70 a bug; 75 stopped, run again to go on; 130 Ctrl-C; 141 the reader of "
        "stdout went away."
    ),
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": WIDTH},
)


def _command(run: Callable[..., int]) -> Callable[..., int]:
    """Make a command of `run`: of its paths, its `options` if it takes any, and the messages'."""
    paths = dict(inspect.signature(run, eval_str=True).parameters)
    kind = paths.pop("options").annotation if "options" in paths else None

    def command(**words: Any) -> int:
        messages = _taken(MessageOptions, words)
        if messages.quiet and messages.verbose:
            raise errors.UsageError("--quiet and --verbose exclude each other; give one")
        ui.start_logging(**vars(messages))
        given = {name: words[name] for name in paths}
        if kind is not None:
            _require_existing(*(words[f.name] for f in fields_of(kind) if f.is_read))
            given["options"] = _taken(kind, words)
        return run(**given)

    parameters = [*paths.values(), *(_parameters(kind) if kind else ())]
    parameters += _parameters(MessageOptions)
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(run.__name__, cls=_Command, help=inspect.getdoc(run))(command)
    return run


def _parameters(kind: type) -> list[inspect.Parameter]:
    """The fields of an options dataclass as typer knows them."""
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[
                field.type,
                typer.Option(
                    field.word,
                    metavar=field.syntax,
                    help=field.help,
                    min=field.minimum,
                    max=field.maximum,
                    rich_help_panel=field.panel,
                ),
            ],
        )
        for field in fields_of(kind)
    ]


def _taken(kind: type, words: dict[str, Any]) -> Any:
    """The words that an options dataclass is made of, as one."""
    return kind(**{field.name: words[field.name] for field in fields_of(kind)})


def _path(metavar: str, help: str) -> Any:
    return typer.Argument(metavar=metavar, help=help, show_default=False)


@_command
def prep(
    src: Annotated[Path, _path("SRC", "Folder of the data set.")],
    out: Annotated[Path, _path("OUT", "Folder that the shards are written to.")],
    options: PrepOptions,
) -> int:
    """Turn a data set folder into shards.

    Example: fundusseg prep CHASE_DB1/ shards/
    """
    _require_existing(src)
    _require_part("prep", options)
    from fundusseg.commands.prep.plan import planned
    from fundusseg.commands.prep.run import run_prep

    if options.dry_run:
        sys.stdout.write(planned(src, out, options).table())
        return errors.EXIT_OK
    return run_prep(src, out, options)


@_command
def train(
    paths: Annotated[
        list[Path], _path("SHARDS... OUT", "Shard folders, then the folder for the model.")
    ],
    options: TrainOptions,
) -> int:
    """Train a model on shards; the same command goes on where it stopped.

    Example: fundusseg train shards/ model/ --steps 3000
    """
    if len(paths) < (1 if options.summary else 2):
        _refuse("train", "needs at least one shard folder and the model folder")
    _require_existing(*(paths if options.summary else paths[:-1]))
    from fundusseg.commands.train import run as stage

    if options.summary:
        sys.stdout.write(stage.summary(paths, options))
        return errors.EXIT_OK
    return stage.run_train(paths[:-1], paths[-1], options)


@_command
def infer(
    given: Annotated[str, _path("IN", "Folder, file or shards to read; - for a list on stdin.")],
    out: Annotated[Path, _path("OUT", "Folder that the maps are written to.")],
    options: InferOptions,
) -> int:
    """Write a vessel map for every photograph, and a status table.

    Example: fundusseg infer photographs/ maps/
    """
    _require_existing(None if given == "-" else Path(given))
    _require_part("infer", options)
    from fundusseg.commands.infer.run import run_infer

    return run_infer(given, out, options)


@_command
def score(
    paths: Annotated[
        list[Path], _path("PRED... TRUTH", "Folders of maps, then the masks that are the truth.")
    ],
    options: ScoreOptions,
) -> int:
    """Compare maps with masks: a table on stdout, a report with --out.

    Example: fundusseg score maps/ CHASE_DB1/ --out report/
    """
    if len(paths) < 2:
        _refuse("score", "needs at least one folder of maps, and the truth")
    _require_existing(*paths)
    from fundusseg.commands.score import run_score

    return run_score(paths[:-1], paths[-1], options)


@_command
def measure(
    options: MeasureOptions,
    paths: Annotated[
        list[Path] | None, _path("MAPS OUT.csv", "Folder of maps, then the table to write.")
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
    _require_existing(paths[0])
    _require_part("measure", options)
    from fundusseg.commands.measure.run import run_measure

    maps, out = paths
    return run_measure(maps, out, options)


@_command
def phantom(
    out: Annotated[Path, _path("OUT", "Folder that the data set is written to.")],
    options: PhantomOptions,
) -> int:
    """Draw a synthetic data set with exact truth.

    Example: fundusseg phantom phantoms/ --count 24
    """
    from fundusseg.commands.phantom import run_phantom

    return run_phantom(out, options)


@_command
def merge(out: Annotated[Path, _path("OUT", "Folder or table that a job array wrote.")]) -> int:
    """Join the tables and manifests of a job array.

    Example: fundusseg merge maps/
    """
    from fundusseg.commands.merge import run_merge

    return run_merge(out)


@_command
def check(
    paths: Annotated[
        list[Path], _path("PATH...", "Shards, model folders, output folders or tables to check.")
    ],
) -> int:
    """Print a line for every fault in shards, models, output folders or tables.

    Example: fundusseg check shards/ model/ maps/
    """
    from fundusseg.commands.check import run_check

    return run_check(paths)


@_command
def status(
    out: Annotated[Path, _path("OUT", "Folder that infer writes its maps to.")],
    options: StatusOptions,
) -> int:
    """Tell how far infer is in a folder, part by part, also while it is at work.

    Example: fundusseg status maps/
    """
    from fundusseg.commands.progress import run_status

    return run_status(out, options)


@_command
def info(
    model: Annotated[
        str | None, _path("[MODEL]", "Model folder, or the name of a shipped model.")
    ] = None,
) -> int:
    """Print versions, devices and models, or a model's card.

    Example: fundusseg info
    """
    from fundusseg.commands.info import run_info

    return run_info(model)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    """Vessel maps from retinal photographs, as Unix batch commands."""
    if show:
        print(f"fundusseg {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code. `arguments` defaults to the process's own."""
    _use_utf8(is_own_process=arguments is None)
    ui.run_as_command()
    stop.install()
    _replace_closed_streams()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if _COMPLETION in os.environ:
            _complete()
        if "" in words:
            raise errors.UsageError("an argument is empty; is a variable of the shell not set?")
        if not words:
            with contextlib.redirect_stdout(sys.stderr):
                _run(["--help"])
            return errors.EXIT_USAGE
        code = _run([*words[1:], "--help"] if words[0] == "help" else words)
        sys.stdout.flush()
        return code
    except errors.FundussegError as error:
        if ui.is_verbose():
            traceback.print_exc()
        return _refused(str(error), error.exit_code)
    except stop.Interrupted:
        return _refused(f"interrupted; {stop.GOES_ON}", errors.EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout went away: what Python would still flush has no reader either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.EXIT_READER_GONE
    except MemoryError:
        problem = f"this {errors.LACK_OF_MEMORY}; give fewer --jobs, or more memory"
        return _refused(problem, errors.EXIT_ERROR)
    except OSError as error:
        where = error.filename or "input or output"
        return _refused(f"{where}: {error.strerror or error}", errors.EXIT_ERROR)
    except typer.TyperException as error:
        return _refused(_what_is_wrong(error), errors.EXIT_USAGE)
    except Exception:
        traceback.print_exc()
        return _refused(
            "this is a bug; please report the lines above, the command line and `fundusseg info`",
            errors.EXIT_BUG,
        )


def _complete() -> typing.NoReturn:
    """Answer the shell, which asks for the words that may follow, as typer has told it to."""
    program: Any = typer.main.get_command(app)
    program._main_shell_completion(ctx_args={}, prog_name=app.info.name)
    raise typer.Exit


def _run(words: Sequence[str]) -> int:
    """Parse and run; not by typer's own `main`, which ends a closed pipe in its own way."""
    program = typer.main.get_command(app)
    try:
        with program.make_context(app.info.name, list(words)) as context:
            return int(program.invoke(context) or 0)
    except typer.Exit as done:
        return done.exit_code


def _what_is_wrong(error: typer.TyperException) -> str:
    """What typer found wrong with the words, and what to do."""
    said = error.format_message().rstrip(".?")
    context = getattr(error, "ctx", None)
    if context is None:
        return f"{said}; see fundusseg --help"
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):  # there is no such option
        said = _no_such_option(error.option_name, context)
    elif said.startswith("Missing argument"):
        said += f" of {_usage(context)}"
    return f"{said}; see {context.command_path} --help"


def _no_such_option(wrong: str, context: typer.Context) -> str:
    """That there is no such option, and which one is meant; one letter may mean several."""
    known = [name for parameter in context.command.params for name in parameter.opts]
    if wrong in _OUTPUT_WORDS and "--out" not in known and "OUT" in _usage(context):
        return f"no such option: {wrong}; OUT stands last, after no option: {_usage(context)}"
    if len(wrong) == 2:
        meant = [name for name in known if name.startswith(f"-{wrong}")]
    else:
        meant = difflib.get_close_matches(wrong, known, n=1)
    return f"no such option: {wrong}" + (f" ({', '.join(meant)}?)" if meant else "")


def _usage(context: typer.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


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


def _use_utf8(is_own_process: bool) -> None:
    """Read names and write messages in UTF-8 whatever the locale, so that the bytes are the same.

    Python chooses how it reads the names of files before its first line: it is started again.
    """
    if is_own_process and sys.getfilesystemencoding() != "utf-8" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream, on_error in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=on_error)


def _require_existing(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.exists():
            raise errors.UsageError(f"{path}: does not exist; check the spelling")


def _require_part(command: str, options: PartOptions) -> None:
    """Raise if --shard K is none of the --num-shards N parts; N alone says something to prep."""
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
