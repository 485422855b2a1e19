"""A CSV table with one row or several for each id, which a killed command goes on with.

The table is its own ledger: at the end of a row stand hashes of the settings and of all that it was
made from, so a row is kept as long as they are as they were, and a checksum of the row before it.
While a command works, rows go to a hidden file beside the table (`.NAME.rows`), those of one id in
one write that begins with an empty line; at the end the table is written in one piece, and the
hidden file goes. A line that was cut short, or whose checksum does not hold, is passed over.

A part of a job array writes a table of its own, `NAME-K-of-N.csv`.
"""

import csv
import heapq
import zlib
from collections.abc import Iterable, Iterator, KeysView, Sequence
from contextlib import ExitStack, contextmanager
from io import StringIO
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from fundusseg.errors import InputError
from fundusseg.files.atomic import append_line, sweep, write_pieces
from fundusseg.files.manifest import Part, part_totals
from fundusseg.files.names import escaped, name_bytes, unescaped
from fundusseg.files.regular import open_regular
from fundusseg.files.status import FAILED
from fundusseg.wording import counted

HASHES = ("settings", "made_from", "crc32")  # the last columns
_LONGEST_HEADER = 1 << 20  # bytes; a file of another kind may have no end of line
STATUS = "status"  # the second column of a table with one row for each id
_Place = tuple[int, int, int]  # which file, and the first byte and the one after the last in it


class RowTable:
    """A table of rows by id.

    The first column is the id, and the second tells the rows of one id apart; the rows of an id
    follow one another.

    Args:
        path: of the table. columns: without `HASHES`.
        force: begin anew, and write over whatever stands there.
    """

    def __init__(self, path: Path, columns: Sequence[str], force: bool = False):
        self.path = path
        self.columns = (*columns, *HASHES)
        self._work = _work_file(path)
        self._places: dict[str, _Place] = {}
        self._hashes: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, int] = {}
        self._emptied: set[str] = set()  # what has no rows now, whatever an earlier table says
        self._is_forced = force
        self._read = (self._work,) if force else (path, self._work)

    def read(self) -> None:
        """Note the rows of earlier runs; InputError if another file stands there."""
        if self._is_forced:
            self._work.unlink(missing_ok=True)
        with self._open_files():
            pass

    @property
    def ids(self) -> KeysView[str]:
        """Of all rows."""
        return self._places.keys()

    def has(self, id: str, settings: str, made_from: str) -> bool:
        """Whether the rows of an id were made from this."""
        return self._hashes.get(id) == (settings, made_from)

    def count(self, id: str) -> int:
        """How many rows of an id `read` found."""
        return self._counts.get(id, 0)

    def cells(self, id: str) -> dict[str, str]:
        """The first row of an id that `read` found, by column."""
        which, start, stop = self._places[id]
        with open_regular([path for path in self._read if path.exists()][which]) as file:
            file.seek(start)
            line = file.read(stop - start).splitlines(keepends=True)[0]
        return dict(zip(self.columns, _row_cells(line), strict=True))

    def append(self, id: str, rows: Iterable[Sequence[str]], settings: str, made_from: str) -> None:
        """Note the rows of an id: cells as text, without the id and the hashes."""
        lines = [_row([escaped(id), *cells, settings, made_from]) for cells in rows]
        if not lines:
            self._emptied.add(id)
        else:
            append_line(self._work, "\n".join(["", *lines]))

    def conclude(self, ids: Iterable[str], has_all: bool = False) -> None:
        """Write the table: the rows of these ids, in this order. What is right stays.

        Raises:
            InputError: if the file system refuses or, with `has_all`, an id has no row any more.
        """
        ids = [id for id in ids if id not in self._emptied]
        self._places.clear()
        with self._open_files() as files:
            if has_all and (lost := [id for id in ids if id not in self._places]):
                problem = (
                    f"has lost {counted(len(lost), 'row')}, the first that of {escaped(lost[0])}"
                )
                raise InputError(self.path, problem, "run the same command again")
            ids = [id for id in ids if id in self._places]
            is_as_due = self.path.exists() and [*self._places] == ids
            if self.path in self._read and not self._work.exists() and is_as_due:
                return

            def pieces() -> Iterator[bytes]:
                yield f"{_line(self.columns)}\n".encode()
                for id in ids:
                    which, start, stop = self._places[id]
                    files[which].seek(start)
                    lines = files[which].read(stop - start).splitlines(keepends=True)
                    yield b"".join(line for line in lines if _row_cells(line))

            write_pieces(self.path, pieces())
        self._work.unlink(missing_ok=True)

    @contextmanager
    def _open_files(self) -> Iterator[list[BinaryIO]]:
        """The table and the hidden file, as far as they are there, once their rows are noted."""
        with ExitStack() as stack:
            files: list[BinaryIO] = []
            for path in self._read:
                if path.exists():
                    files.append(stack.enter_context(open_regular(path)))
                    self._note(path, len(files) - 1, files[-1])
            yield files

    def _note(self, path: Path, which: int, file: BinaryIO) -> None:
        stop, first, before, follows_damage = 0, "", "", False
        for number, line in enumerate(file):
            start, stop = stop, stop + len(line)
            if path == self.path and number == 0:
                self._require_header(line)
                continue
            if line == b"\n":
                first, before = "", ""
                continue
            cells = _row_cells(line)
            if len(cells) != len(self.columns):  # it may be of either neighbour: both are made anew
                self._hashes.pop(before, None)
                follows_damage = True
                continue
            id = unescaped(cells[0])
            if id != before or cells[1] == first:  # the rows of an id begin (anew)
                first, before = cells[1], id
                self._places[id] = which, start, stop
                self._hashes[id] = cells[-3], cells[-2]
                self._counts[id] = 0
            self._counts[id] += 1
            self._places[id] = (*self._places[id][:2], stop)
            if follows_damage:
                self._hashes.pop(id, None)
                follows_damage = False

    def _require_header(self, line: bytes) -> None:
        if _cells(line) != list(self.columns):
            problem = "is there, and is not the table that would be written"
            raise InputError(self.path, problem, "choose another name, or give --force")


