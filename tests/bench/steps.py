"""Every step of infer alone: processor seconds per image, one thread, as JSON on stdout.

A process of its own: what it takes of memory must not count in those that it is held against.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from fundusseg.files import encoders, images, models
from fundusseg.fundus.framing import framed
from fundusseg.fundus.geometry import circle_in_frame, from_frame
from fundusseg.fundus.quality import quality
from fundusseg.fundus.vessel_map import vessel_map
from fundusseg.metrics.expected import expected_dice, mean_entropy
from fundusseg.nets import runtime
from fundusseg.nets.prediction import Predictor
from fundusseg.segmenter import ENTROPY_STEP


def alone(paths: list[Path]) -> dict[str, float]:
    """Processor seconds per image of every step of infer, each alone, one thread."""
    model = models.read_model(models.model_folder("default"))
    frame = model.preset.frame
    runtime.start(threads_per_operation=1)
    predictor = Predictor(model.preset, model.weights, runtime.chosen_precision("auto"))
    decoded, decode_s = timed(lambda path: images.read_photograph(path).pixels, paths)
    frames, geometry_s = timed(lambda p: framed(p, None, frame), decoded)
    predictor.scores(frames[0].image[np.newaxis], frames[0].fov[np.newaxis])
    found, network_s = timed(
        lambda f: predictor.scores(f.image[np.newaxis], f.fov[np.newaxis])[0], frames
    )
    found, back_s = timed(
        lambda p: from_frame(p[0], p[1].geometry), zip(found, frames, strict=True)
    )
    found, calibration_s = timed(model.calibration, found)
    maps, cleaning_s = timed(
        lambda p: vessel_map(p[0], model.threshold, model.preset.map, p[1].geometry),
        zip(found, frames, strict=True),
    )
    _, encode_s = timed(encoders.map_png, maps)
    _, expected_s = timed(
        lambda p: expected_dice(p[0][p[2].native_fov], p[1][p[2].native_fov]),
        zip(found, maps, frames, strict=True),
    )
    _, quality_s = timed(
        lambda f: quality(f.image, f.fov, circle_in_frame(f.field_of_view, f.geometry)), frames
    )
    _, entropy_s = timed(
        lambda p: mean_entropy(p[0][p[1].native_fov][::ENTROPY_STEP]),
        zip(found, frames, strict=True),
    )
    return {
        "decode and hash": decode_s,
        "field of view and frame": geometry_s,
        "network": network_s,
        "back to the photograph": back_s,
        "calibration": calibration_s,
        "gaps and small objects": cleaning_s,
        "encode": encode_s,
        "expected Dice": expected_s,
        "quality and entropy": quality_s + entropy_s,
    }


def timed(step: Callable, items: Iterable) -> tuple[list, float]:
    """Results, and processor seconds per item."""
    items = list(items)
    started = time.process_time()
    results = [step(item) for item in items]
    return results, (time.process_time() - started) / len(items)


if __name__ == "__main__":
    print(json.dumps(alone([Path(word) for word in sys.argv[1:]])))
