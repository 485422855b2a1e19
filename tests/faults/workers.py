"""Two processes that train together on this machine, by TF_CONFIG; what their trainings came to."""

import csv
import json
import socket
import subprocess
from pathlib import Path

import numpy as np

from fundusseg.files import models
from fundusseg.files.arrays import read_arrays
from tests.batch import started

PATIENCE_S = 600
STEPS = 40
# Biases that BatchNorm takes back have gradients of rounding noise alone, which Adam brings up to
# its full step: at a rate of 2e-3, up to 1e-3 in 40 steps.
RATE = 5e-4


def write_settings(path: Path, tiny_settings: Path, batch: int) -> None:
    """Write the settings of a training of `STEPS` steps that saves often."""
    values = json.loads(tiny_settings.read_text())
    often = {"log_every": 1, "validate_every": 16, "checkpoint_every": 4}
    values["train"] |= {"batch": batch, "learning_rate": RATE, "steps": STEPS, **often}
    path.write_text(json.dumps(values))


def two_started(*words) -> list[subprocess.Popen]:
    """Start a train command as two workers."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    configs = [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        for rank in range(2)
    ]
    words = ("train", *words, "--distribute", "multi-worker")
    return [started(*words, TF_CONFIG=json.dumps(config)) for config in configs]


def two_finished(*words) -> list[tuple[int, str]]:
    """Run a train command as two workers: exit code and stderr of each."""
    return [ended(process) for process in two_started(*words)]


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Exit code and stderr of a process that ends."""
    _, error = process.communicate(timeout=PATIENCE_S)
    return process.returncode, error.decode()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def one_error_line(text: str) -> str:
    """The error on a stderr, which must be its last line and the only one."""
    (line,) = [line for line in text.splitlines() if "error:" in line]
    assert text.rstrip().endswith(line)
    return line


def losses(model: Path) -> np.ndarray:
    with (model / "history.csv").open() as file:
        return np.array(
            [[float(v) for k, v in r.items() if "loss" in k] for r in csv.DictReader(file)]
        )


def require_close_trainings(first: Path, second: Path) -> None:
    """The losses of every step to 1e-3 (relative), the last weights to 1e-3."""
    assert len(losses(first)) == STEPS
    np.testing.assert_allclose(losses(first), losses(second), rtol=1e-3)
    for name in (models.GENERATOR_LAST, models.DISCRIMINATOR):
        expected, found = read_arrays(first / name)[0], read_arrays(second / name)[0]
        assert set(expected) == set(found)
        for key, values in expected.items():
            np.testing.assert_allclose(found[key], values, atol=1e-3, err_msg=f"{name} {key}")
