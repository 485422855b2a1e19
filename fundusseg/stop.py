"""The request to stop: set by a signal, asked for by the loops between two pieces of work.

SIGTERM, SIGHUP and SIGUSR1 (what a cluster sends before its time limit) only raise a
flag. A loop that calls `check()` between images, shards or steps ends there, with its
finished work saved. A second signal of the same kind does nothing more; SIGKILL is
always safe, since no file stands under its final name before it is whole.

Ctrl-C ends at once, by an exception of its own.
"""

import signal

from fundusseg.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
GOES_ON = "the same command goes on (without --force)"
_received: list[int] = []


class Interrupted(BaseException):
    """Ctrl-C. Not KeyboardInterrupt, which typer would turn into its own message."""


def install() -> None:
    """Turn the stop signals into requests, Ctrl-C into `Interrupted`; main thread only.

    A signal that the parent has ignored stays ignored: nohup and a shell's `&` mean it so.
    """
    _received.clear()
    handlers = dict.fromkeys(SIGNALS, _request) | {signal.SIGINT: _interrupt}
    for number, handler in handlers.items():
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _request(received: int, frame) -> None:
    _received.append(received)


def _interrupt(received: int, frame) -> None:
    raise Interrupted


def requested() -> bool:
    """Whether a stop signal has come."""
    return bool(_received)


def check() -> None:
    """Raise `Stopped` if a stop signal has come; call it where everything is saved."""
    if _received:
        name = signal.Signals(_received[0]).name
        raise Stopped(f"stopped by {name}; the work so far is saved, {GOES_ON}")
