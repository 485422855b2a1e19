"""Files that are whole or not there: atomic writes, and the sweeping of dead temporary files.

A file is written under a temporary name in its own folder, flushed to disk and renamed;
so whatever instant a process is killed at, no half file stands under a final name. The
temporary name says which process on which host owns it, so that a later run can sweep
what a dead one left behind and never touches what a living one is writing.
"""

import errno
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.regular import regular_bytes

TEMPORARY_PREFIX = ".tmp-"
_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+)\.(?P<pid>\d+)\.[0-9a-f]{8}(\.|$)")
_TEMPORARY_MAX_AGE_S = 24 * 3600
_REMEDIES = {
    errno.ENOSPC: "free space, and run the same command again",
    errno.EDQUOT: "free space, and run the same command again",
    errno.EFBIG: "raise the limit (ulimit -f), and run the same command again",
}
_PROBE_BYTES = 4096  # an empty file can be made on a full disk too
_begun: set[Path] = set()  # the output folders of this process


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; on success it becomes `path`.

    The folder is made if need be. The temporary file keeps the suffix, since some
    writers choose the format by it, and has the mode that the umask gives.

    Raises:
        InputError: if the file system refuses (full, read-only, name too long).
    """
    temporary = path.parent / (_temporary_name() + path.suffix)
    try:
        descriptor = _created(temporary)
        try:
            yield temporary
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # it was never made: what matters is raised
            temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def _temporary_name() -> str:
    return f"{TEMPORARY_PREFIX}{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"


def _created(path: Path) -> int:
    """A descriptor of a new file; its folder is made if need be, which costs nothing if not."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        make_folder(path.parent)
        return os.open(path, flags, 0o666)


def unwritable(path: Path, error: OSError) -> InputError:
    """The file system refused; HDF5 says so in many lines with a time, so only the first words."""
    reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())[:120]
    return InputError(path, f"cannot be written ({reason})", _REMEDIES.get(error.errno or 0, ""))


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8, undecodable file names escaped beforehand) to `path` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write pieces to `path`, one after the other, atomically; only one is held."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.writelines(pieces)


def json_bytes(values: dict) -> bytes:
    """The one form in which values are written as JSON."""
    return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode()


def write_json(path: Path, values: dict) -> None:
    """Write `values` as indented JSON with sorted keys, atomically.

    A file that holds them already is left alone, with its time, which make goes by.
    """
    data = json_bytes(values)
    with suppress(InputError):
        if regular_bytes(path) == data:
            return
    write_bytes(path, data)


def make_folder(path: Path) -> None:
    """Make `path` and what it lies in, but never an output folder again that was taken away.

    What was written to that one is gone; beside a part of it the rest would look like the whole.

    Raises:
        OSError: if the file system refuses, or the output folder is gone.
    """
    root = next((folder for folder in (path, *path.parents) if folder in _begun), None)
    if root is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    names = path.relative_to(root).parts
    for number in range(len(names)):
        root.joinpath(*names[: number + 1]).mkdir(exist_ok=True)


def output_folder(path: Path) -> None:
    """Make `path` and make sure that files can be written in it, before any long work.

    Also sweeps temporary files that dead processes left directly in it. From here on it is not made
    again by this process, should it be taken away.

    Raises:
        InputError: if `path` is a file or cannot be written.
    """
    try:
        _begun.discard(path)
        make_folder(path)
        _begun.add(path)
        probe = path / _temporary_name()
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        problem = f"is no folder that can be written ({error.strerror})"
        raise InputError(path, problem, "choose another output folder") from error
    sweep(path)


@contextmanager
def filled_folder(path: Path) -> Iterator[None]:
    """Make an `output_folder`; on an error it goes again, if it is new and still empty.

    So do the folders that were made for it to lie in.
    """
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    output_folder(path)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what is not empty stays
            for folder in new:
                folder.rmdir()
        raise


def sweep(folder: Path) -> None:
    """Remove temporary files directly in `folder` whose process is dead, or that are a day old.

    There may be no such folder. Whether a process lives on another host cannot be seen; and one
    with the number of a process in another container is no sign of life.
    """
    for entry in os.scandir(folder) if folder.is_dir() else ():
        match = _TEMPORARY.match(entry.name)
        if match and not _owner_may_live(entry, match["host"], int(match["pid"])):
            Path(entry.path).unlink(missing_ok=True)


def _owner_may_live(entry: os.DirEntry, host: str, pid: int) -> bool:
    if host == socket.gethostname():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it is another user's
            pass
    try:
        return time.time() - entry.stat().st_mtime < _TEMPORARY_MAX_AGE_S
    except FileNotFoundError:
        return True


def append_line(path: Path, line: str) -> None:
    """Append one line in one write, so that concurrent writers never mix theirs.

    InputError if the file system refuses all or a part of it.
    """
    data = line.encode("utf-8") + b"\n"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritable(path, error) from error
