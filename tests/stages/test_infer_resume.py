"""infer: what is finished is kept, what has changed is made anew, and the bytes are the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fundusseg.io.images import read_probability
from fundusseg.io.status import read_status
from tests.batch import (
    PROGRAM,
    contents,
    finished,
    photograph,
    run,
    write_photographs,
    write_tiny_model,
)
from tests.phantom_sets import encoded

ROOT = PROGRAM.parents[1]
IDS = ("a", "b/c", "b/d e", "\u00e9")


@pytest.fixture
def infer(tiny_model, photographs, tmp_path):
    """Run infer over the photographs into tmp_path/maps; its exit code."""
    return lambda *words: run(
        "infer", photographs, tmp_path / "maps", "--model", tiny_model, *words
    )


@pytest.fixture
def maps(infer, tmp_path) -> Path:
    """A finished output folder."""
    assert infer() == 0
    return tmp_path / "maps"


@pytest.fixture
def done_anew(monkeypatch):
    """The ids of the photographs that were put through the network."""
    from fundusseg.stages import infer as stage

    seen: list[str] = []
    whole = stage.from_file

    def noted(source, *arguments):
        seen.append(source.id)
        return whole(source, *arguments)

    monkeypatch.setattr(stage, "from_file", noted)
    return seen


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


def test_a_changed_photograph_is_done_anew(
    maps, infer, photographs, done_anew, tiny_model, tmp_path
):
    """Resume: a finished output is kept only if the input matches."""
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer() == 0
    assert done_anew == ["a"]
    assert run("infer", photographs, tmp_path / "afresh", "--model", tiny_model) == 0
    assert contents(maps) == contents(tmp_path / "afresh")


def test_a_photograph_that_went_bad_loses_its_map(maps, infer, photographs, tiny_model, tmp_path):
    """Resume ends with the same bytes as an undisturbed run: no map of what was there before."""
    (photographs / "a.png").write_text("no picture")
    assert infer() == 3
    assert not (maps / "a.png").exists()
    assert run("infer", photographs, tmp_path / "afresh", "--model", tiny_model) == 3
    assert contents(maps) == contents(tmp_path / "afresh")


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


def test_verify_sees_a_photograph_of_the_same_size_and_time(maps, infer, photographs, done_anew):
    """--verify hashes everything, inputs too."""
    path = photographs / "b" / "d e.tif"
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    infer()
    assert done_anew == []
    infer("--verify")
    assert done_anew == ["b/d e"]


def test_a_field_of_view_that_changed_redoes_its_photograph(
    tiny_model, photographs, tmp_path, done_anew
):
    """Resume: the given field of view is an input too; touched, its hash decides."""
    masks = tmp_path / "fovs"
    (masks / "b").mkdir(parents=True)
    for number, id in enumerate(IDS):
        disc = np.hypot(*np.mgrid[-48:48, -48:48]) < 30 + number
        (masks / f"{id}.png").write_bytes(encoded(disc, "x.png"))
    words = ("infer", photographs, tmp_path / "maps", "--model", tiny_model, "--fov", masks)
    assert run(*words) == 0
    done_anew.clear()
    os.utime(masks / "a.png", (1, 1))
    assert run(*words) == 0 and done_anew == []
    assert run(*words, "--verify") == 0 and done_anew == []
    (masks / "b" / "c.png").write_bytes((masks / "a.png").read_bytes())
    assert run(*words) == 0 and done_anew == ["b/c"]


def test_a_further_kind_of_output_is_added(maps, infer):
    """Resume: a finished output is kept; --probability asks for one more."""
    before = contents(maps)
    assert infer("--probability") == 0
    after = contents(maps)
    assert set(after) - set(before) == {f"{id}.prob.png" for id in IDS}
    assert infer() == 0
    again = contents(maps)
    assert {name: again[name] for name in before} == before


@pytest.mark.parametrize("change", ["threshold", "tile", "fov", "model"])
def test_other_settings_are_refused_naming_force(
    maps, infer, photographs, tmp_path, capsys, change
):
    """Resume: a different model or config is exit 1 naming --force."""
    words = {"threshold": ["--threshold", "0.7"], "tile": ["--tile", "64"]}.get(change, [])
    if change == "model":
        words = ["--model", write_tiny_model(tmp_path / "other", seed=4)]
    if change == "fov":
        words = ["--fov", photographs]
    before = contents(maps)
    assert infer(*words) == 1
    assert "--force" in capsys.readouterr().err
    assert contents(maps) == before


def test_force_makes_everything_anew(maps, infer, done_anew, tmp_path, photographs):
    """--force: the same bytes as an undisturbed run with the new model."""
    model = write_tiny_model(tmp_path / "other", seed=4)
    assert infer("--model", model, "--force") == 0
    assert len(done_anew) == 4
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 0
    assert contents(maps) == contents(tmp_path / "afresh")


def test_force_leaves_nothing_of_the_model_before(maps, infer, tmp_path, photographs):
    """No probabilities of another model beside the maps, no map of what is no photograph now."""
    assert infer("--probability", "--overlay") == 0
    model = write_tiny_model(tmp_path / "other", seed=4)
    (photographs / "a.png").write_text("no picture")
    assert infer("--model", model, "--force") == 3
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 3
    assert contents(maps) == contents(tmp_path / "afresh")


def test_a_changed_photograph_keeps_no_probabilities_of_what_it_was(
    maps, infer, photographs, tiny_model, tmp_path
):
    assert infer("--probability") == 0
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer() == 0
    assert not (maps / "a.prob.png").exists()
    assert (maps / "b/c.prob.png").exists()


def test_a_changed_photograph_keeps_nothing_of_what_it_was_whichever_run_wrote_it(
    maps, infer, photographs, tiny_model, tmp_path
):
    """Each run's record names its own outputs only."""
    assert infer("--overlay") == 0
    assert infer("--probability") == 0
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer("--probability") == 0
    assert not (maps / "a.overlay.png").exists()
    assert (maps / "b/c.overlay.png").exists()
    (photographs / "b/c.jpg").write_text("no picture")
    assert infer("--probability") == 3
    assert not [path.name for path in (maps / "b").glob("c*")]


