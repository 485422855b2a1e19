"""Which map belongs to which item of the truth: by source hash, else by id, else by stem.

Of stems first equal ones count, then those that differ in case alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fundusseg import stop
from fundusseg.datasets.maps import MapFile, MapFolder
from fundusseg.datasets.truth import Truth, TruthItem, stem_of
from fundusseg.errors import InputError
from fundusseg.files.models import is_known_photograph
from fundusseg.files.names import nfc
from fundusseg.files.status import FAILED, OK
from fundusseg.wording import counted


@dataclass(frozen=True)
class Pairing:
    """The maps of one PRED, matched to the items that are scored.

    Attributes:
        label: the shortest end of PRED's path that distinguishes it from the others.
        maps: the map of each item, by the item's id.
        faults: why an item has no map, by the item's id.
        ids: of the map, or of the photograph that infer failed on, by the item's id.
        without_truth: ids of maps that belong to no item of the whole truth.
    """

    label: str
    folder: MapFolder
    maps: dict[str, MapFile]
    faults: dict[str, str]
    ids: dict[str, str]
    without_truth: tuple[str, ...]


def paired(folder: MapFolder, label: str, truth: Truth, items: list[TruthItem]) -> Pairing:
    """Match the maps in a folder to items of the truth.

    A photograph that infer reports as failed becomes a fault with infer's reason. A map that
    belongs, by source or id, to an item that is not scored is never matched to another by stem.

    Args:
        items: those of `truth` that are scored.

    Raises:
        InputError: if two maps fit one item or two items one map equally well, or if no map
            (and no failure) belongs to any of the items.
    """
    ids_by_source = _ids_by_source(folder)
    matched = _by_source(folder.root, ids_by_source, truth, items)
    if len(matched) < len(items):
        reserved = _of_items_not_scored(ids_by_source, truth, items)
        for name_of in (str, nfc, _stem, _folded_stem):
            matched |= _by_name(folder, items, matched, reserved, name_of)
    if not matched:
        problem = f"holds no map of the {counted(len(items), 'image')} scored"
        raise InputError(folder.root, problem, f"their ids are like {items[0].id}")
    maps, faults = _maps_and_faults(folder, items, matched)
    return Pairing(label, folder, maps, faults, matched, _without_truth(folder, truth, matched))


def labels_of(preds: list[Path]) -> list[str]:
    """The shortest ends of the paths that distinguish them; InputError if two are one."""
    parts = [pred.resolve().parts for pred in preds]
    for number, path in enumerate(parts):
        if path in parts[:number]:
            raise InputError(preds[number], "is given twice")
    for depth in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(path[-depth:]) for path in parts]
        if len(set(labels)) == len(labels):
            break
    return labels


def seen_in_training(pairing: Pairing) -> dict[str, int]:
    """How many of the photographs with a map the model was trained on, by its part of the data.

    The parts are "train" and "validation". Empty where infer's manifest does not tell.
    """
    rows = map(pairing.folder.row, (file.id for file in pairing.maps.values()))
    hashes = [row.source_sha256 for row in rows if row is not None and row.source_sha256]
    counts = {}
    for part, beginnings in pairing.folder.trained_on.items():
        known = set(beginnings)
        counts[part] = sum(is_known_photograph(sha256, known) for sha256 in hashes)
    return counts


def of_other_photographs(pairing: Pairing, truth: Truth) -> list[str]:
    """Ids of maps that were matched by name, though their photographs are not the truth's.

    Of maps whose photograph's hash infer noted, where the truth has photographs.
    """
    ids = []
    for item in truth.items:
        row = pairing.folder.row(pairing.maps[item.id].id) if item.id in pairing.maps else None
        if row and row.source_sha256 and truth.source_sha256(item) not in ("", row.source_sha256):
            ids.append(item.id)
    return ids


def _stem(id: str) -> str:
    return nfc(stem_of(id))


def _folded_stem(id: str) -> str:
    return _stem(id).casefold()


def _known_ids(folder: MapFolder) -> list[str]:
    """Ids of maps, and of photographs that infer failed on."""
    failed = (row.id for row in folder.status if row.status == FAILED)
    return list(dict.fromkeys([*folder.files, *failed]))


def _ids_by_source(folder: MapFolder) -> dict[str, list[str]]:
    """Ids of maps, and of photographs that infer failed on, by the SHA-256 of the photograph."""
    ids: dict[str, list[str]] = {}
    for row in folder.status:
        if row.source_sha256 and (row.status == FAILED or row.id in folder.files):
            ids.setdefault(row.source_sha256, []).append(row.id)
    return ids


def _by_source(
    root: Path, ids_by_source: dict[str, list[str]], truth: Truth, items: list[TruthItem]
) -> dict[str, str]:
    """The map's id by the item's id, where infer read the very file that the truth names."""
    matched = {}
    for item in items if ids_by_source else ():
        stop.check()  # a photograph may have to be hashed
        ids = ids_by_source.get(truth.source_sha256(item))
        if ids:
            matched[item.id] = item.id if item.id in ids else _only(root, item.id, ids)
    return _require_distinct_maps(root, matched)


def _of_items_not_scored(
    ids_by_source: dict[str, list[str]], truth: Truth, items: list[TruthItem]
) -> set[str]:
    """Ids of maps that belong, by source or id, to items of the truth that are not in `items`."""
    scored = {item.id for item in items}
    others = [item for item in truth.items if item.id not in scored]
    ids = {item.id for item in others}
    for item in others if ids_by_source else ():
        stop.check()
        ids.update(ids_by_source.get(truth.source_sha256(item), ()))
    return ids


def _by_name(
    folder: MapFolder,
    items: list[TruthItem],
    matched: dict[str, str],
    reserved: set[str],
    name_of: Callable[[str], str],
) -> dict[str, str]:
    """The map's id by the item's id, where `name_of` gives both ids the same name.

    Args:
        matched: items and maps that are matched already, and so left alone.
        reserved: maps that may not be matched.
    """
    taken = set(map(nfc, reserved.union(matched.values())))
    ids_by_name: dict[str, list[str]] = {}
    for id in _known_ids(folder):
        if nfc(id) not in taken:
            ids_by_name.setdefault(name_of(id), []).append(id)
    # A stem that occurs in several folders is ambiguous once one of its items is matched.
    used_names = {name_of(id) for id in matched}
    further = {}
    for item in items:
        name = name_of(item.id)
        if item.id not in matched and name not in used_names and name in ids_by_name:
            further[item.id] = _only(folder.root, item.id, ids_by_name[name])
    return _require_distinct_maps(folder.root, further)


def _only(root: Path, item_id: str, ids: list[str]) -> str:
    if len(ids) > 1:
        problem = f"and {ids[1]} could both be the map of {item_id}"
        remedy = "remove one of them, or name them as the truth does"
        raise InputError(root / ids[0], problem, remedy)
    return ids[0]


def _require_distinct_maps(root: Path, matched: dict[str, str]) -> dict[str, str]:
    """`matched` itself; InputError if one map was matched to two items."""
    owners: dict[str, str] = {}
    for item_id, id in matched.items():
        if id in owners:
            problem = f"could be the map of both {owners[id]} and {item_id}"
            raise InputError(root / id, problem, "name the maps as the truth does")
        owners[id] = item_id
    return matched


def _maps_and_faults(
    folder: MapFolder, items: list[TruthItem], matched: dict[str, str]
) -> tuple[dict[str, MapFile], dict[str, str]]:
    reasons = {row.id: row.reason for row in folder.status if row.status != OK}
    maps, faults = {}, {}
    for item in items:
        id = matched.get(item.id)
        if id is None:
            faults[item.id] = "missing: there is no map of it"
        elif id in folder.files and id not in reasons:
            maps[item.id] = folder.files[id]
        else:
            faults[item.id] = f"failed: {reasons[id]}"
    return maps, faults


def _without_truth(folder: MapFolder, truth: Truth, matched: dict[str, str]) -> tuple[str, ...]:
    known = {nfc(name).casefold() for item in truth.items for name in (item.id, item.stem)}
    taken = set(matched.values())
    left = (id for id in folder.files if id not in taken)
    return tuple(id for id in left if known.isdisjoint((nfc(id).casefold(), _folded_stem(id))))
