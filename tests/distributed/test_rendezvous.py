"""Workers wait for each other, but not for ever, and hear signals meanwhile."""

import signal
import socket
import threading
import time

import pytest

from fundusseg import stop
from fundusseg.distributed.cluster import Cluster
from fundusseg.distributed.rendezvous import meet
from fundusseg.errors import FundussegError, Stopped
from tests.faults.workers import free_ports


@pytest.fixture
def addresses() -> tuple[str, ...]:
    return tuple(f"localhost:{port}" for port in free_ports(3))


@pytest.fixture
def stops():
    """Stop signals are requests, as the command line has it."""
    handlers = {number: signal.getsignal(number) for number in (*stop.SIGNALS, signal.SIGINT)}
    stop.install()
    yield
    stop._received.clear()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_nobody_goes_on_before_the_last_has_come(addresses):
    gone_on = []

    def worker(rank: int) -> None:
        meet(Cluster(addresses, rank), patience_s=60)
        gone_on.append(rank)

    threads = [threading.Thread(target=worker, args=(rank,)) for rank in (2, 0)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert gone_on == []
    worker(1)
    for thread in threads:
        thread.join()
    assert sorted(gone_on) == [0, 1, 2]


def test_the_port_is_free_for_tensorflow_at_once(addresses):
    pair = addresses[:2]
    other = threading.Thread(target=meet, args=(Cluster(pair, 1), 60))
    other.start()
    meet(Cluster(pair, 0), patience_s=60)
    socket.create_server(("", int(pair[0].split(":")[1]))).close()
    other.join()


def test_a_stranger_at_the_port_is_no_worker(addresses):
    pair = addresses[:2]
    chief = threading.Thread(target=meet, args=(Cluster(pair, 0), 60))
    chief.start()
    stranger = None
    while stranger is None:
        try:
            stranger = socket.create_connection(("localhost", int(pair[0].split(":")[1])))
        except ConnectionRefusedError:
            time.sleep(0.05)
    with stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n")
        meet(Cluster(pair, 1), patience_s=60)
    chief.join()


@pytest.mark.parametrize(("rank", "absent"), [(0, 1), (1, 0)])
def test_one_that_does_not_come_is_named(addresses, rank, absent):
    with pytest.raises(FundussegError, match=f"^{addresses[absent]}: "):
        meet(Cluster(addresses, rank), patience_s=0.1)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_ends_the_waiting(addresses, stops, rank):
    signal.raise_signal(signal.SIGUSR1)
    with pytest.raises(Stopped, match="SIGUSR1"):
        meet(Cluster(addresses, rank), patience_s=60)


def test_a_port_that_is_taken_is_named(addresses):
    with socket.create_server(("", int(addresses[0].split(":")[1]))):
        with pytest.raises(FundussegError, match=f"^{addresses[0]}: cannot be listened on"):
            meet(Cluster(addresses, 0), patience_s=60)


def test_a_worker_does_not_blame_a_chief_that_waits_too(addresses):
    others = {}

    def worker(rank: int) -> None:
        with pytest.raises(FundussegError) as raised:
            meet(Cluster(addresses, rank), patience_s=2)
        others[rank] = str(raised.value)

    threads = [threading.Thread(target=worker, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert others[0].startswith(f"{addresses[2]}: this worker has not come")
    assert f"{addresses[0]}: " in others[1]
