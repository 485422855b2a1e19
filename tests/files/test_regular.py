"""What is opened by name in a folder is a regular file; a pipe or a device is refused at once."""

import os
from pathlib import Path

import pytest

from fundusseg.errors import InputError
from fundusseg.files import limits
from fundusseg.files.arrays import open_hdf5, open_npz
from fundusseg.files.atomic import write_json
from fundusseg.files.checksums import read_checksums, sha256_of
from fundusseg.files.decoders import is_turned
from fundusseg.files.ledger import LedgerFiles
from fundusseg.files.lock import shared
from fundusseg.files.manifest import STATE_FOLDER, read_manifest
from fundusseg.files.models import CONFIG, model_sha256
from fundusseg.files.regular import open_regular, regular_bytes
from fundusseg.files.row_table import RowTable, count_rows, table_faults
from fundusseg.files.status import read_status
from fundusseg.files.text import read_json, read_text
from tests.files.refusals import assert_one_line


def entered(opened):
    def read(path):
        with opened(path):
            pass

    return read


READERS = [
    open_regular,
    regular_bytes,
    read_text,
    read_json,
    read_manifest,
    sha256_of,
    lambda path: list(read_checksums(path)),
    read_status,
    entered(open_hdf5),
    entered(open_npz),
    lambda path: list(table_faults(path)),
    count_rows,
    lambda path: RowTable(path, ("id", "status")).read(),
]


@pytest.fixture(params=["pipe", "device", "folder"])
def special(tmp_path, request):
    path = tmp_path / "x"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_one_line(special, reader):
    assert "is no regular file" in assert_one_line(special, reader)


@pytest.mark.parametrize("reader", [regular_bytes, read_text, read_json, read_manifest])
def test_what_is_read_at_once_has_a_limit(tmp_path, reader, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 9)
    (tmp_path / "x").write_bytes(bytes(10))
    with pytest.raises((InputError, limits.PictureFault), match="is too large"):
        reader(tmp_path / "x")


def test_a_pipe_in_place_of_a_ledger_or_a_lock_is_one_line(tmp_path):
    for name in ("ledger.jsonl", "in-use"):
        (tmp_path / STATE_FOLDER).mkdir(exist_ok=True)
        os.mkfifo(tmp_path / STATE_FOLDER / name)
    with pytest.raises(InputError, match="ledger.jsonl: is no regular file"):
        LedgerFiles(tmp_path).begin()
    with pytest.raises(InputError, match="in-use: is no regular file"), shared(tmp_path, "x"):
        pass


def test_a_pipe_in_place_of_a_models_file_is_one_line(tmp_path):
    os.mkfifo(tmp_path / CONFIG)
    with pytest.raises(InputError, match="is no regular file"):
        model_sha256(tmp_path)


def test_a_pipe_is_no_turned_photograph(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    assert not is_turned(tmp_path / "x.jpg")


def test_json_is_not_compared_with_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "x")
    write_json(tmp_path / "x", {"a": 1})
    assert read_json(tmp_path / "x") == {"a": 1}


def test_what_a_user_names_may_be_a_pipe():
    reading, writing = os.pipe()
    os.write(writing, b"a\r\nb\n")
    os.close(writing)
    assert read_text(Path(f"/dev/fd/{reading}"), may_be_pipe=True) == "a\nb\n"
    os.close(reading)
