"""A stop that is asked for: what is done is saved, and the same command goes on."""

import signal

import pytest

from fundusseg import ui
from tests.batch import contents, run, started, temporaries, write_photographs
from tests.faults.killing import wait_until

STOPS = [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]


@pytest.fixture
def signal_after(monkeypatch):
    """Have this process get a signal when the progress has come to a number of pieces."""

    def arrange(done: int, number: int):
        advance = ui.Reporter.advance

        def signalled(self, count=1, failed=0):
            before = self.done
            advance(self, count, failed)
            if before < done <= self.done:
                signal.raise_signal(number)

        monkeypatch.setattr(ui.Reporter, "advance", signalled)

    yield arrange
    monkeypatch.undo()


@pytest.fixture
def infer(tiny_model, photographs, tmp_path):
    words = ("--model", tiny_model, "--jobs", 1)
    return lambda out: run("infer", photographs, tmp_path / out, *words)


@pytest.mark.parametrize("number", STOPS)
def test_infer_stops_with_75_and_goes_on(
    infer, tmp_path, signal_after, monkeypatch, capsys, number
):
    """Exit 75: stopped by SIGTERM, SIGHUP or SIGUSR1 after saving: the same command goes on."""
    signal_after(2, number)
    assert infer("maps") == 75
    assert f"stopped by {signal.Signals(number).name}" in capsys.readouterr().err
    assert not (tmp_path / "maps" / "manifest.json").exists()
    assert temporaries(tmp_path / "maps") == []
    monkeypatch.undo()
    assert infer("maps") == 0
    assert "4 photographs, 2 of them finished before" in capsys.readouterr().err
    assert infer("undisturbed") == 0
    assert contents(tmp_path / "maps") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("number", STOPS)
def test_prep_stops_with_75_and_goes_on(
    phantom_set, tmp_path, signal_after, monkeypatch, capsys, number
):
    """Exit 75: stopped after saving: the same command goes on."""
    words = ("prep", phantom_set("pairs"))
    signal_after(1, number)
    assert run(*words, tmp_path / "shards", "--num-shards", 4) == 75
    assert len(list((tmp_path / "shards").glob("shard-*.h5"))) == 1
    monkeypatch.undo()
    assert run(*words, tmp_path / "shards", "--num-shards", 4) == 0
    assert run(*words, tmp_path / "undisturbed", "--num-shards", 4) == 0
    assert contents(tmp_path / "shards") == contents(tmp_path / "undisturbed")


def test_ctrl_c_is_130_and_the_same_command_goes_on(
    infer, tmp_path, signal_after, monkeypatch, capsys
):
    """Exit 130: Ctrl-C."""
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)  # not ignored
    signal_after(2, signal.SIGINT)
    assert infer("maps") == 130
    assert "interrupted" in capsys.readouterr().err
    monkeypatch.undo()
    assert infer("maps") == 0
    assert infer("undisturbed") == 0
    assert contents(tmp_path / "maps") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_process_that_is_busy_stops(tiny_model, tmp_path, number, code):
    """Exit 75 and 130 as the parent process sees them, with one line and no traceback."""
    photographs = write_photographs(tmp_path / "in", *(f"{n}.png" for n in range(5)))
    words = ("infer", photographs, tmp_path / "maps", "--model", tiny_model, "--quiet")
    process = started(*words)
    wait_until(lambda: (tmp_path / "maps").is_dir(), process)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == code, error
    assert error.startswith(b"fundusseg: error: ") and error.count(b"\n") == 1
    assert temporaries(tmp_path / "maps") == []
    assert run(*words) == 0


def test_a_signal_that_the_parent_ignores_stays_ignored(tmp_path):
    """nohup fundusseg ... & goes on when its terminal is closed."""
    words = ("phantom", tmp_path / "set", "--count", 6, "--size", 128, "--quiet")
    process = started(*words, ignored="SIGHUP SIGINT")
    wait_until(lambda: (tmp_path / "set").is_dir(), process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert (process.returncode, error) == (0, b"")
