"""What a training finds in its model folder, and the manifest that it ends with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fundusseg.config import Preset
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import output_stands
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import outputs_of, read_manifest, write_manifest
from fundusseg.option_fields import settings_of
from fundusseg.options import TrainOptions


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
        raise _other_settings(out, config.get("preset", {}).get("train", {}).get("batch"), batch)
    for name, sha256 in outputs_of(out):
        if not output_stands(out / name, sha256):
            remedy = "put it back, or give --force to train anew"
            raise InputError(out / name, "is gone or changed since the training finished", remedy)
    return True


def saved_state(
    out: Path, config_sha256: str, batch: int
) -> tuple[dict[str, np.ndarray], dict] | None:
    """The state and notes that a training with this configuration goes on from, if any.

    InputError if they are damaged or of another one.
    """
    saved = models.read_state(out)
    if saved is not None and saved[1].get("config") != config_sha256:
        raise _other_settings(out, saved[1].get("batch"), batch)
    return saved


def forget(out: Path) -> None:
    """Begin anew (--force): the manifest goes first, so that the rest never looks finished."""
    for name in (MANIFEST, *models.WRITTEN):
        (out / name).unlink(missing_ok=True)


def write_generator(
    out: Path,
    preset: Preset,
    weights: dict[str, np.ndarray],
    threshold: float,
    calibration: models.Calibration | None,
    training: dict,
) -> None:
    """Write a generator with its configuration; for preset pix2pix Keras' own file, too.

    Args:
        training: what config.json says of how it was trained.
    """
    models.write_weights(out / models.GENERATOR, weights)
    models.write_config(out, preset, threshold, calibration, training)
    if preset.name == "pix2pix":
        from fundusseg.nets.export import save_whole_model

        save_whole_model(preset, weights, out / models.KERAS_GENERATOR)


def written(preset: Preset) -> list[str]:
    """The files of a finished training."""
    names = [models.CONFIG, models.GENERATOR, models.GENERATOR_LAST, models.HISTORY, models.STATE]
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
