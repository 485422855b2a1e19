"""SHA-256 of files, and SHA256SUMS: every output of a command, as `sha256sum -c` reads it."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.atomic import write_pieces
from fundusseg.files.names import is_inside, name_bytes, name_from
from fundusseg.files.regular import open_regular

NAME = "SHA256SUMS"
_HASHED_AT_ONCE_BYTES = 1 << 20
_REMEDY = "run the same command again"
_LINE = re.compile(rb"(?P<mark>\\?)(?P<sha256>[0-9a-f]{64})  (?P<name>[^\n]+)\n")
_ESCAPE = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
_ESCAPED = re.compile(rb"\\(.)")


def sha256_of(*paths: Path | str) -> str:
    """SHA-256 (64 hex digits) of the bytes of regular files, one file after the other.

    InputError if one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open_regular(path) as file:
                while data := file.read(_HASHED_AT_ONCE_BYTES):
                    digest.update(data)
        except OSError as error:
            raise InputError(path, f"cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def write_checksums(path: Path, hashes: Iterable[tuple[str, str]]) -> None:
    """Write names and their SHA-256 (64 hex digits), atomically, in byte order."""
    write_pieces(path, sorted(map(_line, hashes), key=_line_name))


def is_sha256(value: object) -> bool:
    """Whether this is a SHA-256 as `sha256_of` gives it."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def read_checksums(path: Path) -> Iterator[tuple[str, str]]:
    """Names and their SHA-256, one at a time.

    InputError if the file cannot be read, a line is of another form, or a name does not stay inside
    the folder.
    """
    try:
        with open_regular(path) as file:
            for line in file:
                match = _LINE.fullmatch(line)
                if match is None:
                    raise InputError(path, "is no list of checksums, or cut off", _REMEDY)
                mark, sha256, shown = match.groups()
                name = name_from(_ESCAPED.sub(_plain, shown) if mark else shown)
                if not is_inside(name):
                    raise InputError(path, f"names {name}, which is not inside its folder", _REMEDY)
                yield name, sha256.decode()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", _REMEDY) from error


def _line_name(line: bytes) -> bytes:
    """The name in a line, as it is written there: what lines are sorted by."""
    return line[66 + line.startswith(b"\\") :]


def _line(entry: tuple[str, str]) -> bytes:
    """A line; a backslash before it says that the name is escaped, as coreutils has it."""
    name, sha256 = name_bytes(entry[0]), entry[1].encode()
    shown = name
    for sign, escaped in _ESCAPE.items():
        shown = shown.replace(sign, escaped)
    return (b"" if shown == name else b"\\") + sha256 + b"  " + shown + b"\n"


def _plain(match: re.Match[bytes]) -> bytes:
    return {b"n": b"\n", b"r": b"\r"}.get(match[1], match[1])