def test_a_photograph_that_is_back_keeps_what_was_made_of_it(maps, infer, photographs):
    """An output goes with the photograph that the record says it was made from."""
    before = (photographs / "a.png").read_bytes()
    assert infer("--overlay") == 0
    overlay = (maps / "a.overlay.png").read_bytes()
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert infer() == 0
    (maps / "a.overlay.png").write_bytes(overlay)  # as earlier versions left it
    (photographs / "a.png").write_bytes(before)
    assert infer("--probability") == 0
    assert (maps / "a.overlay.png").read_bytes() == overlay


def test_outputs_that_are_right_stay_beside_further_ones(maps, infer):
    assert infer("--probability") == 0
    assert infer("--overlay") == 0
    assert {f"{id}.prob.png" for id in IDS} < set(contents(maps))
    assert infer("--force") == 0
    assert {f"{id}.prob.png" for id in IDS} < set(contents(maps))


def test_force_in_a_part_is_not_stopped_by_the_other_parts(
    maps, photographs, tiny_model, tmp_path, done_anew
):
    """--force in a job array: what other tasks made with another model is theirs to redo."""
    model = write_tiny_model(tmp_path / "other", seed=4)
    for part in ("0", "1"):
        words = ("--shard", part, "--num-shards", "2", "--model", model)
        assert run("infer", photographs, maps, *words, "--force") == 0
    assert len(done_anew) == 4
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 0
    assert (maps / "a.png").read_bytes() == (tmp_path / "afresh" / "a.png").read_bytes()


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


def test_a_forced_run_that_was_killed_goes_on_without_force(maps, infer, tmp_path, photographs):
    """--force forgets what is finished, not what is ours."""
    from fundusseg.io.ledger import LedgerFiles

    assert infer("--probability") == 0
    (maps / "manifest.json").unlink()
    LedgerFiles(maps).forget()
    model = write_tiny_model(tmp_path / "other", seed=4)
    assert infer("--model", model) == 0
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 0
    assert contents(maps) == contents(tmp_path / "afresh")


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


@pytest.mark.parametrize("way", [(), ("--test-time-augmentation",)])
def test_the_number_of_jobs_does_not_change_a_byte(photographs, tmp_path, way):
    """Same bytes: whatever --jobs.

    Operations that are cut up for more threads show in float32, from 192 pixels on.
    """
    model = write_tiny_model(tmp_path / "model", frame_px=192)
    for jobs in ("1", "3"):
        words = ("infer", photographs, tmp_path / jobs, "--model", model, "--format", "h5")
        more = ("--precision", "float32", "--jobs", jobs, "--quiet", *way)
        assert finished(*words, *more) == (0, "", "")
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


