"""status.tsv: one row for every input, whether it became a map or not."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.io.files import write_pieces

OK, FAILED = "ok", "failed"
_ESCAPE = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNPRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\udc80-\udcff]")
_ESCAPED = re.compile(r"\\(?:x(?P<hex>[0-9a-f]{2})|(?P<char>[\\tnr]))")


@dataclass(frozen=True)
class StatusRow:
    """A row as text; a cell is empty where nothing is known. Sizes in source pixels."""

    id: str
    status: str
    reason: str = ""
    source_sha256: str = ""
    width_px: str = ""
    height_px: str = ""
    fov_y_px: str = ""
    fov_x_px: str = ""
    fov_diameter_px: str = ""
    fov_method: str = ""
    expected_dice: str = ""


COLUMNS = tuple(column.name for column in fields(StatusRow))
_HEADER = "\t".join(COLUMNS)


def status_name(shard: int = 0, num_shards: int = 1) -> str:
    """status.tsv, or status-K-of-N.tsv for a part of a job array."""
    return "status.tsv" if num_shards == 1 else f"status-{shard}-of-{num_shards}.tsv"


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


def status_line(cells: Iterable[str]) -> str:
    """A row's cells as its line in the table, without the newline."""
    return "\t".join(map(escaped, cells))


def id_bytes(line: str) -> bytes:
    """What the lines of a table are sorted by: the bytes of the id."""
    return os.fsencode(unescaped(line.partition("\t")[0]))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write the lines of a table, which come sorted by `id_bytes`, atomically."""
    write_pieces(path, (f"{line}\n" for line in itertools.chain([_HEADER], lines)))


def read_status(path: Path) -> list[StatusRow]:
    """Read a status table.

    Raises:
        InputError: if it is missing, or its columns or rows are not those of a status table.
    """
    return [StatusRow(*map(unescaped, line.split("\t"))) for line in read_lines(path)]


def read_lines(path: Path) -> Iterator[str]:
    """The rows of a status table as they stand there, without newlines, one at a time.

    Raises:
        InputError: as `read_status`.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                _require_row(path, number, line)
                if number > 1:
                    yield line[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "run infer again") from error
    if number == 0:
        _require_row(path, 1, "")


def _require_row(path: Path, number: int, line: str) -> None:
    if not line.endswith("\n") or (number == 1 and line[:-1] != _HEADER):
        raise InputError(path, "is no status table, or cut off", "run the same command again")
    cells = line.count("\t") + 1
    if cells != len(COLUMNS):
        raise InputError(path, f"line {number} has {cells} cells, not {len(COLUMNS)}")
