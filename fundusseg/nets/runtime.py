"""How tensorflow is set up in this process: quiet, on the cores there are, in which precision."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fundusseg import ui
from fundusseg.errors import LACK_OF_MEMORY, InputError
from fundusseg.processor import free_cores, is_faster_in_bfloat16


@contextmanager
def _native_chatter_silenced() -> Iterator[None]:
    """Send file descriptor 2 nowhere: tensorflow's C++ greets on it before any setting counts.

    What goes wrong while importing comes as an exception all the same.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _without_what_no_command_needs() -> Iterator[None]:
    """Hide the packages for whose sake Keras has wrappers and plots; it does without them.

    They are a fifth of all start-up (docs/speed.md). Somebody's own program, which imports
    this package, may need them: there they stay.
    """
    hidden = [name for name in OPTIONAL if ui.runs_as_command() and name not in sys.modules]
    none: dict[str, Any] = dict.fromkeys(hidden)
    sys.modules.update(none)  # None makes an import fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


GPU_BATCH = 8
_BFLOAT16_CAPABILITY = (8, 0)  # of NVIDIA's GPUs; those before it emulate bfloat16, slowly
OPTIONAL = ("sklearn", "matplotlib")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _native_chatter_silenced(), _without_what_no_command_needs():
    import keras
    import tensorflow as tf

    OUT_OF_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)
    _GPUS = tf.config.list_physical_devices("GPU")


@contextmanager
def out_of_memory_told(folder: Path) -> Iterator[None]:
    """Make a lack of memory, the GPU's too, an InputError of the training in this folder."""
    try:
        yield
    except OUT_OF_MEMORY as error:
        remedy = "lower train.batch or augment.crop_px (--config), or --jobs"
        raise InputError(folder, LACK_OF_MEMORY, remedy) from error


def start(
    threads_per_operation: int, operations_at_once: int | None = None, seed: int | None = None
) -> None:
    """Set tensorflow up; call before the first tensor.

    Args:
        threads_per_operation: more than there are free cores make small networks several
            times slower. How an operation is cut up for them changes the last digits.
        operations_at_once: 2 at most unless given.
        seed: if given, all random numbers follow from it and operations are deterministic.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads_per_operation)
        tf.config.threading.set_inter_op_parallelism_threads(
            operations_at_once or min(2, free_cores())
        )
        for device in _GPUS:
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError:
        pass  # already started by an earlier command in this process: its setting stays
    if seed is not None:
        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()


def gpu_names() -> list[str]:
    """The names of the GPUs that tensorflow sees."""
    return [device.name for device in _GPUS]


def chosen_precision(wanted: str) -> str:
    """ "float32" or "bfloat16"; "auto" takes bfloat16 where the hardware is faster in it."""
    if wanted != "auto":
        return wanted
    faster = _gpus_have_bfloat16() if _GPUS else is_faster_in_bfloat16()
    return "bfloat16" if faster else "float32"


def _gpus_have_bfloat16() -> bool:
    """Whether all GPUs multiply in bfloat16."""
    details = map(tf.config.experimental.get_device_details, _GPUS)
    return all(gpu.get("compute_capability", (0, 0)) >= _BFLOAT16_CAPABILITY for gpu in details)


def chosen_batch(wanted: int) -> int:
    """How many frames go through the network at once on a GPU, 0 being 8; on a processor, one.

    A processor is as busy with one frame as with several, and one without avx512 rounds a frame
    otherwise where it is not the first of its batch: its map would depend on its neighbours.
    """
    return (wanted or GPU_BATCH) if _GPUS else 1


def policy(precision: str) -> keras.DTypePolicy:
    """Keras' policy for a precision: weights, normalisation and losses stay float32."""
    return keras.DTypePolicy("mixed_bfloat16" if precision == "bfloat16" else "float32")
