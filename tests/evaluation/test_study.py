"""Which images are scored, and how a stored map is brought to the size of its masks."""

import numpy as np
import pytest

from fundusseg.errors import InputError
from fundusseg.evaluation.study import chosen_items, open_study
from fundusseg.files.encoders import map_png
from fundusseg.options import ScoreOptions
from tests.commands.score_sets import guesses, items_of, write_maps


def test_the_default_is_the_test_part_where_there_are_splits(phantom_set):
    truth, items = items_of(phantom_set("pairs"))
    test = [item for item in items if item.split == "test"]
    assert chosen_items(truth, "auto") == ("test", test)
    assert chosen_items(truth, "all") == ("all", items)


def test_the_default_is_all_where_there_are_no_splits(phantom_set):
    truth, items = items_of(phantom_set("chase-foldered") / "masks")
    assert chosen_items(truth, "auto") == ("all", items)
    with pytest.raises(InputError, match="has no splits; choose another --split"):
        chosen_items(truth, "test")


def _study(root, maps, **options):
    return open_study([maps], root, ScoreOptions(split="all", **options), {})


def test_a_map_is_read_at_the_given_threshold(phantom_set, tmp_path):
    root = phantom_set("pairs")
    values = guesses(root)
    study = _study(root, write_maps(tmp_path / "maps", values), threshold=0.6)
    item, (pairing,) = study.items[0], study.pairings
    vessel_map = study.map(pairing, item, study.image(item))
    np.testing.assert_allclose(vessel_map.probability, values[item.id], atol=1 / 65535)
    np.testing.assert_array_equal(vessel_map.vessels, vessel_map.probability >= 0.6)


def test_a_map_of_another_size_is_refused(phantom_set, tmp_path):
    root = phantom_set("pairs")
    values = {id: map[:64] for id, map in guesses(root).items()}
    study = _study(root, write_maps(tmp_path / "maps", values))
    item, (pairing,) = study.items[0], study.pairings
    with pytest.raises(InputError, match="is 128x64, its truth 128x128"):
        study.map(pairing, item, study.image(item))


def test_a_photograph_that_is_of_no_use_is_scored_in_a_given_field_of_view(own_set, tmp_path):
    root = own_set("chase-flat")
    maps = write_maps(tmp_path / "maps", guesses(root))
    (photograph,) = root.glob("Image_01L.*")
    photograph.write_bytes(b"damaged")
    field = np.zeros((128, 128), bool)
    field[:, :100] = True
    (tmp_path / "fov").mkdir()
    for item in items_of(root)[1]:
        (tmp_path / "fov" / f"{item.id}.png").write_bytes(map_png(field))
    study = _study(root, maps, fov=tmp_path / "fov")
    image = study.image(next(item for item in study.items if item.id == "Image_01L"))
    np.testing.assert_array_equal(image.fov, field)
    assert image.fov_method == "given"
