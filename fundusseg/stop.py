"""The request to stop: set by a signal, asked for by the loops between two pieces of work.

SIGTERM, SIGHUP and SIGUSR1 (what a cluster sends before its time limit) only raise a
flag. A loop that calls `check()` between images, shards or steps ends there, with its
finished work saved. A second signal of the same kind does nothing more; SIGKILL is
always safe, since no file stands under its final name before it is whole.

Ctrl-C ends at once, by an exception of its own; where that would lose work that has not been
saved (`interrupts_deferred`), the first is a request as well, and the second ends.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fundusseg.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
GOES_ON = "the same command goes on (without --force)"
_received: list[int] = []
_deferring: list[bool] = []


class Interrupted(BaseException):
    """Ctrl-C. Not KeyboardInterrupt, which a library might take for its own to answer."""


def install() -> None:
    """Turn the stop signals into requests, Ctrl-C into `Interrupted`; main thread only.

    A signal that the parent has ignored stays ignored: nohup and a shell's `&` mean it so.
    """
    _received.clear()
    handlers = dict.fromkeys(SIGNALS, _request) | {signal.SIGINT: _interrupt}
    for number, handler in handlers.items():
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _request(received: int, frame: FrameType | None) -> None:
    _received.append(received)


def _interrupt(received: int, frame: FrameType | None) -> None:
    if not _deferring or received in _received:
        raise Interrupted
    _request(received, frame)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Within it a first Ctrl-C is a request, which `check` answers when all is saved."""
    _deferring.append(True)
    try:
        yield
    finally:
        _deferring.pop()


def requested() -> bool:
    """Whether a stop signal has come."""
    return bool(_received)


def check() -> None:
    """Raise `Stopped`, or `Interrupted`, if a stop signal has come; call it where all is saved."""
    if signal.SIGINT in _received:
        raise Interrupted
    if _received:
        name = signal.Signals(_received[0]).name
        raise Stopped(f"stopped by {name}; the work so far is saved, {GOES_ON}")
