"""A file that is refused: one line that begins with its path."""

from pathlib import Path

import pytest

from fundusseg.errors import InputError


def assert_one_line(path: Path, command, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        command(path, *arguments)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message
