"""Configurations as JSON: read with every key checked, changed in part, written, and hashed.

Unknown keys are refused, so that a typing error or a newer program's file never passes for a
default. Keys of before that `config.RETIRED` and `config.RENAMED` list are still read.
"""

import dataclasses
import hashlib
import json
import typing
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from fundusseg.config import RENAMED, RETIRED, OutOfRangeError
from fundusseg.errors import FundussegError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Config = TypeVar("_Config", bound="DataclassInstance")


def to_dict(config: "DataclassInstance") -> dict:
    """The configuration as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(kind: type[_Config], values: dict, where: str) -> _Config:
    """Rebuild a configuration dataclass; `where` names the file in errors.

    Raises:
        FundussegError: on an unknown key, a value of the wrong type, or one out of its range.
    """
    try:
        return _built(kind, values, where)
    except OutOfRangeError as error:
        raise FundussegError(f"{where}: {error}") from error


def with_overrides(config: _Config, values: dict, where: str) -> _Config:
    """`config` with the (nested) keys of `values` replaced; the same errors as `from_dict`."""
    try:
        return _built(type(config), values, where, config)
    except OutOfRangeError as error:
        raise FundussegError(f"{where}: {error}") from error


def canonical_json(values: object) -> str:
    """JSON with sorted keys and no spare spaces: equal values, equal text."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def config_hash(values: object) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `values`."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def _built(kind: type[_Config], values: dict, where: str, base: _Config | None = None) -> _Config:
    """A `kind` of these values; other fields are those of `base`, or defaults without one."""
    hints = typing.get_type_hints(kind)
    values = _current(kind, values, where)
    if unknown := sorted(set(values) - set(hints)):
        raise FundussegError(
            f"{where}: unknown key {', '.join(unknown)} in {kind.__name__}; "
            f"known are {', '.join(hints)}"
        )
    fields = {
        key: value_of(hints[key], value, f"{where}: {key}", getattr(base, key, None))
        for key, value in values.items()
    }
    return kind(**fields) if base is None else dataclasses.replace(base, **fields)


def _current(kind: type, values: dict, where: str) -> dict:
    """The values without retired keys, and under the names that keys have now.

    Raises:
        FundussegError: if a retired key asks for what cannot be built any more.
    """
    retired, renamed = RETIRED.get(kind, {}), RENAMED.get(kind, {})
    for key in retired.keys() & values.keys():
        if values[key] != retired[key]:
            raise FundussegError(
                f"{where}: {key} is {values[key]!r}, which this version cannot do; "
                f"leave it out, or use commit 158e046"
            )
    return {renamed.get(key, key): value for key, value in values.items() if key not in retired}


def value_of(hint: Any, value: Any, where: str, base: Any = None) -> Any:
    """A JSON value as the type `hint` has it; of a configuration, other keys are those of `base`.

    FundussegError, beginning with `where`, if it is of another type.
    """
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise FundussegError(f"{where}: should be a table of keys")
        return _built(hint, value, where, base)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise FundussegError(f"{where}: should be a list")
        return tuple(value_of(typing.get_args(hint)[0], item, where) for item in value)
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            names = ", ".join(typing.get_args(hint))
            raise FundussegError(f"{where}: should be one of {names}, is {value!r}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise FundussegError(f"{where}: should be {hint.__name__}, is {value!r}")
    return value