WAYS = [(), ("--batch", "3", "--tile", "64"), ("--test-time-augmentation",)]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_the_number_of_parts_does_not_change_a_byte(infer, photographs, tiny_model, tmp_path, way):
    """Shards: sorted_ids[K::N]; N parts give the same bytes as one."""
    (photographs / "z.png").write_text("no picture")
    assert infer("--probability", *way) == 3
    parts = tmp_path / "parts"
    for part, code in ((2, 0), (0, 3), (1, 0)):
        words = ("--model", tiny_model, "--probability", "--shard", part, "--num-shards", "3")
        assert run("infer", photographs, parts, *words, *way) == code
    assert [_ids(parts, part) for part in range(3)] == [["a", "z"], ["b/c", "\u00e9"], ["b/d e"]]
    assert run("merge", parts) == 0
    merged = {name: data for name, data in contents(parts).items() if "-of-3" not in name}
    assert merged == contents(tmp_path / "maps")


@pytest.fixture
def batches_of_two(monkeypatch):
    """The network is run as on a GPU."""
    from fundusseg.nets import runtime
    from fundusseg.stages.segmenting import ready_predictor

    monkeypatch.setattr(runtime, "chosen_batch", lambda wanted: 2)
    ready_predictor.cache_clear()
    yield
    ready_predictor.cache_clear()


@pytest.mark.usefixtures("batches_of_two")
def test_frames_of_other_sizes_do_not_go_into_one_batch(tiny_model, tmp_path):
    """Batches have one fixed padded shape for each size of frame."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    config["preset"]["frame"]["sizes_px"] = [96, 160]
    (model / "config.json").write_text(json.dumps(config))
    mixed = write_photographs(tmp_path / "mixed", "a.png", "c.png", "d.png")
    large = np.kron(photograph(5), np.ones((4, 4, 1), np.uint8))
    (mixed / "b.png").write_bytes(encoded(large, "b.png"))
    words = ("--model", model, "--probability", "--jobs", "1")
    assert run("infer", mixed, tmp_path / "together", *words) == 0
    for path in mixed.iterdir():
        assert run("infer", path, tmp_path / "alone", *words) == 0
    for id in "abcd":
        together, alone = (
            read_probability(tmp_path / folder / f"{id}.prob.png")
            for folder in ("together", "alone")
        )
        assert together.std() > 0
        np.testing.assert_allclose(together, alone, rtol=0, atol=2e-5)


def _ids(folder: Path, part: int) -> list[str]:
    return [row.id for row in read_status(folder / f"status-{part}-of-3.tsv")]


def test_finished_work_counts_whatever_the_number_of_parts(
    maps, photographs, tiny_model, done_anew
):
    """Resume: work done under another number of tasks still counts."""
    words = ("--model", tiny_model, "--shard", "1", "--num-shards", "2")
    assert run("infer", photographs, maps, *words) == 0
    assert done_anew == []


def test_what_a_part_did_later_overrides_what_a_run_did_before(
    maps, photographs, tiny_model, infer, done_anew, tmp_path
):
    """Resume: the ledger that was written to last is right, whether its map stands or not."""
    part = ("--model", tiny_model, "--shard", "0", "--num-shards", "2")
    (photographs / "a.png").write_bytes(encoded(photograph(9), "a.png"))
    assert run("infer", photographs, maps, *part) == 0
    assert done_anew == ["a"]
    assert infer() == 0 and done_anew == ["a"]
    (photographs / "a.png").write_bytes(encoded(photograph(0), "a.png"))
    assert infer() == 0 and done_anew == ["a", "a"]
    assert run("infer", photographs, tmp_path / "afresh", "--model", tiny_model) == 0
    assert contents(tmp_path / "afresh").items() <= contents(maps).items()


def test_a_part_with_work_takes_the_whole_manifest_away(maps, photographs, tiny_model):
    """Manifest: its presence means complete."""
    (maps / "a.png").unlink()
    words = ("--model", tiny_model, "--shard", "0", "--num-shards", "2")
    assert run("infer", photographs, maps, *words) == 0
    assert not (maps / "manifest.json").exists()
    assert json.loads((maps / "manifest-0-of-2.json").read_text())["counts"]["inputs"] == 2
