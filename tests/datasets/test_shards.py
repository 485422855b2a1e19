"""Shards: HDF5 and NPZ hold the same, the same input gives the same bytes, damage is seen."""

import json
import os
import random
import time
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from fundusseg.config import FrameConfig
from fundusseg.datasets.samples import Sample, ShardHeader
from fundusseg.datasets.shards import ShardFolder, shard_name, write_sample, write_shard
from fundusseg.errors import FundussegError, InputError
from fundusseg.files.manifest import NAME, Part, write_manifest
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.geometry import Geometry

FRAME = FrameConfig(sizes_px=(24,))
IDS = ["images/a", "images/b c", "é", os.fsdecode(b"latin\xe9\\x41"), "line\nbreak"]


def sample(id: str, masks: bool = True) -> Sample:
    rng = np.random.default_rng(len(id))
    frames = rng.integers(0, 256, (3, 24, 24), dtype=np.uint8)
    native = rng.random((3, 30, 40)) < 0.5
    return Sample(
        id=id,
        split="train",
        subject=f"person of {id}",
        group="dr",
        source=f"{id}.png",
        source_sha256="0" * 64,
        field_of_view=FieldOfView(15.25, 20.1, 39.9, "circle"),
        geometry=Geometry((30, 40), (-4.7, 0.15, 35.2, 40.05), 24),
        image=rng.integers(0, 256, (24, 24, 3), dtype=np.uint8),
        fov=frames[0],
        mask=frames[1] if masks else None,
        mask2=frames[2] if masks else None,
        native_fov=native[0],
        native_mask=native[1] if masks else None,
        native_mask2=native[2] if masks else None,
    )


def header(num_shards: int = 1, **choices) -> ShardHeader:
    return ShardHeader.of("native", FRAME, "set", num_shards, choices)


SAMPLES = [sample(id, masks=i != 1) for i, id in enumerate(IDS)]


def write(root, format: str, samples=SAMPLES) -> None:
    if format == "h5":
        write_shard(root / shard_name(0, 1), header(), 0, samples)
    else:
        for one in samples:
            write_sample(root / f"{one.id}.npz", header(), one)
        names = {f"{one.id}.npz": "0" * 64 for one in samples}
        write_manifest(root, "prep", {}, names)


@pytest.mark.parametrize("format", ["h5", "npz"])
@pytest.mark.parametrize("id", ["../outside", "/absolute", "a/../../b"])
def test_an_id_that_does_not_stay_inside_is_refused(tmp_path, format, id):
    """Maps are named by it."""
    one = replace(sample("inside"), id=id)
    if format == "h5":
        write_shard(tmp_path / shard_name(0, 1), header(), 0, [one])
    else:
        write_sample(tmp_path / "inside.npz", header(), one)
        write_manifest(tmp_path, "prep", {}, {"inside.npz": "0" * 64})
    with pytest.raises(InputError, match="which is not inside its folder"):
        ShardFolder(tmp_path)


def assert_same(found: Sample, expected: Sample) -> None:
    for field in fields(Sample):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), field.name
        else:
            assert one == other, field.name


@pytest.fixture(params=["h5", "npz"])
def format(request) -> str:
    return request.param


def test_round_trip(tmp_path, format):
    write(tmp_path, format)
    folder = ShardFolder(tmp_path)
    assert folder.header == header()
    assert [ref.id for ref in folder.refs] == sorted(IDS, key=os.fsencode)
    expected = {one.id: one for one in SAMPLES}
    for ref in folder.refs:
        assert ref.labelled == (expected[ref.id].mask is not None)
        assert (ref.split, ref.subject, ref.group) == ("train", f"person of {ref.id}", "dr")
        assert_same(folder.read(ref, native=True), expected[ref.id])


def test_native_arrays_are_read_only_on_demand(tmp_path, format):
    write(tmp_path, format)
    folder = ShardFolder(tmp_path)
    found = folder.read(folder.refs[0])
    assert found.native_mask is None and found.native_fov is None
    assert found.mask is not None


def test_of_split(tmp_path, format):
    write(tmp_path, format, [replace(SAMPLES[0], split="test"), *SAMPLES[2:]])
    folder = ShardFolder(tmp_path)
    assert [ref.id for ref in folder.of_split("test")] == [IDS[0]]
    assert len(folder.of_split("all")) == len(IDS) - 1
    assert folder.of_split("validation") == []


def test_same_input_same_bytes_later(tmp_path, format):
    write(tmp_path / "one", format)
    time.sleep({"h5": 1.1, "npz": 2.1}[format])  # HDF5 counts seconds, zip pairs of seconds
    write(tmp_path / "two", format)
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_array_says_its_axes_and_unit(tmp_path):
    write(tmp_path, "h5")
    with h5py.File(tmp_path / shard_name(0, 1)) as file:
        group = file["samples/000000"]
        assert len(group) == 7
        for stored in group.values():
            assert len(stored.attrs["axes"]) == stored.ndim
            assert stored.attrs["unit"]
            assert stored.fletcher32 and stored.compression
        assert group["mask"].attrs["axes"] == "YX"
        assert group["image"].attrs["axes"] == "YXC"
        assert file.attrs["format"] == "fundusseg-shard"


