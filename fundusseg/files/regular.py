"""Regular files, opened by name: a pipe would keep us waiting for ever, a device has no end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from fundusseg.errors import InputError, UnavailableError, blamed_on
from fundusseg.files.limits import require_few_bytes


def require_regular(path: Path | str, descriptor: int | None = None) -> os.stat_result:
    """What `os.stat` says of a regular file, or of a link to one.

    Args:
        descriptor: of the file, if it is open.

    Raises:
        InputError: if it is a pipe, a folder or a device.
        OSError: if there is none.
    """
    status = os.stat(path if descriptor is None else descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(path, "is no regular file")
    return status


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file to read its bytes; errors as of `require_regular`."""
    require_regular(path)
    return open(path, "rb")


def regular_bytes(path: Path | str) -> bytes:
    """All bytes of a regular file.

    Raises:
        InputError: if it is a pipe, a folder or a device, or too large.
        UnavailableError: if it cannot be read.
    """
    try:
        with blamed_on(path), open_regular(path) as file:
            require_few_bytes(os.fstat(file.fileno()).st_size)
            return file.read()
    except OSError as error:
        raise UnavailableError(path, f"cannot be read ({error.strerror})") from error
