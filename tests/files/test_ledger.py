"""The ledger remembers what is finished, whatever instant the process ended at."""

import os

import pytest

from fundusseg.errors import InputError
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import STATE_FOLDER, Ledger, LedgerFiles, output_stands, stamp
from fundusseg.files.manifest import Part
from tests.batch import flip_byte


@pytest.fixture(autouse=True)
def _state_folder(tmp_path):
    """As `begin` makes it."""
    (tmp_path / STATE_FOLDER).mkdir()


def test_records_come_back(tmp_path):
    Ledger(tmp_path).add("é\n\udcff", "config", outputs={"x": "1"})
    assert Ledger(tmp_path).records == {
        "é\n\udcff": {"key": "é\n\udcff", "config": "config", "outputs": {"x": "1"}}
    }


def test_the_last_record_of_a_key_counts(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add("a", "config", run=1, outputs={})
    ledger.add("a", "config", run=2, outputs={})
    assert Ledger(tmp_path).records["a"]["run"] == 2


def test_tasks_write_files_of_their_own_and_read_all(tmp_path):
    Ledger(tmp_path, Part(0, 2)).add("a", "config", outputs={})
    Ledger(tmp_path, Part(1, 2)).add("b", "config", outputs={})
    assert sorted(os.listdir(tmp_path / STATE_FOLDER)) == [
        "ledger-0-of-2.jsonl",
        "ledger-1-of-2.jsonl",
    ]
    assert set(Ledger(tmp_path).records) == {"a", "b"}


@pytest.mark.parametrize("cut", range(1, 34, 3))
def test_a_torn_last_line_is_passed_over_and_ended(tmp_path, cut):
    ledger = Ledger(tmp_path)
    ledger.add("a", "config", outputs={})
    ledger.add("b", "config", outputs={})
    data = ledger.path.read_bytes()
    ledger.path.write_bytes(data[:-cut])
    after = Ledger(tmp_path)
    assert set(after.records) == ({"a", "b"} if cut == 1 else {"a"})
    after.begin()
    after.add("c", "config", outputs={})
    assert {"a", "c"} <= set(Ledger(tmp_path).records)


@pytest.mark.parametrize(
    "line", [b"", b"5", b"[1]", b"{}", b"null", b"\xff\xfe", b'{"key": 1', b"[" * 10**5]
)
def test_lines_that_are_no_record_are_passed_over(tmp_path, line):
    ledger = Ledger(tmp_path)
    ledger.path.write_bytes(line + b"\n")
    ledger.add("a", "config", outputs={})
    assert set(Ledger(tmp_path).records) == {"a"}


def test_other_settings_are_refused_naming_force(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add("a", "old", outputs={})
    ledger.require_config("old")
    with pytest.raises(InputError, match="--force"):
        Ledger(tmp_path).require_config("new")


def test_clear_forgets_all_tasks_on_disk_too(tmp_path):
    Ledger(tmp_path, Part(1, 2)).add("b", "old", outputs={})
    ledger = Ledger(tmp_path)
    ledger.clear()
    ledger.require_config("new")
    assert Ledger(tmp_path).records == {}


def test_forgotten_work_leaves_which_files_are_ours(tmp_path):
    """--force: also after a kill, what earlier runs wrote is no stranger's."""
    LedgerFiles(tmp_path, Part(1, 2)).append("b", "old", outputs={"b.png": "1"})
    ledger = LedgerFiles(tmp_path)
    ledger.append("a", "old", outputs={"a.png": "1", "a.prob.png": "2"})
    LedgerFiles(tmp_path, Part(1, 2)).append("a", "old", outputs={"a.overlay.png": "3"})
    ledger.append("c", "new", outputs={"c.png": "4"}, row="kept")
    ledger.append("d", "new", outputs={"d.png": "5"}, row="asked for")
    ledger.forget(["d"], "new")
    assert os.listdir(tmp_path / STATE_FOLDER) == ["ledger.jsonl"]
    found = {record.pop("key"): record for record in LedgerFiles(tmp_path)}
    assert found["b"] == {"outputs": {"b.png": "1"}}
    assert found["c"] == {"config": "new", "outputs": {"c.png": "4"}, "row": "kept"}
    assert found["d"] == {"outputs": {"d.png": "5"}}
    assert found["a"] == {"outputs": {"a.png": "1", "a.prob.png": "2", "a.overlay.png": "3"}}


def test_a_task_of_a_job_array_forgets_in_its_own_file_only(tmp_path):
    for shard in (0, 1):
        LedgerFiles(tmp_path, Part(shard, 2)).append(
            str(shard), "old", outputs={f"{shard}.png": ""}
        )
    LedgerFiles(tmp_path, Part(0, 2)).forget((), "new")
    finished = {record["key"]: "config" in record for record in LedgerFiles(tmp_path)}
    assert finished == {"0": False, "1": True}


def test_an_output_stands_if_it_is_there_of_its_size_and_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"data")
    sha256 = sha256_of(tmp_path / "x")
    assert output_stands(tmp_path / "x", sha256) and output_stands(tmp_path / "x", sha256, 4)
    assert output_stands(tmp_path / "x", "other", 4, verify=False)
    assert not output_stands(tmp_path / "x", "other")
    assert not output_stands(tmp_path / "x", sha256, 5, verify=False)
    assert not output_stands(tmp_path / "y", sha256, verify=False)
    assert not output_stands(tmp_path, sha256, verify=False)


def test_a_stamp_sees_size_and_time(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"data")
    os.utime(path, ns=(1, 2))
    assert stamp(path) == [4, 2]


def test_a_task_of_a_job_array_forgets_only_its_own_work(tmp_path):
    for shard in (0, 1):
        Ledger(tmp_path, Part(shard, 2)).add(f"work {shard}", "config", outputs={})
    Ledger(tmp_path, Part(0, 2)).clear()
    assert set(Ledger(tmp_path).records) == {"work 1"}


def test_the_ledger_that_was_written_to_last_is_right(tmp_path):
    Ledger(tmp_path).add("a", "old", outputs={})
    Ledger(tmp_path, Part(1, 2)).add("a", "new", outputs={})
    os.utime(tmp_path / STATE_FOLDER / "ledger.jsonl", ns=(1, 1))
    assert Ledger(tmp_path).records["a"]["config"] == "new"
    os.utime(tmp_path / STATE_FOLDER / "ledger-1-of-2.jsonl", ns=(0, 0))
    assert Ledger(tmp_path).records["a"]["config"] == "old"


def test_a_task_goes_on_only_in_the_file_that_was_written_last(tmp_path):
    """Else what it adds would carry its old records past what others did since."""
    for run, (task, expected) in enumerate(
        [
            ((0, 1), "ledger.jsonl"),
            ((0, 2), "ledger-0-of-2.jsonl"),
            ((0, 1), "ledger.1.jsonl"),
            ((0, 1), "ledger.1.jsonl"),
            ((0, 2), "ledger-0-of-2.1.jsonl"),
            ((0, 1), "ledger.2.jsonl"),
        ]
    ):
        ledger = Ledger(tmp_path, Part(*task))
        ledger.begin()
        assert ledger.path.name == expected
        ledger.add("b" if task == (0, 1) else "a", "config", run=run, outputs={})
        os.utime(ledger.path, ns=(run, run))
    assert {key: record["run"] for key, record in Ledger(tmp_path).records.items()} == {
        "a": 4,
        "b": 5,
    }
    Ledger(tmp_path, Part(0, 2)).clear()
    assert set(Ledger(tmp_path).records) == {"b"}


def test_which_ledger_is_newer_outlasts_a_copy_without_times(tmp_path):
    """As cp without -p, in the order of names or any other."""
    for run, task in enumerate([(0, 1), (0, 2), (1, 2), (0, 1)]):
        ledger = LedgerFiles(tmp_path, Part(*task))
        ledger.begin()
        ledger.append("a", "config", run=run, outputs={})
    for turn in (1, -1):
        for second, path in enumerate(sorted((tmp_path / STATE_FOLDER).iterdir())[::turn]):
            os.utime(path, ns=(second, second))
        assert [record["run"] for record in LedgerFiles(tmp_path)] == [0, 1, 2, 3]
    LedgerFiles(tmp_path, Part(0, 2)).forget(["a"], "new")
    assert [record.get("run") for record in LedgerFiles(tmp_path)] == [0, 2, 3, None]


def test_reading_a_ledger_writes_nothing(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add("a", "config", outputs={})
    with ledger.path.open("ab") as file:
        file.write(b'{"key"')
    os.utime(ledger.path, ns=(1, 1))
    before = stamp(ledger.path)
    assert set(Ledger(tmp_path).records) == {"a"}
    assert stamp(ledger.path) == before


def test_records_are_yielded_oldest_file_first(tmp_path):
    """The last record of a key is right, also for one who reads them one by one."""
    first, second = LedgerFiles(tmp_path, Part(1, 2)), LedgerFiles(tmp_path, Part(0, 2))
    first.append("a", "config", run=1, outputs={})
    first.append("a", "config", run=2, outputs={})
    second.append("a", "config", run=3, outputs={})
    os.utime(first.path, ns=(1, 1))
    assert [record["run"] for record in LedgerFiles(tmp_path)] == [1, 2, 3]
    os.utime(second.path, ns=(0, 0))
    assert [record["run"] for record in LedgerFiles(tmp_path)] == [3, 1, 2]


def test_a_ledger_that_vanishes_while_it_is_read_is_passed_over(tmp_path, monkeypatch):
    """Two tasks of an array begin at once with --force, and each forgets its own work."""
    for task in range(2):
        Ledger(tmp_path, Part(task, 2)).add(f"part {task}", "settings", outputs={})
    gone = tmp_path / STATE_FOLDER / "ledger-0-of-2.jsonl"
    paths = list((tmp_path / STATE_FOLDER).glob("ledger*.jsonl"))
    monkeypatch.setattr(LedgerFiles, "_paths", lambda self: paths)
    gone.unlink()
    assert set(Ledger(tmp_path, Part(1, 2)).records) == {"part 1"}


def test_no_flipped_byte_makes_another_record(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add("a", "config", outputs={"a.png": ["0" * 64, 12]}, row="a\tok")
    ledger.add("b", "config", outputs={"b.png": ["1" * 64, 34]}, row="b\tok")
    whole, data = dict(ledger.records), ledger.path.read_bytes()
    for place in range(len(data)):
        flip_byte(ledger.path, place)
        found = Ledger(tmp_path).records
        assert all(found[key].items() >= whole[key].items() for key in found)
        ledger.path.write_bytes(data)


def test_a_line_without_a_checksum_is_passed_over(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add("a", "config", outputs={})
    with ledger.path.open("a") as file:
        file.write('{"key": "b", "outputs": {}}\n')
    assert Ledger(tmp_path).records.keys() == {"a"}
