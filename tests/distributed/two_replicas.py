"""Train the tiny network once with one replica, once with two that share each batch.

Run as a program, since a process can be given a second (logical) CPU device only before
tensorflow starts; writes the losses of every step and what the weights came to, as JSON.
"""

import dataclasses
import json
import sys

import numpy as np

from fundusseg.config import Preset
from tests.nets.tiny import tiny_preset

STEPS = 50
BATCH = 4


def preset() -> Preset:
    """Dropout, BatchNorm, all loss terms, offsets, a discriminator from step 20, a clip."""
    tiny = tiny_preset(clip_norm=0.5, set_offsets=True)
    return dataclasses.replace(
        tiny,
        generator=dataclasses.replace(tiny.generator, residual=False, dropout=(0.5,)),
        loss=dataclasses.replace(
            tiny.loss,
            l1=0.1,
            skeleton_recall=0.1,
            adversarial=0.1,
            adversarial_from=0.4,
        ),
    )


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise of two data sets, vessels and fields of view being of very different sizes."""
    values = np.random.default_rng(step).uniform(0, 1, (BATCH, 64, 64, 5)).astype(np.float32)
    part = np.linspace(0.1, 0.9, BATCH)[:, np.newaxis, np.newaxis]
    values[..., 3] = values[..., 3] > 1 - part / 2
    values[..., 4] = values[..., 4] > part
    return values, np.arange(BATCH, dtype=np.int32) // 3


def main() -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    from fundusseg.distributed.strategy import machine_replicas
    from fundusseg.nets import runtime
    from fundusseg.nets.one_replica import OneReplica
    from fundusseg.nets.training import Trainer

    runtime.start(1, seed=4)
    found = {}
    for name, replicas in {"one": OneReplica(), "two": machine_replicas()}.items():
        runtime.keras.utils.set_random_seed(4)
        trainer = Trainer(preset(), STEPS, "float32", replicas, sets=2)
        losses = []
        for step in range(STEPS):
            trainer.run_step(tuple(map(tf.constant, batch(step))))
            losses.append(list(trainer.mean_losses(1).values()))
        found[name] = {
            "losses": losses,
            "average": [float(np.abs(value).sum()) for value in trainer.saved_weights().values()],
            "offsets": trainer.centred_offsets().tolist(),
        }
    copies = [
        [copy.numpy().tolist() for copy in variable.value.values]
        for model in (trainer.generator, trainer.discriminator)
        for variable in model.variables
    ]
    found["differing"] = sum(first != second for first, second in copies)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
