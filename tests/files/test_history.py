"""history.csv: rows as they were added, empty cells where nothing is known."""

import csv

import pytest

from fundusseg.errors import InputError
from fundusseg.files.history import COLUMNS, History, read_history


def test_rows_have_all_columns_and_empty_cells(tmp_path):
    history = History(tmp_path / "history.csv")
    history.add(5, 1.23456789, {"generator_loss": 1 / 3, "learning_rate": 2e-3})
    history.add(8, 2.0, {"validation_dice": 0.75})
    history.write()
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["step"] == "5" and rows[0]["epoch"] == "1.2346"
    assert float(rows[0]["generator_loss"]) == 0.33333333
    assert rows[0]["validation_dice"] == "" and rows[1]["generator_loss"] == ""


def test_no_rows_are_a_header(tmp_path):
    History(tmp_path / "history.csv").write()
    assert (tmp_path / "history.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_writing_again_replaces(tmp_path):
    history = History(tmp_path / "history.csv")
    history.add(1, 1.0, {})
    history.write()
    history.write()
    assert (tmp_path / "history.csv").read_text().count("\n") == 2


def test_the_last_step_that_had_a_figure(tmp_path):
    history = History(tmp_path / "history.csv")
    assert history.last_step_with("generator_loss") == 0
    history.add(5, 1.0, {"generator_loss": 1.0})
    history.add(8, 1.6, {"validation_dice": 0.5})
    assert history.last_step_with("generator_loss") == 5
    assert history.last_step_with("validation_dice") == 8


def test_rows_come_back_without_the_figures_that_they_have_not(tmp_path):
    history = History(tmp_path / "history.csv")
    history.add(5, 1.0, {"generator_loss": 0.25})
    history.add(8, 2.0, {"validation_dice": 0.75})
    history.write()
    assert read_history(history.path) == history.rows


@pytest.mark.parametrize("text", ["step\nx\n", "epoch\n1\n", "step\n1,2\n"])
def test_what_is_no_history_is_refused(text, tmp_path):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(InputError, match="history"):
        read_history(tmp_path / "history.csv")
