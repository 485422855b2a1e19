"""prep: what is finished is kept, what changed is made anew, parts give the same samples."""

import itertools
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fundusseg import stop
from fundusseg.commands.merge import run_merge
from fundusseg.commands.prep import plan as prep_plan
from fundusseg.commands.prep import run as prep
from fundusseg.commands.prep.plan import planned
from fundusseg.commands.prep.run import PrepOptions, run_prep
from fundusseg.datasets.shards import ShardFolder
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, Stopped
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import sha256_of
from fundusseg.files.lock import shared
from fundusseg.files.manifest import NAME, read_manifest
from tests.commands.shard_folders import SMALL, TWO, changed, contents, samples, times
from tests.phantom_sets import small_phantom


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


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_a_truncated_shard_is_made_anew_without_verify(phantom_set, tmp_path, format):
    """Its size stands in the ledger."""
    options = replace(TWO, format=format)
    run_prep(phantom_set("chase-all"), tmp_path, options)
    whole = contents(tmp_path)
    path = tmp_path / min(times(tmp_path))
    path.write_bytes(path.read_bytes()[:-1])
    run_prep(phantom_set("chase-all"), tmp_path, options)
    assert contents(tmp_path) == whole


def test_where_nothing_has_changed_the_manifest_keeps_its_time(phantom_set, tmp_path):
    """make goes by it."""
    run_prep(phantom_set("chase-all"), tmp_path, TWO)
    os.utime(tmp_path / NAME, (1, 1))
    run_prep(phantom_set("chase-all"), tmp_path, TWO)
    assert (tmp_path / NAME).stat().st_mtime == 1


def test_npz_samples_of_three_parts_are_those_of_one_run(phantom_set, tmp_path):
    """Byte for byte, the merged tables too; and a run without parts finds all finished."""
    src, parts, one = phantom_set("chase-all"), tmp_path / "parts", tmp_path / "one"
    for shard in range(3):
        run_prep(src, parts, replace(SMALL, format="npz", num_shards=3, shard=shard))
    before = times(parts)
    run_merge(parts)
    run_prep(src, one, replace(SMALL, format="npz"))
    for path in one.rglob("*.npz"):
        assert (parts / path.relative_to(one)).read_bytes() == path.read_bytes()
    assert (parts / CHECKSUMS).read_bytes() == (one / CHECKSUMS).read_bytes()
    assert len(ShardFolder(parts).refs) == len(ShardFolder(one).refs)
    run_prep(src, parts, replace(SMALL, format="npz"))
    assert changed(before, parts) == set()


def test_each_photograph_is_read_once(phantom_set, tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(prep, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    run_prep(phantom_set("chase-all"), tmp_path, SMALL)
    read = [path for path in hashed if path.suffix == ".jpg"]
    assert read == [] and hashed
    for name, sha256 in read_manifest(tmp_path / NAME)["inputs"].items():
        assert sha256 == sha256_of(phantom_set("chase-all") / name)


def test_a_lack_of_memory_is_a_failed_row_and_is_tried_again(
    phantom_set, tmp_path, monkeypatch, capsys
):
    src, whole = phantom_set("chase-all"), prep.framed

    def lacking(pixels, *more):
        if not failed:
            failed.append(True)
            raise MemoryError
        return whole(pixels, *more)

    failed: list = []
    monkeypatch.setattr(prep, "framed", lacking)
    assert run_prep(src, tmp_path, replace(SMALL, jobs=1)) == EXIT_SOME_FAILED
    (reason,) = read_manifest(tmp_path / NAME)["failures"].values()
    assert reason == "needs more memory than there is"
    assert run_prep(src, tmp_path, replace(SMALL, jobs=1)) == EXIT_OK
    assert not read_manifest(tmp_path / NAME)["failures"]


@pytest.mark.parametrize("name", ["SHA256SUMS", "shard-00000-of-00001.h5"])
def test_a_strangers_file_is_not_written_over(phantom_set, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: is there, and prep did not write it"):
        run_prep(phantom_set("chase-all"), tmp_path, SMALL)
    assert (tmp_path / name).read_text() == "mine"


def test_a_run_with_other_settings_at_the_same_time_is_refused(phantom_set, tmp_path):
    src = phantom_set("chase-all")
    with shared(tmp_path, planned(src, tmp_path, TWO).key):
        assert run_prep(src, tmp_path, TWO) == EXIT_OK
        with pytest.raises(InputError, match="in use by a run with other inputs or settings"):
            run_prep(src, tmp_path, replace(SMALL, preset="native"))


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
    tables = ("manifest", CHECKSUMS)
    assert {n: b for n, b in whole.items() if not n.startswith(tables)} == {
        n: b for n, b in parts.items() if not n.startswith(tables)
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


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_a_file_replaced_while_its_part_is_written_is_prepared_again(
    own_set, tmp_path, monkeypatch, format
):
    src, options = own_set("chase-all"), replace(SMALL, format=format)
    photograph, other = sorted((src / "all/images").iterdir())[:2]
    whole = prep.sample_of

    def replaced(root, entry, *more):
        found = whole(root, entry, *more)
        if entry.photograph.endswith(photograph.name):
            shutil.copyfile(other, photograph)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(prep, "sample_of", replaced)
        run_prep(src, tmp_path / "out", options)
    run_prep(src, tmp_path / "out", options)
    run_prep(src, tmp_path / "afresh", options)
    assert contents(tmp_path / "out") == contents(tmp_path / "afresh")


def test_a_forced_run_takes_the_manifest_away_first(phantom_set, tmp_path, monkeypatch):
    """Interrupted there, the folder must not pass for finished."""
    run_prep(phantom_set("chase-all"), tmp_path, SMALL)

    def interrupted(*_):
        raise Stopped("stopped")

    monkeypatch.setattr(prep._Prep, "_remove", interrupted)
    with pytest.raises(Stopped):
        run_prep(phantom_set("chase-all"), tmp_path, replace(SMALL, force=True))
    assert not (tmp_path / NAME).exists()


def test_a_stop_is_heard_within_a_part(phantom_set, tmp_path, monkeypatch):
    monkeypatch.setattr(stop, "_received", [])
    monkeypatch.setattr(
        prep, "ordered_map", lambda *_: stop._request(signal.SIGTERM, None) or itertools.repeat(1)
    )
    with pytest.raises(Stopped):
        run_prep(phantom_set("chase-all"), tmp_path, SMALL)
    assert not list(tmp_path.glob("shard-*"))


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


def test_the_last_number_of_parts_is_kept(phantom_set, tmp_path):
    root = phantom_set("pairs-flat")
    for total, force in ((2, False), (3, True)):
        for shard in range(total):
            assert run_prep(
                root, tmp_path, replace(SMALL, num_shards=total, shard=shard, force=force)
            ) in (EXIT_OK, EXIT_SOME_FAILED)
    assert run_prep(root, tmp_path, SMALL) == EXIT_OK
    assert len(list(tmp_path.glob("*.h5"))) == 3
