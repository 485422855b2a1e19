"""history.csv: how a training went, a row every so many steps."""

import csv
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.atomic import write_text
from fundusseg.files.text import read_text

COLUMNS = tuple(
    "step epoch generator_loss adversarial_loss segmentation_loss l1_loss discriminator_loss"
    " learning_rate validation_dice validation_auroc validation_l1 threshold".split()
)


class History:
    """Rows by column name; losses are means over the steps since the row before."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict[str, float]] = []

    def add(self, step: int, epoch: float, figures: dict[str, float]) -> None:
        """Add a row."""
        self.rows.append({"step": step, "epoch": round(epoch, 4), **figures})

    def take(self, rows: object) -> None:
        """Take the rows that a state held.

        Raises:
            TypeError: if they are no rows of numbers.
        """
        if not isinstance(rows, list) or not all(
            isinstance(row, dict)
            and "step" in row
            and row.keys() <= {*COLUMNS}
            and all(map(_is_number, row.values()))
            for row in rows
        ):
            raise TypeError("its history is none")
        self.rows = rows

    def last_step_with(self, column: str) -> int:
        """The last step whose row has a figure in `column`; 0 if there is none."""
        return max((int(row["step"]) for row in self.rows if column in row), default=0)

    def write(self) -> None:
        """Write all rows, atomically; a figure that a row has not is an empty cell."""
        lines = [",".join(COLUMNS)]
        for row in self.rows:
            lines.append(",".join(_cell(row.get(column)) for column in COLUMNS))
        write_text(self.path, "\n".join(lines) + "\n")


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a history.csv, without the figures that a row has not.

    Raises:
        InputError: if it is no such table.
    """
    try:
        rows = csv.DictReader(read_text(path).splitlines())
        figures = [{key: float(cell) for key, cell in row.items() if cell != ""} for row in rows]
    except (csv.Error, TypeError, ValueError) as error:
        raise InputError(path, f"cannot be read as a history ({error})") from error
    if any("step" not in row for row in figures):
        raise InputError(path, "has rows without a step")
    return figures


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.8g}"
