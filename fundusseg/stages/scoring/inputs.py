"""Which images are scored, and which map belongs to which: by source hash, id, then stem."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg import stop
from fundusseg.errors import InputError
from fundusseg.fundus.geometry import to_frame
from fundusseg.io.maps import MapFile, MapFolder, VesselMap
from fundusseg.io.status import FAILED, OK, unescaped
from fundusseg.io.tables import read_table
from fundusseg.io.truth import Truth, TruthImage, TruthRef, stem_of

OWN_GROUP = "group"  # the name of the data set's own strata
NO_GROUP = "(none)"


@dataclass(frozen=True)
class Pairing:
    """The maps of one PRED, matched to the images that are scored.

    Attributes:
        label: the shortest end of PRED's path that tells it from the others.
        maps: by the truth's id.
        faults: why there is no map, by the truth's id, for the others.
        without_truth: ids of maps that no mask of the whole truth belongs to.
    """

    label: str
    folder: MapFolder
    maps: dict[str, MapFile]
    faults: dict[str, str]
    without_truth: tuple[str, ...]


def chosen_refs(truth: Truth, split: str) -> tuple[str, list[TruthRef]]:
    """The split that is scored ("default": test where there are splits, else all) and its images.

    Raises:
        InputError: if there is no labelled image in it.
    """
    has_splits = any(ref.split for ref in truth.refs)
    if split == "default":
        split = "test" if has_splits else "all"
    refs = [ref for ref in truth.refs if split in ("all", ref.split)]
    if refs:
        return split, refs
    problem = f"has no image with a mask in the split {split}" if has_splits else "has no splits"
    raise InputError(truth.root, problem, "choose another --split, such as all")


def paired(folder: MapFolder, label: str, truth: Truth, refs: list[TruthRef]) -> Pairing:
    """Match the maps in a folder to the images `refs`.

    A photograph that infer reports as failed is a fault with infer's reason. What belongs to an
    image of the truth that is not scored, by source or id, is no other's map by its stem.

    Raises:
        InputError: if two maps fit one image or two images one map equally well, or if no
            map, and no failure, belongs to any of the images.
    """
    by_source = _ids_by_source(folder)
    found = _by_source(folder.root, by_source, truth, refs)
    if len(found) < len(refs):
        others = _of_images_not_scored(by_source, truth, refs)
        for name_of in (str, stem_of):
            taken = others.union(found.values())
            # A stem that images of several folders have tells nothing once one has its map.
            told = {name_of(id) for id in found}
            left = [ref for ref in refs if ref.id not in found and name_of(ref.id) not in told]
            candidates = [id for id in _known_ids(folder) if id not in taken]
            found |= _by_name(folder.root, left, candidates, name_of)
    maps, faults = _maps_and_faults(folder, refs, found)
    if not found:
        problem = f"holds no map of any of the {len(refs)} images scored"
        raise InputError(folder.root, problem, f"their ids are like {refs[0].id}")
    return Pairing(label, folder, maps, faults, _without_truth(folder, truth, found))


def read_map(
    pairing: Pairing, ref: TruthRef, image: TruthImage, threshold: float | None
) -> VesselMap:
    """The map of one image, in the frame of the image's masks.

    Raises:
        InputError: if it cannot be read, or has not the photograph's size.
    """
    file = pairing.maps[ref.id]
    found = pairing.folder.read(file, threshold)
    if found.vessels.shape != image.source_shape:
        (height, width), (y, x) = found.vessels.shape, image.source_shape
        problem = f"is {width}x{height}, its truth {x}x{y}"
        raise InputError(file.path, problem, "maps must have their photograph's size")
    if image.geometry is None:
        return found
    probability = found.probability
    if probability is not None:
        probability = np.clip(to_frame(probability, image.geometry), 0, 1)
    return VesselMap(to_frame(found.vessels, image.geometry) >= 0.5, probability)


def labels_of(preds: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart.

    Raises:
        InputError: if a folder is given twice.
    """
    parts = [pred.resolve().parts for pred in preds]
    for number, path in enumerate(parts):
        if path in parts[:number]:
            raise InputError(preds[number], "is given twice")
    for depth in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(path[-depth:]) for path in parts]
        if len(set(labels)) == len(labels):
            break
    return labels


def strata(refs: list[TruthRef], groups: Path | None) -> dict[str, list[str]]:
    """The stratum of each image, by the name of the grouping.

    Args:
        groups: a table with the column id (an id, or a stem) and one or more groupings.

    Returns:
        The columns of the table, then the data set's own groups if there are several.
        Images without a row are in the stratum "(none)".

    Raises:
        InputError: if the table cannot be read, has no grouping, or names an id twice.
    """
    columns = {} if groups is None else _listed_groups(refs, groups)
    own = [ref.group or NO_GROUP for ref in refs]
    if len(set(own)) > 1 and OWN_GROUP not in columns:
        columns[OWN_GROUP] = own
    return columns