def _is_header(cells: Sequence[str]) -> bool:
    return tuple(cells[-len(HASHES) :]) == HASHES


def _work_file(path: Path) -> Path:
    """The hidden file in which the rows of a table stand until it is written."""
    return path.with_name(f".{path.name}.rows")


def is_table(path: Path) -> bool:
    """Whether the first line of a file is that of a table."""
    with open_regular(path) as file:
        return _is_header(_cells(file.readline(_LONGEST_HEADER)))


def table_faults(path: Path) -> Iterator[str]:
    """What is wrong with a table: no such, not finished, or a line of it changed or damaged."""
    remedy = "run the same command again"
    if _work_file(path).exists():
        yield f"{path}: is not finished; {remedy}"
        return
    with open_regular(path) as file:
        header = _cells(file.readline(_LONGEST_HEADER))
        if not _is_header(header):
            yield f"{path}: is no table that measure wrote; give one, or a folder"
            return
        seen: set[tuple[str, str]] = set()
        for number, line in enumerate(file, start=2):
            cells = _row_cells(line)
            if len(cells) != len(header):
                yield f"{path}: line {number} has been changed, or is damaged; {remedy}"
            elif (key := (cells[0], "" if header[1] == STATUS else cells[1])) in seen:
                yield f"{path}: line {number} is a second row of {cells[0]}; {remedy} with --force"
            else:
                seen.add(key)


def count_rows(path: Path) -> tuple[int, int]:
    """How many rows a table has, and how many of them failed."""
    with open_regular(path) as file:
        has_status = _cells(file.readline())[1:2] == [STATUS]
        failed = [has_status and _cells(line)[1:2] == [FAILED] for line in file]
    return len(failed), sum(failed)


def merge_tables(path: Path) -> tuple[int, int]:
    """Join the tables of all parts; how many rows there are, and how many of them failed.

    What an array of one task wrote is whole already.

    Raises:
        InputError: if there are no parts, one is missing, or they do not fit together.
    """
    sweep(path.parent)
    totals = part_totals(path.parent, path.name)
    if not totals and path.is_file() and not any(table_faults(path)):
        return count_rows(path)
    if len(totals) != 1:
        several = " and of ".join(map(str, totals))
        problem = f"has parts of {several}" if totals else "has no parts"
        remedy = "run measure with --shard K --num-shards N, and remove the parts of another N"
        raise InputError(path, problem, remedy)
    (total,) = totals
    parts = [path.with_name(Part(number, total).named(path.name)) for number in range(total)]
    if missing := [part.name for part in parts if not part.is_file() or _work_file(part).exists()]:
        problem = f"{', '.join(missing)} missing or unfinished of {total} parts"
        raise InputError(path, problem, "run those parts again, then merge")
    counts = [0, 0]
    with ExitStack() as stack:
        tables = []
        for part in parts:
            try:
                tables.append(stack.enter_context(open_regular(part)))
            except OSError as error:
                raise InputError(part, f"cannot be read ({error.strerror})") from error
        write_pieces(path, _merged(parts, tables, counts))
    return counts[0], counts[1]


def _merged(parts: list[Path], tables: list[BinaryIO], counts: list[int]) -> Iterator[bytes]:
    """The lines of all parts; `counts` become those of rows and of failed ones.

    Parts share out the ids in turn: so those that saw other inputs show.
    """
    headers = [table.readline() for table in tables]
    has_status = _cells(headers[0])[1:2] == [STATUS]
    yield headers[0]
    settings: set[bytes] = {headers[0]}
    rows = (_keyed(table, number, parts[number]) for number, table in enumerate(tables))
    for _, number, line in heapq.merge(*rows, key=itemgetter(0)):
        wrong = headers[number] != headers[0] or (has_status and number != counts[0] % len(parts))
        settings.add(line.rsplit(b",", len(HASHES))[-len(HASHES)])
        if wrong or len(settings) > 2:
            problem = "was made with other settings, maps or versions than the first part"
            remedy = "run all parts with the same command on the same maps"
            raise InputError(parts[number], problem, remedy)
        counts[0] += 1
        counts[1] += has_status and _cells(line)[1] == FAILED
        yield line


def _keyed(table: BinaryIO, number: int, part: Path) -> Iterator[tuple[bytes, int, bytes]]:
    for line in table:
        cells = _row_cells(line)
        if not cells:
            raise InputError(part, "has a damaged line", "run that part again, then merge")
        yield name_bytes(unescaped(cells[0])), number, line


def _row_cells(line: bytes) -> list[str]:
    """The cells of a row; none if its checksum does not hold."""
    row, _, found = line.rpartition(b",")
    return _cells(line) if found == b"%08x\n" % zlib.crc32(row) else []


def _cells(line: bytes) -> list[str]:
    """The cells of a line; none where it is cut off, or no text."""
    try:
        return next(csv.reader([line[:-1].decode()]), []) if line.endswith(b"\n") else []
    except (UnicodeDecodeError, csv.Error):
        return []


def _row(cells: Sequence[str]) -> str:
    """Cells, but for the last, as a row."""
    line = _line(cells)
    return f"{line},{zlib.crc32(line.encode()):08x}"


def _line(cells: Sequence[str]) -> str:
    """Cells as a line of CSV, without its end."""
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
