"""Model folders: config.json and plain weight arrays, never code.

generator.weights.h5 (the best by validation), generator_last.weights.h5 and
discriminator.weights.h5 hold arrays by name; config.json holds the preset, the threshold
and the calibration; state.h5 is where a training goes on; manifest.json comes last.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg.config import Preset, from_dict, to_dict
from fundusseg.errors import InputError, UsageError
from fundusseg.io import arrays
from fundusseg.io.files import atomic, read_json, sha256_of, write_json
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import begin_anew, manifest, read_manifest, write_manifest

FORMAT = "fundusseg-model"
VERSION = 1
CONFIG = "config.json"
GENERATOR = "generator.weights.h5"
GENERATOR_LAST = "generator_last.weights.h5"
DISCRIMINATOR = "discriminator.weights.h5"
STATE = "state.h5"
HISTORY = "history.csv"
CARD = "MODEL_CARD.md"
KERAS_GENERATOR = "pix2pix_best_generator.h5"
_NOTES = "notes"
SHIPPED = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True)
class Calibration:
    """Vessel probability of a score p: sigmoid(slope * logit(p) + intercept)."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Model:
    """A trained generator. sha256 covers its configuration and its weights."""

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
    with atomic(path) as temporary:
        arrays.write_arrays(temporary, weights, {"format": FORMAT, "version": VERSION})


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
    """Preset, threshold and calibration of a model folder.

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
        calibration = values["calibration"]
        if calibration is not None:
            calibration = from_dict(Calibration, calibration, str(path))
        threshold = float(values["threshold"])
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold {threshold} is not in [0, 1]")
        return preset, threshold, calibration
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(path, f"is damaged ({reason})", "train anew, or copy it again") from error


def read_model(folder: Path) -> Model:
    """Read a finished model.

    Raises:
        InputError: if the folder is no model, the training is not finished, or a file is damaged.
    """
    preset, threshold, calibration = read_config(folder)
    if not (folder / MANIFEST).is_file():
        raise InputError(folder, "is a training that has not finished", "run the same train again")
    weights, _ = arrays.read_arrays(folder / GENERATOR)
    return Model(folder, preset, weights, threshold, calibration, model_sha256(folder))


def model_sha256(folder: Path) -> str:
    """SHA-256 over config.json and generator.weights.h5: what determines the maps.

    Raises:
        InputError: if one of them cannot be read.
    """
    digest = hashlib.sha256()
    for name in (CONFIG, GENERATOR):
        try:
            digest.update((folder / name).read_bytes())
        except OSError as error:
            raise InputError(folder / name, f"cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def write_state(folder: Path, state: Mapping[str, np.ndarray], notes: dict) -> None:
    """Write where a training stands: arrays by name and notes (JSON), in one atomic file."""
    text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    with atomic(folder / STATE) as temporary:
        arrays.write_arrays(temporary, {**state, _NOTES: text}, {}, compress=False)


def read_state(folder: Path) -> tuple[dict[str, np.ndarray], dict] | None:
    """The arrays and notes of `write_state`, or None if there is none yet.

    Raises:
        InputError: if it is damaged.
    """
    if not (folder / STATE).exists():
        return None
    state, _ = arrays.read_arrays(folder / STATE)
    try:
        return state, json.loads(state.pop(_NOTES).tobytes())
    except (KeyError, ValueError) as error:
        problem = f"is no state of a training ({error})"
        raise InputError(folder / STATE, problem, "give --force to begin anew") from error


def state_digest(state: Mapping[str, np.ndarray]) -> int:
    """A number (32 bit) that two states share if they are equal, and else only by chance."""
    digest = 0
    for name in sorted(state):
        digest = zlib.crc32(np.ascontiguousarray(state[name]).tobytes(), digest)
    return digest


def write_shipped(
    trained: Path,
    folder: Path,
    threshold: float | None = None,
    calibration: Calibration | None = None,
    about: dict | None = None,
) -> None:
    """Write what `infer` needs of a trained model to `folder`, weights as float16.

    Args:
        threshold, calibration: in place of the trained model's, if a threshold is given.
        about: entries of config.json's "training" that say where they come from.

    Raises:
        InputError: if the trained model is not finished or damaged.
    """
    model = read_model(trained)
    training = read_json(trained / CONFIG)["training"] | (about or {})
    if threshold is None:
        threshold, calibration = model.threshold, model.calibration
    small = {name: weights.astype(np.float16) for name, weights in model.weights.items()}
    source = read_manifest(trained / MANIFEST)
    begin_anew(folder)
    write_weights(folder / GENERATOR, small)
    write_config(folder, model.preset, threshold, calibration, training)
    outputs = {name: sha256_of(folder / name) for name in (CONFIG, GENERATOR)}
    config = {**source["config"], "stored_as": "float16"}
    shipped = manifest("train", config, source["inputs"], outputs, {})
    write_manifest(folder / MANIFEST, {**shipped, "model_sha256": model_sha256(folder)})
