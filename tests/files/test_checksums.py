"""SHA-256 of files, large and small."""

import hashlib
import os

import pytest

from fundusseg.files.checksums import sha256_of
from tests.files.refusals import assert_one_line


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (1 << 20) + 1])
def test_it_is_that_of_all_bytes(tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "x").write_bytes(data[:size])
    assert sha256_of(tmp_path / "x") == hashlib.sha256(data[:size]).hexdigest()


def test_a_folder_is_one_line(tmp_path):
    assert_one_line(tmp_path, sha256_of)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in assert_one_line(tmp_path / "pipe", sha256_of)