def test_a_shard_may_be_empty(tmp_path):
    write_shard(tmp_path / shard_name(0, 1), header(), 0, [])
    assert ShardFolder(tmp_path).refs == []


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_never_changes_a_sample_unseen(tmp_path, format, seed):
    """Sixty bits of the file in turn: it reads as before, or is refused by its path."""
    write(tmp_path, format, [SAMPLES[0]])
    (path,) = tmp_path.rglob(f"*.{format}")
    whole = path.read_bytes()
    chance = random.Random(seed)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            folder = ShardFolder(tmp_path)
            assert len(folder.refs) == 1
            assert_same(folder.read(folder.refs[0], native=True), SAMPLES[0])
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
        except FundussegError as error:  # a changed key of the frame
            refused += 1
            assert str(path) in str(error)
    assert refused


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("samples/000000", "split", "test"),
        ("samples/000000", "frame_px", 25),
        ("samples/000000", "arrays", "{}"),
        ("/", "samples", 0),
        ("/", "num_shards", 2),
    ],
)
def test_a_changed_attribute_is_seen(tmp_path, group, name, value):
    write(tmp_path, "h5", [SAMPLES[0]])
    with h5py.File(tmp_path / shard_name(0, 1), "r+") as file:
        file[group].attrs[name] = value
    with pytest.raises(InputError, match="the hash of its attributes does not hold"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.98])
def test_a_truncated_shard_is_refused_by_its_path(tmp_path, format, kept):
    write(tmp_path, format, [SAMPLES[0]])
    (path,) = tmp_path.rglob(f"*.{format}")
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept >= 1 else kept * len(data))])
    with pytest.raises(InputError, match="is damaged or no") as caught:
        folder = ShardFolder(tmp_path)
        folder.read(folder.refs[0], native=True)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_newer_version_is_refused(tmp_path):
    write(tmp_path, "h5")
    with h5py.File(tmp_path / shard_name(0, 1), "r+") as file:
        file.attrs["version"] = 2
    with pytest.raises(InputError, match="version 2, newer than 1; use a newer fundusseg"):
        ShardFolder(tmp_path)


def test_what_is_no_shard_is_refused(tmp_path):
    with h5py.File(tmp_path / shard_name(0, 1), "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="is no fundusseg shard"):
        ShardFolder(tmp_path)


def test_an_npz_of_another_program_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros(3))
    with pytest.raises(InputError, match="is no fundusseg shard"):
        ShardFolder(tmp_path)


