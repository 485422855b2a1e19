"""Imports run one way, and the heavy packages stand in one room each."""

import ast
from pathlib import Path

import pytest

import fundusseg

ROOT = Path(fundusseg.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
BOTTOM = {
    "config",
    "presets",
    "serial",
    "options",
    "option_fields",
    "commit",
    "errors",
    "ui",
    "streams",
    "stop",
    "parallel",
    "processor",
    "wording",
}

# What each room may import of the others; the bottom may be imported by all.
ALLOWED = {
    "cli": {"command_line", "commands", "morphometry"},
    "command_line": {"files"},
    "commands": {
        "commands",
        "evaluation",
        "segmenter",
        "distributed",
        "datasets",
        "nets",
        "files",
        "report",
        "fundus",
        "metrics",
        "morphometry",
        "phantom",
    },
    "evaluation": {"evaluation", "datasets", "files", "report", "fundus", "metrics"},
    "segmenter": {"nets", "files", "fundus", "metrics"},
    "distributed": {"distributed", "nets"},
    "datasets": {"datasets", "files", "fundus"},
    "nets": {"nets", "files", "fundus"},
    "files": {"files", "fundus", "metrics"},
    "report": {"report", "metrics"},
    "fundus": {"fundus"},
    "metrics": {"metrics"},
    "morphometry": {"morphometry", "fundus"},
    "phantom": {"phantom", "fundus"},
    **{name: set() for name in BOTTOM},
}
# Packages that only some rooms may import.
ROOM_OF = {
    "typer": {"command_line"},
    "rich": {"ui"},
    "tensorflow": {"nets", "distributed"},
    "keras": {"nets", "distributed"},
    "h5py": {"files", "datasets", "commands"},
    "tifffile": {"files"},
    "PIL": {"files"},
    "pydicom": {"files"},
    "matplotlib": {"report"},
    "skimage": {"fundus", "metrics", "morphometry"},
}


# Calls that read or write a file: of open, pathlib, numpy and matplotlib.
OPENING = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "load", "save", "savez"}


def room(module: Path) -> str:
    first = module.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(module: Path) -> set[str]:
    """Names of all modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(module):
    if module == ROOT / "__init__.py":
        return
    own = room(module)
    for name in imported(module):
        parts = name.split(".")
        if parts[0] == "fundusseg" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in ALLOWED[own] | BOTTOM, f"{own} imports {name}"
        elif parts[0] in ROOM_OF:
            assert own in ROOM_OF[parts[0]], f"{own} imports {name}"


def test_nets_open_no_file_but_the_export_for_the_notebook():
    importers = [
        m.name
        for m in MODULES
        if room(m) == "nets" and any("fundusseg.files" in n for n in imported(m))
    ]
    assert importers == ["export.py"]


def test_pure_rooms_open_no_file():
    for module in MODULES:
        if room(module) in ("fundus", "metrics", "morphometry", "phantom", "report"):
            calls = [
                node
                for node in ast.walk(ast.parse(module.read_text()))
                if isinstance(node, ast.Call)
            ]
            names = {getattr(call.func, "id", getattr(call.func, "attr", "")) for call in calls}
            assert names.isdisjoint(OPENING), module
