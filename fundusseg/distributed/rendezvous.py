"""The workers of a cluster wait for each other, before tensorflow does.

tensorflow waits without end and hears no signal meanwhile. Here every worker reports to the
chief, at the address that tensorflow takes over later, and goes on at the chief's word.
"""

import socket
import time
from contextlib import ExitStack, suppress

from fundusseg import stop
from fundusseg.distributed.cluster import Cluster
from fundusseg.errors import FundussegError

PATIENCE_S = 600.0
_POLL_S = 0.5  # how long a signal may go unheard
_GO = b"fundusseg: go\n"


def meet(cluster: Cluster, patience_s: float = PATIENCE_S) -> None:
    """Return when all workers of the cluster have come here.

    Raises:
        FundussegError: if one has not after `patience_s` seconds, or the chief cannot listen.
        Stopped: if this one is asked to stop.
    """
    end = time.monotonic() + patience_s
    if cluster.rank == 0:
        _gather(cluster, end)
    else:
        _report(cluster, end)


def _gather(cluster: Cluster, end: float) -> None:
    """The chief: take a connection of each worker, and give all of them the word."""
    address = cluster.addresses[0]
    waiting: dict[int, socket.socket] = {}
    with ExitStack() as opened:
        try:
            server = opened.enter_context(_listening(_host_and_port(address)[1]))
        except OSError as error:
            raise FundussegError(f"{address}: cannot be listened on ({error.strerror})") from error
        server.settimeout(_POLL_S)
        while missing := sorted(set(range(1, len(cluster.addresses))) - set(waiting)):
            _require_patience(cluster.addresses[missing[0]], end)
            with suppress(OSError, ValueError):  # nobody came, or one that is no worker
                connection = opened.enter_context(server.accept()[0])
                connection.settimeout(_POLL_S)
                rank = int(connection.recv(20))
                if 0 < rank < len(cluster.addresses):
                    waiting[rank] = connection  # a worker that is started again takes its place
        for connection in waiting.values():
            with suppress(OSError):
                connection.sendall(_GO)


def _report(cluster: Cluster, end: float) -> None:
    """A worker: tell the chief its rank, and wait for the word."""
    chief = cluster.addresses[0]
    while True:
        with suppress(OSError):  # it does not listen yet, or no longer
            with socket.create_connection(_host_and_port(chief), _POLL_S) as connection:
                connection.sendall(f"{cluster.rank}\n".encode())
                if _word(connection, chief, end) == _GO:
                    return
        _require_patience(chief, end)
        time.sleep(_POLL_S / 5)


def _word(connection: socket.socket, chief: str, end: float) -> bytes:
    """What the chief says; nothing if it goes away."""
    while True:
        _require_patience(chief, end, "waits for another worker, which has not come; see its log")
        with suppress(TimeoutError):
            return connection.recv(len(_GO))


def _require_patience(
    address: str, end: float, problem: str = "this worker has not come; see its log"
) -> None:
    stop.check()
    if time.monotonic() > end:
        raise FundussegError(f"{address}: {problem}, and start all workers together")


def _listening(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
