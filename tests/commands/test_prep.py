"""prep: every form, frame and format is prepared alike, and what fails costs only itself."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fundusseg.commands.prep import run as prep
from fundusseg.commands.prep.plan import planned
from fundusseg.commands.prep.run import run_prep
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UnavailableError
from fundusseg.files import images
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import NAME, outputs_of, read_manifest
from fundusseg.files.names import unescaped
from fundusseg.files.regular import regular_bytes
from tests.commands.shard_folders import SMALL, TWO, changed, contents, same, samples, times
from tests.phantom_sets import FORMS, encoded, small_phantom


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_prepared(phantom_set, tmp_path, form):
    assert run_prep(phantom_set(form), tmp_path / "out", SMALL) == EXIT_OK
    found = samples(tmp_path / "out")
    sides = {sample.split for sample in found.values()}
    assert len(found) == len(FORMS[form].names)
    assert {"train", "test"} <= sides
    for seed, names in enumerate(FORMS[form].names):
        drawn = small_phantom(seed % 6)
        sample = found[names["photograph"].removesuffix(".gz").rpartition(".")[0]]
        assert np.array_equal(sample.native_mask, drawn.mask)
        assert (sample.mask2 is not None) == ("mask2" in names)
        assert (sample.field_of_view.method == "given") == ("fov" in names)
        if "fov" in names:
            assert np.array_equal(sample.native_fov, drawn.fov)
        assert sample.image.shape == (256, 256, 3)
        assert abs(sample.mask.mean() / 255 - drawn.mask.mean()) < 0.002


def test_native_frames_hold_the_field_of_view(phantom_set, tmp_path):
    run_prep(phantom_set("pairs"), tmp_path, replace(SMALL, preset="native"))
    sample = samples(tmp_path)["train/images/p1 left"]
    assert sample.image.shape == (704, 704, 3)
    assert sample.fov[352, 5] == sample.fov[352, -6] == sample.fov[352, 352] == 255
    assert sample.fov[0, 0] == 0


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_jobs_and_formats_give_the_same(phantom_set, tmp_path, format):
    for jobs in (1, 3):
        options = replace(TWO, format=format, jobs=jobs)
        run_prep(phantom_set("chase-all"), tmp_path / str(jobs), options)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
    run_prep(phantom_set("chase-all"), tmp_path / "h5", SMALL)
    reference = samples(tmp_path / "h5")
    found = samples(tmp_path / "1")
    assert found.keys() == reference.keys()
    assert all(same(found[id], reference[id]) for id in found)


def test_the_order_of_the_folder_does_not_matter(phantom_set, tmp_path):
    names = [path for path in phantom_set("pairs-flat").rglob("*") if path.is_file()]
    for turn, ordered in enumerate((names, names[::-1])):
        for path in ordered:
            copy = tmp_path / str(turn) / "set" / path.relative_to(phantom_set("pairs-flat"))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        run_prep(tmp_path / str(turn) / "set", tmp_path / f"out{turn}", SMALL)
    assert contents(tmp_path / "out0") == contents(tmp_path / "out1")


def spoil_with_text(path: Path) -> None:
    path.write_text("no picture\n")


def spoil_with_nothing(path: Path) -> None:
    path.write_bytes(b"")


def spoil_with_a_read_error(path: Path) -> None:
    """A file that is there, but whose bytes cannot be read: as on a failing disk."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def spoil_with_a_dead_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.png")


@pytest.mark.parametrize(
    "spoil", [spoil_with_text, spoil_with_nothing, spoil_with_a_read_error, spoil_with_a_dead_link]
)
@pytest.mark.parametrize("format", ["h5", "npz"])
def test_an_unreadable_photograph_costs_only_itself(own_set, tmp_path, spoil, format, caplog):
    src, out = own_set("pairs-flat"), tmp_path / "out"
    spoil(src / "images/p1 right.png")
    options = replace(TWO, format=format)
    assert run_prep(src, out, options) == EXIT_SOME_FAILED
    assert set(samples(out)) == {"images/p1 left", "images/p2_OD", "images/p3_OS"}
    manifest = read_manifest(out / NAME)
    assert list(manifest["failures"]) == ["images/p1 right"]
    assert manifest["counts"]["failed"] == 1
    before = times(out)
    caplog.clear()
    assert run_prep(src, out, options) == EXIT_SOME_FAILED
    assert changed(before, out) == set()
    assert "images/p1 right: failed before" in caplog.text


def test_a_photograph_that_can_be_read_again_is_prepared(own_set, tmp_path, monkeypatch):
    """As after chmod: neither size nor time tell."""
    src, out = own_set("pairs-flat"), tmp_path / "out"
    with monkeypatch.context() as hidden:

        def read_bytes(path: Path) -> bytes:
            if path.name == "p1 right.png":
                raise UnavailableError(path, "cannot be read (Permission denied)")
            return regular_bytes(path)

        def hashed(path: Path) -> str:
            if path.name == "p1 right.png":
                raise InputError(path, "cannot be read (Permission denied)")
            return sha256_of(path)

        hidden.setattr(images, "regular_bytes", read_bytes)
        hidden.setattr(prep, "sha256_of", hashed)
        assert run_prep(src, out, TWO) == EXIT_SOME_FAILED
    assert len(samples(out)) == 3
    assert run_prep(src, out, TWO) == EXIT_OK
    assert len(samples(out)) == 4


