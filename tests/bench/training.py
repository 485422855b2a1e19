"""The training's input pipeline alone against its step alone, on one core and on more.

`python -m tests.bench.training pipeline|step` prints samples per second as JSON.
"""

import json
import statistics
import sys
import time

import numpy as np

from fundusseg.presets import PRESETS
from fundusseg.processor import free_cores
from tests.bench.processes import results_of
from tests.bench.tables import table

FRAME_PX = 704
FRAMES = 8
WARM_STEPS = 4
STEPS = 24
ROUNDS = 3


def training_table() -> tuple[str, float]:
    """Samples per second on 1 to all free cores; and how many times the step the pipeline is."""
    rows = []
    for cores in range(1, free_cores() + 1):
        found: dict[str, list[dict]] = {"pipeline": [], "step": []}
        for _ in range(ROUNDS):
            for part in found:
                found[part] += results_of("tests.bench.training", [[part]], cores)
        wall = {
            part: statistics.median(result["samples_per_s"] for result in results)
            for part, results in found.items()
        }
        cpu = {
            part: statistics.median(result["cpu_s"] for result in results)
            for part, results in found.items()
        }
        if cores == 1:
            alone = wall["pipeline"]
        ratio = wall["pipeline"] / wall["step"]
        rows.append(
            (
                f"{cores}",
                f"{wall['pipeline']:.0f}",
                f"{wall['pipeline'] / alone:.2f}",
                f"{wall['step']:.1f}",
                f"{1000 * cpu['pipeline']:.1f}",
                f"{1000 * cpu['step']:.0f}",
                f"{ratio:.1f}",
            )
        )
    columns = (
        "cores",
        "pipeline, samples/s",
        "to one core",
        "step, samples/s",
        "pipeline, CPU ms a sample",
        "step, CPU ms a sample",
        "pipeline / step",
    )
    preset = PRESETS["native"]
    text = (
        f"Preset native: crops of {preset.augment.crop_px} px from {FRAME_PX}-px frames, batch "
        f"{preset.train.batch}; each alone on the cores; medians of {ROUNDS} runs in turns."
    )
    return table("## Training: the input pipeline against the step", columns, rows, text), ratio


def measured(part: str) -> dict[str, float]:
    """Samples per wall second and CPU seconds per sample of "pipeline" or "step"."""
    from fundusseg.nets import runtime
    from fundusseg.nets.pipeline import draw_order, training_batches
    from fundusseg.nets.training import Trainer

    preset, cores = PRESETS["native"], free_cores()
    runtime.start(cores, seed=1)
    draw = np.random.default_rng(1)
    frames = [draw.integers(0, 256, (FRAME_PX, FRAME_PX, 5), dtype=np.uint8) for _ in range(FRAMES)]
    batch = preset.train.batch
    order = draw_order([FRAMES], (WARM_STEPS + STEPS) * batch * 4, 1.0, 1)
    batches = iter(training_batches(frames, [FRAMES], order, 0, batch, preset.augment, 1, cores))
    if part == "step":
        trainer = Trainer(preset, 10_000, runtime.chosen_precision("auto"))
        held = next(batches)
        run, count = lambda: trainer.run_step(held), STEPS
    else:
        run, count = lambda: next(batches), 3 * STEPS
    for _ in range(WARM_STEPS):
        run()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"samples_per_s": count * batch / wall, "cpu_s": cpu / (count * batch)}


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
