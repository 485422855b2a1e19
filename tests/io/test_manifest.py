"""manifest.json: the same work gives the same bytes, in one run or merged from parts."""

import json
import os

import pytest

from fundusseg.errors import InputError
from fundusseg.io.manifest import (
    VERSION,
    manifest,
    manifest_name,
    merged,
    read_manifest,
    write_manifest,
)

IDS = ["a", "b/c", "é", "line\nbreak", os.fsdecode(b"\xff"), "Z"]


def of(ids, **more):
    failures = {id: f"cannot\nread {id}" for id in ids if id == "b/c"}
    inputs = {id: "1" * 64 for id in ids}
    return manifest("infer", {"threshold": 0.5}, inputs, inputs, failures, **more)


def test_round_trip(tmp_path):
    write_manifest(tmp_path / "manifest.json", of(IDS, model_sha256="2" * 64))
    found = read_manifest(tmp_path / "manifest.json")
    assert found == of(IDS, model_sha256="2" * 64)
    assert found["counts"] == {"inputs": 6, "outputs": 6, "failed": 1}
    assert found["failures"] == {"b/c": "cannot\\nread b/c"}
    assert found["packages"]["numpy"]


def test_names_are_escaped_as_in_the_status_table():
    assert set(of(IDS)["inputs"]) == {"a", "b/c", "é", "line\\nbreak", "\\xff", "Z"}


def test_the_order_of_work_does_not_matter(tmp_path):
    write_manifest(tmp_path / "one", of(IDS))
    write_manifest(tmp_path / "two", of(IDS[::-1]))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_parts_merge_to_the_whole(tmp_path):
    parts = [of(IDS[part::3]) for part in range(3)]
    paths = [tmp_path / manifest_name(part, 3) for part in range(3)]
    write_manifest(tmp_path / "whole", of(IDS))
    write_manifest(tmp_path / "merged", merged(parts, paths))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "merged").read_bytes()


def test_merging_leaves_the_parts_alone(tmp_path):
    parts = [of(["a"]), of(["Z"])]
    merged(parts, [tmp_path, tmp_path])
    assert parts == [of(["a"]), of(["Z"])]


def test_parts_of_other_settings_do_not_merge(tmp_path):
    parts = [of(["a"]), of(["Z"], threshold=0.3)]
    with pytest.raises(InputError, match="two.* other settings or versions than one"):
        merged(parts, [tmp_path / "one", tmp_path / "two"])


def test_names_of_parts():
    assert manifest_name() == "manifest.json"
    assert manifest_name(2, 8) == "manifest-2-of-8.json"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"format": "other"}, "is no fundusseg manifest"),
        ({"format": "fundusseg-manifest"}, "has version None"),
        ({"format": "fundusseg-manifest", "version": VERSION + 1}, "use a newer fundusseg"),
    ],
)
def test_foreign_and_newer_manifests_are_refused(tmp_path, values, problem):
    (tmp_path / "m.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=problem):
        read_manifest(tmp_path / "m.json")
