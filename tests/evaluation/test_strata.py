"""Strata come from the table of --groups, by id or stem, and from the data set's own names."""

import pytest

from fundusseg.datasets.truth import TruthItem
from fundusseg.errors import InputError
from fundusseg.evaluation.strata import strata

ITEMS = [
    TruthItem("images/01_h", "test", "01", "h"),
    TruthItem("images/02_dr", "test", "02", "dr"),
    TruthItem("images/03", "test", "03", ""),
]


def _table(tmp_path, text):
    (tmp_path / "groups.tsv").write_text(text)
    return tmp_path / "groups.tsv"


def test_without_a_table_the_data_sets_own_groups_are_the_strata():
    assert strata(ITEMS, None) == {"group": ["h", "dr", "(none)"]}


def test_one_group_alone_is_no_grouping():
    assert strata(ITEMS[:1], None) == {}


def test_a_row_is_found_by_id_else_by_stem(tmp_path):
    table = _table(tmp_path, "id\tcamera\n01_h\tA\nimages/02_dr\tB\n")
    assert strata(ITEMS, table)["camera"] == ["A", "B", "(none)"]


def test_a_column_of_the_table_replaces_the_own_groups(tmp_path):
    table = _table(tmp_path, "id\tgroup\n01_h\tx\n02_dr\t\n")
    assert strata(ITEMS, table) == {"group": ["x", "(none)", "(none)"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id\tcamera\n", "no row below its header"),
        ("id\tcamera\n1\tA\n1\tB\n", "two rows for 1"),
        ("id\n1\n", "no column beside id"),
        ("id\tcamera\n04\tA\n", "names none of the 3 images .*; their ids are like images/01_h"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason):
        strata(ITEMS, _table(tmp_path, text))
