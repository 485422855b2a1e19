"""What a training finds in its model folder, and the manifest that it ends with."""

from pathlib import Path

import numpy as np

from fundusseg.config import Preset
from fundusseg.errors import InputError
from fundusseg.io import models
from fundusseg.io.files import sha256_of
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import manifest, read_manifest, write_manifest


def is_finished(out: Path, config_sha256: str, batch: int) -> bool:
    """Whether a training with this configuration has ended in the folder.

    Raises:
        InputError: if one with another configuration has, or a file of it is gone.
    """
    if not (out / MANIFEST).is_file():
        return False
    found = read_manifest(out / MANIFEST)
    config = found["config"]
    if config.get("sha256") != config_sha256:
        raise _other_settings(out, config.get("preset", {}).get("train", {}).get("batch"), batch)
    missing = [name for name in found["outputs"] if not (out / name).is_file()]
    if missing:
        problem = f"is missing {', '.join(missing)} of a finished training"
        raise InputError(out, problem, "put it back, or give --force to train anew")
    return True


def saved_state(
    out: Path, config_sha256: str, batch: int
) -> tuple[dict[str, np.ndarray], dict] | None:
    """The state and notes that a training with this configuration goes on from, if any.

    Raises:
        InputError: if they are damaged or of another configuration.
    """
    saved = models.read_state(out)
    if saved is not None and saved[1]["config"] != config_sha256:
        raise _other_settings(out, saved[1].get("batch"), batch)
    return saved


def forget(out: Path) -> None:
    """Begin anew (--force): the manifest goes first, so that the rest never looks finished."""
    for name in (MANIFEST, models.STATE, models.GENERATOR, models.CONFIG, models.HISTORY):
        (out / name).unlink(missing_ok=True)


def conclude(out: Path, preset: Preset, config: dict, inputs: dict[str, str]) -> None:
    """Write the manifest: the training is complete.

    Args:
        config: what determined it, and the hash of that as `sha256`.
    """
    names = [models.CONFIG, models.GENERATOR, models.GENERATOR_LAST]
    names += [models.DISCRIMINATOR, models.HISTORY]
    names += [models.KERAS_GENERATOR] if preset.name == "pix2pix" else []
    outputs = {name: sha256_of(out / name) for name in names}
    more = {"model_sha256": models.model_sha256(out)}
    write_manifest(out / MANIFEST, manifest("train", config, inputs, outputs, {}, **more))


def _other_settings(out: Path, batch_begun: int | None, batch: int) -> InputError:
    if batch_begun not in (None, batch):
        problem = f"holds a training of {batch_begun} crops a step over all workers, not {batch}"
        remedy = "change the number of workers or the batch, or give --force to begin anew"
        return InputError(out, problem, remedy)
    problem = "holds a training on other data or with other settings"
    return InputError(out, problem, "choose another folder, or give --force to begin anew")
