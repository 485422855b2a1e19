"""Files are whole or not there, whatever instant the process ends at."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from fundusseg.files import atomic as files
from tests.files.processes import python
from tests.files.refusals import assert_one_line

HOST = os.uname().nodename


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


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "x").write_text("text")
    assert_one_line(tmp_path / "x", files.output_folder)


def test_a_read_only_file_system_is_one_line():
    assert_one_line(Path("/proc/fundusseg/x"), files.write_bytes, b"")
    assert_one_line(Path("/proc/fundusseg"), files.output_folder)
    assert_one_line(Path("/proc/fundusseg.txt"), files.append_line, "")


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


@pytest.mark.parametrize("host", ["other.host", HOST])
def test_a_temporary_whose_owner_cannot_be_told_is_swept_after_a_day(tmp_path, host):
    """Of another host, or of a container in which another process has a living one's number."""
    path = tmp_path / f".tmp-{host}.{os.getpid()}.0123abcd.png"
    path.write_bytes(b"")
    a_day_ago = path.stat().st_mtime - 24 * 3600 - 10
    os.utime(path, (a_day_ago, a_day_ago))
    files.sweep(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("holds", [[], ["kept"]])
@pytest.mark.parametrize("made_before", [False, True])
def test_a_folder_goes_again_if_it_is_new_and_nothing_came_into_it(tmp_path, made_before, holds):
    out = tmp_path / "new" / "out"
    if made_before:
        out.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), files.filled_folder(out):
        for name in holds:
            files.write_bytes(out / name, b"x")
        raise ZeroDivisionError
    assert out.exists() == (tmp_path / "new").exists() == bool(made_before or holds)
    assert not holds or names(out) == holds


WRITER = """
import sys
from pathlib import Path
from fundusseg.files.atomic import append_line, write_bytes
from tests.faults.points import Points
folder = Path(sys.argv[1])
Points(folder, int(sys.argv[2])).install()
write_bytes(folder / "first", bytes(1000))
append_line(folder / "lines", "one")
write_bytes(folder / "second", bytes(2000))
"""


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (1, {}),
        (3, {}),
        (5, {}),
        (6, {"first": 1000}),
        (7, {"first": 1000, "lines": 2}),
        (8, {"first": 1000, "lines": 4}),
        (12, {"first": 1000, "lines": 4}),
        (13, {"first": 1000, "lines": 4, "second": 2000}),
    ],
)
def test_killed_at_the_nth_point_no_half_file_stands(tmp_path, point, expected):
    writer = python(WRITER, tmp_path, point)
    writer.communicate()
    assert writer.returncode == (-signal.SIGKILL if point <= 12 else 0)
    found = {p.name: p.stat().st_size for p in tmp_path.iterdir() if p.name[0] != "."}
    assert found == expected
    files.output_folder(tmp_path)
    assert names(tmp_path) == sorted(expected)
