"""What a training finds in its model folder, and the manifest that it ends with."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg import ui
from fundusseg.config import Preset
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import output_stands
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import outputs_of, read_manifest, write_manifest
from fundusseg.option_fields import settings_of
from fundusseg.options import TrainOptions
from fundusseg.serial import to_dict

_CHOSEN = "chosen/"  # before the names of the weights that a state holds of the best generator


def is_finished(out: Path, config_sha256: str, batch: int) -> bool:
    """Whether a training with this configuration has ended in the folder.

    Raises:
        InputError: if one with another configuration has, or a file of it is gone or changed.
    """
    if not (out / MANIFEST).is_file():
        return False
    finished = read_manifest(out / MANIFEST)
    config = finished["config"]
    if config.get("sha256") != config_sha256:
        batch_begun = None
        with suppress(KeyError, TypeError):
            batch_begun = config["preset"]["train"]["batch"]
        raise _other_settings(out, batch_begun, batch)
    for name, sha256 in outputs_of(out):
        if not output_stands(out / name, sha256):
            remedy = "put it back, or give --force to train anew"
            raise InputError(out / name, "is gone or changed since the training finished", remedy)
    return True


def saved_state(
    out: Path, config_sha256: str, batch: int
) -> tuple[dict[str, np.ndarray], dict] | None:
    """The state and notes that a training with this configuration goes on from, if any.

    The last state gives way to the one before it where it is damaged, or was not written to its
    end. InputError if both are damaged, or they are of another training.
    """
    earlier = out / models.EARLIER_STATE
    try:
        saved = models.read_state(out)
    except InputError as error:
        if not earlier.exists():
            raise
        ui.log.warning("%s: %s; going on from the state before it", error.path, error.problem)
        saved = None
    if saved is None and earlier.exists():
        os.replace(earlier, out / models.STATE)
        saved = models.read_state(out)
    if saved is not None and saved[1].get("config") != config_sha256:
        raise _other_settings(out, saved[1].get("batch"), batch)
    return saved


def forget(out: Path) -> None:
    """Begin anew (--force): the manifest goes first, so that the rest never looks finished."""
    for name in (MANIFEST, *models.WRITTEN, models.EARLIER_STATE):
        (out / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Generator:
    """The generator that is written. training: what config.json says of how it was trained."""

    weights: dict[str, np.ndarray]
    threshold: float
    calibration: models.Calibration | None
    training: dict

    def write(self, out: Path, preset: Preset) -> None:
        """Write it with its configuration; for preset pix2pix Keras' own file, too."""
        models.write_weights(out / models.GENERATOR, self.weights)
        models.write_config(out, preset, self.threshold, self.calibration, self.training)
        if preset.name == "pix2pix":
            from fundusseg.nets.export import save_whole_model

            save_whole_model(preset, self.weights, out / models.KERAS_GENERATOR)

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights, as a state holds them beside its own arrays."""
        return {f"{_CHOSEN}{name}": values for name, values in self.weights.items()}

    def notes(self) -> dict:
        """All else, as the notes of a state hold it."""
        calibration = None if self.calibration is None else to_dict(self.calibration)
        return {
            "threshold": self.threshold,
            "calibration": calibration,
            "training": self.training,
        }


def taken_generator(state: dict[str, np.ndarray], notes: dict, path: Path) -> Generator | None:
    """The generator in the state of a file, whose weights are taken out of it; None without one.

    Raises:
        KeyError, TypeError, FundussegError: if the notes are none of a generator.
    """
    names = [name for name in state if name.startswith(_CHOSEN)]
    weights = {name.removeprefix(_CHOSEN): state.pop(name) for name in names}
    if not weights:
        return None
    told = notes["generator"]
    calibration = models.calibration_from(told["calibration"], path)
    return Generator(weights, float(told["threshold"]), calibration, dict(told["training"]))


def written(preset: Preset, pictures: Sequence[str]) -> list[str]:
    """The files of a finished training, these `pictures` among them."""
    names = [models.CONFIG, models.GENERATOR, models.GENERATOR_LAST, models.HISTORY, models.STATE]
    names += pictures
    names += [models.DISCRIMINATOR] if preset.loss.adversarial else []
    return names + ([models.KERAS_GENERATOR] if preset.name == "pix2pix" else [])


def conclude(
    out: Path,
    names: Sequence[str],
    config: dict,
    inputs: dict[str, str],
    photographs: dict[str, list[str]],
    options: TrainOptions,
) -> None:
    """Write the manifest: the training is complete.

    Args:
        names: the files that were written.
        config: what determined it, and the hash of that as `sha256`.
        photographs: SHA-256 of those that trained and validated, by part.
        options: what was asked for, to ask for it again.
    """
    (out / models.EARLIER_STATE).unlink(missing_ok=True)
    outputs = {name: sha256_of(out / name) for name in names}
    write_manifest(
        out,
        "train",
        config,
        outputs,
        inputs=inputs,
        model_sha256=models.model_sha256(out),
        photographs=photographs,
        options=settings_of(options),
    )


def _other_settings(out: Path, batch_begun: int | None, batch: int) -> InputError:
    if batch_begun not in (None, batch):
        problem = f"holds a training of {batch_begun} crops a step over all workers, not {batch}"
        remedy = "change the number of workers or the batch, or give --force to begin anew"
        return InputError(out, problem, remedy)
    problem = "holds a training on other data or with other settings"
    return InputError(out, problem, "choose another folder, or give --force to begin anew")
