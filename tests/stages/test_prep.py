"""prep: what is finished is kept, what fails costs only itself, parts give the same samples."""

import itertools
import os
import shutil
import signal
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fundusseg import stop
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, Stopped
from fundusseg.io.files import sha256_of
from fundusseg.io.manifest import NAME, read_manifest
from fundusseg.io.samples import Sample
from fundusseg.io.shards import ShardFolder
from fundusseg.io.status import unescaped
from fundusseg.stages import prep, prep_plan
from fundusseg.stages.prep import PrepOptions, run_prep
from fundusseg.stages.prep_plan import planned
from tests.phantom_sets import FORMS, encoded, small_phantom

SMALL = PrepOptions(preset="pix2pix", jobs=1)
TWO = replace(SMALL, num_shards=2)


def samples(out: Path) -> dict[str, Sample]:
    folder = ShardFolder(out)
    return {ref.id: folder.read(ref, native=True) for ref in folder.refs}


def contents(out: Path) -> dict[str, bytes]:
    """The bytes of all files but the ledgers, whose stamps hold times."""
    paths = [path for path in out.rglob("*") if path.is_file() and ".ledger" not in path.name]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def times(out: Path) -> dict[str, int]:
    """When each shard was written."""
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.suffix in (".h5", ".npz")
    }


def changed(before: dict[str, int], out: Path) -> set[str]:
    after = times(out)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def same(one: Sample, other: Sample) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Sample)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


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
                raise PermissionError(13, "Permission denied")
            return original(path)

        def hashed(path: Path) -> str:
            if path.name == "p1 right.png":
                raise InputError(path, "cannot be read (Permission denied)")
            return sha256_of(path)

        original = Path.read_bytes
        hidden.setattr(Path, "read_bytes", read_bytes)
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


def test_finished_shards_are_kept(phantom_set, tmp_path):
    run_prep(phantom_set("chase-all"), tmp_path, TWO)
    before, manifest = times(tmp_path), (tmp_path / NAME).read_bytes()
    assert run_prep(phantom_set("chase-all"), tmp_path, TWO) == EXIT_OK
    assert changed(before, tmp_path) == set()
    assert (tmp_path / NAME).read_bytes() == manifest


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_a_deleted_shard_is_made_anew(phantom_set, tmp_path, format):
    options = replace(TWO, format=format)
    run_prep(phantom_set("chase-all"), tmp_path, options)
    before, whole = times(tmp_path), contents(tmp_path)
    gone = min(before)
    (tmp_path / gone).unlink()
    run_prep(phantom_set("chase-all"), tmp_path, options)
    assert contents(tmp_path) == whole
    assert gone in changed(before, tmp_path)
    assert set(before) - changed(before, tmp_path)


def test_a_damaged_shard_is_found_by_verify(phantom_set, tmp_path):
    run_prep(phantom_set("chase-all"), tmp_path, TWO)
    whole = contents(tmp_path)
    path = tmp_path / "shard-00001-of-00002.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    run_prep(phantom_set("chase-all"), tmp_path, TWO)
    assert contents(tmp_path) != whole
    run_prep(phantom_set("chase-all"), tmp_path, replace(TWO, verify=True))
    assert contents(tmp_path) == whole


def test_a_changed_mask_makes_its_shard_anew(own_set, tmp_path):
    src, out = own_set("chase-all"), tmp_path / "out"
    run_prep(src, out, TWO)
    before = times(out)
    shutil.copyfile(src / "all/masks/Image_02L_1stHO.png", src / "all/masks/Image_01L_1stHO.png")
    run_prep(src, out, TWO)
    assert changed(before, out) == {"shard-00000-of-00002.h5"}
    mask = samples(out)["all/images/Image_01L"].native_mask
    assert np.array_equal(mask, small_phantom(2).mask)


def test_where_only_the_time_of_a_source_changed_the_hash_decides(own_set, tmp_path):
    src, out = own_set("chase-all"), tmp_path / "out"
    run_prep(src, out, TWO)
    before = times(out)
    for path in src.rglob("*"):
        os.utime(path, (1, 1))
    run_prep(src, out, TWO)
    assert changed(before, out) == set()


