"""A folder held by one process, or by those of one purpose; the kernel frees it when they die."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.errors import InputError
from fundusseg.files.atomic import sweep, unwritable
from fundusseg.files.manifest import STATE_FOLDER
from fundusseg.files.regular import require_regular

_LONGEST_BYTES = 1000
_TRIES, _WAIT_S = 3, 0.05


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone; the kernel frees it when the process dies.

    It also marks the folder as ours, as `shared` does.

    Raises:
        InputError: naming the holder, if another process holds it; or if `folder` cannot
            be written.
    """
    with _lock_file(folder, "lock") as descriptor:
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


@contextmanager
def shared(folder: Path, settings: str) -> Iterator[None]:
    """Hold `folder` together with those of the same settings, so that no others write to it.

    A file system that cannot lock lets all of them in. InputError if processes of other settings
    hold it, or it cannot be written.
    """
    with _lock_file(folder, "in-use") as descriptor:
        if _settings_of_holders(descriptor, settings.encode()) != settings.encode():
            remedy = "wait for it, stop it, or choose another output folder"
            raise InputError(folder, "is in use by a run with other inputs or settings", remedy)
        yield


@contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """Hold a file, by a hidden one beside it, for this process alone; wait where another holds it.

    A file system that cannot lock lets all in.

    Raises:
        InputError: if the hidden file cannot be written.
        Stopped: if a stop is asked for while it waits.
    """
    hidden = path.with_name(f".{path.name}.lock")
    descriptor = _own_lock(hidden)
    try:
        yield
    finally:
        hidden.unlink(missing_ok=True)
        os.close(descriptor)


def _own_lock(path: Path) -> int:
    """The descriptor of a lock file that is held, and that still stands under its name."""
    is_told = False
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BlockingIOError:
            if not is_told:
                ui.log.info("%s: another run works on it; waiting for its end", path.parent)
            is_told = True
        except FileNotFoundError:  # the one who held it has removed it
            pass
        except OSError:
            return descriptor
        os.close(descriptor)
        stop.check()
        time.sleep(_WAIT_S)


def in_use(folder: Path) -> bool:
    """Whether a process holds `folder` by `shared`; False where nothing can be locked."""
    path = folder / STATE_FOLDER / "in-use"
    try:
        require_regular(path)
        with path.open("r+b" if os.access(path, os.W_OK) else "rb") as file:  # NFS locks no reader
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, InputError):
        pass
    return False


@contextmanager
def _lock_file(folder: Path, name: str) -> Iterator[int]:
    """The descriptor of a file that is locked; made if need be, and what dead ones left swept."""
    path = folder / STATE_FOLDER / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        require_regular(path, descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _settings_of_holders(descriptor: int, own: bytes) -> bytes:
    """Join those that hold a file, and read what they have in common.

    The first writes its own. Between its two locks another may lock first, so the settings are read
    back; `in_use` may keep it from the first for an instant, so it tries again.
    """
    settings = own
    for _ in range(_TRIES):
        try:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.pread(descriptor, _LONGEST_BYTES, 0) != own:
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, own, 0)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError:
            return own
        settings = os.pread(descriptor, _LONGEST_BYTES, 0)
        if settings == own:
            break
        time.sleep(_WAIT_S)
    return settings
