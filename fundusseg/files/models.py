"""Model folders: config.json and plain weight arrays, never code.

generator.weights.h5 (the best by validation), generator_last.weights.h5 and, where there is
a discriminator, discriminator.weights.h5 hold arrays by name; config.json holds the preset, the
calibration, and the threshold on the scale of the calibrated probabilities (of the scores, where
there is no calibration); state.h5 is where a training goes on, and holds all that the other files
follow from; manifest.json comes last.
"""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg.config import Preset
from fundusseg.errors import InputError, UsageError
from fundusseg.files import arrays
from fundusseg.files.atomic import unwritable, write_json
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import STATE_FOLDER, read_manifest
from fundusseg.files.text import read_json
from fundusseg.metrics.calibration import Calibration
from fundusseg.serial import from_dict, to_dict

FORMAT = "fundusseg-model"
VERSION = 2  # 1 held the threshold on the scale of the scores, before calibration
CONFIG = "config.json"
GENERATOR = "generator.weights.h5"
GENERATOR_LAST = "generator_last.weights.h5"
DISCRIMINATOR = "discriminator.weights.h5"
STATE = "state.h5"
EARLIER_STATE = f"{STATE_FOLDER}/{STATE}"
HISTORY = "history.csv"
CURVES, SAMPLES = "curves.png", "samples.png"
CARD = "MODEL_CARD.md"
KERAS_GENERATOR = "pix2pix_best_generator.h5"
WRITTEN = (
    *(STATE, GENERATOR, CONFIG, HISTORY, CURVES, SAMPLES),
    *(GENERATOR_LAST, DISCRIMINATOR, KERAS_GENERATOR),
)
_NOTES = "notes"
_BEGIN_ANEW = "give --force to train anew"
_MAKE_ANEW = "copy it again, or make it anew"
_COPY_AGAIN = f"copy the model again, or {_BEGIN_ANEW}"
_BEGINNING = 12  # characters of a SHA-256 that tell a photograph from a million others
SHIPPED = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True)
class Model:
    """A trained generator.

    threshold: of the probabilities that `calibration` makes of its scores; of the scores, if None.
    sha256: of its configuration and its weights.
    """

    folder: Path
    preset: Preset
    weights: dict[str, np.ndarray]
    threshold: float
    calibration: Calibration | None
    sha256: str


def model_folder(name: str) -> Path:
    """The folder that --model names: a model that ships with the package, or a path.

    A folder of one's own that has a shipped model's name is "./name".

    Raises:
        UsageError: if there is neither.
        InputError: if it is a path to something else.
    """
    path = Path(name)
    if "/" not in name and (SHIPPED / name / CONFIG).is_file():
        return SHIPPED / name
    if (path / CONFIG).is_file():
        return path
    remedy = f"give a folder that train wrote, or one of: {', '.join(shipped_models()) or 'none'}"
    if not path.exists():
        raise UsageError(f"{name}: does not exist; {remedy}")
    raise InputError(name, f"is no model folder (no {CONFIG})", remedy)


