"""The files of one photograph: their names, their bytes, and that no two share a name."""

from io import BytesIO

import h5py
import numpy as np
import pytest
from PIL import Image

from fundusseg.commands.infer.outputs import OutputKinds, require_free_names, with_refusals
from fundusseg.datasets.sources import Source
from fundusseg.errors import InputError

VESSELS = np.arange(12).reshape(3, 4) % 3 == 0
PROBABILITY = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
OVERLAY = np.full((3, 4, 3), 7, np.uint8)


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (OutputKinds(), ["x.png"]),
        (OutputKinds(probability=True), ["x.png", "x.prob.png"]),
        (OutputKinds(overlay=True), ["x.png", "x.overlay.png"]),
        (OutputKinds("npz"), ["x.npz"]),
        (OutputKinds("h5", probability=True, overlay=True), ["x.h5", "x.overlay.png"]),
    ],
)
def test_names_and_bytes_go_together(kinds, names):
    """infer's output: the map first, .prob.png and .overlay.png beside it if asked for."""
    overlay = OVERLAY if kinds.overlay else None
    contents = kinds.encoded("d/x", VESSELS, PROBABILITY, overlay)
    assert list(contents) == list(kinds.names("d/x")) == [f"d/{name}" for name in names]


def test_png_maps_are_0_and_255_and_probabilities_16_bit():
    """infer's output: 0 or 255; --probability adds 16 bit."""
    vessels, probability = (
        OutputKinds(probability=True).encoded("x", VESSELS, PROBABILITY, None).values()
    )
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(vessels))), VESSELS * 255)
    stored = np.asarray(Image.open(BytesIO(probability)))
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(stored / 65535, PROBABILITY, atol=0.5 / 65535)


@pytest.mark.parametrize("format", ["npz", "h5"])
def test_arrays_hold_map_and_probability_in_the_same_bytes_each_time(format):
    """--format npz|h5: one file of arrays; the same input, the same bytes."""
    (data,) = OutputKinds(format).encoded("x", VESSELS, PROBABILITY, None).values()
    (again,) = OutputKinds(format).encoded("x", VESSELS, PROBABILITY, None).values()
    assert data == again
    opened = np.load(BytesIO(data)) if format == "npz" else h5py.File(BytesIO(data))
    np.testing.assert_array_equal(opened["map"][()], VESSELS)
    np.testing.assert_array_equal(opened["probability"][()], PROBABILITY)


def test_free_names_pass(tmp_path):
    items = [("a", tmp_path / "in/a.png"), ("b", tmp_path / "in/b.png")]
    require_free_names(tmp_path / "out", items, OutputKinds(probability=True))


@pytest.mark.parametrize("kinds", [OutputKinds(), OutputKinds(probability=True)])
@pytest.mark.parametrize("id", ["x.prob", "a/X.Overlay"])
def test_a_map_that_would_pass_for_probabilities_or_an_overlay_is_refused(kinds, id):
    """Also alone: no reader would take it for a map; the other photographs are drawn."""
    items = (Source("x", "in/", ".jpg"), Source(id, "in/", ".jpg"))
    for given in (items, items[1:]):
        *others, refused = with_refusals(given, kinds)
        assert f"would write {id}.png, which no command" in refused.refusal
        assert not any(other.refusal for other in others)
    assert with_refusals(items, OutputKinds("npz", overlay=True)) == items
    kept = (Source(f"{id}.jpg", "in/"),)
    assert with_refusals(kept, kinds) == kept


def test_an_input_is_not_overwritten_by_probabilities_either(tmp_path):
    items = [("d/b", tmp_path / "d/a.prob.png"), ("d/a", tmp_path / "in/a.png")]
    require_free_names(tmp_path, items, OutputKinds())
    with pytest.raises(InputError, match=r"d/a\.prob\.png: is an input"):
        require_free_names(tmp_path, items, OutputKinds(probability=True))


def test_an_input_is_never_overwritten(tmp_path):
    """Exit 1 before the first byte where a map would take its photograph's place."""
    items = [("a", tmp_path / "a.png")]
    with pytest.raises(InputError, match="is an input"):
        require_free_names(tmp_path, items, OutputKinds())
    require_free_names(tmp_path, items, OutputKinds("npz"))


def test_an_input_is_seen_through_a_linked_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "in")
    with pytest.raises(InputError, match="is an input"):
        require_free_names(tmp_path / "out", [("a", tmp_path / "in/a.png")], OutputKinds())


def test_a_photograph_behind_a_link_is_not_overwritten(tmp_path):
    """Given by a link, it lies in OUT under the name that its map would get."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"the only photograph")
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "out" / "a.png")
    with pytest.raises(InputError, match="is an input, a map would overwrite it"):
        require_free_names(tmp_path / "out", [("a", tmp_path / "in" / "a.png")], OutputKinds())
