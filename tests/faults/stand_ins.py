"""What stands in for tensorflow, matplotlib and long sums: what is tried is the books.

Maps are the green channel. A training learns a few numbers from the steps that it has taken, so
that one that lost or repeated a step would end in other bytes.
"""

import json
import sys
import types
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fundusseg import parallel, segmenter
from fundusseg.errors import LACK_OF_MEMORY, InputError
from fundusseg.evaluation import pictures
from fundusseg.metrics import validation
from fundusseg.metrics.calibration import Calibration
from fundusseg.morphometry import measures
from fundusseg.report import training_plots


class _InTurn:
    """An executor that has done what it is given, before it says that it will."""

    def __init__(self, jobs: int) -> None: ...

    def __enter__(self) -> "_InTurn":
        return self

    def __exit__(self, *error) -> None: ...

    def submit(self, function: Callable, *arguments) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future


class _Trainer:
    """As nets.training.Trainer, of eight weights."""

    discriminator = True
    set_offsets = None

    def __init__(self, preset, steps: int, precision: str, replicas=None, sets: int = 1):
        self.step, self.loss = 0, 0.0
        self.weights = np.linspace(0, 1, 8, dtype=np.float32)

    def start_from(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = self.weights + np.float32(len(weights))

    def run_step(self, batch: int) -> None:
        self.weights = self.weights * np.float32(0.9) + np.float32(batch % 5 / 10)
        self.loss += float(self.weights.sum())
        self.step += 1

    def mean_losses(self, count: int) -> dict[str, float]:
        mean, self.loss = self.loss / count, 0.0
        return {"generator_loss": mean}

    def saved_weights(self) -> dict[str, np.ndarray]:
        return {"layer/kernel": self.weights}

    def discriminator_weights(self) -> dict[str, np.ndarray]:
        return {"judge/kernel": 1 - self.weights}

    def state(self) -> dict[str, np.ndarray]:
        numbers = {"step": np.array(self.step), "loss": np.array(self.loss)}
        return {"weights": self.weights, **numbers}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        if state.keys() != self.state().keys() or state["weights"].shape != self.weights.shape:
            raise ValueError("the saved state is of another network")
        self.weights, self.step = state["weights"], int(state["step"])
        self.loss = float(state["loss"])


class _Predictor:
    """As nets.prediction.Predictor."""

    def __init__(self, preset, weights: dict[str, np.ndarray], precision: str):
        self._gain = 1 + float(weights["layer/kernel"].mean())

    def scores(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        return _scores(images, fovs) ** np.float32(self._gain)


def _scores(images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
    return (fovs > 0) * (1 - images[..., 1].astype(np.float32) / 255)


class _EventLog:
    """As nets.event_log.EventLog, of text."""

    def __init__(self, folder: Path):
        self._file = (folder / "events").open("a")

    def add(self, rows: list[dict[str, float]]) -> None:
        self._file.writelines(f"{row}\n" for row in rows)
        self._file.flush()


def _batches(
    frames, sizes, order, first_step: int, batch: int, augment, seed, jobs, share
) -> Iterator[int]:
    yield from range(first_step, len(order) // batch)


def _stacked(image: np.ndarray, mask: np.ndarray, fov: np.ndarray) -> np.ndarray:
    return np.concatenate([image, mask[..., np.newaxis], fov[..., np.newaxis]], axis=-1)


@contextmanager
def _out_of_memory_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise InputError(folder, LACK_OF_MEMORY) from error


_MODULES: dict[str, dict] = {
    "runtime": {
        "OUT_OF_MEMORY": (MemoryError,),
        "out_of_memory_told": _out_of_memory_told,
        "start": lambda threads, seed=None: None,
        "chosen_precision": lambda wanted: "float32",
    },
    "training": {"Trainer": _Trainer, "learning_rate": lambda step, steps, config: 0.1},
    "prediction": {"Predictor": _Predictor},
    "event_log": {"EventLog": _EventLog},
    "pipeline": {
        "stacked": _stacked,
        "training_batches": _batches,
        "draw_order": lambda sizes, draws, balance, seed: range(draws),
    },
}


def _drawn(*arguments, **options) -> bytes:
    buffer = BytesIO()
    Image.new("L", (24, 24)).save(buffer, "PNG")
    return buffer.getvalue()


def _drawn_from(*arguments) -> bytes:
    """A picture that is another one wherever what it shows is."""
    crc32 = zlib.crc32(json.dumps(arguments, default=np.ndarray.tolist).encode())
    buffer = BytesIO()
    Image.fromarray(np.frombuffer(crc32.to_bytes(4), np.uint8).reshape(2, 2)).save(buffer, "PNG")
    return buffer.getvalue()


def without_network() -> None:
    """Have this process never load tensorflow, draw a plot, or calculate for long."""
    nets = types.ModuleType("fundusseg.nets")
    sys.modules["fundusseg.nets"] = nets
    for name, members in _MODULES.items():
        module = types.ModuleType(f"fundusseg.nets.{name}")
        vars(module).update(members)
        sys.modules[module.__name__] = module
        setattr(nets, name, module)
    segmenter.Segmenter.batch = 1
    segmenter.Segmenter.scores = lambda self, images, fovs: _scores(images, fovs)
    for name in list(vars(pictures)):
        if name.endswith(("_plot", "gallery")) and not name.startswith("_"):
            setattr(pictures, name, _drawn)
    for name in ("curves_plot", "samples_plot"):
        setattr(training_plots, name, _drawn_from)
    validation.platt_calibration = lambda histogram: Calibration(1.5, -0.25)
    measures._fractal = lambda inside, lines, where, field_of_view: {}


def in_turn() -> None:
    """Have this process do the work of threads in turn, so that the points come in one order."""
    parallel.ThreadPoolExecutor = _InTurn
