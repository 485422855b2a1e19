"""The bad inputs in every place that takes pictures: one costs its own row, not the others'."""

import csv
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fundusseg import cli
from fundusseg.datasets.shards import ShardFolder
from fundusseg.evaluation.report import METRICS
from fundusseg.files.images import image_suffix
from fundusseg.files.manifest import NAME, read_manifest
from fundusseg.files.status import FAILED, OK
from fundusseg.files.status import NAME as STATUS
from fundusseg.phantom.drawing import PhantomConfig, phantom
from tests.faults.bad_inputs import LARGEST_MIB, cells
from tests.faults.trials import Row, child, without_network
from tests.phantom_sets import encoded

EACH_S = 20
GOOD = ("good-1", "good-2", "good-3")
Cells = dict[str, tuple[str, str]]  # status and reason by id
_of_tsv = partial(cells, delimiter="\t", quoting=csv.QUOTE_NONE)


def bad_roles(root: Path, corpus: set[str], drawn: random.Random, count: int | None) -> list[Row]:
    """Put the corpus, or `count` of its files, where prep, score and infer --fov take pictures.

    Args:
        root: of bad_inputs: below it stand the corpus and a model.
        corpus: the paths of its files below root / "corpus".
    """
    pictures = sorted(path for path in corpus if image_suffix(path))
    taken = pictures if count is None else drawn.sample(pictures, count)
    bad = {f"x{number:04d}": root / "corpus" / path for number, path in enumerate(taken)}
    places = _Places(root / "places", bad)
    out = root / "places" / "out"
    quiet, of_pairs = ("--jobs", "1", "--quiet"), ("--layout", "pairs")
    to_prep = ("--split", "train", *of_pairs, *quiet)  # equal photographs are of one subject
    to_score = ("--split", "all", *of_pairs, *quiet, "--out")
    good_set, bad_masks = places.data_set(), places.data_set("masks")
    infer = ("infer", good_set / "images", out / "maps", "--fov", places.folder("fov", True))
    tried: dict[str, tuple[tuple, Callable[[], Cells]]] = {
        "prep's photographs": (
            ("prep", places.data_set("images"), out / "photographs", *to_prep),
            partial(_prepared, out / "photographs"),
        ),
        "prep's masks": (
            ("prep", bad_masks, out / "masks", *to_prep),
            partial(_prepared, out / "masks"),
        ),
        "score's PRED": (
            ("score", places.folder("maps", True), good_set, *to_score, out / "pred"),
            partial(_of_tsv, out / "pred" / METRICS),
        ),
        "score's TRUTH": (
            ("score", good_set / "masks", bad_masks, *to_score, out / "truth"),
            partial(_of_tsv, out / "truth" / METRICS),
        ),
        "infer's --fov": (
            (*infer, "--model", root / "model", *quiet),
            partial(_of_tsv, out / "maps" / STATUS),
        ),
    }
    return [_tried(root, name, words, read, bad) for name, (words, read) in tried.items()]


class _Places:
    """Folders of pictures, good ones or one bad one for each name, and three good ones always."""

    def __init__(self, root: Path, bad: dict[str, Path]):
        self.root, self.bad = root, bad
        drawn = phantom(PhantomConfig(size_px=96), 0)
        self.good = {
            kind: encoded(pixels, "x.png")
            for kind, pixels in (
                *(("images", drawn.photograph), ("masks", drawn.mask), ("maps", drawn.mask)),
                ("fov", drawn.fov),
            )
        }

    def data_set(self, bad: str = "") -> Path:
        """A data set with photographs and masks; those of kind `bad` are."""
        name = f"set-{bad}"
        for kind in ("images", "masks"):
            self.folder(kind, kind == bad, name)
        return self.root / name

    def folder(self, kind: str, is_bad: bool, name: str = "") -> Path:
        """A folder of pictures of a kind."""
        folder = self.root / name / kind
        folder.mkdir(parents=True)
        for stem in (*GOOD, *self.bad):
            if is_bad and stem in self.bad:
                path = self.bad[stem]
                os.symlink(path, folder / f"{stem}{image_suffix(path.name)}")
            else:
                (folder / f"{stem}.png").write_bytes(self.good[kind])
        return folder


def _prepared(out: Path) -> Cells:
    failures = read_manifest(out / NAME)["failures"]
    prepared = dict.fromkeys((ref.id for ref in ShardFolder(out).refs), (OK, ""))
    return {**prepared, **{id: (FAILED, reason) for id, reason in failures.items()}}


def _tried(
    root: Path, name: str, words: tuple, read: Callable[[], Cells], bad: dict[str, Path]
) -> Row:
    row = Row(f"bad inputs, {name}", tried=len(bad))

    def work() -> int:
        without_network()
        return cli.main([str(word) for word in words])

    ended = child(work, root, patience_s=EACH_S * len(bad))
    if ended.code is None:
        row.amiss("hung", ended.error[-300:])
    elif ended.code != 3:
        row.amiss("wrong", f"exit {ended.code}: {ended.error[-800:]}")
    else:
        found = {id.rpartition("/")[2]: said for id, said in read().items()}
        for id in (*GOOD, *bad):
            status, reason = found.get(id, ("", ""))
            if not status or (id in GOOD and status != OK):
                row.amiss("lost", f"{bad.get(id, id)} is {status!r} ({reason})")
            elif status != OK and not reason:
                row.amiss("wrong", f"{bad[id]} failed without a reason")
    if ended.rss_mib > LARGEST_MIB:
        row.amiss("wrong", f"took {ended.rss_mib:.0f} MiB")
    return row
