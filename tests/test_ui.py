"""What a person at a terminal reads: a progress bar, and messages on lines of their own."""

import io
import json
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
    with ui.progress("infer maps", 5, "photograph") as bar:
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


def test_lines_come_at_each_tenth_and_once_a_minute(monkeypatch):
    """With the rate of what was made now, the failures, and the time that is left."""
    stderr, clock = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(ui.time, "monotonic", lambda: clock[0])
    ui.start_logging(quiet=False, verbose=False, log_file=None)
    reporter = ui.Reporter("infer maps", 1000, "photograph")
    reporter.passed(100)
    for second, failed in ((20, 0), (60, 1), (100, 0), (120, 0)):
        clock[0] = second
        reporter.advance(2, failed)
    assert stderr.getvalue().splitlines() == [
        "fundusseg: infer maps: 1000 photographs",
        "fundusseg: infer maps: 100 of 1000 photographs",
        "fundusseg: infer maps: 104 of 1000 photographs, 1 failed, 0.0667/s, 3.7 h left",
        "fundusseg: infer maps: 108 of 1000 photographs, 1 failed, 0.0667/s, 3.7 h left",
    ]


def test_a_log_of_json_lines_has_messages_and_events(monkeypatch, tmp_path):
    """The screen has no event; nor has a log file of text."""
    terminal = watched(monkeypatch)
    for name in ("text", "json"):
        path = tmp_path / name
        ui.start_logging(quiet=False, verbose=False, log_file=path, log_format=name)
        ui.event("photograph", id="a\udcff", ms={"read": 1.5})
        ui.log.warning("%s: is cut off", "a")
    lines = [json.loads(line) for line in (tmp_path / "json").read_text().splitlines()]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert lines == [
        {"level": "info", "event": "photograph", "id": "a\udcff", "ms": {"read": 1.5}},
        {"level": "warning", "event": "message", "message": "a: is cut off"},
    ]
    assert "photograph" not in terminal.getvalue() + (tmp_path / "text").read_text()
    ui.start_logging(quiet=False, verbose=False, log_file=None)


def test_a_terminal_that_draws_nothing_gets_lines(monkeypatch):
    """TERM=dumb, as of an editor's shell; and NO_COLOR takes the colours from the bar."""
    terminal = watched(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with ui.progress("infer maps", 2, "photograph") as bar:
        bar.advance()
    assert terminal.getvalue().startswith(
        "fundusseg: infer maps: 2 photographs\nfundusseg: infer ma"
    )
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for no_color in ("", "1"):
        terminal = watched(monkeypatch)
        if no_color:
            monkeypatch.setenv("NO_COLOR", no_color)
        with ui.progress("infer maps", 2, "photograph") as bar:
            bar.advance()
        assert bool(coloured.search(terminal.getvalue())) is not bool(no_color)
