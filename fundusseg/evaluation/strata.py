"""Strata: groups of items, such as a diagnosis or a camera, that are also summarised separately."""

from pathlib import Path

from fundusseg.datasets.truth import TruthItem
from fundusseg.errors import InputError
from fundusseg.files.tables import rows_by_id
from fundusseg.wording import counted

OWN_GROUP = "group"  # the grouping that the data set's file names tell
NO_GROUP = "(none)"


def strata(items: list[TruthItem], groups: Path | None) -> dict[str, list[str]]:
    """The stratum of each item, by the name of the grouping.

    Args:
        groups: a TSV table with the column id (an id, or a stem) and one or more groupings.

    Returns:
        Lists in the order of `items`: one for each column of the table, then the data set's own
        groups if there are several. Items without a row or a value are in the stratum "(none)".

    Raises:
        InputError: if the table cannot be read, has no row or no grouping, names an id twice, or
            none of the items.
    """
    columns = {} if groups is None else _listed_groups(items, groups)
    own = [item.group or NO_GROUP for item in items]
    if len(set(own)) > 1 and OWN_GROUP not in columns:
        columns[OWN_GROUP] = own
    return columns


def _listed_groups(items: list[TruthItem], path: Path) -> dict[str, list[str]]:
    row_by_id = rows_by_id(path)
    if not row_by_id:
        raise InputError(path, "has no row below its header")
    names = [name for name in next(iter(row_by_id.values())) if name != "id"]
    if not names:
        raise InputError(path, "has no column beside id", "add a column such as disease")
    if not any(item.id in row_by_id or item.stem in row_by_id for item in items):
        problem = f"names none of the {counted(len(items), 'image')} scored"
        raise InputError(path, problem, f"their ids are like {items[0].id}")
    return {name: [_group(row_by_id, item, name) for item in items] for name in names}


def _group(row_by_id: dict[str, dict[str, str]], item: TruthItem, name: str) -> str:
    row = row_by_id.get(item.id) or row_by_id.get(item.stem)
    return NO_GROUP if row is None else row[name] or NO_GROUP
