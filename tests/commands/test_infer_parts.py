"""infer: the number of parts, jobs and frames at once changes no byte, and no part undoes work."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fundusseg.files.masks import read_probability
from fundusseg.files.status import read_status
from tests.batch import (
    contents,
    finished,
    one_line,
    photograph,
    run,
    write_photographs,
    write_tiny_model,
)
from tests.phantom_sets import encoded


@pytest.fixture
def infer(infer, photographs):
    """Run infer over the photographs; its exit code."""
    return lambda *words: infer(photographs, *words)


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


def test_runs_in_parts_and_whole_by_turns_keep_what_was_done_last(
    maps, photographs, tiny_model, tmp_path
):
    """A whole run, then --force with another model in parts, then whole runs with that one."""
    model = write_tiny_model(tmp_path / "other", seed=4)
    words = ("infer", photographs, maps, "--model", model)
    for part in ("0", "1"):
        assert run(*words, "--shard", part, "--num-shards", "2", "--force") == 0
    for name in ("new.png", "newer.png"):
        shutil.copyfile(photographs / "a.png", photographs / name)
        assert run(*words) == 0
    assert run("infer", photographs, tmp_path / "afresh", "--model", model) == 0
    for path in (tmp_path / "afresh").glob("*.png"):
        assert (maps / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("way", [(), ("--test-time-augmentation",)])
def test_the_number_of_jobs_does_not_change_a_byte(photographs, tmp_path, way):
    """Same bytes: whatever --jobs.

    Operations that are cut up for more threads show in float32, from 192 pixels on.
    """
    model = write_tiny_model(tmp_path / "model", frame_px=(192,))
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
    assert run("merge", parts) == 3
    merged = {name: data for name, data in contents(parts).items() if "-of-3" not in name}
    assert merged == contents(tmp_path / "maps")


@pytest.fixture
def batches_of_two(monkeypatch):
    """The network is run as on a GPU."""
    from fundusseg.nets import runtime

    monkeypatch.setattr(runtime, "chosen_batch", lambda wanted: 2)


@pytest.mark.usefixtures("batches_of_two")
def test_frames_of_other_sizes_do_not_go_into_one_batch(tmp_path):
    """Batches have one fixed padded shape for each size of frame."""
    model = write_tiny_model(tmp_path / "model", frame_px=(96, 160))
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
    assert not (maps / "manifest.json").exists()  # merge writes it


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
    assert json.loads((maps / "manifest-0-of-2.json").read_text())["counts"]["photographs"] == 2


@pytest.mark.parametrize("manifest", ["manifest.json", "manifest-1-of-2.json"])
@pytest.mark.parametrize("command", ["score", "measure"])
def test_maps_of_an_unfinished_infer_are_neither_scored_nor_measured(
    infer, maps, photographs, tmp_path, capsys, command, manifest
):
    """A run that begins removes its manifest; the tables beside are of earlier work."""
    for part in range(2) if "-" in manifest else ():
        assert infer("--shard", part, "--num-shards", 2) == 0
    (maps / manifest).unlink()
    capsys.readouterr()
    other = {"score": (maps, photographs), "measure": (maps, tmp_path / "vessels.csv")}[command]
    assert run(command, *other) == 1
    assert "holds maps of an infer that has not finished; run it again" in one_line(capsys)
