"""infer: a picture that cannot be right becomes a failed row that says why, and never a map."""

import os

import numpy as np
import pytest
from PIL import Image

from fundusseg.files.kinds import UNREAD
from fundusseg.files.status import read_status
from tests.batch import contents
from tests.phantom_sets import small_phantom


def save(path, pixels):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def rows(tmp_path):
    """The status and the reason of each photograph, by id."""
    return lambda: {
        row.id: (row.status, row.reason) for row in read_status(tmp_path / "maps/status.tsv")
    }


def test_two_eyes_in_one_picture_are_a_failed_row(infer, tmp_path, rows):
    eye = small_phantom(0).photograph
    save(tmp_path / "in/one.png", eye)
    save(tmp_path / "in/two.png", np.concatenate([eye, np.zeros_like(eye[:, :16]), eye], axis=1))
    assert infer(tmp_path / "in") == 3
    assert rows() == {
        "one": ("ok", ""),
        "two": ("failed", "shows 2 fields of view; cut it into one picture each"),
    }
    assert not (tmp_path / "maps/two.png").exists()


def test_one_of_two_eyes_may_be_given_as_the_field_of_view(infer, tmp_path):
    drawn = small_phantom(0)
    eye, beside = drawn.photograph, np.zeros_like(drawn.fov)
    save(tmp_path / "in/two.png", np.concatenate([eye, eye], axis=1))
    fov = np.concatenate([drawn.fov, beside], axis=1)
    save(tmp_path / "fov/two.png", fov.astype(np.uint8) * 255)
    assert infer(tmp_path / "in", "--fov", tmp_path / "fov") == 0


def test_an_inverted_field_of_view_is_a_failed_row_that_names_it(infer, tmp_path, rows):
    drawn = small_phantom(0)
    save(tmp_path / "in/x.png", drawn.photograph)
    save(tmp_path / "fov/x.png", (~drawn.fov).astype(np.uint8) * 255)
    assert infer(tmp_path / "in", "--fov", tmp_path / "fov") == 3
    status, reason = rows()["x"]
    assert status == "failed"
    fov = tmp_path / "fov/x.png"
    assert reason.startswith(f"its field of view {fov} is dark inside; is it inverted?; mend it")


@pytest.mark.usefixtures("maps")
def test_a_lack_of_memory_while_decoding_keeps_the_earlier_map(
    infer, photographs, tmp_path, rows, monkeypatch
):
    def exhausted(*_):
        raise MemoryError

    before = contents(tmp_path / "maps")
    for path in (photographs / "a.png", photographs / "b/c.jpg"):
        os.utime(path, (1, 1))
        path.write_bytes(path.read_bytes() + b"\0")  # else nothing is read again
    monkeypatch.setattr("fundusseg.files.decoders._decoded", exhausted)
    assert infer(photographs) == 3
    assert rows()["a"] == ("failed", "needs more memory than there is")
    after = contents(tmp_path / "maps")
    assert all(after[name] == before[name] for name in ("a.png", "b/c.png"))


def test_pictures_that_are_not_read_are_warned_of_though_quiet(infer, photographs, capsys):
    (photographs / "scan.heic").write_bytes(b"")
    (photographs / "scan.jp2").write_bytes(b"")
    (photographs / "notes.txt").write_text("")
    assert infer(photographs, "--quiet") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert f"2 {UNREAD}, are left out" in line
