"""What an option is: a field of a dataclass, and what the command line shows of it."""

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

_METAVARS = {int: "N", Path: "FILE"}


@dataclass(frozen=True)
class Field:
    """A field of an options dataclass, and the option of the command line that it is.

    name, type, default: of the field. sentence: its help. panel: one of `options.PANELS`.
    spelling: the option where it is not spelt as the field. metavar: what stands for the value in
    help, where neither its type nor its choices tell. minimum, maximum: of a number. is_read: the
    value is a path that must exist. is_noted: it shapes what is written, so the manifest has it.
    """

    name: str
    type: Any
    default: Any
    sentence: str
    panel: str
    spelling: str = ""
    metavar: str = ""
    minimum: float | None = None
    maximum: float | None = None
    is_read: bool = False
    is_noted: bool = True

    @property
    def key(self) -> str:
        """The option in a file of settings: its word without the dashes."""
        return self.word.removeprefix("--")

    @property
    def word(self) -> str:
        """The option, with its dashes."""
        return self.spelling or f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the value is one of; empty if it is free."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()

    @property
    def is_repeated(self) -> bool:
        """Whether the option may be given several times; its value is a tuple of words."""
        return typing.get_origin(self.type) is tuple

    @property
    def syntax(self) -> str:
        """The option as help shows it: `--jobs N`, `--format h5|npz`, `--force`."""
        kinds = typing.get_args(self.type) or (self.type,)
        metavar = self.metavar or "".join(_METAVARS.get(kind, "") for kind in kinds)
        value = "|".join(self.choices) or metavar
        return f"{self.word} {value}".rstrip()

    @property
    def range(self) -> str:
        """From where to where a number goes; "" if it is free."""
        low, high = self.minimum, self.maximum
        return "" if low is None else f"at least {low}" if high is None else f"{low} to {high}"

    @property
    def help(self) -> str:
        """The help with range and default behind it."""
        notes = [self.range] if self.range else []
        if self.default not in (None, ()) and self.default is not False:
            notes.append(f"default: {self.default}")
        return self.sentence + (f" [{'; '.join(notes)}]" if notes else "")


def option(default: Any, sentence: str, panel: str, **more: Any) -> Any:
    """A dataclass field that is an option; `more` is the rest of `Field`."""
    return field(default=default, metadata={"sentence": sentence, "panel": panel, **more})


def fields_of(kind: type) -> list[Field]:
    """The options that a dataclass declares, with those that it inherits."""
    types = typing.get_type_hints(kind)
    return [
        Field(each.name, types[each.name], each.default, **each.metadata)
        for each in dataclasses.fields(kind)
        if each.metadata
    ]


def settings_of(options: Any) -> dict[str, Any]:
    """Of an options dataclass what shapes the results, as JSON values, for the manifest."""
    noted = (each for each in fields_of(type(options)) if each.is_noted)
    values = {each.key: getattr(options, each.name) for each in noted}
    return as_text(values) | getattr(options, "preset_keys", {})


def as_text(values: dict[str, Any]) -> dict[str, Any]:
    """Values with text in the place of paths, as JSON and TOML have them."""
    return {key: str(it) if isinstance(it, Path) else it for key, it in values.items()}
