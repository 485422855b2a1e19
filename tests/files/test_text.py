"""JSON comes back as it was written; what is none is refused in one line."""

import pytest

from fundusseg.files.atomic import write_json
from fundusseg.files.text import read_json
from tests.files.refusals import assert_one_line


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "[" * 10**5, "\udcff".encode("utf-8", "surrogateescape")]
)
def test_what_is_no_json_object_is_one_line(tmp_path, text):
    (tmp_path / "x").write_bytes(text.encode() if isinstance(text, str) else text)
    assert_one_line(tmp_path / "x", read_json)


def test_json_has_sorted_keys_and_comes_back(tmp_path):
    values = {"b": 1, "a": {"d": "ü\udcff", "c": [1.5]}}
    write_json(tmp_path / "x", values)
    assert (tmp_path / "x").read_bytes().startswith(b'{\n "a": {\n  "c"')
    assert read_json(tmp_path / "x") == values
