"""Small tab-separated tables that a user hands in."""

import csv
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.names import NameDict, is_inside, unescaped


def read_table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a TSV file with a header line as one dictionary a row, blanks around cells (not those
    of the column id, which are a name's own) left out.

    Raises:
        InputError: if it cannot be read, lacks a column of `needed`, or a row is short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel writes a BOM
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = reader.fieldnames or ()
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "save it as UTF-8 text with tabs between the cells"
        raise InputError(path, f"cannot be read ({error})", remedy) from error
    missing = [name for name in needed if name not in columns]
    if missing:
        remedy = f"its first line must name the columns {', '.join(needed)}, tab-separated"
        raise InputError(path, f"has no column {', '.join(missing)}", remedy)
    for number, row in rows:
        if None in row or None in row.values():
            problem = f"line {number} has not as many cells as the header"
            raise InputError(path, problem, "correct it")
    return [
        {name: cell if name == "id" else cell.strip() for name, cell in row.items()}
        for _, row in rows
    ]


def rows_by_id(path: Path, needed: tuple[str, ...] = ()) -> NameDict[dict[str, str]]:
    """Read a table with the column id, escaped as --dry-run prints it; the row of each id.

    Raises:
        InputError: as `read_table`, or if one id has two rows, or climbs out of the data set.
    """
    rows: NameDict[dict[str, str]] = NameDict()
    for row in read_table(path, ("id", *needed)):
        id = unescaped(row["id"])
        if id in rows:
            raise InputError(path, f"has two rows for {row['id']}", "leave one")
        if not is_inside(id):
            raise InputError(path, f"has a row for {row['id']!r}, which is no id", "correct it")
        rows[id] = row
    return rows


def read_subjects(path: Path) -> NameDict[str]:
    """Read the table of --subjects: the columns id and subject; no cell may be empty."""
    subjects: NameDict[str] = NameDict()
    for id, row in rows_by_id(path, ("subject",)).items():
        if not row["subject"]:
            raise InputError(path, f"has no subject for {row['id']}", "fill it in")
        subjects[id] = unescaped(row["subject"])
    return subjects
