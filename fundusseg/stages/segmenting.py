"""A model made ready to predict, once a process; and the Python API."""

import functools
from pathlib import Path

import numpy as np

from fundusseg import ui
from fundusseg.config import DEFAULT_MODEL
from fundusseg.errors import InputError
from fundusseg.fundus.framing import framed
from fundusseg.fundus.geometry import from_frame
from fundusseg.io import images, models
from fundusseg.parallel import free_cores


def segment(
    photograph: np.ndarray, model: str = DEFAULT_MODEL, test_time_augmentation: bool = False
) -> np.ndarray:
    """The vessel probability of each pixel of a photograph.

    Args:
        photograph: uint8 (Y, X, 3) sRGB, at least 32 pixels a side.
        model: a shipped model's name or a model folder.
        test_time_augmentation: the mean over four mirror images, at four times the cost.

    Returns:
        float32 (Y, X) in [0, 1]; 0 outside the field of view, but for models of preset pix2pix.

    Raises:
        ValueError: if the array is no such photograph.
        FundussegError: if there is no such model.
    """
    is_rgb = photograph.dtype == np.uint8 and photograph.ndim == 3 and photograph.shape[2] == 3
    if not is_rgb or min(photograph.shape[:2]) < images.SMALLEST_SIDE_PX:
        raise ValueError(f"no uint8 (Y, X, 3) photograph: {photograph.dtype} {photograph.shape}")
    if images.is_blank(photograph):
        return np.zeros(photograph.shape[:2], np.float32)
    folder = models.model_folder(model)
    frame = models.read_config(folder)[0].frame
    found = framed(photograph, None, frame)
    predictor = ready_predictor(
        folder,
        models.model_sha256(folder),
        jobs=free_cores(),
        batch=1,
        test_time_augmentation=test_time_augmentation,
    )
    probability = predictor.probabilities(found.image[np.newaxis], found.fov[np.newaxis])[0]
    return from_frame(probability, found.geometry)


@functools.lru_cache(maxsize=1)
def ready_predictor(
    folder: Path,
    sha256: str,
    *,
    jobs: int,
    precision: str = "auto",
    batch: int = 0,
    tile_px: int = 0,
    test_time_augmentation: bool = False,
):
    """Load tensorflow and the model in `folder`; see `nets.prediction.Predictor`.

    A batch goes through the network in one thread, since how operations are cut up for
    several changes the last digits; `jobs` batches may do so at once. docs/speed.md has what
    other ways cost.

    Args:
        sha256: of the model that is meant; one trained anew is loaded anew.
        precision: "auto" lets the device decide. batch: see `nets.runtime.chosen_batch`.

    Raises:
        InputError: if the model is not finished, damaged, another than `sha256` says, or does
            not fit its configuration.
    """
    from fundusseg.nets import runtime
    from fundusseg.nets.prediction import Predictor

    model = models.read_model(folder)
    if model.sha256 != sha256:
        raise InputError(folder, "has changed since this run began", "run the same command again")
    runtime.start(threads_per_operation=1, operations_at_once=jobs)
    chosen = runtime.chosen_precision(precision)
    frames = runtime.chosen_batch(batch)
    ui.log.info("model %s, precision %s, %d x %d frames at once", folder, chosen, jobs, frames)
    try:
        return Predictor(
            model.preset, model.weights, chosen, frames, tile_px, test_time_augmentation
        )
    except ValueError as error:
        raise InputError(folder, str(error)) from error