class Bomb:
    """Unpickled, it would leave a mark."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_content_is_never_run(tmp_path):
    mark = tmp_path / "mark"
    root = tmp_path / "shards"
    root.mkdir()
    np.savez(root / "x.npz", meta=np.array([Bomb(mark)], dtype=object))
    with pytest.raises(InputError, match="x.npz: is damaged or no NPZ"):
        ShardFolder(root)
    assert not mark.exists()


def test_shards_of_other_settings_are_refused(tmp_path, format):
    write(tmp_path, format, SAMPLES[:1])
    other = header(2, split="test")
    if format == "h5":
        write_shard(tmp_path / shard_name(1, 2), other, 1, SAMPLES[1:2])
    else:
        write_sample(tmp_path / "z.npz", other, SAMPLES[1])
    with pytest.raises(InputError, match="other settings than its neighbours"):
        ShardFolder(tmp_path)


def test_a_shard_of_another_name_is_not_passed_over(tmp_path):
    write(tmp_path, "h5")
    (tmp_path / "more.h5").write_bytes((tmp_path / shard_name(0, 1)).read_bytes())
    with pytest.raises(InputError, match="more.h5: lies beside shards, and is not named as one"):
        ShardFolder(tmp_path)


def test_a_missing_shard_is_named(tmp_path):
    for shard in (0, 2):
        write_shard(tmp_path / shard_name(shard, 3), header(3), shard, SAMPLES[:1])
    with pytest.raises(InputError, match="shard-00001-of-00003.h5: is missing"):
        ShardFolder(tmp_path)


def test_two_samples_of_one_id_are_refused(tmp_path, format):
    """As where the data set changed between the tasks of an array: training would see it twice."""
    write(tmp_path, format, SAMPLES[:1])
    if format == "h5":
        for shard in range(2):
            write_shard(tmp_path / shard_name(shard, 2), header(2), shard, SAMPLES[:2])
        (tmp_path / shard_name(0, 1)).unlink()
        files = "shard-00001-of-00002.h5: and shard-00000-of-00002.h5"
    else:
        write_sample(tmp_path / "images/z.npz", header(), SAMPLES[0])
        files = "images/z.npz: and images/a.npz"
    with pytest.raises(InputError, match=f"{files} both hold images/a; run the same prep again"):
        ShardFolder(tmp_path)


def test_a_missing_npz_is_named(tmp_path):
    write(tmp_path, "npz")
    (tmp_path / "images/b c.npz").unlink()
    with pytest.raises(InputError, match="images/b c.npz: is missing; run the same prep again"):
        ShardFolder(tmp_path)


def test_npz_of_an_unfinished_prep_are_refused(tmp_path):
    """Whole, or in two parts of which one is missing."""
    for number, one in enumerate(SAMPLES):
        write_sample(tmp_path / f"{one.id}.npz", header(2), one)
        if number < 2:
            names = {f"{each.id}.npz": "0" * 64 for each in SAMPLES[number::2]}
            missing = "manifest-1-of-2.json" if number else "manifest.json"
            with pytest.raises(InputError, match=f"{missing} is missing"):
                ShardFolder(tmp_path)
            write_manifest(tmp_path, "prep", {}, names, part=Part(number, 2))
    assert len(ShardFolder(tmp_path).refs) == len(SAMPLES)


def test_parts_of_a_set_that_changed_in_between_are_refused(tmp_path, format):
    """A photograph that moved from one part to the other is in neither."""
    write(tmp_path, format)
    (tmp_path / NAME).unlink(missing_ok=True)
    if format == "h5":
        (tmp_path / shard_name(0, 1)).unlink()
        for shard in range(2):
            write_shard(tmp_path / shard_name(shard, 2), header(2), shard, SAMPLES[shard::2])
    else:
        for one in SAMPLES:
            write_sample(tmp_path / f"{one.id}.npz", header(2), one)
    for ids, refusal in (("one", None), ("other", "holds parts of a data set that changed")):
        for shard, ids_sha256 in enumerate(("one", ids)):
            names = {f"{each.id}.npz": "0" * 64 for each in SAMPLES[shard::2]}
            more = {"part": Part(shard, 2), "ids_sha256": ids_sha256}
            write_manifest(tmp_path, "prep", {}, names, **more)
        if refusal is None:
            assert len(ShardFolder(tmp_path).refs) == len(SAMPLES)
        else:
            with pytest.raises(InputError, match=refusal):
                ShardFolder(tmp_path)


def test_an_npz_that_the_manifest_does_not_name_is_refused(tmp_path):
    write(tmp_path, "npz", SAMPLES[:2])
    write_sample(tmp_path / f"{SAMPLES[2].id}.npz", header(), SAMPLES[2])
    with pytest.raises(InputError, match=f"{SAMPLES[2].id}.npz: is not what prep wrote here last"):
        ShardFolder(tmp_path)


def test_an_empty_folder_says_how_to_make_shards(tmp_path):
    with pytest.raises(InputError, match="holds no shards.*fundusseg prep"):
        ShardFolder(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        ShardFolder(tmp_path / "missing")


def test_temporary_files_of_a_killed_prep_are_not_shards(tmp_path, format):
    write(tmp_path, format, SAMPLES[:1])
    (tmp_path / f".tmp-host.1.0123abcd.{format}").write_bytes(b"half")
    assert len(ShardFolder(tmp_path).refs) == 1


def test_the_hash_covers_what_shapes_the_samples_and_nothing_else():
    hashes = {
        header().config_sha256,
        header(split="test").config_sha256,
        ShardHeader.of("pix2pix", FRAME, "set", 1, {}).config_sha256,
        ShardHeader.of("native", FrameConfig(sizes_px=(32,)), "set", 1, {}).config_sha256,
    }
    assert len(hashes) == 4
    assert header(8).config_sha256 == header(1).config_sha256
    renamed = ShardHeader.of("native", FRAME, "other", 1, {})
    assert renamed.config_sha256 == header().config_sha256


def test_npz_keys_are_those_of_hdf5(tmp_path):
    write(tmp_path, "npz", SAMPLES[:1])
    write(tmp_path, "h5", SAMPLES[:1])
    with h5py.File(tmp_path / shard_name(0, 1)) as file, np.load(tmp_path / "images/a.npz") as npz:
        assert set(npz.files) - {"meta"} == set(file["samples/000000"])
        meta = json.loads(str(npz["meta"]))["sample"]
        assert set(meta) == set(file["samples/000000"].attrs)


@pytest.mark.parametrize("format", ["h5", "npz"])
def test_a_shard_of_another_run_of_the_same_name_is_refused(tmp_path, format):
    """Its photographs are not those that the manifest tells of."""
    write(tmp_path, format)
    names = {f"{one.id}.npz": "0" * 64 for one in SAMPLES}
    for told, refusal in (("0", None), ("1", "holds another .* than the manifest says")):
        write_manifest(tmp_path, "prep", {}, names, inputs={"a.png": told * 64})
        if refusal is None:
            assert len(ShardFolder(tmp_path).refs) == len(SAMPLES)
        else:
            with pytest.raises(InputError, match=refusal):
                ShardFolder(tmp_path)
