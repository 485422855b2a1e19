"""Signals ask for a stop; the loops end where their work is saved."""

import os
import signal

import pytest

from fundusseg import stop
from fundusseg.errors import EXIT_STOPPED, Stopped


@pytest.fixture(autouse=True)
def installed():
    numbers = (*stop.SIGNALS, signal.SIGINT)
    # What started the tests in the background may have these ignored.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    stop.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stop._received.clear()


def test_without_a_signal_work_goes_on():
    stop.check()
    assert not stop.requested()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_stops_at_the_next_check(number):
    os.kill(os.getpid(), number)
    assert stop.requested()
    with pytest.raises(Stopped, match=f"stopped by {signal.Signals(number).name}") as caught:
        stop.check()
    assert caught.value.exit_code == EXIT_STOPPED == 75


def test_the_first_of_several_signals_is_named():
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGUSR1"):
        stop.check()


def test_a_new_start_forgets_old_signals():
    os.kill(os.getpid(), signal.SIGTERM)
    stop.install()
    stop.check()


def test_ctrl_c_ends_at_once():
    with pytest.raises(stop.Interrupted):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop.install()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not stop.requested()
