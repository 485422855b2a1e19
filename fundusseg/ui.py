"""What people read: the log and the progress, both on stderr. The only module that knows rich.

stdout belongs to data. The log file, if asked for, gets every message with its time; one of JSON
lines gets events too, which nobody else sees.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fundusseg.errors import FundussegError
from fundusseg.wording import counted

if TYPE_CHECKING:
    from rich.progress import Progress

log = logging.getLogger("fundusseg")
SAY_EVERY_S = 60  # at least, while something gets done
_runs_as_command = False


def run_as_command() -> None:
    """Note that this process runs a command line, and is not somebody's own program."""
    global _runs_as_command
    _runs_as_command = True


def runs_as_command() -> bool:
    """Whether this process runs a command line."""
    return _runs_as_command


class _Screen(logging.StreamHandler):
    """To stderr as it is at each message: a progress bar takes its place while it is shown."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


class _LogFile(logging.FileHandler):
    """A log file that ends the command if it cannot be written; no message goes there after."""

    def __init__(self, path: Path, is_json: bool):
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
        self.setFormatter(_JsonLine() if is_json else text)
        self.is_json = is_json

    def handleError(self, record: logging.LogRecord) -> None:
        """Raise what is wrong as an error of the command's."""
        log.removeHandler(self)
        stream, self.stream = self.stream, None
        with suppress(OSError):  # it would write the rest, which fails again
            if stream is not None:
                stream.close()
        reason = getattr(sys.exception(), "strerror", None) or str(sys.exception())
        raise FundussegError(
            f"{self.baseFilename}: cannot be written ({reason}); free space, or give another "
            "--log-file"
        )


class _JsonLine(logging.Formatter):
    """A record as a JSON object: an event with its values, or a message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = {"event": "message", "message": record.getMessage()}
        told = getattr(record, "told", message)
        return json.dumps({"time": time, "level": record.levelname.lower(), **told})


class _Once(logging.Filter):
    """Says each warning once: score reads some files again, for its gallery."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        warning = hash(record.getMessage())
        is_new = warning not in self._said
        self._said.add(warning)
        return is_new


def start_logging(
    quiet: bool, verbose: bool, log_file: Path | None, log_format: str = "text"
) -> None:
    """Send messages to stderr (warnings only if `quiet`, all if `verbose`) and to `log_file`.

    log_format: "text", or "json" for a log file of JSON lines.

    Raises:
        OSError: if the log file cannot be opened. A message that cannot be written to it later
            raises FundussegError where it is logged.
    """
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.setLevel(logging.DEBUG)
    log.propagate = False
    screen = _Screen()
    screen.setFormatter(logging.Formatter("fundusseg: %(message)s"))
    screen.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    log.addHandler(screen)
    if log_file is not None:
        log.addHandler(_LogFile(log_file, is_json=log_format == "json"))
    for handler in log.handlers:
        handler.addFilter(_Once())


def event(name: str, **values: Any) -> None:
    """Note an event, with JSON values, where the log file is one of JSON lines."""
    told = {"event": name, **values}
    record = log.makeRecord(log.name, logging.INFO, "", 0, name, (), None, extra={"told": told})
    for handler in log.handlers:
        if isinstance(handler, _LogFile) and handler.is_json:
            handler.handle(record)


def is_verbose() -> bool:
    """Whether tracebacks are wanted."""
    return bool(log.handlers) and log.handlers[0].level == logging.DEBUG


def quieten() -> None:
    """Let only warnings and errors through from here on, also to the log file."""
    for handler in log.handlers:
        handler.setLevel(logging.WARNING)


def print_error(message: str) -> None:
    """Print an error as one line on stderr, and put it into the log file, if there is one."""
    line = message.translate({ord("\n"): " ", ord("\r"): " "}).strip()
    try:
        print(f"fundusseg: error: {line}", file=sys.stderr, flush=True)
    except (OSError, ValueError):  # full, or its reader has gone: the exit code must stay
        sys.stderr = open(os.devnull, "w")
    with suppress(FundussegError):  # one line says what came first
        _log_to_file(line)


def _log_to_file(message: str) -> None:
    record = log.makeRecord(log.name, logging.ERROR, "", 0, message, (), None)
    for handler in log.handlers[1:]:
        handler.handle(record)


def on_screen() -> bool:
    """Whether a person watches: stderr is a terminal that draws, and messages are not quietened.

    FORCE_COLOR makes rich take any stream for a terminal, so rich is not asked.
    """
    draws = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
    return draws and bool(log.handlers) and log.handlers[0].level <= logging.INFO


class Reporter:
    """How far a loop over `total` pieces is, with what failed, the rate and the time that is left.

    unit: the noun of one piece.

    Logs a line at the start, at every tenth of `total`, and `SAY_EVERY_S` after the last.
    """

    def __init__(self, title: str, total: int, unit: str):
        self.title, self.total, self.unit = title, total, unit
        self.done = self.failed = self._passed = 0
        self._began = self._said = time.monotonic()
        self.start()

    def start(self) -> None:
        """Say what there is to do."""
        log.info("%s: %s", self.title, counted(self.total, self.unit))

    def advance(self, count: int = 1, failed: int = 0) -> None:
        """Count `count` more pieces as done, `failed` of them in vain."""
        before, self.done, now = self.done, self.done + count, time.monotonic()
        self.failed += failed
        self.show(before, now)

    def passed(self, count: int) -> None:
        """Count pieces as done that took no time: they were finished before."""
        self._passed += count
        self.advance(count)

    def show(self, before: int, now: float) -> None:
        """Log a line if one is due."""
        is_tenth = self.total and 10 * self.done // self.total > 10 * before // self.total
        if is_tenth or now - self._said >= SAY_EVERY_S:
            self._said = now
            total = counted(self.total, self.unit)
            log.info("%s: %d of %s%s", self.title, self.done, total, self.pace(now))

    def pace(self, now: float) -> str:
        """What stands behind the count: failures, pieces a second, time left."""
        made, seconds = self.done - self._passed, now - self._began
        failed = f", {self.failed} failed" if self.failed else ""
        if made <= 0 or seconds <= 0:
            return failed
        left_s = (self.total - self.done) * seconds / made
        left = f", {span(left_s)} left" if self.done < self.total else ""
        return f"{failed}, {made / seconds:.3g}/s{left}"


class BarReporter(Reporter):
    """The same as a progress bar."""

    def __init__(self, title: str, total: int, unit: str, bar: "Progress"):
        self.bar = bar
        self.task = bar.add_task(title, total=total, pace="")
        super().__init__(title, total, unit)

    def start(self) -> None:
        """The bar is there."""

    def show(self, before: int, now: float) -> None:
        """Move the bar on."""
        self.bar.update(self.task, completed=self.done, pace=self.pace(now).removeprefix(", "))


def span(seconds: float) -> str:
    """A time as a person says it: 12 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Reporter]:
    """Show how far a loop over `total` pieces is; yields what counts them."""
    if not on_screen():
        yield Reporter(title, total, unit)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    console = Console(stderr=True, soft_wrap=True)  # a message is one line, however long
    with Progress(*columns, console=console, transient=True) as bar:
        yield BarReporter(title, total, unit, bar)
