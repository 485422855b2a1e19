"""phantom: a synthetic data set whose truth is known exactly."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, astuple
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.config import config_hash
from fundusseg.errors import EXIT_OK, InputError
from fundusseg.fundus.phantom import Phantom, PhantomConfig, phantom
from fundusseg.io.files import output_folder, sha256_of, sweep, write_bytes, write_json
from fundusseg.io.images import without_suffix
from fundusseg.io.ledger import outputs_stand
from fundusseg.io.manifest import NAME as MANIFEST
from fundusseg.io.manifest import (
    begin_anew,
    manifest,
    read_manifest,
    require_own_folder,
    write_manifest,
)
from fundusseg.io.phantom_set import phantom_names, picture_bytes
from fundusseg.options import PhantomOptions
from fundusseg.parallel import free_cores, ordered_map

TRUTH = "truth.json"


def run_phantom(out: Path, options: PhantomOptions) -> int:
    """Draw `count` phantoms into the folder `out`, a quarter of them as the test part.

    Raises:
        FundussegError: if the folder holds phantoms of other settings, or a stop is asked for.
    """
    drawing = PhantomConfig(size_px=options.size_px)
    config = {
        "count": options.count,
        "layout": options.layout,
        "seed": options.seed,
        "drawing": asdict(drawing),
    }
    config["sha256"] = config_hash(config)
    require_own_folder(out, "phantom")
    output_folder(out)
    if not options.force and _is_finished(out, config["sha256"]):
        ui.log.info("%s is finished", out)
        return EXIT_OK
    if options.force and (out / MANIFEST).is_file():
        drawn_now = set(_paths(out, options))
        for name in read_manifest(out / MANIFEST)["outputs"]:
            if out / name not in drawn_now:
                (out / name).unlink(missing_ok=True)
    begin_anew(out)
    for folder in {path.parent for path in _paths(out, options)} - {out}:
        if folder.is_dir():
            sweep(folder)
    truths, hashes = {}, {}

    def drawn(number: int) -> tuple[str, dict, dict[str, str]]:
        names = phantom_names(options.layout, number, options.count)
        made = phantom(drawing, options.seed * 1_000_003 + number)
        return without_suffix(names.photograph), made.truth, _write(out, names, made, options.force)

    with ui.progress(f"phantom {out}", options.count, "photographs") as bar:
        for id, truth, written in ordered_map(
            drawn, range(options.count), options.jobs or free_cores()
        ):
            truths[id] = truth
            hashes |= written
            bar.advance()
            stop.check()
    write_json(out / TRUTH, truths)
    hashes[TRUTH] = sha256_of(out / TRUTH)
    write_manifest(out / MANIFEST, manifest("phantom", config, {}, hashes, {}))
    return EXIT_OK


def _paths(out: Path, options: PhantomOptions) -> Iterator[Path]:
    for number in range(options.count):
        names = phantom_names(options.layout, number, options.count)
        yield from (out / name for name in astuple(names) if name is not None)


def _write(out: Path, names, made: Phantom, force: bool) -> dict[str, str]:
    """Write one phantom's files; their SHA-256 by name.

    Raises:
        InputError: if another file stands there, such as a real photograph, and not `force`.
    """
    contents = {names.photograph: made.photograph, names.mask: made.mask}
    if names.mask2:
        contents[names.mask2] = made.mask2
    if names.fov:
        contents[names.fov] = made.fov
    hashes = {}
    for name, pixels in contents.items():
        data = picture_bytes(pixels, name)
        if not force and (out / name).exists() and (out / name).read_bytes() != data:
            problem = "is not what would be drawn here"
            raise InputError(out / name, problem, "choose an empty folder, or give --force")
        write_bytes(out / name, data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    return hashes


def _is_finished(out: Path, config_sha256: str) -> bool:
    if not (out / MANIFEST).is_file():
        return False
    found = read_manifest(out / MANIFEST)
    if found["config"].get("sha256") != config_sha256:
        problem = "holds phantoms drawn with other settings"
        raise InputError(out, problem, "choose another folder, or give --force")
    return outputs_stand(out, found["outputs"], verify=False)
