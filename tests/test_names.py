"""A name exists once in the package, so that it tells which room it comes from."""

import ast
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import fundusseg

ROOT = Path(fundusseg.__file__).parent
MODULES = [path for path in ROOT.rglob("*.py") if path.name != "__init__.py"]


def _is_part_of_a_command(path: Path) -> bool:
    """Whether it lies in a command's own folder, as commands/infer/run.py does."""
    parts = path.relative_to(ROOT).parts
    return parts[0] == "commands" and len(parts) > 2


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def test_no_two_modules_have_one_name():
    assert _repeated(path.stem for path in MODULES if not _is_part_of_a_command(path)) == []


def test_no_two_classes_have_one_name():
    classes = (
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert _repeated(classes) == []
