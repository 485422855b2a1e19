"""Files that are whole or not there: atomic writes, locks, hashes, the sweeping of dead ones.

A file is written under a temporary name in its own folder, flushed to disk and renamed;
so whatever instant a process is killed at, no half file stands under a final name. The
temporary name says which process on which host owns it, so that a later run can sweep
what a dead one left behind and never touches what a living one is writing.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fundusseg.errors import InputError

TEMPORARY_PREFIX = ".tmp-"
_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+)\.(?P<pid>\d+)\.[0-9a-f]{8}(\.|$)")
_FOREIGN_TEMPORARY_MAX_AGE_S = 24 * 3600
_LOCK_NAME = ".lock"
_HASHED_AT_ONCE_BYTES = 1 << 20
_PROBE_BYTES = 4096  # an empty file can be made on a full disk too

_fault_countdown = int(os.environ.get("FUNDUSSEG_KILL_AT", "0"))


def _fault_point() -> None:
    """Where a test may have this process killed: it counts down FUNDUSSEG_KILL_AT."""
    global _fault_countdown
    if _fault_countdown > 0:
        _fault_countdown -= 1
        if _fault_countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; on success it becomes `path`.

    The folder is made if need be. The temporary file keeps the suffix, since some
    writers choose the format by it, and has the mode that the umask gives.

    Raises:
        InputError: if the file system refuses (full, read-only, name too long).
    """
    host = socket.gethostname()
    name = f"{TEMPORARY_PREFIX}{host}.{os.getpid()}.{secrets.token_hex(4)}{path.suffix}"
    temporary = path.parent / name
    try:
        descriptor = _created(temporary)
        try:
            _fault_point()
            yield temporary
            _fault_point()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        _fault_point()
    except BaseException as error:
        with suppress(OSError):  # it was never made: what matters is raised
            temporary.unlink()
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _created(path: Path) -> int:
    """A descriptor of a new file; its folder is made if need be, which costs nothing if not."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def _unwritable(path: Path, error: OSError) -> InputError:
    """The file system refused; HDF5 says so in many lines with a time, so only the first words."""
    reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())[:120]
    return InputError(path, f"cannot be written ({reason})")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8, undecodable file names escaped beforehand) to `path` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write pieces of text to `path`, one after the other, atomically; only one is held."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)


def write_json(path: Path, values: dict) -> None:
    """Write `values` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(values, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


def read_text(path: Path) -> str:
    """Read UTF-8 text.

    Raises:
        InputError: if the file cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is no text in UTF-8 ({error.reason})") from error


def read_json(path: Path) -> dict:
    """Read a JSON object.

    Raises:
        InputError: if the file is missing, no JSON, or no object.
    """
    try:
        return json_object(path, path.read_bytes())  # as bytes, since JSON tells its encoding
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error


def json_object(path: Path, text: str | bytes) -> dict:
    """The JSON object that `text`, from the file `path`, holds.

    Raises:
        InputError: if it is no JSON, or no object.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(path, f"is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(path, "is not a JSON object")
    return values


def sha256_of(path: Path | str) -> str:
    """SHA-256 (64 hex digits) of a file's bytes.

    Raises:
        InputError: if the file cannot be read.
    """
    found = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while data := file.read(_HASHED_AT_ONCE_BYTES):
                found.update(data)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    return found.hexdigest()


def output_folder(path: Path) -> None:
    """Make `path` and make sure that files can be written in it, before any long work.

    Also sweeps temporary files that dead processes left directly in it.

    Raises:
        InputError: if `path` is a file or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = (
            path / f"{TEMPORARY_PREFIX}{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        )
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        problem = f"is no folder that can be written ({error.strerror})"
        raise InputError(path, problem, "choose another output folder") from error
    sweep(path)


def sweep(folder: Path) -> None:
    """Remove temporary files directly in `folder` whose process is dead.

    One from another host is removed after a day: whether its process lives cannot be seen.
    """
    for entry in os.scandir(folder):
        match = _TEMPORARY.match(entry.name)
        if match and not _owner_may_live(entry, match["host"], int(match["pid"])):
            Path(entry.path).unlink(missing_ok=True)


def _owner_may_live(entry: os.DirEntry, host: str, pid: int) -> bool:
    if host == socket.gethostname():
        return process_lives(pid)
    try:
        return time.time() - entry.stat().st_mtime < _FOREIGN_TEMPORARY_MAX_AGE_S
    except FileNotFoundError:
        return True


def process_lives(pid: int) -> bool:
    """Whether a process of this host has the number `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone; the kernel frees it when the process dies.

    Raises:
        InputError: naming the holder, if another process holds it; or if `folder` cannot
            be written.
    """
    path = folder / _LOCK_NAME
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            remedy = "wait for it, stop it, or choose another output folder"
            raise InputError(folder, f"is in use by {holder}", remedy) from error
        except OSError as error:  # Lustre without -o flock, some NFS
            problem = f"cannot be locked ({error.strerror})"
            remedy = "choose a folder on another file system, or have this one mounted with flock"
            raise InputError(folder, problem, remedy) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str, is_flushed: bool = False) -> None:
    """Append one line in one write, so that concurrent writers never mix theirs.

    Args:
        is_flushed: to disk, before anything that is written later.

    Raises:
        InputError: if the file system refuses the line or a part of it (full, read-only).
    """
    data = line.encode("utf-8") + b"\n"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        try:
            _fault_point()
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if is_flushed:
                os.fsync(descriptor)
            _fault_point()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritable(path, error) from error
