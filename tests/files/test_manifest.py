"""manifest.json and SHA256SUMS: the same work gives the same bytes, in one run or merged."""

import json
import os
from contextlib import suppress

import pytest

from fundusseg.errors import InputError
from fundusseg.files.checksums import read_checksums, sha256_of
from fundusseg.files.manifest import (
    STATE_FOLDER,
    VERSION,
    WHOLE,
    Part,
    begin_anew,
    merge_manifests,
    outputs_of,
    part_totals,
    read_manifest,
    remove_other_parts,
    require_own_folder,
    whole_or_parts,
    write_manifest,
)
from tests.batch import flip_byte, write_sealed

NAMES = ["a", "b/c", "é", "line\nbreak", "back\\slash", os.fsdecode(b"\xff"), "Z"]


def write(folder, names, part=WHOLE, **more):
    outputs = {name: "1" * 64 for name in names}
    counts = {"photographs": len(names), "failed": 0}
    write_manifest(folder, "infer", {"threshold": 0.5}, outputs, part=part, counts=counts, **more)


def test_round_trip(tmp_path):
    write(tmp_path, NAMES, model_sha256="2" * 64)
    values = read_manifest(tmp_path / "manifest.json")
    assert values["stage"] == "infer" and values["model_sha256"] == "2" * 64
    assert values["counts"] == {"photographs": 7, "failed": 0}
    assert values["tables"] == {"SHA256SUMS": sha256_of(tmp_path / "SHA256SUMS")}
    assert values["packages"]["numpy"]
    assert dict(outputs_of(tmp_path)) == dict.fromkeys(NAMES, "1" * 64)


def test_names_of_any_bytes_come_back_from_json(tmp_path):
    failures = {name: f"cannot\nread {name}" for name in NAMES}
    write_manifest(tmp_path, "prep", {}, {}, failures=failures, inputs={})
    values = read_manifest(tmp_path / "manifest.json")
    assert values["failures"] == failures
    assert values["counts"] == {"inputs": 0, "failed": 7}


def test_further_tables_are_hashed(tmp_path):
    (tmp_path / "status.tsv").write_text("rows")
    write(tmp_path, ["a"], tables=["status.tsv"])
    tables = read_manifest(tmp_path / "manifest.json")["tables"]
    assert tables["status.tsv"] == sha256_of(tmp_path / "status.tsv")


def test_a_strangers_file_is_refused_where_nothing_marks_the_folder_as_ours(tmp_path):
    (tmp_path / "status.tsv").write_text("mine")
    with pytest.raises(InputError, match="status.tsv: is there, and infer did not write it"):
        require_own_folder(tmp_path, "infer", ["SHA256SUMS", "status.tsv"])
    require_own_folder(tmp_path, "infer", ["SHA256SUMS"])
    (tmp_path / STATE_FOLDER).mkdir()
    require_own_folder(tmp_path, "infer", ["status.tsv"])


def test_an_earlier_versions_folder_is_read_and_not_written_to(tmp_path):
    """Models that ship have such manifests; of the ledgers of that time no line has a checksum."""
    write(tmp_path, ["a"])
    path = tmp_path / "manifest.json"
    values = {**json.loads(path.read_text()), "version": 2}
    del values["sha256"]
    path.write_text(json.dumps(values))
    assert [name for name, _ in outputs_of(tmp_path)] == ["a"]
    with pytest.raises(InputError, match="is what an earlier version of infer wrote; choose"):
        require_own_folder(tmp_path, "infer")
    path.write_text(json.dumps({**values, "stage": "train"}))
    require_own_folder(tmp_path, "train")
    path.write_text(json.dumps({**values, "version": 1}))
    with pytest.raises(InputError, match="has version 1, older than 2; make all anew"):
        read_manifest(path)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_manifest_that_is_cut_off_is_damaged(tmp_path, part):
    path = tmp_path / "manifest.json"
    write(tmp_path, NAMES)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match="is not JSON.*; remove it, and run the same command"):
        read_manifest(path)


@pytest.mark.parametrize(
    "line",
    ["1" * 63 + "  a\n", "1" * 64 + " a\n", "1" * 64 + "  a", "G" * 64 + "  a\n", "\n", "\0\n"],
)
def test_lines_that_are_no_checksums_are_refused(tmp_path, line):
    write(tmp_path, ["x"])
    with (tmp_path / "SHA256SUMS").open("a") as file:
        file.write(line)
    with pytest.raises(InputError, match="SHA256SUMS: is no list of checksums, or cut off"):
        list(read_checksums(tmp_path / "SHA256SUMS"))


@pytest.mark.parametrize("name", ["../victim", "/etc/victim", "a/../../victim"])
def test_a_name_outside_the_folder_is_refused(tmp_path, name):
    write(tmp_path, [name])
    with pytest.raises(InputError, match="which is not inside its folder"):
        list(outputs_of(tmp_path))
    write(tmp_path, ["a"])
    path = tmp_path / "manifest.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "tables": {name: "1" * 64}}))
    with pytest.raises(InputError, match="is damaged"):
        read_manifest(path)


