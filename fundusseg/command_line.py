"""A command line of functions and of option dataclasses: the only module that knows typer.

`command` makes a command of a function, its paths being declared by `path`; `run` parses the words
and calls it.
"""

import contextlib
import dataclasses
import difflib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fundusseg import __version__, errors, ui
from fundusseg.commit import commit
from fundusseg.files.settings import read_settings, toml
from fundusseg.option_fields import Field, as_text, fields_of
from fundusseg.options import MESSAGES, PANELS, MessageOptions, SettingsOptions, TrainOptions

WIDTH = 80  # of the help, wherever it goes
COLUMN = 26  # of the help, for names
_BY_NAME = inspect.Parameter.KEYWORD_ONLY
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
        if "--print-config" in args:  # needs no paths
            for path in self._paths():
                path.required = False
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


def command(run: Callable[..., int]) -> Callable[..., int]:
    """Make a command of `run`: its paths, its `options` if it takes any, and the common options.

    Files that options name must exist, which is checked here; `run` checks its own paths.
    """
    paths = dict(inspect.signature(run, eval_str=True).parameters)
    kind = paths.pop("options").annotation if "options" in paths else None

    def called(context: typer.Context, **words: Any) -> int:
        words |= _configured(context, kind, words)
        if words["print_config"]:
            sys.stdout.writelines(toml(_options(kind, words)))
            return errors.EXIT_OK
        messages = _taken(MessageOptions, words)
        if messages.quiet and messages.verbose:
            raise errors.UsageError("--quiet and --verbose exclude each other; give one")
        if messages.log_format != "text" and messages.log_file is None:
            raise errors.UsageError("--log-format is of the log file; give --log-file too")
        if messages.log_file is not None:
            _require_log_file(messages.log_file, words)
        ui.start_logging(**vars(messages))
        ui.event("start", command=run.__name__, version=__version__, options=_options(kind, words))
        given = {name: words[name] for name in paths}
        if kind is not None:
            require_existing(*(words[f.name] for f in fields_of(kind) if f.is_read))
            given["options"] = _taken(kind, words)
        return run(**given)

    parameters = [inspect.Parameter("context", _BY_NAME, annotation=typer.Context), *paths.values()]
    for each in filter(None, (kind, SettingsOptions, MessageOptions)):
        parameters += _parameters(each)
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=_BY_NAME) for parameter in parameters]
    )
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(run.__name__, cls=_Command, help=inspect.getdoc(run))(called)
    return run


def _require_log_file(path: Path, words: dict[str, Any]) -> None:
    """Raise UsageError if messages would be appended to what the command reads, or to a pipe."""
    from fundusseg.files.single import require_own_name  # it takes a while, for the picture formats

    if path.is_fifo():
        raise errors.UsageError(f"{path}: is a pipe; give the name of a file for --log-file")
    others = [word for name, word in words.items() if name != "log_file"]
    flat = [one for word in others for one in (word if isinstance(word, list) else [word])]
    require_own_name(path, "run.log", [one for one in flat if isinstance(one, Path | str)])


def _parameters(kind: type) -> list[inspect.Parameter]:
    """The fields of an options dataclass as typer knows them."""
    return [
        inspect.Parameter(
            field.name,
            _BY_NAME,
            default=field.default,
            annotation=Annotated[
                list[str] if field.is_repeated else field.type,
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
    names = [field.name for field in dataclasses.fields(kind) if field.name in words]
    values = {name: words[name] for name in names}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return kind(**values | lists)


def _configured(context: typer.Context, kind: type | None, words: dict[str, Any]) -> dict[str, Any]:
    """What the file of --config gives, but for what the command line itself gives."""
    if words["config"] is None:
        return {}
    require_existing(words["config"])
    known, name = _from_files(kind), str(context.info_name)
    found = read_settings(words["config"], name, known, with_preset=kind is TrainOptions)
    sources = {name: context.get_parameter_source(name) for name in found}
    return {name: found[name] for name, by in sources.items() if by is None or by.name == "DEFAULT"}


def _options(kind: type | None, words: dict[str, Any]) -> dict[str, Any]:
    """The options that count, by their keys in a file."""
    values = {field.key: words[field.name] for field in _from_files(kind)}
    return as_text(values) | words.get("preset_keys", {})


def _from_files(kind: type | None) -> list[Field]:
    """The options of a command that a file of settings can give."""
    return [*(fields_of(kind) if kind else []), *fields_of(MessageOptions)]


def path(metavar: str, help: str) -> Any:
    """A word of the command line that is no option, for the annotation of a parameter."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[
        bool, typer.Option("--version", "-V", help="Print version and commit.")
    ] = False,
) -> None:
    """Vessel maps from retinal photographs, as Unix batch commands."""
    if show:
        of = commit()
        print(f"fundusseg {__version__}" + (f" ({of})" if of else ""))
        raise typer.Exit


def run(words: Sequence[str]) -> int:
    """Run the command that the words name; the exit code.

    Raises:
        UsageError: if the words are wrong; else what the command raises.
    """
    program: Any = typer.main.get_command(app)
    program._main_shell_completion(ctx_args={}, prog_name=app.info.name)  # if the shell asks
    if "" in words:
        raise errors.UsageError("an argument is empty; is a variable of the shell not set?")
    if not words:
        with contextlib.redirect_stdout(sys.stderr):
            _invoked(program, ["--help"])
        return errors.EXIT_USAGE
    return _invoked(program, [*words[1:], "--help"] if words[0] == "help" else [*words])


def _invoked(program: Any, words: list[str]) -> int:
    """Parse and run; not by typer's own `main`, which ends a closed pipe in its own way."""
    try:
        with program.make_context(app.info.name, words) as context:
            return int(program.invoke(context) or 0)
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as error:
        raise errors.UsageError(_what_is_wrong(error)) from error


def require_existing(*paths: Path | None) -> None:
    """Raise UsageError if a path does not exist."""
    for path in paths:
        if path is not None and not path.exists():
            raise errors.UsageError(f"{path}: does not exist; {_remedy(path)}")


def _remedy(path: Path) -> str:
    """What to do about a path that does not exist."""
    if path.parts[:1] == ("~",):
        return "quotes keep the shell from reading ~; write $HOME in its place"
    if path.parts[:1] in (("http:",), ("https:",)):
        return "download it first, and give the file or its folder"
    return "check the spelling"


def _what_is_wrong(error: typer.TyperException) -> str:
    """What typer found wrong with the words, and what to do."""
    said = error.format_message().rstrip(".?")
    context = getattr(error, "ctx", None)
    if context is None:
        return f"{said}; see fundusseg --help"
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):  # there is no such option
        said = _no_such_option(error.option_name, context)
    elif ": Value error, " in said:
        said = said.replace(": Value error, ", ": ")
    elif ": Input should be a valid integer" in said:
        said = f"{said.partition(': ')[0]}: it is no whole number; write it in digits alone"
    elif ": Input should be a valid number" in said:
        said = f"{said.partition(': ')[0]}: it is no number; write it in digits, as 0.5"
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
