"""What a person at a terminal reads: a progress bar, and messages on lines of their own."""

import io
import re
import sys

from fundusseg import ui

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch) -> Terminal:
    """A terminal in the place of stderr; not by a fixture, since pytest takes its place again."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    ui.start_logging(quiet=False, verbose=False, log_file=None)
    return found


def test_a_message_beside_a_progress_bar_is_a_line_of_its_own(monkeypatch):
    terminal = watched(monkeypatch)
    path = "/data/" + "x" * 80 + "[red].png"
    with ui.progress("infer maps", 5, "photographs") as bar:
        bar.advance()
        ui.log.warning("%s: is cut off", path)
        bar.advance()
    lines = CONTROLS.sub("", terminal.getvalue()).replace("\r", "\n").split("\n")
    assert f"fundusseg: {path}: is cut off" in lines
    assert any("infer maps" in line for line in lines)


def test_messages_go_to_stderr_as_it_is_then(monkeypatch):
    terminal = watched(monkeypatch)
    later = io.StringIO()
    monkeypatch.setattr(sys, "stderr", later)
    ui.log.warning("said")
    assert (terminal.getvalue(), later.getvalue()) == ("", "fundusseg: said\n")


def test_a_warning_is_said_once(monkeypatch):
    """As of a mask that score reads again for its gallery; progress may be said again."""
    terminal = watched(monkeypatch)
    for _ in range(2):
        ui.log.warning("%s: is a mask without vessels", "a.png")
        ui.log.info("begun")
    assert terminal.getvalue() == (
        "fundusseg: a.png: is a mask without vessels\nfundusseg: begun\nfundusseg: begun\n"
    )
    ui.start_logging(quiet=False, verbose=False, log_file=None)
    ui.log.warning("%s: is a mask without vessels", "a.png")
    assert terminal.getvalue().count("without vessels") == 2
