"""Who trains together, as TF_CONFIG and as Slurm say it."""

import json

import pytest

from fundusseg.distributed import cluster
from fundusseg.distributed.cluster import Cluster, described_cluster
from fundusseg.errors import FundussegError

# What `srun --nodes=2 --ntasks=3` sets for the task that it runs on the second node.
TASK = {
    "SLURM_JOB_ID": "41",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "3",
    "SLURM_PROCID": "2",
    "SLURM_NODEID": "1",
    "SLURM_GTIDS": "2",
    "SLURM_STEP_NODELIST": "node[9-10]",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_DISTRIBUTION": "block",
}


@pytest.fixture(autouse=True)
def scontrol(monkeypatch):
    """Slurm's own expansion of node lists."""
    names = {"node[9-10]": ["node9", "node10"]}
    monkeypatch.setattr(cluster, "hostnames", lambda nodes: names[nodes])


def tf_config(kind: str, index: int, **jobs: list[str]) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


def test_tf_config():
    found = described_cluster(tf_config("worker", 1, worker=["a:1", "b:2"]))
    assert found == Cluster(("a:1", "b:2"), 1)


def test_a_chief_that_is_named_apart_is_the_first_worker():
    jobs = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}
    assert described_cluster(tf_config("chief", 0, **jobs)) == Cluster(("a:1", "b:2", "c:3"), 0)
    assert described_cluster(tf_config("worker", 1, **jobs)).rank == 2


def test_tf_config_comes_before_slurm():
    found = described_cluster({**TASK, **tf_config("worker", 0, worker=["a:1"])})
    assert found.addresses == ("a:1",)


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", '{"cluster": {"worker": ["a:1"]}}', tf_config("ps", 0)["TF_CONFIG"]],
)
def test_a_tf_config_that_describes_nothing_is_an_error_of_one_line(text):
    with pytest.raises(FundussegError) as error:
        described_cluster({"TF_CONFIG": text})
    assert "TF_CONFIG" in str(error.value) and "\n" not in str(error.value)


def test_an_address_without_a_port_is_an_error():
    with pytest.raises(FundussegError, match="'b' is no host:port"):
        described_cluster(tf_config("worker", 0, worker=["a:1", "b"]))


def test_an_index_that_is_not_there_is_an_error():
    with pytest.raises(FundussegError, match="IndexError"):
        described_cluster(tf_config("worker", 2, worker=["a:1", "b:2"]))


def test_slurms_tasks_in_block_order():
    found = described_cluster(TASK)
    hosts, ports = zip(*(address.split(":") for address in found.addresses), strict=True)
    assert (found.rank, hosts) == (2, ("node9", "node9", "node10"))
    assert len(set(ports)) == 3 and all(1024 < int(port) < 32_768 for port in ports)


def test_slurms_tasks_dealt_out_in_turn():
    """Where SlurmClusterResolver gives the wrong order."""
    cyclic = {"SLURM_DISTRIBUTION": "cyclic", "SLURM_PROCID": "1", "SLURM_GTIDS": "1"}
    found = described_cluster({**TASK, **cyclic})
    assert [address.split(":")[0] for address in found.addresses] == ["node9", "node10", "node9"]


def test_all_tasks_of_a_step_agree_and_another_job_has_other_ports():
    other_task = {"SLURM_PROCID": "1", "SLURM_NODEID": "0", "SLURM_GTIDS": "0,1"}
    assert described_cluster({**TASK, **other_task}).addresses == described_cluster(TASK).addresses
    other_job = described_cluster({**TASK, "SLURM_JOB_ID": "42"})
    assert not set(other_job.addresses) & set(described_cluster(TASK).addresses)


def test_an_order_that_this_node_contradicts_is_an_error():
    with pytest.raises(FundussegError, match="--distribution=block"):
        described_cluster({**TASK, "SLURM_GTIDS": "1"})


@pytest.mark.parametrize("name", ["SLURM_NODEID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS"])
def test_a_variable_that_is_missing_is_named(name):
    environment = {key: value for key, value in TASK.items() if key != name}
    with pytest.raises(FundussegError, match=name):
        described_cluster(environment)


@pytest.mark.parametrize("environment", [{}, {"SLURM_JOB_ID": "41", "SLURM_NTASKS": "2"}])
def test_outside_of_srun_the_way_out_is_named(environment):
    with pytest.raises(FundussegError, match="srun, or set TF_CONFIG"):
        described_cluster(environment)


def test_numbers_in_slurms_short_form():
    assert cluster.expanded_counts("2(x3),1") == [2, 2, 2, 1]
    with pytest.raises(ValueError):
        cluster.expanded_counts("2 x 3")


def test_uneven_nodes_dealt_out_in_turn():
    assert cluster.cyclic_nodes([1, 3, 2]) == [0, 1, 2, 1, 2, 1]
    assert cluster.block_nodes([1, 3, 2]) == [0, 1, 1, 1, 2, 2]
