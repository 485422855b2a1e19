"""history.csv: rows as they were added, empty cells where nothing is known."""

import csv

from fundusseg.files.history import COLUMNS, History


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
