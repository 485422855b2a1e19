"""infer: what is finished is kept, what is missing is made, and the bytes are the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fundusseg.files.status import read_status
from tests.batch import PROGRAM, contents, flip_byte, run, write_photographs
from tests.commands.map_folders import IDS

ROOT = PROGRAM.parents[1]


@pytest.fixture
def infer(infer, photographs):
    """Run infer over the photographs; its exit code."""
    return lambda *words: infer(photographs, *words)


def written_at(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file but those that each run writes."""
    by_each = ("status.tsv", "SHA256SUMS", "manifest.json", "run.json")
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in by_each
    }


def test_a_second_run_does_nothing_and_leaves_the_same_bytes(maps, infer, done_anew):
    """Resume has no flag: a finished output is kept; status and manifest get the same bytes."""
    bytes_before, times_before = contents(maps), written_at(maps)
    assert infer() == 0
    assert done_anew == []
    assert contents(maps) == bytes_before
    assert written_at(maps) == times_before


def test_a_second_run_does_not_import_tensorflow(maps, tiny_model, photographs):
    """An infer over an already finished folder answers without importing tensorflow."""
    program = (
        "import sys; from fundusseg.cli import main; code = main(sys.argv[1:]);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules); sys.exit(code)"
    )
    words = ["infer", photographs, maps, "--model", tiny_model]
    before = contents(maps)
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert contents(maps) == before


def test_a_second_run_with_a_failure_does_not_import_tensorflow_either(
    infer, photographs, tmp_path, request
):
    """Resume: a photograph that fails again costs no network."""
    (photographs / "text.png").write_text("no picture")
    assert infer() == 3
    before = contents(tmp_path / "maps")
    request.getfixturevalue("no_network")
    assert infer("--retry-failed") == 3
    assert infer() == 0
    assert contents(tmp_path / "maps") == before


def test_a_touched_photograph_of_the_same_bytes_is_kept(maps, infer, photographs, done_anew):
    """Resume: size and modification time; the hash decides where they differ."""
    os.utime(photographs / "a.png", (1, 1))
    assert infer() == 0
    assert done_anew == []


def test_a_new_photograph_is_added(maps, infer, photographs, done_anew):
    """Resume: only what is not finished is done."""
    write_photographs(photographs, "new/n.png")
    assert infer() == 0
    assert done_anew == ["new/n"]
    assert (maps / "new" / "n.png").is_file()


def test_a_deleted_output_is_made_again(maps, infer, done_anew):
    """Resume: a finished output is kept if it is there."""
    before = contents(maps)
    (maps / "b" / "c.png").unlink()
    assert infer() == 0
    assert done_anew == ["b/c"]
    assert contents(maps) == before


def test_a_changed_output_is_found_by_verify(maps, infer, done_anew):
    """--verify hashes everything."""
    before = contents(maps)
    flip_byte(maps / "a.png", 60)
    assert infer() == 0
    assert done_anew == [] and contents(maps) != before
    assert infer("--verify") == 0
    assert done_anew == ["a"]
    assert contents(maps) == before


def test_a_map_that_was_cut_off_is_made_anew(maps, infer, done_anew):
    """Resume: its size stands in the ledger."""
    before = contents(maps)
    (maps / "a.png").write_bytes(before["a.png"][:-1])
    assert infer() == 0
    assert done_anew == ["a"] and contents(maps) == before


def test_a_further_kind_of_output_is_added(maps, infer):
    """Resume: a finished output is kept; --probability asks for one more."""
    before = contents(maps)
    assert infer("--probability") == 0
    after = contents(maps)
    assert set(after) - set(before) == {f"{id}.prob.png" for id in IDS}
    assert infer() == 0
    again = contents(maps)
    assert {name: again[name] for name in before} == before


def test_outputs_that_are_right_stay_beside_further_ones(maps, infer):
    assert infer("--probability") == 0
    assert infer("--overlay") == 0
    assert {f"{id}.prob.png" for id in IDS} < set(contents(maps))
    assert infer("--force") == 0
    assert {f"{id}.prob.png" for id in IDS} < set(contents(maps))


def test_the_same_model_elsewhere_is_the_same_model(maps, infer, tiny_model, tmp_path, done_anew):
    """Resume: the model hash must match, not its place."""
    assert infer("--model", shutil.copytree(tiny_model, tmp_path / "copy")) == 0
    assert done_anew == []


@pytest.mark.parametrize("line", [b'{"key": "a", "con', b"\xff\xfe\x00", b"{}", b"[1, 2]"])
def test_a_corrupt_ledger_line_is_passed_over(maps, infer, done_anew, line):
    """Resume: a line of the ledger that a kill cut short costs only its own photograph."""
    before = contents(maps)
    ledger = maps / ".fundusseg/ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(True)[:-1]) + line)
    assert infer() == 0
    assert len(done_anew) == 1
    assert contents(maps) == before
    assert infer() == 0 and len(done_anew) == 1


def test_maps_that_a_killed_run_did_not_record_are_ours_by_their_bytes(maps, infer, done_anew):
    """Resume: a map is written before its record."""
    before = contents(maps)
    (maps / "manifest.json").unlink()
    ledger = maps / ".fundusseg/ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().splitlines(True)[0])
    assert infer() == 0
    assert len(done_anew) == 4
    assert contents(maps) == before


def test_a_strangers_file_costs_its_own_photograph_only(infer, photographs, maps, capsys):
    """What stands where a map belongs, and neither the ledger nor its bytes make ours, stays."""
    (maps / "manifest.json").unlink()
    ledger = maps / ".fundusseg/ledger.jsonl"
    kept = [line for line in ledger.read_bytes().splitlines(True) if b'"key": "a"' not in line]
    ledger.write_bytes(b"".join(kept))
    (maps / "a.png").write_bytes(b"my own picture")
    assert infer() == 3
    assert (maps / "a.png").read_bytes() == b"my own picture"
    reasons = {row.id: row.reason for row in read_status(maps / "status.tsv")}
    assert "is there, and infer did not write it; move it away" in reasons.pop("a")
    assert set(reasons.values()) == {""}
    (maps / "a.png").unlink()
    (maps / "a.png").symlink_to("nothing")
    assert infer() == 3 and (maps / "a.png").is_symlink()
    assert infer("--force") == 0 and not (maps / "a.png").is_symlink()


def test_a_folder_that_was_copied_without_its_ledger_is_ours(
    maps, photographs, tiny_model, infer, tmp_path
):
    """Its maps are what would be written."""
    before = contents(maps)
    shutil.rmtree(maps / ".fundusseg")
    words = ("infer", photographs / "a.png", maps, "--model", tiny_model)
    assert run(*words) == 0
    assert infer() == 0
    assert contents(maps) == before


def test_dead_temporaries_are_swept_and_living_ones_stay(maps, infer, photographs):
    """Two at once: temporary names carry host, process id and a random part; dead are swept."""
    host, dead = os.uname().nodename, subprocess.Popen(["true"])
    dead.wait()
    (maps / "b" / "c.png").unlink()
    names = [f".tmp-{host}.{pid}.0123abcd.png" for pid in (dead.pid, os.getpid())]
    for name in names:
        (maps / name).write_bytes(b"half")
        (maps / "b" / name).write_bytes(b"half")
    assert infer() == 0
    assert sorted(path.name for path in maps.rglob(".tmp-*")) == [names[1]] * 2