def test_the_order_of_work_does_not_matter(tmp_path):
    for folder, names in ((tmp_path / "one", NAMES), (tmp_path / "two", NAMES[::-1])):
        folder.mkdir()
        write(folder, names)
    for name in ("manifest.json", "SHA256SUMS"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_parts_merge_to_the_whole(tmp_path):
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "whole", NAMES)
    for number in range(3):
        write(tmp_path / "parts", NAMES[number::3], Part(number, 3))
    assert merge_manifests(tmp_path / "parts", 3) == {"photographs": 7, "failed": 0}
    for name in ("manifest.json", "SHA256SUMS"):
        merged, whole = (tmp_path / folder / name for folder in ("parts", "whole"))
        assert merged.read_bytes() == whole.read_bytes()


def test_what_parts_list_in_their_manifests_is_joined(tmp_path):
    for number in range(2):
        own = {"inputs": {f"in {number}": "3" * 64}, "failures": {f"x {number}": "why"}}
        counts = {"photographs": 2, "failed": 1}
        write_manifest(tmp_path, "prep", {}, {}, part=Part(number, 2), counts=counts, **own)
    assert merge_manifests(tmp_path, 2) == {"photographs": 4, "failed": 2}
    assert read_manifest(tmp_path / "manifest.json")["failures"] == {"x 0": "why", "x 1": "why"}


@pytest.mark.parametrize("number", [0, 1])
def test_parts_that_do_not_tell_their_counts_do_not_merge(tmp_path, number):
    write(tmp_path, ["a"], Part(0, 2))
    write(tmp_path, ["b"], Part(1, 2))
    path = tmp_path / Part(number, 2).named("manifest.json")
    values = read_manifest(path)
    del values["counts"]["photographs"]
    write_sealed(path, values)
    with pytest.raises(InputError, match="is damaged .its counts"):
        merge_manifests(tmp_path, 2)


def test_parts_of_other_settings_do_not_merge(tmp_path):
    write(tmp_path, ["a"], Part(0, 2))
    write(tmp_path, ["Z"], Part(1, 2), threshold=0.3)
    said = "manifest-1-of-2.* other settings, inputs or versions than manifest-0-of-2"
    with pytest.raises(InputError, match=said):
        merge_manifests(tmp_path, 2)
    assert not (tmp_path / "manifest.json").exists()


def test_files_of_the_whole_or_of_its_parts(tmp_path):
    for name in ("status-1-of-2.tsv", "status-0-of-2.tsv", "status-0-of-1.tsv", "a-0-of-2.tsv"):
        (tmp_path / name).touch()
    parts = [tmp_path / f"status-{number}-of-2.tsv" for number in range(2)]
    assert whole_or_parts(tmp_path, "status.tsv") == parts
    (tmp_path / "status.tsv").touch()
    assert whole_or_parts(tmp_path, "status.tsv") == [tmp_path / "status.tsv"]


def test_names_of_parts():
    assert Part().named("manifest.json") == "manifest.json"
    assert Part(2, 8).named("manifest.json") == "manifest-2-of-8.json"
    assert Part(0, 2).named("SHA256SUMS") == "SHA256SUMS-0-of-2"


def test_a_part_that_begins_anew_takes_the_whole_manifest_away_too(tmp_path):
    names = ["manifest.json", "manifest-0-of-2.json", "manifest-1-of-2.json"]
    for name in names:
        (tmp_path / name).touch()
    begin_anew(tmp_path, Part(1, 2))
    assert os.listdir(tmp_path) == ["manifest-0-of-2.json"]


def test_parts_of_other_numbers_are_removed_and_nothing_else(tmp_path):
    kept = {"manifest.json", "status.tsv", "SHA256SUMS", "manifest-0-of-3.json.png"}
    own = {"manifest-0-of-3.json", "status-2-of-3.tsv", "SHA256SUMS-1-of-3"}
    others = {"manifest-1-of-2.json", "status-0-of-2.tsv", "SHA256SUMS-7-of-30"}
    for name in kept | own | others:
        (tmp_path / name).touch()
    assert part_totals(tmp_path) == [2, 3]
    remove_other_parts(tmp_path, WHOLE)
    assert set(os.listdir(tmp_path)) == kept
    for name in own | others:
        (tmp_path / name).touch()
    remove_other_parts(tmp_path, Part(1, 3))
    assert set(os.listdir(tmp_path)) == own | {
        "manifest-0-of-3.json.png"
    }  # merge writes the whole's


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"format": "other"}, "is no fundusseg manifest"),
        ({"format": "fundusseg-manifest"}, "has version None"),
        ({"format": "fundusseg-manifest", "version": VERSION + 1}, "use a newer fundusseg"),
        ({"format": "fundusseg-manifest", "version": VERSION, "stage": 1}, "is damaged"),
    ],
)
def test_foreign_damaged_and_newer_manifests_are_refused(tmp_path, values, problem):
    (tmp_path / "m.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=problem):
        read_manifest(tmp_path / "m.json")


def test_no_flipped_byte_makes_another_manifest(tmp_path):
    write_manifest(tmp_path, "prep", {"rate": 0.5}, {"a": "0" * 64}, inputs={"b": "1" * 64})
    path = tmp_path / "manifest.json"
    data, values = path.read_bytes(), read_manifest(path)
    for place in range(len(data)):
        flip_byte(path, place)
        with suppress(InputError):
            assert read_manifest(path) == values  # such as another blank between two values
        path.write_bytes(data)


def test_a_table_that_was_changed_is_named(tmp_path):
    write_manifest(tmp_path, "prep", {}, {"a": "0" * 64})
    flip_byte(tmp_path / "SHA256SUMS", 3)
    with pytest.raises(InputError, match="SHA256SUMS: is not what the manifest says"):
        list(outputs_of(tmp_path))
