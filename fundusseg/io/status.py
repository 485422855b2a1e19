"""status.tsv: one row for every input, whether it became a map or not."""

import os
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.io.files import write_text

OK, FAILED = "ok", "failed"
_ESCAPE = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
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


def status_name(shard: int = 0, num_shards: int = 1) -> str:
    """status.tsv, or status-K-of-N.tsv for a part of a job array."""
    return "status.tsv" if num_shards == 1 else f"status-{shard}-of-{num_shards}.tsv"


def escaped(text: str) -> str:
    r"""Tab, newline and undecodable bytes as \t, \n and \xNN, so that a row stays a row."""
    shown = "".join(_ESCAPE.get(character, character) for character in text)
    return re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f\udc80-\udcff]",
        lambda match: f"\\x{ord(match.group()) & 0xFF:02x}",
        shown,
    )


def unescaped(text: str) -> str:
    """The inverse of `escaped`; undecodable bytes become surrogates, as Python has them."""

    def plain(match: re.Match) -> str:
        if match["hex"]:
            byte = int(match["hex"], 16)
            return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)
        return {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}[match["char"]]

    return _ESCAPED.sub(plain, text)


def write_status(path: Path, rows: Iterable[StatusRow]) -> None:
    """Write rows sorted by id in byte order, atomically."""
    ordered = sorted(rows, key=lambda row: os.fsencode(row.id))
    lines = ["\t".join(escaped(cell) for cell in astuple(row)) for row in ordered]
    write_text(path, "\n".join(["\t".join(COLUMNS), *lines]) + "\n")


def read_status(path: Path) -> list[StatusRow]:
    """Read a status table.

    Raises:
        InputError: if it is missing, or its columns or rows are not those of a status table.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "run infer again") from error
    if lines[0] != "\t".join(COLUMNS) or lines[-1] != "":
        raise InputError(path, "is no status table, or cut off", "run the same command again")
    rows = []
    for number, line in enumerate(lines[1:-1], start=2):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise InputError(path, f"line {number} has {len(cells)} cells, not {len(COLUMNS)}")
        rows.append(StatusRow(*map(unescaped, cells)))
    return rows
