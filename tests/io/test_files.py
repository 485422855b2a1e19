"""Files are whole or not there, whatever instant the process ends at."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from fundusseg.errors import InputError
from fundusseg.io import files

ROOT = Path(__file__).parents[2]
HOST = os.uname().nodename


def python(code: str, *arguments, **environment) -> subprocess.Popen:
    """Start another Python on `code`, its stdout piped."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def small_files_only():
    """No file of this process may grow beyond 4096 bytes: as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_atomic_write_makes_the_folder_and_the_file(tmp_path):
    files.write_bytes(tmp_path / "a" / "b" / "x.bin", b"data")
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"data"
    assert names(tmp_path / "a" / "b") == ["x.bin"]


def test_nothing_stands_under_the_final_name_before_the_end(tmp_path):
    with files.atomic(tmp_path / "x.png") as temporary:
        temporary.write_bytes(b"half")
        assert not (tmp_path / "x.png").exists()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".tmp-")
        assert temporary.suffix == ".png"
    assert (tmp_path / "x.png").read_bytes() == b"half"


def test_the_final_file_is_the_temporary_one_renamed(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with files.atomic(tmp_path / "x") as temporary:
        temporary.write_bytes(b"new")
        written = temporary.stat().st_ino
    assert (tmp_path / "x").stat().st_ino == written


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    files.write_bytes(tmp_path / "x", b"old")
    with pytest.raises(ZeroDivisionError), files.atomic(tmp_path / "x") as temporary:
        temporary.write_bytes(b"new")
        raise ZeroDivisionError
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_mode_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_file_in_the_folders_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    assert_one_line(tmp_path / "file" / "x.png", files.write_bytes, b"data")


def test_a_name_too_long_is_one_line(tmp_path):
    message = assert_one_line(tmp_path / ("x" * 300 + ".png"), files.write_bytes, b"data")
    assert "File name too long" in message
    assert names(tmp_path) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, small_files_only):
    message = assert_one_line(tmp_path / "x", files.write_bytes, bytes(5000))
    assert "File too large" in message
    assert names(tmp_path) == []


def test_a_full_disk_under_hdf5_is_one_line_and_leaves_nothing(tmp_path, small_files_only):
    def write(path: Path) -> None:
        with files.atomic(path) as temporary, h5py.File(temporary, "w") as file:
            file["noise"] = np.random.default_rng(0).random(10_000)

    message = assert_one_line(tmp_path / "x.h5", write)
    assert "File too large" in message
    assert names(tmp_path) == []


def test_a_line_that_the_disk_takes_in_part_is_an_error(tmp_path, small_files_only):
    files.append_line(tmp_path / "x", "a" * 4000)
    assert_one_line(tmp_path / "x", files.append_line, "b" * 200)


@pytest.mark.parametrize("command", [files.output_folder, files.read_json, files.sha256_of])
def test_a_file_that_is_not_what_it_should_be_is_one_line(tmp_path, command):
    path = tmp_path / "x"
    path.write_text("text") if command is not files.sha256_of else path.mkdir()
    assert_one_line(path, command)


def test_a_read_only_file_system_is_one_line():
    assert_one_line(Path("/proc/fundusseg/x"), files.write_bytes, b"")
    assert_one_line(Path("/proc/fundusseg"), files.output_folder)
    assert_one_line(Path("/proc/fundusseg.txt"), files.append_line, "")


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff".encode("utf-8", "surrogateescape")])
def test_what_is_no_json_object_is_one_line(tmp_path, text):
    (tmp_path / "x").write_bytes(text.encode() if isinstance(text, str) else text)
    assert_one_line(tmp_path / "x", files.read_json)


def assert_one_line(path: Path, command, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        command(path, *arguments)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_json_has_sorted_keys_and_comes_back(tmp_path):
    values = {"b": 1, "a": {"d": "ü\udcff", "c": [1.5]}}
    files.write_json(tmp_path / "x", values)
    assert (tmp_path / "x").read_bytes().startswith(b'{\n "a": {\n  "c"')
    assert files.read_json(tmp_path / "x") == values


def test_only_dead_temporaries_are_swept(tmp_path, dead_pid):
    dead = f".tmp-{HOST}.{dead_pid}.0123abcd.png"
    bare = f".tmp-{HOST}.{dead_pid}.0123abcd"
    kept = [
        f".tmp-{HOST}.{os.getpid()}.0123abcd.png",
        f".tmp-{HOST}.1.0123abcd.png",
        f".tmp-other.host.{dead_pid}.0123abcd.png",
        f".tmp-{HOST}.{dead_pid}.png",
        f"tmp-{HOST}.{dead_pid}.0123abcd.png",
        "x.png",
    ]
    for name in [dead, bare, *kept]:
        (tmp_path / name).write_bytes(b"")
    files.output_folder(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_another_hosts_temporary_is_swept_after_a_day(tmp_path, dead_pid):
    path = tmp_path / f".tmp-other.host.{dead_pid}.0123abcd.png"
    path.write_bytes(b"")
    a_day_ago = path.stat().st_mtime - 24 * 3600 - 10
    os.utime(path, (a_day_ago, a_day_ago))
    files.sweep(tmp_path)
    assert names(tmp_path) == []


HOLDER = """
import sys, time
from pathlib import Path
from fundusseg.io.files import locked
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
    with files.locked(tmp_path):
        assert_in_use(tmp_path, os.getpid())
    with files.locked(tmp_path):
        pass


def assert_in_use(folder: Path, pid: int) -> None:
    match = f"in use by process {pid} on {HOST}"
    with pytest.raises(InputError, match=match), files.locked(folder):
        pass


def test_a_file_system_without_locks_is_an_input_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    match = f"{tmp_path}: cannot be locked .*; choose a folder on another file system"
    with pytest.raises(InputError, match=match), files.locked(tmp_path):
        pass


def test_a_lock_in_no_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError), files.locked(tmp_path / "missing"):
        pass


WRITER = """
import sys
from pathlib import Path
from fundusseg.io.files import append_line, write_bytes
folder = Path(sys.argv[1])
write_bytes(folder / "first", bytes(1000))
append_line(folder / "lines", "one")
write_bytes(folder / "second", bytes(2000))
"""


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (1, {}),
        (2, {}),
        (3, {"first": 1000}),
        (4, {"first": 1000, "lines": 0}),
        (5, {"first": 1000, "lines": 4}),
        (6, {"first": 1000, "lines": 4}),
        (8, {"first": 1000, "lines": 4, "second": 2000}),
        (9, {"first": 1000, "lines": 4, "second": 2000}),
    ],
)
def test_killed_at_the_nth_point_no_half_file_stands(tmp_path, point, expected):
    writer = python(WRITER, tmp_path, FUNDUSSEG_KILL_AT=str(point))
    writer.communicate()
    assert writer.returncode == (-signal.SIGKILL if point <= 8 else 0)
    found = {p.name: p.stat().st_size for p in tmp_path.iterdir() if p.name[0] != "."}
    assert found == expected
    files.output_folder(tmp_path)
    assert names(tmp_path) == sorted(expected)