def test_verify_finds_a_source_changed_behind_its_time(own_set, tmp_path):
    src, out = own_set("chase-all"), tmp_path / "out"
    run_prep(src, out, TWO)
    before = times(out)
    path = src / "all/images/Image_01L.jpg"
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    run_prep(src, out, TWO)
    assert changed(before, out) == set()
    run_prep(src, out, replace(TWO, verify=True))
    assert changed(before, out) == {"shard-00000-of-00002.h5"}


@pytest.mark.parametrize(
    "other",
    [
        {"preset": "native"},
        {"format": "npz"},
        {"split": "train"},
        {"layout": "pairs"},
        {"num_shards": 3},
    ],
)
def test_other_settings_are_refused_and_forced(phantom_set, tmp_path, other):
    src, changed_options = phantom_set("hrf-all"), replace(TWO, **other)
    run_prep(src, tmp_path / "out", TWO)
    whole = contents(tmp_path / "out")
    with pytest.raises(InputError, match="--force"):
        run_prep(src, tmp_path / "out", changed_options)
    assert contents(tmp_path / "out") == whole
    run_prep(src, tmp_path / "out", replace(changed_options, force=True))
    run_prep(src, tmp_path / "fresh", changed_options)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_parts_give_the_samples_of_one_run(phantom_set, tmp_path, format):
    src = phantom_set("chase-all")
    options = replace(SMALL, format=format, num_shards=3)
    run_prep(src, tmp_path / "one", options)
    for shard in (2, 0, 1):
        run_prep(src, tmp_path / "parts", replace(options, shard=shard))
        assert (tmp_path / "parts" / f"manifest-{shard}-of-3.json").is_file()
    whole, parts = contents(tmp_path / "one"), contents(tmp_path / "parts")
    assert {n: b for n, b in whole.items() if n != NAME} == {
        n: b for n, b in parts.items() if not n.startswith("manifest")
    }
    assert len(samples(tmp_path / "parts")) == 5


def test_part_k_of_n_is_every_nth_photograph_from_k(phantom_set, tmp_path):
    src = phantom_set("chase-all")
    run_prep(src, tmp_path, replace(SMALL, num_shards=3, shard=1))
    ids = [entry.id for entry in planned(src, tmp_path, SMALL).source.entries]
    inputs = read_manifest(tmp_path / "manifest-1-of-3.json")["inputs"]
    read = {Path(name).with_suffix("").as_posix() for name in inputs if "/images/" in name}
    assert read == set(ids[1::3])


@pytest.mark.parametrize("later", [{"num_shards": 2, "shard": 0, "force": True}, {}])
def test_the_parts_of_another_number_go_where_prep_begins_anew(phantom_set, tmp_path, later):
    """merge would take them for the later ones; without parts, none are left."""
    src = phantom_set("chase-all")
    for shard in (0, 2):
        run_prep(src, tmp_path, replace(SMALL, num_shards=3, shard=shard))
    run_prep(src, tmp_path, replace(SMALL, **later))
    expected = {"manifest-0-of-2.json"} if later else {NAME}
    assert {path.name for path in tmp_path.glob("manifest*")} == expected


def test_more_parts_than_photographs_leave_empty_ones(phantom_set, tmp_path):
    for shard in range(7):
        options = replace(SMALL, num_shards=7, shard=shard)
        assert run_prep(phantom_set("chase-all"), tmp_path, options) == EXIT_OK
    assert len(samples(tmp_path)) == 5


def test_the_manifest_names_what_was_read_and_written(phantom_set, tmp_path):
    src = phantom_set("pairs")
    run_prep(src, tmp_path, TWO)
    manifest = read_manifest(tmp_path / NAME)
    assert manifest["stage"] == "prep"
    assert manifest["inputs"] == {
        str(path.relative_to(src)): sha256_of(path) for path in src.rglob("*") if path.is_file()
    }
    assert manifest["outputs"] == {
        path.name: sha256_of(path) for path in tmp_path.glob("shard-*.h5")
    }


