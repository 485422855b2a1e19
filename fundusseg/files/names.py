"""Names of files and photographs as text: written so that a row stays a row, and held inside.

A name is a path relative to the folder that it belongs to, `/` kept; its bytes are read as UTF-8
with surrogateescape, whatever the locale. Names are compared in NFC and written as they are.
"""

import re
import unicodedata
from typing import Any, TypeVar

_Value = TypeVar("_Value")

_ESCAPE = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNPRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\udc80-\udcff]")
_ESCAPED = re.compile(r"\\(?:x(?P<hex>[0-9a-f]{2})|(?P<char>[\\tnr]))")


def escaped(text: str) -> str:
    r"""Tab, newline and undecodable bytes as \t, \n and \xNN, so that a row stays a row."""
    if text.isprintable() and "\\" not in text:
        return text
    shown = "".join(_ESCAPE.get(character, character) for character in text)
    return _UNPRINTED.sub(lambda match: f"\\x{ord(match.group()) & 0xFF:02x}", shown)


def unescaped(text: str) -> str:
    """The inverse of `escaped`; undecodable bytes become surrogates, as Python has them."""

    def plain(match: re.Match) -> str:
        if match["hex"]:
            byte = int(match["hex"], 16)
            return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)
        return {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}[match["char"]]

    if "\\" not in text:
        return text
    return _ESCAPED.sub(plain, text)


def name_bytes(name: str) -> bytes:
    """A name as the file system has it, which tables are sorted by, whatever the locale."""
    return name.encode("utf-8", "surrogateescape")


def name_from(data: bytes) -> str:
    """The inverse of `name_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def is_inside(name: str) -> bool:
    """Whether a name that was read from a file or a list stays inside its folder.

    Not an absolute path, no `..`, not empty, no NUL: everything that reads names (shards, ledgers,
    checksums, tables) asks this before a path is made of one.
    """
    return bool(name) and name[0] != "/" and "\0" not in name and ".." not in name.split("/")


def nfc(name: str) -> str:
    """A name as names are compared: where one has an accented letter in two code points, as a Mac
    writes it, and the other in one, they are the same."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class NameDict(dict[str, _Value]):
    """Values by a name, whichever way its accents are written."""

    def __setitem__(self, name: str, value: _Value) -> None:
        super().__setitem__(nfc(name), value)

    def __getitem__(self, name: str) -> _Value:
        return super().__getitem__(nfc(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(nfc(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, or `default`."""
        return super().get(nfc(name), default)
