"""infer: what is finished is kept, what is missing is made, and the bytes are the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch import PROGRAM, contents, run, write_photographs
from tests.stages.map_folders import IDS

ROOT = PROGRAM.parents[1]


@pytest.fixture
def infer(infer, photographs):
    """Run infer over the photographs; its exit code."""
    return lambda *words: infer(photographs, *words)


def written_at(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file but the two that each run writes."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("status.tsv", "manifest.json")
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
    infer, photographs, tmp_path, monkeypatch
):
    """Resume: a photograph that fails again costs no network."""
    (photographs / "text.png").write_text("no picture")
    assert infer() == 3
    before = contents(tmp_path / "maps")
    monkeypatch.setattr("fundusseg.stages.infer.ready_predictor", None)
    assert infer() == 3
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
    (maps / "a.png").write_bytes(before["b/c.png"])
    assert infer() == 0
    assert done_anew == [] and contents(maps) != before
    assert infer("--verify") == 0
    assert done_anew == ["a"]
    assert contents(maps) == before


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
    ledger = maps / ".ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(True)[:-1]) + line)
    assert infer() == 0
    assert len(done_anew) == 1
    assert contents(maps) == before
    assert infer() == 0 and len(done_anew) == 1


def test_maps_of_a_killed_run_are_ours_whatever_the_precision_is_now(maps, infer, done_anew):
    """Resume: a map is written before its record, and the ledger says before it that it comes."""
    before = set(contents(maps))
    (maps / "manifest.json").unlink()
    ledger = maps / ".ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if '"config"' not in line))
    assert infer("--precision", "float32") == 0
    assert len(done_anew) == 4
    assert set(contents(maps)) == before


def test_a_folder_that_was_copied_without_its_ledger_is_ours(
    maps, photographs, tiny_model, infer, tmp_path
):
    """Its manifest names the maps; that a run takes it away does not matter."""
    before = contents(maps)
    (maps / ".ledger.jsonl").unlink()
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