def test_no_manifest_stands_beside_unfinished_shards(phantom_set, tmp_path, monkeypatch):
    src = phantom_set("chase-all")
    run_prep(src, tmp_path, TWO)
    first, second = sorted(tmp_path.glob("shard-*.h5"))
    first.unlink()
    second.unlink()

    def check() -> None:
        if first.is_file():
            raise Stopped("stopped")

    monkeypatch.setattr(stop, "check", check)
    with pytest.raises(Stopped):
        run_prep(src, tmp_path, TWO)
    assert first.is_file()
    assert not (tmp_path / NAME).exists()


def test_a_stop_is_heard_within_a_part(phantom_set, tmp_path, monkeypatch):
    monkeypatch.setattr(stop, "_received", [])
    monkeypatch.setattr(
        prep, "ordered_map", lambda *_: stop._request(signal.SIGTERM, None) or itertools.repeat(1)
    )
    with pytest.raises(Stopped):
        run_prep(phantom_set("chase-all"), tmp_path, SMALL)
    assert not list(tmp_path.glob("shard-*"))


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


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_a_photograph_more_or_less_needs_no_force(own_set, tmp_path, format):
    """The parts are made anew where it changed them, and come out as in a folder of its own."""
    root = own_set("pairs")
    out, options = tmp_path / "shards", PrepOptions(num_shards=2, format=format)
    photograph, mask = sorted(root.rglob("images/*"))[0], sorted(root.rglob("masks/*"))[0]
    spare = photograph.read_bytes(), mask.read_bytes()
    assert run_prep(root, out, options) == 0
    for path, data in zip((photograph, mask), spare, strict=True):
        stem = path.name.replace(photograph.stem, "new-person", 1)
        (path.parent / stem).write_bytes(data)
    assert run_prep(root, out, options) == 0
    assert run_prep(root, tmp_path / "more", options) == 0
    assert contents(out) == contents(tmp_path / "more")
    photograph.unlink()
    mask.unlink()
    assert run_prep(root, out, options) == 0
    assert run_prep(root, tmp_path / "less", options) == 0
    assert contents(out) == contents(tmp_path / "less")


def test_a_set_that_outgrew_its_number_of_parts_keeps_it(own_set, tmp_path, monkeypatch):
    monkeypatch.setattr(prep_plan, "SHARD_SAMPLES", 3)
    root, out = own_set("pairs-flat"), tmp_path / "shards"
    removed = [(path, path.read_bytes()) for path in root.rglob("p1 left*")]
    for path, _ in removed:
        path.unlink()
    assert run_prep(root, out, SMALL) == EXIT_OK
    for path, data in removed:
        path.write_bytes(data)
    assert run_prep(root, out, SMALL) == EXIT_OK
    assert [path.name for path in out.glob("*.h5")] == ["shard-00000-of-00001.h5"]
    assert len(samples(out)) == 4
    assert run_prep(root, out, replace(SMALL, force=True)) == EXIT_OK
    assert len(list(out.glob("*.h5"))) == 2 and len(samples(out)) == 4


def test_parts_of_a_folder_renamed_between_them_are_refused(own_set, tmp_path):
    """The shards hold the data set's name, and one folder of shards holds one data set."""
    root, out = own_set("pairs-flat"), tmp_path / "shards"
    run_prep(root, out, replace(TWO, shard=0))
    renamed = root.rename(root.with_name("renamed"))
    assert run_prep(renamed, out, replace(TWO, shard=0)) == EXIT_OK  # nothing is left to do
    with pytest.raises(InputError, match="holds shards of .*, and this is renamed; rename"):
        run_prep(renamed, out, replace(TWO, shard=1))
    for shard in (0, 1):
        run_prep(renamed, out, replace(TWO, shard=shard, force=True))
    assert len(samples(out)) == 4
