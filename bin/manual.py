"""Manual pages, and the lists of options in docs/reference.md, from the code (`make man`).

python -m bin.manual writes them; tests/bin/test_manual.py holds them equal to the code.
"""

from pathlib import Path
from typing import Any

import typer

from fundusseg import __version__
from fundusseg.cli import app
from fundusseg.options import MESSAGES, SETTINGS

ROOT = Path(__file__).parent.parent
REFERENCE = "docs/reference.md"
PATHS = "Paths"
PROGRAM: Any = typer.main.get_command(app)  # typer does not export the types of its group
COMMANDS = PROGRAM.commands
END = "<!-- end -->"


def files() -> dict[str, str]:
    """What stands in each file that is made from the code, by its path below `ROOT`."""
    pages = {f"docs/man/fundusseg-{name}.1": _page(name) for name in COMMANDS}
    reference = (ROOT / REFERENCE).read_text()
    for name in COMMANDS:
        before, mark, rest = reference.partition(f"<!-- options of {name} -->\n")
        if mark:
            reference = before + mark + _options(name) + rest[rest.index(END) :]
    return {"docs/man/fundusseg.1": _overview(), **pages, REFERENCE: reference}


def _panels(name: str) -> dict[str, list[tuple[str, str]]]:
    command = COMMANDS[name]
    return command.panels(typer.Context(command, info_name=name))


def _options(name: str) -> str:
    """A command's own options as Markdown, without those that all have."""
    lines = []
    for title, options in _panels(name).items():
        if title not in (PATHS, SETTINGS, MESSAGES):
            lines += [f"- {title}", *(f"  - `{syntax}`: {help}" for syntax, help in options)]
    return "".join(f"{line}\n" for line in lines)


def _page(name: str) -> str:
    summary, _, example = COMMANDS[name].help.partition("\n\nExample: ")
    panels = _panels(name)
    paths = panels.pop(PATHS)
    words = " ".join(path for path, _ in paths)
    lines = [
        *_head(f"fundusseg-{name}", summary),
        f".B fundusseg {name}",
        _roff(f"[OPTIONS] {words}"),
        *_terms(paths),
        ".SH OPTIONS",
    ]
    for title, options in panels.items():
        lines += [f".SS {title}", *_terms(options)]
    lines += [".SH EXAMPLE", _roff(example), *_foot("fundusseg(1)")]
    return "".join(f"{line}\n" for line in lines)


def _overview() -> str:
    summaries = [(name, COMMANDS[name].help.partition("\n")[0]) for name in COMMANDS]
    lines = [
        *_head("fundusseg", PROGRAM.help),
        ".B fundusseg",
        _roff("COMMAND [OPTIONS] PATHS"),
        ".SH COMMANDS",
        *_terms(summaries),
        ".SH OPTIONS",
        *_terms([(", ".join(option.opts), option.help) for option in PROGRAM.params]),
        *_foot(", ".join(f"fundusseg-{name}(1)" for name in COMMANDS)),
    ]
    return "".join(f"{line}\n" for line in lines)


def _head(name: str, summary: str) -> list[str]:
    title = f'.TH {name.upper()} 1 "" "fundusseg {__version__}" "fundusseg"'
    return [title, ".SH NAME", _roff(f"{name} - {summary.rstrip('.')}"), ".SH SYNOPSIS"]


def _foot(others: str) -> list[str]:
    exits = PROGRAM.epilog.removeprefix("Exit status: ")
    return [".SH EXIT STATUS", _roff(exits), ".SH SEE ALSO", _roff(others)]


def _terms(pairs: list[tuple[str, str]]) -> list[str]:
    return [line for term, help in pairs for line in (".TP", f".B {_roff(term)}", _roff(help))]


def _roff(text: str) -> str:
    """Text with what roff would read as its own escaped, in one line."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text)
