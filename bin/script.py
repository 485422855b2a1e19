"""What the scripts in bin/ share that are no commands: messages, and one line for an error."""

from collections.abc import Callable

from fundusseg import ui
from fundusseg.errors import EXIT_OK, FundussegError


def run_script(work: Callable[[], None]) -> int:
    """Do `work` with messages on stderr; the exit code."""
    ui.start_logging(quiet=False, verbose=False, log_file=None)
    try:
        work()
    except FundussegError as error:
        ui.print_error(str(error))
        return error.exit_code
    return EXIT_OK