def shipped_models() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, atomically."""
    arrays.write_arrays(path, weights, {"format": FORMAT, "version": VERSION})


def write_config(
    folder: Path, preset: Preset, threshold: float, calibration: Calibration | None, training: dict
) -> None:
    """Write config.json; `training` says what the model was trained on."""
    values = {
        "format": FORMAT,
        "version": VERSION,
        "preset": to_dict(preset),
        "threshold": threshold,
        "calibration": None if calibration is None else to_dict(calibration),
        "training": training,
    }
    write_json(folder / CONFIG, values)


def read_config(folder: Path) -> tuple[Preset, float, Calibration | None]:
    """Preset, threshold and calibration of a model folder, as `Model` has them.

    Raises:
        InputError, FundussegError: if config.json is missing, of a newer version, or wrong.
    """
    path = folder / CONFIG
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise InputError(path, "is no fundusseg model")
    try:
        if values["version"] > VERSION:
            problem = f"has model version {values['version']}, newer than {VERSION}"
            raise InputError(path, problem, "use a newer fundusseg")
        preset = from_dict(Preset, values["preset"], str(path))
        threshold = float(values["threshold"])
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold {threshold} is not in [0, 1]")
        stored, is_of_scores = values["calibration"], values["version"] < VERSION
        if is_of_scores and stored is not None and stored["slope"] <= 0:
            stored = None  # it would turn the map upside down
        calibration = calibration_from(stored, path)
        if is_of_scores and calibration is not None:
            threshold = float(calibration(np.array(threshold, np.float32)))  # as maps are cut
        return preset, threshold, calibration
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(path, f"is damaged ({reason})", _COPY_AGAIN) from error


def calibration_from(values: dict | None, path: Path) -> Calibration | None:
    """The calibration that a configuration or a manifest holds; None if it holds null.

    FundussegError if it holds something else.
    """
    try:
        return None if values is None else from_dict(Calibration, values, str(path))
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(path, f"has no valid calibration ({error})", _MAKE_ANEW) from error


def thresholds_by_masks(folder: Path) -> list[tuple[str, float]]:
    """Data sets by the threshold that fitted their masks best, the lowest (thickest) first.

    Each was left out of the training of the model that drew it; empty for a model that was not
    chosen so.
    """
    try:
        left_out = read_json(folder / CONFIG).get("training", {}).get("left_out", {})
        best = ((name, float(figures["best_threshold"])) for name, figures in left_out.items())
        return sorted(best, key=lambda pair: pair[1])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"is damaged ({type(error).__name__}: {error})"
        raise InputError(folder / CONFIG, problem, _COPY_AGAIN) from error


def read_model(folder: Path) -> Model:
    """Read a finished model.

    Raises:
        InputError: if the folder is no model, the training is not finished, or a file is damaged.
    """
    preset, threshold, calibration = read_config(folder)
    if not (folder / MANIFEST).is_file():
        raise InputError(folder, "is a training that has not finished", "run the same train again")
    weights, _ = arrays.read_arrays(folder / GENERATOR, _COPY_AGAIN)
    sha256 = model_sha256(folder)
    if read_manifest(folder / MANIFEST).get("model_sha256", sha256) != sha256:
        problem = f"has another {CONFIG} or {GENERATOR} than its manifest tells of"
        raise InputError(folder, problem, _COPY_AGAIN)
    return Model(folder, preset, weights, threshold, calibration, sha256)


def model_sha256(folder: Path) -> str:
    """SHA-256 over config.json and generator.weights.h5, what determines the maps.

    InputError if one of them cannot be read.
    """
    return sha256_of(folder / CONFIG, folder / GENERATOR)


def mean_weights(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], share: float
) -> dict[str, np.ndarray]:
    """Weights of one network by name, those after with this share in [0, 1]."""
    return {
        name: ((1 - share) * before[name] + share * weights).astype(weights.dtype)
        for name, weights in after.items()
    }


def photographs_seen(folder: Path) -> dict[str, list[str]]:
    """The SHA-256 of the photographs that a finished model was trained on, by part of the data.

    The parts are "train" and "validation"; empty where its manifest, if any, does not tell.
    InputError if that is damaged.
    """
    path = folder / MANIFEST
    return read_manifest(path).get("photographs", {}) if path.is_file() else {}


def beginnings(photographs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What infer's manifest holds of `photographs_seen`, for `is_known_photograph`."""
    return {
        part: [sha256[:_BEGINNING] for sha256 in hashes] for part, hashes in photographs.items()
    }


def is_known_photograph(sha256: str, known: Collection[str]) -> bool:
    """Whether the photograph of this SHA-256 is one of those whose `beginnings` are given."""
    return sha256[:_BEGINNING] in known


def write_state(folder: Path, state: Mapping[str, np.ndarray], notes: dict) -> None:
    """Write where a training stands: arrays by name and notes (JSON), in one atomic file.

    The state before it is kept, as EARLIER_STATE.
    """
    if (folder / STATE).exists():
        try:
            os.replace(folder / STATE, folder / EARLIER_STATE)
        except OSError as error:
            raise unwritable(folder / EARLIER_STATE, error) from error
    text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    arrays.write_arrays(folder / STATE, {**state, _NOTES: text}, {}, compress=False)


def read_state(folder: Path) -> tuple[dict[str, np.ndarray], dict] | None:
    """The arrays and notes of `write_state`, or None if there is none yet.

    InputError if it is damaged.
    """
    if not (folder / STATE).exists():
        return None
    state, _ = arrays.read_arrays(folder / STATE, _BEGIN_ANEW)
    try:
        notes = json.loads(state.pop(_NOTES).tobytes())
        if not isinstance(notes, dict):
            raise ValueError("its notes are no object")
        return state, notes
    except (KeyError, ValueError) as error:
        problem = f"is no state of a training ({error})"
        raise InputError(folder / STATE, problem, _BEGIN_ANEW) from error
