"""Maps are matched by source hash, then id, then stem; what is ambiguous is refused by name."""

import numpy as np
import pytest

from fundusseg.datasets.maps import MapFolder
from fundusseg.errors import InputError
from fundusseg.evaluation.matching import labels_of, paired
from fundusseg.files.status import StatusRow
from tests.batch import write_status
from tests.commands.score_sets import items_of, write_maps

MAP = np.ones((40, 40), bool)


@pytest.fixture
def truth_and_items(phantom_set):
    return items_of(phantom_set("pairs"))


def _paired(folder, truth, items):
    return paired(MapFolder(folder), "maps", truth, items)


def _matched(folder, truth, items):
    return {item_id: file.id for item_id, file in _paired(folder, truth, items).maps.items()}


def _folder(tmp_path, *ids):
    return write_maps(tmp_path / "maps", {id: MAP for id in ids})


def test_the_source_hash_goes_before_the_id(tmp_path, truth_and_items):
    truth, (first, second, *_) = truth_and_items
    folder = _folder(tmp_path, first.id, second.id)
    crossed = ((first.id, second), (second.id, first))
    rows = [StatusRow(id, "ok", "", truth.source_sha256(item)) for id, item in crossed]
    write_status(folder / "status.tsv", rows)
    assert _matched(folder, truth, [first, second]) == {first.id: second.id, second.id: first.id}


def test_the_id_goes_before_the_stem(tmp_path, truth_and_items):
    truth, (first, *_) = truth_and_items
    folder = _folder(tmp_path, first.id, f"elsewhere/{first.stem}")
    assert _matched(folder, truth, [first]) == {first.id: first.id}


@pytest.mark.parametrize("ending", ["", "_manual1", "_1stHO", ".ah", "_mask", "_test"])
def test_a_stem_may_end_in_a_known_suffix(tmp_path, truth_and_items, ending):
    truth, (first, *_) = truth_and_items
    name = f"flat/{first.stem}{ending}"
    assert _matched(_folder(tmp_path, name), truth, [first]) == {first.id: name}


def test_a_stem_in_another_case_is_matched_if_none_is_equal(tmp_path, truth_and_items):
    truth, (first, *_) = truth_and_items
    other = f"{first.stem.upper()}_MASK"
    assert _matched(_folder(tmp_path, other), truth, [first]) == {first.id: other}
    assert _matched(_folder(tmp_path, other, first.stem), truth, [first]) == {first.id: first.stem}


def test_two_maps_for_one_image_are_refused_by_name(tmp_path, truth_and_items):
    truth, (first, *_) = truth_and_items
    folder = _folder(tmp_path, f"a/{first.stem}", f"b/{first.stem}")
    with pytest.raises(InputError, match=f"a/{first.stem}: and b/{first.stem} could both"):
        _paired(folder, truth, [first])


def test_a_map_of_an_image_that_is_not_scored_is_no_others_by_its_stem(tmp_path, phantom_set):
    """FIVES numbers its train and test photographs alike."""
    truth, items = items_of(phantom_set("fives"))
    train, test = (
        next(item for item in items if item.id.endswith(f"{part}/Original/1_A"))
        for part in ("train", "test")
    )
    by_id = _folder(tmp_path / "by id", train.id)
    with pytest.raises(InputError, match="holds no map of the 1 image scored"):
        _paired(by_id, truth, [test])
    by_source = _folder(tmp_path / "by source", "1_A")
    write_status(by_source / "status.tsv", [StatusRow("1_A", "ok", "", truth.source_sha256(train))])
    with pytest.raises(InputError, match="holds no map of the 1 image scored"):
        _paired(by_source, truth, [test])
    assert _matched(by_source, truth, [train]) == {train.id: "1_A"}
    unknown = _folder(tmp_path / "unknown", "1_A")
    assert _matched(unknown, truth, [test]) == {test.id: "1_A"}


def test_one_map_for_two_images_is_refused_by_name(tmp_path, phantom_set):
    truth, items = items_of(phantom_set("fives"))
    twins = [item for item in items if item.stem == "1_A"]
    with pytest.raises(InputError, match="of both .*test/Original/1_A and .*train/Original/1_A"):
        _paired(_folder(tmp_path, "1_A"), truth, twins)


def test_one_photograph_under_two_names_is_refused_unless_an_id_decides(tmp_path, truth_and_items):
    truth, (first, *_) = truth_and_items
    sha256 = truth.source_sha256(first)
    folder = _folder(tmp_path, "a", "b")
    write_status(folder / "status.tsv", [StatusRow(id, "ok", "", sha256) for id in "ab"])
    with pytest.raises(InputError, match="a: and b could both"):
        _paired(folder, truth, [first])
    folder = _folder(tmp_path, "a", first.id)
    rows = [StatusRow(id, "ok", "", sha256) for id in ("a", first.id)]
    write_status(folder / "status.tsv", rows)
    assert _matched(folder, truth, [first]) == {first.id: first.id}


def test_a_stem_of_several_folders_tells_nothing_once_one_has_its_map(tmp_path):
    masks = write_maps(tmp_path / "masks", {"a/1": MAP, "b/1": MAP})
    folder = write_maps(tmp_path / "maps", {"a/1": MAP, "c/1": MAP})
    truth, items = items_of(masks)
    found = _paired(folder, truth, items)
    assert list(found.maps) == ["a/1"] and list(found.faults) == ["b/1"]


def test_a_map_that_status_calls_failed_is_not_scored(tmp_path, truth_and_items):
    truth, (first, *_) = truth_and_items
    folder = _folder(tmp_path, first.id)
    write_status(folder / "status.tsv", [StatusRow(first.id, "failed", "is cut off")])
    found = _paired(folder, truth, [first])
    assert (found.maps, found.faults) == ({}, {first.id: "failed: is cut off"})


def test_maps_of_images_that_are_not_scored_are_not_without_truth(tmp_path, truth_and_items):
    truth, (first, second, *_) = truth_and_items
    folder = _folder(tmp_path, first.id, second.stem.upper(), "stranger")
    assert _paired(folder, truth, [first]).without_truth == ("stranger",)


def test_labels(tmp_path):
    assert labels_of([tmp_path / "a/maps"]) == ["maps"]
    assert labels_of([tmp_path / "a/maps", tmp_path / "b/maps"]) == ["a/maps", "b/maps"]
