"""A folder is held by one process, until it ends."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from fundusseg.errors import InputError
from fundusseg.files import lock
from fundusseg.files.lock import in_use, locked, shared
from fundusseg.files.manifest import STATE_FOLDER
from tests.files.processes import python

HOST = os.uname().nodename

HOLDER = """
import sys, time
from pathlib import Path
from fundusseg.files.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    holder = python(HOLDER, tmp_path)
    try:
        assert holder.stdout.readline() == "held\n"
        assert_in_use(tmp_path, holder.pid)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with locked(tmp_path):
        assert_in_use(tmp_path, os.getpid())
    with locked(tmp_path):
        pass


def assert_in_use(folder: Path, pid: int) -> None:
    match = f"in use by process {pid} on {HOST}"
    with pytest.raises(InputError, match=match), locked(folder):
        pass


def test_a_file_system_without_locks_is_an_input_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    match = f"{tmp_path}: cannot be locked .*; choose a folder on another file system"
    with pytest.raises(InputError, match=match), locked(tmp_path):
        pass


def test_a_lock_in_no_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), locked(tmp_path / "file"):
        pass


def test_locks_stand_in_the_hidden_folder(tmp_path):
    with locked(tmp_path), shared(tmp_path, "A"):
        assert [path.name for path in tmp_path.iterdir()] == [STATE_FOLDER]


SHARER = HOLDER.replace("locked(Path(sys.argv[1]))", "shared(Path(sys.argv[1]), 'A')").replace(
    "import locked", "import shared"
)


def test_runs_of_the_same_settings_share_a_folder_and_others_are_refused(tmp_path):
    holder = python(SHARER, tmp_path)
    try:
        assert holder.stdout.readline() == "held\n"
        with shared(tmp_path, "A"):
            pass
        match = f"{tmp_path}: is in use by a run with other inputs or settings"
        with pytest.raises(InputError, match=match), shared(tmp_path, "B"):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with shared(tmp_path, "B"), pytest.raises(InputError), shared(tmp_path, "A"):
        pass


def test_who_asks_whether_a_folder_is_in_use_keeps_nobody_out(tmp_path, monkeypatch):
    """`in_use` locks the file itself, for an instant in which another run may begin."""
    with shared(tmp_path, "A"):
        assert in_use(tmp_path)
    assert not in_use(tmp_path)
    asking = os.open(tmp_path / STATE_FOLDER / "in-use", os.O_RDWR)
    locked_file = fcntl.flock

    def locked_then_let_go(descriptor: int, how: int) -> None:
        try:
            locked_file(descriptor, how)
        except BlockingIOError:
            locked_file(asking, fcntl.LOCK_UN)
            raise

    locked_file(asking, fcntl.LOCK_EX)
    monkeypatch.setattr(lock.fcntl, "flock", locked_then_let_go)
    with shared(tmp_path, "B"):
        pass
    os.close(asking)


def test_a_file_system_without_locks_lets_all_share(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with shared(tmp_path, "A"), shared(tmp_path, "B"):
        pass


def test_what_a_killed_one_left_beside_the_lock_is_swept(tmp_path):
    dead = tmp_path / STATE_FOLDER / ".tmp-host.1.00000000.json"
    dead.parent.mkdir()
    dead.touch()
    os.utime(dead, (0, 0))
    with shared(tmp_path, "settings"):
        assert not dead.exists()
