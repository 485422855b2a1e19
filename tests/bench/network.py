"""The network alone: how near it comes to the processor's best, and ways to run it.

Each way is measured in a process of its own, since threads are set once in a process:
`python -m tests.bench.network WAY` prints what it took as JSON. The ways take turns, so that
other work on the machine meets all of them alike.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from fundusseg.files import models
from fundusseg.processor import free_cores
from tests.bench.flops import generator_flops
from tests.bench.processes import results_of
from tests.bench.tables import table

FRAME_PX = 704
FRAMES = 16
ROUNDS = 3
MATRIX = 2048


@dataclass(frozen=True)
class Way:
    """layers: "folded" (the program's own), "constants", "xla" or "keras"."""

    layers: str = "folded"
    precision: str = "auto"
    batch: int = 1
    tile_px: int = 0
    threads_per_operation: int = 1
    at_once: int = 0
    processes: int = 1


def ways(cores: int) -> dict[str, Way]:
    """All that are measured, by what they are called; the first is the default."""
    default = Way(at_once=cores)
    return {
        f"default: {cores} frames at once, one thread each": default,
        "float32": replace(default, precision="float32"),
        "bfloat16": replace(default, precision="bfloat16"),
        "Keras layers, BatchNorm apart": replace(default, layers="keras"),
        "weights frozen as constants": replace(default, layers="constants"),
        "XLA": replace(default, layers="xla"),
        "batch 2": replace(default, batch=2),
        "batch 4": replace(default, batch=4),
        "tiles of 384 px": replace(default, tile_px=384),
        f"one frame at a time, {cores} threads": replace(
            default, at_once=1, threads_per_operation=cores
        ),
        f"{cores} processes of one thread (--shard)": replace(default, at_once=1, processes=cores),
    }


def ways_table() -> str:
    """CPU and wall seconds per frame of each way, and both against the default."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, way in ways(free_cores()).items():
            words = [json.dumps(vars(way))]
            parts = results_of("tests.bench.network", [words] * way.processes)
            cpu_s = statistics.mean(part["cpu_s"] for part in parts)
            wall_s = statistics.mean(part["wall_s"] for part in parts) / way.processes
            found.setdefault(name, []).append((cpu_s, wall_s))
    first = next(iter(found.values()))
    rows = []
    for name, measured in found.items():
        cpu_s, wall_s = (statistics.median(figures) for figures in zip(*measured, strict=True))
        ratios = [
            [figure / base for figure, base in zip(pair, default, strict=True)]
            for pair, default in zip(measured, first, strict=True)
        ]
        cpu, wall = (statistics.median(figures) for figures in zip(*ratios, strict=True))
        rows.append((name, f"{cpu_s:.3f}", f"{wall_s:.3f}", f"{cpu:.2f}", f"{wall:.2f}"))
    columns = ("way", "CPU s a frame", "wall s a frame", "CPU to default", "wall to default")
    text = (
        f"The shipped model on {FRAME_PX}-px frames in memory, prepared frame to probabilities; "
        f"medians of {ROUNDS} rounds in which all ways take turns."
    )
    return table("## Ways to run the network", columns, rows, text)


def rate() -> dict[str, float]:
    """GFLOP/s of matrix products and of the generator, one thread, in turns; by process time."""
    (found,) = results_of("tests.bench.network", [["rate"]])
    return found


def measured_rate() -> dict[str, float]:
    """See `rate`; in a process of its own."""
    import tensorflow as tf

    from fundusseg.nets import runtime

    runtime.start(threads_per_operation=1, operations_at_once=1)
    precision = runtime.chosen_precision("auto")
    model = models.read_model(models.model_folder("default"))
    way = Way(precision=precision)
    images, fovs = _frames(1)
    apply, inputs = _network_alone(way, images, fovs)
    matrix = tf.cast(tf.random.normal((MATRIX, MATRIX)), precision)
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix))
    operations = {
        "product": (2 * MATRIX**3, lambda: product().numpy()),
        "generator": (
            generator_flops(model.preset.generator, FRAME_PX),
            lambda: apply(inputs).numpy(),
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(FRAMES):
        for name, (_, run) in operations.items():
            started = time.process_time()
            run()
            taken[name].append(time.process_time() - started)
    found = {
        name: flops / statistics.median(taken[name][2:]) / 1e9
        for name, (flops, _) in operations.items()
    }
    return {**found, "gflop": operations["generator"][0] / 1e9}


def measured_way(way: Way) -> dict[str, float]:
    """CPU and wall seconds per frame of one way; in a process of its own."""
    from fundusseg.nets import runtime

    runtime.start(way.threads_per_operation, way.at_once)
    images, fovs = _frames(way.batch)
    predict = _predictor(way, images, fovs)
    calls = FRAMES // way.batch
    with ThreadPoolExecutor(way.at_once) as pool:
        list(pool.map(lambda _: predict(), range(2 * way.at_once)))
        cpu, wall = time.process_time(), time.perf_counter()
        list(pool.map(lambda _: predict(), range(calls)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_s": cpu / (calls * way.batch), "wall_s": wall / (calls * way.batch)}


def _frames(count: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (count, FRAME_PX, FRAME_PX, 3), dtype=np.uint8)
    return images, np.full((count, FRAME_PX, FRAME_PX), 255, np.uint8)


def _predictor(way: Way, images: np.ndarray, fovs: np.ndarray) -> Callable[[], np.ndarray]:
    """A function that puts the frames through the network in one way."""
    from fundusseg.nets import runtime
    from fundusseg.nets.prediction import Predictor

    model = models.read_model(models.model_folder("default"))
    precision = runtime.chosen_precision(way.precision)
    predictor = Predictor(model.preset, model.weights, precision, way.batch, way.tile_px)
    if way.layers != "folded":
        predictor._apply = _network_alone(replace(way, precision=precision), images, fovs)[0]
    return lambda: predictor.scores(images, fovs)


def _network_alone(way: Way, images: np.ndarray, fovs: np.ndarray):
    """The network in one kind of layers as a function of prepared frames, and those frames."""
    import tensorflow as tf

    from fundusseg.nets.folded import FoldedLayers
    from fundusseg.nets.generator import assign_weights, build_generator, u_net
    from fundusseg.nets.prediction import Predictor
    from fundusseg.nets.runtime import policy

    model = models.read_model(models.model_folder("default"))
    predictor = Predictor(model.preset, model.weights, way.precision)
    inputs = predictor._prepare(tf.constant(images), tf.constant(fovs))
    if way.layers == "keras":
        generator = build_generator(model.preset.generator, policy(way.precision))
        assign_weights(generator, model.weights)
        return tf.function(lambda x: tf.sigmoid(generator(x, training=False)[..., 0])), inputs
    if way.layers == "xla":
        return tf.function(lambda x: predictor._apply(x), jit_compile=True), inputs
    if way.layers == "constants":
        config = model.preset.generator
        layers = FoldedLayers(model.weights, config.residual, tf.as_dtype(way.precision))
        # Plain arrays become constants in the graph where they are used.
        layers._unused = {
            name: tuple(values.numpy() for values in pair) for name, pair in layers._unused.items()
        }

        def network(x: tf.Tensor) -> tf.Tensor:
            logits = u_net(layers, config, tf.cast(x, layers.dtype))
            return tf.sigmoid(tf.cast(logits[..., 0], tf.float32))

        return tf.function(network).get_concrete_function(predictor._apply.inputs[0]), inputs
    return predictor._apply, inputs


if __name__ == "__main__":
    word = sys.argv[1]
    print(json.dumps(measured_rate() if word == "rate" else measured_way(Way(**json.loads(word)))))
