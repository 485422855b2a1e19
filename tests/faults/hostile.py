"""What a hostile hand could put into the files that are read again: values of any kind, sealed."""

import json
import random
from pathlib import Path
from typing import Any

from fundusseg.errors import InputError
from fundusseg.files import ledger, models
from fundusseg.files.atomic import write_json
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import STATE_FOLDER, read_manifest
from tests.batch import write_sealed

VALUES = (
    *(None, True, -1, 0, 3, 10**30, 1e308, float("nan"), "", "x" * 10**6, [], {}, [[]], {"": None}),
    *("../../../etc/passwd", "/etc/passwd", "a\0b", "\ud800", [[1, 2]] * 1000, "9" * 5000),
)


def is_hostile_to(path: Path) -> bool:
    """Whether a file is one that `make_hostile` can change."""
    is_state = path.name == models.STATE and path.parent.name != STATE_FOLDER
    return path.suffix in (".json", ".jsonl") or is_state


def make_hostile(path: Path, drawn: random.Random) -> str:
    """Change a value, leave one out or add one, and seal the file again; what was changed."""
    if path.name == models.STATE:
        state, notes = models.read_state(path.parent) or ({}, {})
        said = _change(notes, drawn)
        models.write_state(path.parent, state, notes)
    elif path.suffix == ".jsonl":
        lines = path.read_bytes().splitlines(keepends=True)
        number = drawn.randrange(len(lines))
        values = ledger._values(lines[number])
        said = f"line {number}: {_change(values, drawn)}"
        lines[number] = f"{ledger._line(values)}\n".encode()
        path.write_bytes(b"".join(lines))
    else:
        values = json.loads(path.read_bytes())
        said = _change(values, drawn)
        if path.name.startswith("manifest"):
            write_sealed(path, values)
        else:
            write_json(path, values)
    if path.name == models.CONFIG:
        _adopt(path.parent)
    return said


def _change(values: Any, drawn: random.Random, above: str = "") -> str:
    """Change one value, however deep."""
    keys = list(values) if isinstance(values, dict) else list(range(len(values)))
    if not keys:
        return f"{above} left as it is"
    key = drawn.choice(keys)
    where, value = f"{above}.{key}"[:200], values[key]
    if isinstance(value, dict | list) and value and drawn.random() < 0.7:
        return _change(value, drawn, where)
    if drawn.random() < 0.2:
        del values[key]
        return f"{where} left out"
    values[key] = drawn.choice(VALUES)
    return f"{where} is {str(values[key])[:30]!r}"


def _adopt(folder: Path) -> None:
    """Have the manifest of a model name its changed configuration."""
    try:
        values = read_manifest(folder / MANIFEST)
    except InputError:  # of an unfinished training
        return
    write_sealed(folder / MANIFEST, {**values, "model_sha256": models.model_sha256(folder)})
