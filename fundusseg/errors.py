"""The errors that reach a user, each with its exit code.

A message is one line, `PATH: what is wrong; what to do`. Whoever raises one of
these has said everything; `cli.main` only prints it. Anything else that escapes
is a bug and ends in a traceback and exit code 70.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LACK_OF_MEMORY = "needs more memory than there is"
EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_BUG = 70
EXIT_STOPPED = 75
EXIT_INTERRUPTED = 130
EXIT_READER_GONE = 141  # as of a Unix tool that SIGPIPE ended


class FundussegError(Exception):
    """Input or environment is wrong: a corrupt file, a full disk, a mismatch.

    Names and values from files may hold newlines; the message is one line all the same.
    """

    exit_code = EXIT_ERROR

    def __init__(self, message: str):
        super().__init__("\\n".join(message.splitlines()))


class InputError(FundussegError):
    """A file or folder is not what it should be.

    Args:
        path: the file or folder at fault.
        problem: what is wrong with it.
        remedy: what the user can do about it; may be empty.
    """

    def __init__(self, path: Path | str, problem: str, remedy: str = ""):
        self.path = path
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path}: {self.reason}")

    @property
    def reason(self) -> str:
        """The message without the path, as a row of status.tsv gives it."""
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


FAULTS = (InputError, OSError, MemoryError)  # that cost one photograph or map, and not the others


def reason_of(error: Exception) -> str:
    """Why one of `FAULTS` came, as a row of a table says it, without the path."""
    if isinstance(error, InputError):
        return error.reason
    return f"cannot be read ({error.strerror})" if isinstance(error, OSError) else LACK_OF_MEMORY


class UnavailableError(InputError):
    """A file is not there, or cannot be read as things stand; what it holds is unknown."""


class PictureFault(ValueError):
    """What a picture shows, or how a file holds it, cannot be used; `blamed_on` names the file.

    Args: as of `InputError`.
    """

    def __init__(self, problem: str, remedy: str):
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem}; {remedy}")


@contextmanager
def blamed_on(path: Path | str) -> Iterator[None]:
    """Make the faults of a picture, and a lack of memory for it, errors of its file.

    Raises:
        InputError: for a `PictureFault`.
        UnavailableError: for a MemoryError.
    """
    try:
        yield
    except PictureFault as fault:
        raise InputError(path, fault.problem, fault.remedy) from fault
    except MemoryError as error:
        raise UnavailableError(path, LACK_OF_MEMORY) from error


class UsageError(FundussegError):
    """The command line is wrong, or a path on it does not exist."""

    exit_code = EXIT_USAGE


class Stopped(FundussegError):
    """A signal asked for a stop, or a worker was lost; the same command goes on."""

    exit_code = EXIT_STOPPED
