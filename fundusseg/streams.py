"""stdin, stdout and stderr of this process, as a Unix tool needs them."""

import io
import os
import sys


def use_utf8(is_own_process: bool) -> None:
    """Read names and write messages in UTF-8 whatever the locale, so that the bytes are the same.

    Python chooses how it reads the names of files before its first line: it is started again.
    """
    if is_own_process and sys.getfilesystemencoding() != "utf-8" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream, on_error in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=on_error)


def replace_closed() -> None:
    """Where the parent has closed stdin, stdout or stderr (>&-), what goes there goes nowhere.

    Their descriptors are taken, or the next file that is opened would be stdout.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")


def discard_stdout() -> None:
    """The reader of stdout went away: what Python would still flush has no reader either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
