"""status.tsv: one row for every input, whether it became a map or not."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from io import TextIOWrapper
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.atomic import write_pieces
from fundusseg.files.names import escaped, name_bytes, unescaped
from fundusseg.files.regular import open_regular

NAME = "status.tsv"
OK, FAILED = "ok", "failed"


@dataclass(frozen=True)
class StatusRow:
    """A row as text; a cell is empty where nothing is known. Sizes in source pixels.

    source: the photograph, as seen from where ids begin. map: its map, as seen from the table.
    """

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
    mean_entropy_bits: str = ""
    sharpness_ratio: str = ""
    evenness_ratio: str = ""
    dark_edge_ratio: str = ""
    pixel_um: str = ""
    source: str = ""
    map: str = ""


COLUMNS = tuple(column.name for column in fields(StatusRow))
_HEADER = "\t".join(COLUMNS)


def status_line(row: StatusRow) -> str:
    """A row as its line in the table, without the newline."""
    return "\t".join(map(escaped, astuple(row)))


def is_row(line: object) -> bool:
    """Whether this is a line of the table, without its end."""
    return isinstance(line, str) and "\n" not in line and line.count("\t") == len(COLUMNS) - 1


def named(line: str, source: str, map: str) -> str:
    """A line with these names of its files, in place of those that it has."""
    return "\t".join([*line.rsplit("\t", 2)[:1], escaped(source), escaped(map)])


def row_of(line: str) -> StatusRow:
    """What `status_line` made a line of."""
    return StatusRow(*map(unescaped, line.split("\t")))


def id_bytes(line: str) -> bytes:
    """What the lines of a table are sorted by: the bytes of the id."""
    return name_bytes(unescaped(line.partition("\t")[0]))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write the lines of a table, which come sorted by `id_bytes`, atomically."""
    write_pieces(path, (f"{line}\n".encode() for line in itertools.chain([_HEADER], lines)))


def read_status(path: Path) -> list[StatusRow]:
    """Read a status table.

    InputError if it is missing, or its columns or rows are not those of one.
    """
    return [row_of(line) for line in read_lines(path)]


def read_lines(path: Path) -> Iterator[str]:
    """The rows of a status table as they stand there, without newlines, one at a time.

    Errors as of `read_status`.
    """
    number = 0
    try:
        with TextIOWrapper(open_regular(path), encoding="utf-8") as file:
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
    if not is_row(line[:-1]):
        cells = line.count("\t") + 1
        raise InputError(path, f"line {number} has {cells} cells, not {len(COLUMNS)}")
