"""Small folders of maps, and score run on them as the command line would."""

import json
from pathlib import Path

import numpy as np

from fundusseg.commands.score import ScoreOptions, run_score
from fundusseg.datasets.truth import open_truth
from fundusseg.files.encoders import map_png, probability_png


def items_of(root: Path):
    """The truth in `root` and all its images."""
    truth = open_truth(root, "native", "auto", None)
    return truth, truth.items


def write_maps(folder: Path, maps: dict[str, np.ndarray]) -> Path:
    """Write maps by id: bool as x.png, floating point with x.prob.png, the map cut at 0.5."""
    for id, values in maps.items():
        path = folder / f"{id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(map_png(values >= 0.5))
        if values.dtype != bool:
            path.with_suffix(".prob.png").write_bytes(probability_png(values))
    return folder


def guesses(root: Path, noise: float = 0.3, seed: int = 0) -> dict[str, np.ndarray]:
    """Probabilities (Y, X) for every image of the truth in `root`: its mask and noise."""
    truth, items = items_of(root)
    rng = np.random.default_rng(seed)
    masks = {item.id: truth.read(item).mask for item in items}
    return {
        id: np.clip(0.2 + 0.6 * mask + noise * rng.normal(size=mask.shape), 0, 1)
        for id, mask in masks.items()
    }


def scored(capsys, preds, truth: Path, **options) -> tuple[int, dict]:
    """Exit code and JSON of score; all images unless `split` says otherwise."""
    wanted = ScoreOptions(**{"split": "all", "json": True, "jobs": 1, **options})
    code = run_score(preds if isinstance(preds, list) else [preds], truth, wanted)
    return code, json.loads(capsys.readouterr().out)


def figure(found: dict, key: str, of: str | None = None, role: str = "maps") -> dict:
    """The one row of a figure."""
    rows = [row for row in found["rows"] if (row["figure"], row["role"]) == (key, role)]
    (row,) = [row for row in rows if of in (None, row["of"])]
    return row