def _known_ids(folder: MapFolder) -> list[str]:
    """Ids of maps and of photographs that infer failed on."""
    failed = (row.id for row in folder.status if row.status == FAILED)
    return list(dict.fromkeys([*folder.files, *failed]))


def _by_source(
    root: Path, by_source: dict[str, list[str]], truth: Truth, refs: list[TruthRef]
) -> dict[str, str]:
    """The map's id by the truth's id, where infer read the very file that the truth names."""
    found = {}
    for ref in refs if by_source else ():
        stop.check()  # a photograph's hash may have to be taken
        ids = by_source.get(truth.source_sha256(ref))
        if ids:
            found[ref.id] = ref.id if ref.id in ids else _only(root, ref.id, ids)
    return _each_once(root, found)


def _ids_by_source(folder: MapFolder) -> dict[str, list[str]]:
    """Ids of maps, and of photographs that infer failed on, by the SHA-256 of the photograph."""
    found: dict[str, list[str]] = {}
    for row in folder.status:
        if row.source_sha256 and (row.status == FAILED or row.id in folder.files):
            found.setdefault(row.source_sha256, []).append(row.id)
    return found


def _of_images_not_scored(
    by_source: dict[str, list[str]], truth: Truth, refs: list[TruthRef]
) -> set[str]:
    """Ids of maps that belong, by source or id, to images of the truth that are not in `refs`."""
    scored = {ref.id for ref in refs}
    others = [ref for ref in truth.refs if ref.id not in scored]
    found = {ref.id for ref in others}
    for ref in others if by_source else ():
        stop.check()
        found.update(by_source.get(truth.source_sha256(ref), ()))
    return found


def _by_name(root: Path, refs: list[TruthRef], ids: list[str], name_of) -> dict[str, str]:
    """The map's id by the truth's id, where `name_of` gives both ids one name."""
    named: dict[str, list[str]] = {}
    for id in ids:
        named.setdefault(name_of(id), []).append(id)
    alike = {ref.id: named.get(name_of(ref.id), []) for ref in refs}
    found = {
        ref_id: _only(root, ref_id, candidates)
        for ref_id, candidates in alike.items()
        if candidates
    }
    return _each_once(root, found)


def _only(root: Path, ref_id: str, ids: list[str]) -> str:
    if len(ids) > 1:
        problem = f"and {ids[1]} could both be the map of {ref_id}"
        raise InputError(
            root / ids[0], problem, "remove one of them, or name them as the truth does"
        )
    return ids[0]


def _each_once(root: Path, found: dict[str, str]) -> dict[str, str]:
    """`found`, if no map is taken for two images."""
    owners: dict[str, str] = {}
    for ref_id, id in found.items():
        if id in owners:
            problem = f"could be the map of both {owners[id]} and {ref_id}"
            raise InputError(root / id, problem, "name the maps as the truth does")
        owners[id] = ref_id
    return found


def _maps_and_faults(
    folder: MapFolder, refs: list[TruthRef], found: dict[str, str]
) -> tuple[dict[str, MapFile], dict[str, str]]:
    reasons = {row.id: row.reason for row in folder.status if row.status != OK}
    maps, faults = {}, {}
    for ref in refs:
        id = found.get(ref.id)
        if id is None:
            faults[ref.id] = "missing: there is no map of it"
        elif id in folder.files and id not in reasons:
            maps[ref.id] = folder.files[id]
        else:
            faults[ref.id] = f"failed: {reasons[id]}"
    return maps, faults


def _without_truth(folder: MapFolder, truth: Truth, found: dict[str, str]) -> tuple[str, ...]:
    known = {name for ref in truth.refs for name in (ref.id, ref.stem)}
    taken = set(found.values())
    left = (id for id in folder.files if id not in taken)
    return tuple(id for id in left if id not in known and stem_of(id) not in known)


def _listed_groups(refs: list[TruthRef], path: Path) -> dict[str, list[str]]:
    rows = read_table(path, ("id",))
    if not rows:
        raise InputError(path, "has no row below its header")
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        id = unescaped(row["id"])
        if id in table:
            raise InputError(path, f"has two rows for {row['id']}", "remove one of them")
        table[id] = row
    names = [name for name in rows[0] if name != "id"]
    if not names:
        raise InputError(path, "has no column beside id", "add a column such as disease")
    return {name: [_group(table, ref, name) for ref in refs] for name in names}


def _group(table: dict[str, dict[str, str]], ref: TruthRef, name: str) -> str:
    row = table.get(ref.id) or table.get(ref.stem)
    return NO_GROUP if row is None else row[name] or NO_GROUP
