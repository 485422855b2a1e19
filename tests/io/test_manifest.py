"""manifest.json: the same work gives the same bytes, in one run or merged from parts."""

import json
import os

import pytest

from fundusseg.errors import InputError
from fundusseg.io.manifest import (
    TABLES,
    VERSION,
    manifest,
    manifest_name,
    merged,
    read_manifest,
    remove_other_parts,
    write_manifest,
)
from fundusseg.io.status import escaped

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


@pytest.mark.parametrize("ids", [IDS, []])
def test_the_text_is_that_of_json_with_sorted_keys(tmp_path, ids):
    """Manifest: sorted keys; a writer that goes entry by entry changes no byte."""
    write_manifest(tmp_path / "m.json", of(ids, nested={"z": {"y": [1, {"x": "\n"}]}, "a": {}}))
    found = json.loads((tmp_path / "m.json").read_text())
    assert (tmp_path / "m.json").read_text() == json.dumps(found, indent=1, sort_keys=True) + "\n"
    assert set(found["inputs"]) == {escaped(id) for id in ids}


@pytest.mark.parametrize("indent", [1, None, 4])
@pytest.mark.parametrize("table", TABLES)
def test_a_table_alone_and_the_rest(tmp_path, table, indent):
    """Whatever tables are left out, and however the file is indented, the rest is whole."""
    path = tmp_path / "m.json"
    write_manifest(path, of(IDS, nested={"inputs": {"a": 1}}))
    whole = read_manifest(path)
    path.write_text(json.dumps(whole, indent=indent, sort_keys=True) + "\n")
    found = read_manifest(path, tables=(table,))
    assert found[table] == whole[table]
    left_out = set(TABLES) - {table}
    assert {k: v for k, v in found.items() if k not in left_out} == {
        k: v for k, v in whole.items() if k not in left_out
    }
    assert indent != 1 or not any(found[name] for name in left_out)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_manifest_that_is_cut_off_is_damaged_whatever_is_left_out(tmp_path, part):
    path = tmp_path / "m.json"
    write_manifest(path, of([str(number) for number in range(100)]))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    for tables in (TABLES, ()):
        with pytest.raises(InputError, match="is not JSON.*; remove it, and run the stage again"):
            read_manifest(path, tables)


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
    with pytest.raises(InputError, match="two.* other settings, inputs or versions than one"):
        merged(parts, [tmp_path / "one", tmp_path / "two"])


def test_names_of_parts():
    assert manifest_name() == "manifest.json"
    assert manifest_name(2, 8) == "manifest-2-of-8.json"


def test_parts_of_other_numbers_are_removed_and_nothing_else(tmp_path):
    kept = {"manifest.json", "status.tsv", "manifest-0-of-3.json.png", ".ledger-0-of-2.jsonl"}
    own = {"manifest-0-of-3.json", "status-2-of-3.tsv"}
    others = {"manifest-1-of-2.json", "status-0-of-2.tsv", "manifest-7-of-30.json"}
    for name in kept | own | others:
        (tmp_path / name).touch()
    remove_other_parts(tmp_path, 3)
    assert set(os.listdir(tmp_path)) == kept | own
    remove_other_parts(tmp_path)
    assert set(os.listdir(tmp_path)) == kept


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
