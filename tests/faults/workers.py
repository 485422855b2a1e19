"""Two processes that train together on this machine, by TF_CONFIG."""

import json
import socket
import subprocess

from tests.batch import started

PATIENCE_S = 600


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
