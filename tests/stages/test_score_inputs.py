"""Maps are matched by source hash, then id, then stem; what is ambiguous is refused by name."""

import numpy as np
import pytest

from fundusseg.errors import InputError
from fundusseg.io.status import StatusRow, write_status
from fundusseg.stages.scoring.inputs import labels_of, paired
from tests.stages.score_sets import refs_of, write_maps

MAP = np.ones((40, 40), bool)


@pytest.fixture
def truth_and_refs(phantom_set):
    return refs_of(phantom_set("pairs"))


def _matched(folder, truth, refs):
    return {ref_id: file.id for ref_id, file in paired(folder, "maps", truth, refs).maps.items()}


def _folder(tmp_path, *ids):
    return write_maps(tmp_path / "maps", {id: MAP for id in ids})


def test_the_source_hash_goes_before_the_id(tmp_path, truth_and_refs):
    truth, (first, second, *_) = truth_and_refs
    folder = _folder(tmp_path, first.id, second.id)
    crossed = ((first.id, second), (second.id, first))
    rows = [StatusRow(id, "ok", "", truth.source_sha256(ref)) for id, ref in crossed]
    write_status(folder / "status.tsv", rows)
    assert _matched(folder, truth, [first, second]) == {first.id: second.id, second.id: first.id}


def test_the_id_goes_before_the_stem(tmp_path, truth_and_refs):
    truth, (first, *_) = truth_and_refs
    folder = _folder(tmp_path, first.id, f"elsewhere/{first.stem}")
    assert _matched(folder, truth, [first]) == {first.id: first.id}


@pytest.mark.parametrize("ending", ["", "_manual1", "_1stHO", ".ah", "_mask", "_test"])
def test_a_stem_may_end_in_a_known_suffix(tmp_path, truth_and_refs, ending):
    truth, (first, *_) = truth_and_refs
    name = f"flat/{first.stem}{ending}"
    assert _matched(_folder(tmp_path, name), truth, [first]) == {first.id: name}


def test_two_maps_for_one_image_are_refused_by_name(tmp_path, truth_and_refs):
    truth, (first, *_) = truth_and_refs
    folder = _folder(tmp_path, f"a/{first.stem}", f"b/{first.stem}")
    with pytest.raises(InputError, match=f"a/{first.stem}: and b/{first.stem} could both"):
        paired(folder, "maps", truth, [first])


def test_one_map_for_two_images_is_refused_by_name(tmp_path, phantom_set):
    truth, refs = refs_of(phantom_set("fives"))
    twins = [ref for ref in refs if ref.stem == "1_A"]
    with pytest.raises(InputError, match="of both .*test/Original/1_A and .*train/Original/1_A"):
        paired(_folder(tmp_path, "1_A"), "maps", truth, twins)


def test_one_photograph_under_two_names_is_refused_unless_an_id_decides(tmp_path, truth_and_refs):
    truth, (first, *_) = truth_and_refs
    sha256 = truth.source_sha256(first)
    folder = _folder(tmp_path, "a", "b")
    write_status(folder / "status.tsv", [StatusRow(id, "ok", "", sha256) for id in "ab"])
    with pytest.raises(InputError, match="a: and b could both"):
        paired(folder, "maps", truth, [first])
    folder = _folder(tmp_path, "a", first.id)
    rows = [StatusRow(id, "ok", "", sha256) for id in ("a", first.id)]
    write_status(folder / "status.tsv", rows)
    assert _matched(folder, truth, [first]) == {first.id: first.id}


def test_a_map_that_status_calls_failed_is_not_scored(tmp_path, truth_and_refs):
    truth, (first, *_) = truth_and_refs
    folder = _folder(tmp_path, first.id)
    write_status(folder / "status.tsv", [StatusRow(first.id, "failed", "is cut off")])
    found = paired(folder, "maps", truth, [first])
    assert (found.maps, found.faults) == ({}, {first.id: "failed: is cut off"})


def test_maps_of_images_that_are_not_scored_are_not_lonely(tmp_path, truth_and_refs):
    truth, (first, second, *_) = truth_and_refs
    folder = _folder(tmp_path, first.id, second.stem, "stranger")
    assert paired(folder, "maps", truth, [first]).without_truth == ("stranger",)


def test_labels(tmp_path):
    assert labels_of([tmp_path / "a/maps"]) == ["maps"]
    assert labels_of([tmp_path / "a/maps", tmp_path / "b/maps"]) == ["a/maps", "b/maps"]
