"""The pictures in a model folder: when they are drawn, and what of earlier steps they show.

curves.png follows from history.csv. samples.png shows maps of several validations, which the
state of the training keeps, so that a training that was killed ends in the same pictures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fundusseg.datasets.samples import Sample
from fundusseg.files import models
from fundusseg.files.atomic import write_bytes
from fundusseg.files.history import read_history

PANEL_PX = 256
MOST_ROWS = 3
MOST_MAPS = 4
_KEPT = "pictured/"  # before step and row: the names of the maps that a state holds


class Pictures:
    """curves.png and samples.png in the folder `out`; no samples where nothing is held out.

    is_drawn: not in the pieces of an adaptation, whose folders are removed in the end.
    """

    def __init__(self, out: Path, held_out: Sequence[Sample], is_drawn: bool = True):
        self.out = out
        drawn = (models.CURVES, *([models.SAMPLES] if held_out else []))
        self.names = drawn if is_drawn else ()
        count = min(MOST_ROWS, len(held_out))
        self.shown = [number * len(held_out) // count for number in range(count)]
        self._begun = [
            [panel(held_out[number].image), panel(held_out[number].labelled_mask)]
            for number in self.shown
        ]
        self._maps: dict[int, list[np.ndarray]] = {}

    def add(self, step: int, panels: Sequence[np.ndarray]) -> None:
        """Keep the maps of a validation: `panel`s of all that is held out.

        Of too many validations the one goes that leaves the smallest gap; first and last stay.
        """
        self._maps[step] = [panels[number] for number in self.shown]
        if len(self._maps) > MOST_MAPS:
            steps = sorted(self._maps)
            gaps = {steps[at]: steps[at + 1] - steps[at - 1] for at in range(1, len(steps) - 1)}
            del self._maps[min(gaps, key=gaps.__getitem__)]

    def arrays(self) -> dict[str, np.ndarray]:
        """The maps, as a state holds them beside its own arrays."""
        return {
            f"{_KEPT}{step}/{row}": values
            for step, maps in self._maps.items()
            for row, values in enumerate(maps)
        }

    def take(self, state: dict[str, np.ndarray]) -> None:
        """Take the maps out of a state; one of an earlier version holds none.

        Raises:
            KeyError, ValueError: if they are not those of these photographs.
        """
        kept = {name: state.pop(name) for name in sorted(state) if name.startswith(_KEPT)}
        for step in sorted({int(name.split("/")[1]) for name in kept}):
            self._maps[step] = [kept.pop(f"{_KEPT}{step}/{row}") for row in range(len(self.shown))]
        maps = [values for row in self._maps.values() for values in row]
        if kept or any(values.ndim != 2 or values.dtype != np.uint8 for values in maps):
            raise ValueError("its maps for samples.png are of other photographs")

    def require_steps_of(self, rows: Sequence[dict[str, float]]) -> None:
        """Raise ValueError unless the rows of a history have a Dice for each map that is kept."""
        if not self._maps.keys() <= {row["step"] for row in rows if "validation_dice" in row}:
            raise ValueError("its maps for samples.png are of other steps than its history")

    def write(self) -> None:
        """Draw both anew, from the history as it is written."""
        if not self.names:
            return
        from fundusseg.report import training_plots  # matplotlib

        rows = read_history(self.out / models.HISTORY)
        write_bytes(self.out / models.CURVES, training_plots.curves_plot(rows))
        if self._maps:
            dice = {int(row["step"]): row.get("validation_dice") for row in rows}
            steps = sorted(self._maps)
            titles = [f"map at step {step}\nmean Dice {dice[step]:.4f}" for step in steps]
            panels = [
                [*begun, *(self._maps[step][row] for step in steps)]
                for row, begun in enumerate(self._begun)
            ]
            picture = training_plots.samples_plot(["photograph", "mask", *titles], panels)
            write_bytes(self.out / models.SAMPLES, picture)


def panel(values: np.ndarray) -> np.ndarray:
    """Means of squares of pixels, uint8, so that no side has more than `PANEL_PX`.

    Args:
        values: (Y, X[, C]) from 0 to 255. What is left of a square at the lower and right edges is
            cut off.
    """
    side = -(-max(values.shape[:2]) // PANEL_PX)
    height, width = (size // side for size in values.shape[:2])
    cut = values[: height * side, : width * side]
    squares = cut.reshape(height, side, width, side, *values.shape[2:])
    return np.rint(squares.mean(axis=(1, 3))).astype(np.uint8)
