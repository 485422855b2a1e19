"""Text and JSON read from files."""

import json
from io import StringIO
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.regular import regular_bytes


def read_text(path: Path, may_be_pipe: bool = False) -> str:
    """Read UTF-8 text; InputError if the file cannot be read, or is no UTF-8.

    may_be_pipe: as what a user names, such as `<(...)`; any other must be a regular file.
    """
    try:
        data = path.read_bytes() if may_be_pipe else regular_bytes(path)
        return StringIO(data.decode(), newline=None).read()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is no text in UTF-8 ({error.reason})") from error


def read_json(path: Path) -> dict:
    """Read a JSON object; InputError if the file is missing, no JSON, or no object."""
    return json_object(path, regular_bytes(path))  # as bytes, since JSON tells its encoding


def json_object(path: Path, text: str | bytes) -> dict:
    """The JSON object that `text`, from the file `path`, holds.

    Raises:
        InputError: if it is no JSON, or no object.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(path, "is not a JSON object")
    return values
