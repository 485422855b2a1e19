"""Who trains together: the addresses of all workers and which of them this process is.

Read from TF_CONFIG where it is set, else from what Slurm's `srun` tells each of its tasks.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from fundusseg.errors import FundussegError

FIRST_PORT = 12_000  # ports from here to 32,000: above the well-known, below the ephemeral ones
PORTS = 20_000
_WAY_OUT = "start the workers with srun, or set TF_CONFIG for each"


@dataclass(frozen=True)
class Cluster:
    """addresses: "host:port" of every worker, in order. rank: this process's place in it."""

    addresses: tuple[str, ...]
    rank: int


ONE_MACHINE = Cluster(("localhost:0",), 0)


def described_cluster(environment: Mapping[str, str]) -> Cluster:
    """The cluster that the environment variables describe.

    FundussegError if they describe none, or contradict themselves.
    """
    if environment.get("TF_CONFIG"):
        return from_tf_config(environment["TF_CONFIG"])
    if "SLURM_PROCID" in environment and "SLURM_STEP_ID" in environment:
        return from_slurm(environment)
    raise FundussegError(
        f"--distribute multi-worker: neither TF_CONFIG nor srun's variables are set; {_WAY_OUT}"
    )


def from_tf_config(text: str) -> Cluster:
    """The cluster of a TF_CONFIG: workers, and before them the chief if one is named apart.

    FundussegError if it is not of that form.
    """
    try:
        values = json.loads(text)
        chiefs = values["cluster"].get("chief", [])
        addresses = [str(address) for address in chiefs + values["cluster"]["worker"]]
        kind, index = values["task"]["type"], int(values["task"]["index"])
        rank = {"chief": 0, "worker": len(chiefs)}[kind] + index
        addresses[rank]
        if wrong := [address for address in addresses if not re.fullmatch(r".+:\d+", address)]:
            raise ValueError(f"{wrong[0]!r} is no host:port")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise FundussegError(
            f"TF_CONFIG: describes no cluster of workers ({reason}); give "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    return Cluster(tuple(addresses), rank)


def from_slurm(environment: Mapping[str, str]) -> Cluster:
    """The cluster of a job step, one port for each task.

    Slurm tells a task its own place, and of the others only how many run on which node: their
    order follows from the step's distribution, and is checked against the tasks of this node.

    Raises:
        FundussegError: if a variable is missing or the tasks are distributed in another way.
    """
    try:
        count, rank = int(environment["SLURM_NTASKS"]), int(environment["SLURM_PROCID"])
        job, step = int(environment["SLURM_JOB_ID"]), int(environment["SLURM_STEP_ID"])
        node = int(environment["SLURM_NODEID"])
        own = [int(task) for task in environment["SLURM_GTIDS"].split(",")]
        counts = expanded_counts(environment["SLURM_STEP_TASKS_PER_NODE"])
        hosts = hostnames(environment["SLURM_STEP_NODELIST"])
    except (KeyError, ValueError) as error:
        raise FundussegError(
            f"--distribute multi-worker: srun's variables are not whole ({error}); {_WAY_OUT}"
        ) from error
    cyclic = environment.get("SLURM_DISTRIBUTION", "").startswith("cyclic")
    nodes = (cyclic_nodes if cyclic else block_nodes)(counts)
    if len(nodes) != count or [task for task, at in enumerate(nodes) if at == node] != own:
        raise FundussegError(
            "--distribute multi-worker: srun's tasks are not in a block or cyclic order; "
            "give srun --distribution=block"
        )
    first = FIRST_PORT + (131 * job + 17 * step) % (PORTS - count)
    addresses = [f"{hosts[at]}:{first + task}" for task, at in enumerate(nodes)]
    return Cluster(tuple(addresses), rank)


def expanded_counts(text: str) -> list[int]:
    """Slurm's short form of a list of numbers: "2(x3),1" is 2, 2, 2, 1.

    ValueError if it is of another form.
    """
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not match:
            raise ValueError(f"tasks per node are {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def block_nodes(counts: list[int]) -> list[int]:
    """The node of every task, a node being filled before the next is begun."""
    return [node for node, count in enumerate(counts) for _ in range(count)]


def cyclic_nodes(counts: list[int]) -> list[int]:
    """The node of every task, dealt out in turn to the nodes that have room."""
    return [
        node for turn in range(max(counts)) for node, count in enumerate(counts) if turn < count
    ]


def hostnames(nodes: str) -> list[str]:
    """The names that Slurm's short form, such as node[08-11], stands for.

    FundussegError if scontrol is not there or does not understand it.
    """
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FundussegError(f"{' '.join(command)}: failed ({error}); {_WAY_OUT}") from error
    return done.stdout.split()
