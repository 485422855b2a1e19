"""Maps are found by name, read in every form that infer writes, and refused if they are none."""

import imageio.v3 as iio
import numpy as np
import pytest

from fundusseg.commands.infer.outputs import OutputKinds
from fundusseg.datasets.maps import MapFolder
from fundusseg.errors import InputError
from fundusseg.files.checksums import sha256_of
from fundusseg.files.encoders import map_png, probability_png
from fundusseg.files.manifest import write_manifest
from fundusseg.files.status import StatusRow
from tests.batch import write_status

PROBABILITY = np.linspace(0, 1, 6 * 8, dtype=np.float32).reshape(6, 8)
VESSELS = PROBABILITY >= 0.4


def _write(root, kinds, id="a/x"):
    for name, data in kinds.encoded(id, VESSELS, PROBABILITY, None).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return MapFolder(root)


def _only(folder):
    (file,) = folder.files.values()
    return folder.read(file)


@pytest.mark.parametrize("kinds", [OutputKinds("png", True), OutputKinds("npz"), OutputKinds("h5")])
def test_everything_that_infer_writes_is_read_back(tmp_path, kinds):
    folder = _write(tmp_path, kinds)
    assert list(folder.files) == ["a/x"]
    found = _only(folder)
    np.testing.assert_array_equal(found.vessels, VESSELS)
    np.testing.assert_allclose(found.probability, PROBABILITY, atol=1 / 131070)


def test_a_binary_png_has_no_probability(tmp_path):
    found = _only(_write(tmp_path, OutputKinds("png")))
    np.testing.assert_array_equal(found.vessels, VESSELS)
    assert found.probability is None


def test_a_grey_png_is_its_own_probability(tmp_path):
    (tmp_path / "x.png").write_bytes(probability_png(PROBABILITY))
    found = _only(MapFolder(tmp_path))
    np.testing.assert_array_equal(found.vessels, PROBABILITY >= 0.5)
    np.testing.assert_allclose(found.probability, PROBABILITY, atol=1 / 131070)


def test_a_given_threshold_replaces_the_stored_map(tmp_path):
    folder = _write(tmp_path, OutputKinds("npz"))
    found = folder.read(folder.files["a/x"], threshold=0.75)
    np.testing.assert_array_equal(found.vessels, PROBABILITY >= 0.75)


@pytest.mark.parametrize("changed", ["a.png", "a.prob.png"])
def test_a_map_that_was_changed_since_infer_wrote_it_is_refused(tmp_path, changed):
    contents = {"a.png": map_png(PROBABILITY >= 0.5), "a.prob.png": probability_png(PROBABILITY)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    write_status(tmp_path / "status.tsv", [StatusRow("a", "ok")])
    write_manifest(tmp_path, "infer", {}, {name: sha256_of(tmp_path / name) for name in contents})
    folder = MapFolder(tmp_path)
    folder.read(folder.files["a"])
    other = PROBABILITY[::-1]
    data = map_png(other >= 0.5) if changed == "a.png" else probability_png(other)
    (tmp_path / changed).write_bytes(data)
    with pytest.raises(InputError, match=f"{changed}: has been changed since infer wrote it"):
        folder.read(folder.files["a"])
    (tmp_path / "manifest.json").unlink()  # infer is at work again
    folder = MapFolder(tmp_path)
    folder.read(folder.files["a"])


def test_the_manifest_tells_the_threshold_of_bare_probabilities(tmp_path):
    np.savez(tmp_path / "x.npz", probability=PROBABILITY)
    more = {"threshold": 0.8, "threshold_source": "the model", "model_sha256": "ab"}
    write_manifest(tmp_path, "infer", {}, {}, **more)
    folder = MapFolder(tmp_path)
    assert (folder.threshold, folder.threshold_source, folder.model_sha256) == (*more.values(),)
    np.testing.assert_array_equal(_only(folder).vessels, PROBABILITY >= 0.8)


def test_probabilities_overlays_temporary_and_other_files_are_no_maps(tmp_path):
    for name in ("x.prob.png", "x.overlay.png", ".tmp-h.1.00000000.png", "notes.txt"):
        (tmp_path / name).write_bytes(map_png(VESSELS))
    assert MapFolder(tmp_path).files == {}


def test_two_files_for_one_id_are_refused_by_name(tmp_path):
    for name in ("x.png", "x.tif"):
        (tmp_path / name).write_bytes(map_png(VESSELS))
    with pytest.raises(InputError, match=r"x\.tif: and x\.png are both the map of x"):
        MapFolder(tmp_path)


def test_status_is_read_from_its_parts_before_they_are_merged(tmp_path):
    for part, id in enumerate("ab"):
        write_status(tmp_path / f"status-{part}-of-2.tsv", [StatusRow(id, "ok")])
    assert [row.id for row in MapFolder(tmp_path).status] == ["a", "b"]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"other": VESSELS}, "neither"),
        ({"map": VESSELS[0]}, "not \\(Y, X\\)"),
        ({"map": VESSELS[:0, :0]}, "not \\(Y, X\\)"),
        ({"map": VESSELS, "probability": PROBABILITY[:3]}, "its map"),
        ({"probability": PROBABILITY * 2}, "not in \\[0, 1\\]"),
        ({"probability": np.full((3, 3), np.nan)}, "NaN"),
        ({"map": np.array([[{}]])}, "damaged"),
        ({"map": np.full((3, 3), "a")}, "not of numbers"),
    ],
)
def test_arrays_that_are_no_map_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=reason):
        _only(MapFolder(tmp_path))


@pytest.mark.parametrize("name", ["x.npz", "x.h5", "x.png"])
@pytest.mark.parametrize("content", [b"", b"no map at all"])
def test_damaged_files_name_themselves(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        _only(MapFolder(tmp_path))


def test_a_truncated_npz_is_damaged(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", map=VESSELS)
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        _only(MapFolder(tmp_path))


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_byte_is_named_or_changes_nothing(tmp_path, seed):
    """Zip, zlib and numpy raise a dozen kinds of errors: each costs this map only."""
    np.savez_compressed(tmp_path / "x.npz", map=VESSELS)
    whole, rng = (tmp_path / "x.npz").read_bytes(), np.random.default_rng(seed)
    for place in rng.integers(len(whole), size=60):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        (tmp_path / "x.npz").write_bytes(damaged)
        try:
            found = _only(MapFolder(tmp_path))
        except InputError as error:
            assert error.path == tmp_path / "x.npz"
        else:
            assert np.array_equal(found.vessels, VESSELS)


@pytest.mark.parametrize("levels", [(0, 1, 2), (0, 100, 200), (0, 85, 170, 255)])
def test_labels_are_no_map(tmp_path, levels):
    labels = np.array(levels, np.uint8)[np.arange(1600).reshape(40, 40) % len(levels)]
    iio.imwrite(tmp_path / "x.png", labels)
    np.savez(tmp_path / "y.npz", map=labels)
    folder = MapFolder(tmp_path)
    for id in "xy":
        with pytest.raises(InputError, match="labels|more than two values"):
            folder.read(folder.files[id])


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        MapFolder(tmp_path / "none")


def test_names_that_differ_in_the_form_of_an_accent_alone_are_two_maps(tmp_path):
    ids = ["\u00e9", "e\u0301"]
    for id in ids:
        (tmp_path / f"{id}.png").write_bytes(map_png(VESSELS))
    write_status(tmp_path / "status.tsv", [StatusRow(id, "ok") for id in ids])
    folder = MapFolder(tmp_path)
    assert set(folder.files) == {row.id for row in folder.status} == set(ids)
