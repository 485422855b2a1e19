"""The options of a command in a file: TOML, or the manifest that an earlier run left.

A key is an option without its dashes, as in `num-shards = 4`. A file for train may hold sections of
its preset too, as in `[loss]` and below it `dice = 1.0`; JSON, as a manifest is, means the same.
"""

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fundusseg.config import Preset
from fundusseg.errors import InputError
from fundusseg.files import manifest
from fundusseg.files.text import read_json, read_text
from fundusseg.option_fields import Field
from fundusseg.serial import value_of, with_overrides

_OF_PRESETS = {field.name for field in dataclasses.fields(Preset)}


def read_settings(
    path: Path, command: str, known: Sequence[Field], with_preset: bool
) -> dict[str, Any]:
    """The options that a file gives, by the names of their fields.

    Args:
        known: the options of the command.
        with_preset: sections of a preset are known too; they come as `preset_keys`.

    Raises:
        FundussegError: if the file cannot be read or is of another command, on an unknown key,
            and on a value of the wrong type or out of its range.
    """
    fields = {field.key: field for field in known}
    found: dict[str, Any] = {}
    sections = {}
    for key, value in _values(path, command).items():
        if key in fields:
            if value is not None:  # null, as manifests have it: not given
                found[fields[key].name] = _value(fields[key], value, f"{path}: {key}")
        elif with_preset and key in _OF_PRESETS:
            sections[key] = value
        else:
            words = [*fields, *(_OF_PRESETS if with_preset else ())]
            meant = "".join(f" ({name}?)" for name in difflib.get_close_matches(key, words, n=1))
            problem = f"{key} is no option of {command}{meant}"
            raise InputError(path, problem, f"fundusseg {command} --print-config lists them")
    if with_preset:
        with_overrides(Preset(), sections, str(path))
        found["preset_keys"] = sections
    return found


def toml(values: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a TOML file with these values; None becomes a comment, a mapping a table."""
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    for key, value in values.items():
        if key not in tables:
            shown = json.dumps(value, ensure_ascii=False)
            yield f"# {key} is not given\n" if value is None else f"{key} = {shown}\n"
    for key, table in tables.items():
        yield f"\n[{key}]\n"
        yield from toml(table)


def _values(path: Path, command: str) -> dict[str, Any]:
    """All that a file holds; of a manifest, the options."""
    if path.suffix != ".json":
        try:
            return tomllib.loads(read_text(path, may_be_pipe=True))
        except tomllib.TOMLDecodeError as error:
            remedy = "give what --print-config prints, or a manifest.json"
            raise InputError(path, f"is not TOML ({error})", remedy) from error
    values = read_json(path)
    if values.get("format") != manifest.FORMAT:
        return values
    if values.get("stage") != command:
        raise InputError(path, f"is of {values.get('stage')}, not of {command}")
    if not isinstance(values.get("options"), dict):
        raise InputError(path, "holds no options: an earlier version wrote it")
    return values["options"]


def _value(field: Field, value: Any, where: str) -> Any:
    """A value as the option's type has it."""
    hint = field.type
    if isinstance(hint, types.UnionType):
        (hint,) = set(typing.get_args(hint)) - {types.NoneType}
    if hint is Path:
        return Path(value_of(str, value, where))
    value = value_of(hint, value, where)
    low, high = field.minimum, field.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise InputError(where, f"is {value}", f"give {field.range}")
    return value
