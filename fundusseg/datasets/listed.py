"""The list on stdin: names of photographs, as shells, Windows and spreadsheets write them."""

import codecs
import io
import os
import select
import sys
from pathlib import Path

from fundusseg import stop
from fundusseg.errors import UsageError
from fundusseg.files.names import name_from

_POLL_S = 0.2
_CHUNK_BYTES = 1 << 16


def listed(null_separated: bool, relative_to: Path | None = None) -> list[tuple[str, str]]:
    """The names on stdin: of each what stands before its id, and the rest; no name twice.

    A relative path is kept, an absolute one loses the leading /. Where one climbs out of the
    working folder (`..`), all relative ones are taken below the folder that they have in common.
    With `relative_to` all are taken below that folder; one that lies elsewhere begins with `..`.

    Raises:
        UsageError: if the list is in UTF-16, or is separated otherwise.
        Stopped: if a stop is asked for before the list has ended.
    """
    data = _read()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageError("-: the list is in UTF-16; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if null_separated:
        names = list(map(name_from, data.split(b"\0")))
    elif b"\0" in data:
        raise UsageError("-: the list has NUL in it; give --null")
    else:
        names = [_as_meant(name_from(line)) for line in data.split(b"\n")]
    names = list(dict.fromkeys(_normal(name) for name in names if name))
    relative = [name for name in names if name[0] != "/"]
    common = ""
    if relative_to is not None:
        before = os.path.join(os.path.abspath(relative_to), "")
        below = [os.path.relpath(os.path.abspath(name), before) for name in names]
        return [(before, name) for name in dict.fromkeys(below)]
    if any(name.split("/")[0] == ".." for name in relative):
        common = os.path.commonpath([os.path.dirname(os.path.abspath(n)) for n in relative])
    return list(dict.fromkeys(_split(name, common) for name in names))


def _read() -> bytes:
    """All of stdin; waiting for it can be interrupted, since a list may come slowly."""
    if sys.stdin is None:
        return b""
    try:
        descriptor = sys.stdin.buffer.fileno()
    except io.UnsupportedOperation:  # a stream in memory
        return sys.stdin.buffer.read()
    pieces: list[bytes] = []
    while True:
        stop.check()
        if select.select([descriptor], [], [], _POLL_S)[0]:
            piece = os.read(descriptor, _CHUNK_BYTES)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


def _as_meant(line: str) -> str:
    """A line without the end that Windows writes, and without quotes, but for files named so."""
    name = line.removesuffix("\r")
    if name != line and os.path.lexists(line):
        return line
    is_quoted = len(name) > 2 and name[0] == name[-1] and name[0] in "\"'"
    return name[1:-1] if is_quoted and not os.path.lexists(name) else name


def _normal(name: str) -> str:
    """A path as `Path` spells it, which is slow and seldom another; `..` resolved on disk."""
    is_plain = name[0] != "." and name[-1] != "/" and "//" not in name and "/." not in name
    if is_plain:
        return name
    folder, last = os.path.split(name.rstrip("/") or "/")
    if ".." not in folder.split("/"):
        return os.path.normpath(name) if last != ".." else name
    place = os.path.join(os.path.realpath(folder), last)  # behind a link, .. is elsewhere
    return place if name[0] == "/" else os.path.relpath(place, os.path.realpath("."))


def _split(name: str, common: str) -> tuple[str, str]:
    """What stands before a name's id, and the rest."""
    if name[0] == "/":
        below = name.lstrip("/")
        return name[: len(name) - len(below)], below
    if not common:
        return "", name
    return os.path.join(common, ""), os.path.relpath(os.path.abspath(name), common)