@pytest.mark.parametrize("role", ["masks/{}", "masks2/{}", "fov/{}"])
def test_a_mask_of_another_size_costs_its_photograph(own_set, tmp_path, role):
    src, out = own_set("pairs"), tmp_path / "out"
    path = src / "train" / role.format("p2_OD.png")
    own = path.read_bytes()
    path.write_bytes(encoded(np.ones((64, 64), bool), "x.png"))
    assert run_prep(src, out, SMALL) == EXIT_SOME_FAILED
    reason = read_manifest(out / NAME)["failures"]["train/images/p2_OD"]
    assert "64x64, its photograph 128x128" in reason
    path.write_bytes(own)
    assert run_prep(src, out, SMALL) == EXIT_OK
    assert "train/images/p2_OD" in samples(out)


def test_what_cannot_be_right_costs_its_photograph(own_set, tmp_path):
    """Labels, a field of view as the mask, an inverted field of view, two eyes in one picture."""
    source = own_set("pairs")
    drawn, part = small_phantom(0), source / "train"
    names = sorted(path.name for path in (part / "masks").iterdir())[:4]
    labels = np.where(drawn.fov, drawn.mask * np.uint8(255), 128).astype(np.uint8)
    made = {
        "labels": labels,
        "field": drawn.fov * np.uint8(255),
        "dark": ~drawn.fov * np.uint8(255),
    }
    for (folder, key), name in zip(
        (("masks", "labels"), ("masks", "field"), ("fov", "dark")), names, strict=False
    ):
        Image.fromarray(made[key]).save(part / folder / name)
    assert run_prep(source, tmp_path / "out", SMALL) == EXIT_SOME_FAILED
    reasons = sorted(read_manifest(tmp_path / "out" / NAME)["failures"].values())
    said = (
        "has 3 grey levels: labels",
        "is dark inside; is it inverted?",
        "is no mask of vessels: ",
    )
    assert len(reasons) == 3
    assert all(reason.startswith(words) for reason, words in zip(reasons, said, strict=True))


def test_two_eyes_in_one_picture_cost_their_photograph(own_set, tmp_path):
    """Where no field of view is given, which would say which eye is meant."""
    source = own_set("chase-flat")
    (photograph,) = source.glob("Image_01L.*")
    eye = small_phantom(0).photograph
    Image.fromarray(np.concatenate([eye, eye], axis=1)).save(photograph)
    assert run_prep(source, tmp_path / "out", SMALL) == EXIT_SOME_FAILED
    failures = read_manifest(tmp_path / "out" / NAME)["failures"]
    assert failures == {"Image_01L": "shows 2 fields of view; cut it into one picture each"}


