"""A single file that a command is told to write: refused where it would spoil what is there."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fundusseg.errors import UsageError
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.images import image_suffix
from fundusseg.files.manifest import NAME as MANIFEST
from fundusseg.files.manifest import STATE_FOLDER, part_named
from fundusseg.files.status import NAME as STATUS

_RECORDS = (MANIFEST, STATUS, CHECKSUMS)


def require_file_to_write(path: Path, example: str, inputs: Iterable[Path | str] = ()) -> None:
    """Raise if the file that is to be written at `path` would take the place of something else.

    A link would be replaced, too, and not what it points to.

    Args:
        example: a name that could be given.
        inputs: what the command reads.

    Raises:
        UsageError: if there stands what is no regular file, or an input, or the name is that of a
            picture or a record.
    """
    remedy = f"give the name of a file, such as {example}"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path}: is no regular file; {remedy}")
    require_own_name(path, example, inputs)


def require_own_name(path: Path, example: str, inputs: Iterable[Path | str] = ()) -> None:
    """As `require_file_to_write`, of the name alone: whatever stands there may be written to."""
    remedy = f"give another name, such as {example}"
    if image_suffix(path.name):
        raise UsageError(f"{path}: is named like a picture; {remedy}")
    if (
        path.name in _RECORDS
        or part_named(path.name, *_RECORDS)
        or path.parent.name == STATE_FOLDER
    ):
        raise UsageError(f"{path}: is named like a record of an output folder; {remedy}")
    for one in inputs:
        with suppress(OSError, ValueError):  # there is no such file, or it is no path at all
            if path.is_file() and path.samefile(one):
                raise UsageError(f"{path}: is read by the command; {remedy}")