@pytest.mark.parametrize("step", ["files.decoders._decoded", "commands.prep.run.framed"])
def test_a_lack_of_memory_costs_one_photograph_until_there_is_more(
    own_set, tmp_path, monkeypatch, step
):
    source = own_set("chase-flat")

    def exhausted(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(f"fundusseg.{step}", exhausted)
        assert run_prep(source, tmp_path / "out", SMALL) == EXIT_SOME_FAILED
        reasons = set(read_manifest(tmp_path / "out" / NAME)["failures"].values())
        assert reasons == {"needs more memory than there is"}
    assert run_prep(source, tmp_path / "out", SMALL) == EXIT_OK


def test_where_all_fail_the_manifest_says_so(own_set, tmp_path):
    src = own_set("pairs-flat")
    for path in (src / "images").iterdir():
        path.write_bytes(b"")
    assert run_prep(src, tmp_path / "out", SMALL) == EXIT_SOME_FAILED
    assert read_manifest(tmp_path / "out" / NAME)["counts"]["failed"] == 4


def test_unlabelled_photographs_are_kept_without_a_mask(own_set, tmp_path):
    src = own_set("pairs-flat")
    (src / "masks/p2_OD_manual1.png").unlink()
    assert run_prep(src, tmp_path / "out", SMALL) == EXIT_OK
    assert samples(tmp_path / "out")["images/p2_OD"].mask is None


def test_the_manifest_names_what_was_read_and_written(phantom_set, tmp_path):
    src = phantom_set("pairs")
    run_prep(src, tmp_path, TWO)
    manifest = read_manifest(tmp_path / NAME)
    assert manifest["stage"] == "prep"
    assert manifest["inputs"] == {
        str(path.relative_to(src)): sha256_of(path) for path in src.rglob("*") if path.is_file()
    }
    assert dict(outputs_of(tmp_path)) == {
        path.name: sha256_of(path) for path in tmp_path.glob("shard-*.h5")
    }


def test_out_inside_src_is_not_read_again(own_set):
    src = own_set("pairs-flat")
    for _ in range(2):
        run_prep(src, src / "shards", replace(SMALL, format="npz"))
    assert len(samples(src / "shards")) == 4


def test_the_dry_run_says_what_matched_what_and_writes_nothing(own_set, tmp_path):
    src = own_set("pairs")
    (src / "train/images/tab\tand\nline.png").write_bytes(b"")
    (src / os.fsdecode(b"train/images/latin\xe9.png")).write_bytes(b"")
    lines = planned(src, tmp_path / "out", SMALL).table().splitlines()
    assert not (tmp_path / "out").exists()
    assert lines[0].split("\t")[:3] == ["id", "split", "subject"]
    rows = [[unescaped(cell) for cell in line.split("\t")] for line in lines[1:]]
    assert len(rows) == 6
    assert {len(row) for row in rows} == {8}
    by_id = {row[0]: row for row in rows}
    assert by_id["test/images/p3_OS"] == [
        "test/images/p3_OS",
        "test",
        "test/p3",
        "",
        "test/images/p3_OS.png",
        "test/masks/p3_OS.png",
        "test/masks2/p3_OS.png",
        "test/fov/p3_OS.png",
    ]
    assert "train/images/tab\tand\nline" in by_id
    assert os.fsdecode(b"train/images/latin\xe9") in by_id


def test_the_subjects_file_moves_the_splits(phantom_set, tmp_path):
    src = phantom_set("pairs-flat")
    ids = [line.split("\t")[0] for line in planned(src, tmp_path, SMALL).table().splitlines()]
    table = tmp_path / "subjects.tsv"
    rows = [f"{id}\tperson {number}\n" for number, id in enumerate(ids[1:])]
    table.write_text("id\tsubject\n" + "".join(rows))
    run_prep(src, tmp_path / "out", replace(SMALL, subjects=table))
    found = samples(tmp_path / "out")
    assert {sample.subject for sample in found.values()} == {f"person {n}" for n in range(4)}


def test_a_names_bytes_survive_in_shards(own_set, tmp_path):
    src = own_set("pairs-flat")
    name = os.fsdecode(b"images/latin\xe9 \xff")
    (src / "images/p2_OD.png").rename(src / f"{name}.png")
    run_prep(src, tmp_path / "out", SMALL)
    assert (src / samples(tmp_path / "out")[name].source).is_file()


def test_equal_photographs_and_eyes_on_both_sides_of_an_own_split_are_told_of(
    own_set, tmp_path, caplog
):
    src = own_set("pairs")
    (src / "test/images/p1_OS.png").write_bytes((src / "test/images/p3_OS.png").read_bytes())
    (src / "train/images/copy.png").write_bytes((src / "test/images/p3_OS.png").read_bytes())
    caplog.set_level("INFO", "fundusseg")
    assert run_prep(src, tmp_path / "out", SMALL) == EXIT_OK
    assert "1 photograph in two parts of the split with the same bytes, the first is " in (
        caplog.text
    )
    assert "1 person with eyes in two parts" in caplog.text
    assert caplog.messages[-1].startswith(
        f"{src} (pairs): 6 photographs of 4 subjects (3 train, 1 validation, 2 test)"
    )


def test_what_of_a_set_is_passed_over_is_told(own_set, tmp_path, caplog):
    src = own_set("pairs-flat")
    (src / "images/@eaDir").mkdir()
    for name in ("images/@eaDir/a.png", "more.zip", "x.heic"):
        (src / name).write_bytes(b"")
    caplog.set_level("INFO", "fundusseg")
    assert run_prep(src, tmp_path / "out", SMALL) == EXIT_OK
    for told in (
        "as are all folders of a system",
        "as are all archives",
        "all files that look like pictures",
    ):
        assert told in caplog.text


def test_lists_of_an_own_split_are_warned_of(own_set, tmp_path, caplog):
    """Which is read from folders only: else photographs of test.txt would train."""
    src, warning = own_set("pairs-flat"), "1 file that may list the set's own split"
    (src / "test.txt").write_text("images/p1 right.png\n")
    (src / "notes.txt").write_text("split 80:20\n")
    run_prep(src, tmp_path / "out", SMALL)
    assert f"{warning}, which is read from folders only (train/, test/), the first is test.txt" in (
        caplog.text
    )
    caplog.clear()
    run_prep(src, tmp_path / "all", replace(SMALL, split="train"))
    assert warning not in caplog.text


def test_a_failure_of_before_is_told_of_in_one_line(own_set, tmp_path, caplog):
    src, out = own_set("pairs-flat"), tmp_path / "out"
    path = src / "images/p1 right.png"
    named = path.with_name("p1\nright.png")
    path.rename(named)
    spoil_with_text(named)
    for other in src.rglob("p1 right.*"):
        other.rename(other.with_name(other.name.replace(" ", "\n")))
    for _ in range(2):
        caplog.clear()
        assert run_prep(src, out, TWO) == EXIT_SOME_FAILED
    assert r"images/p1\nright: failed before" in caplog.text
