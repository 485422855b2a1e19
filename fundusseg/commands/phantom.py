"""phantom: a synthetic data set whose truth is known exactly."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.datasets.folders import walked
from fundusseg.datasets.phantom_names import PhantomNames, phantom_names, require_names
from fundusseg.errors import EXIT_OK, InputError
from fundusseg.files import checksums, manifest
from fundusseg.files.atomic import output_folder, sweep, write_bytes, write_json
from fundusseg.files.checksums import sha256_of
from fundusseg.files.encoders import picture_bytes
from fundusseg.files.images import image_suffix, without_suffix
from fundusseg.files.ledger import output_stands
from fundusseg.files.lock import shared
from fundusseg.files.names import escaped, is_inside
from fundusseg.files.text import read_json
from fundusseg.option_fields import settings_of
from fundusseg.options import PhantomOptions
from fundusseg.parallel import ordered_map
from fundusseg.phantom.appearance import APPEARANCES
from fundusseg.phantom.drawing import Phantom, PhantomConfig, phantom
from fundusseg.serial import config_hash, from_dict

TRUTH = "truth.json"
_BEGUN = "phantom.json"  # in the hidden folder


@dataclass(frozen=True)
class _Begun:
    """What a folder was begun as. config: hash of the settings. names: of files that are ours."""

    config: str = ""
    names: tuple[str, ...] = ()


def run_phantom(out: Path, options: PhantomOptions) -> int:
    """Draw `count` phantoms into the folder `out`, a quarter of them as the test part.

    Raises:
        UsageError: if the layout has no names for so many.
        FundussegError: if the folder holds phantoms of other settings, or a stop is asked for.
    """
    require_names(options.layout, options.count)
    drawing = PhantomConfig(size_px=options.size_px, appearance=APPEARANCES[options.appearance])
    config: dict = {
        "count": options.count,
        "layout": options.layout,
        "seed": options.seed,
        "drawing": asdict(drawing),
    }
    config["sha256"] = config_hash(config)
    manifest.require_own_folder(out, "phantom", () if options.force else (TRUTH, checksums.NAME))
    if not options.force:
        _require_no_photographs(out)
    output_folder(out)
    with shared(out, config["sha256"]):
        return _drawn(out, drawing, config, options)


def _require_no_photographs(out: Path) -> None:
    """Raise InputError if pictures stand in a folder in which phantom has not begun.

    Drawn and real photographs would be one data set to every command after.
    """
    if any((out / name).exists() for name in (manifest.NAME, manifest.STATE_FOLDER)):
        return
    if first := next(filter(image_suffix, walked(out).paths if out.is_dir() else ()), None):
        problem = f"holds pictures that phantom did not draw, such as {escaped(first)}"
        raise InputError(out, problem, "choose another output folder, or give --force")


def _drawn(out: Path, drawing: PhantomConfig, config: dict, options: PhantomOptions) -> int:
    """Draw what is not finished, and write the manifest; the exit code."""
    if not options.force and _is_finished(out, config["sha256"]):
        ui.log.info("%s is finished", out)
        return EXIT_OK
    _begin(out, config["sha256"], options)
    truths: dict[str, dict] = {}
    hashes: dict[str, str] = {}

    def drawn(number: int) -> tuple[str, dict, dict[str, str]]:
        names = phantom_names(options.layout, number, options.count)
        made = phantom(drawing, options.seed * 1_000_003 + number)
        return without_suffix(names.photograph), made.truth, _write(out, names, made, options.force)

    with ui.progress(f"phantom {out}", options.count, "photograph") as bar:
        for id, truth, written in ordered_map(drawn, range(options.count), options.threads):
            truths[id] = truth
            hashes |= written
            bar.advance()
            stop.check()
    write_json(out / TRUTH, truths)
    hashes[TRUTH] = sha256_of(out / TRUTH)
    manifest.write_manifest(out, "phantom", config, hashes, options=settings_of(options))
    return EXIT_OK


def _begin(out: Path, config_sha256: str, options: PhantomOptions) -> None:
    """Note whose folder it is before anything is drawn; with --force, what was drawn before goes.

    A stranger's file that stands there is not noted as ours, and so stays.
    """
    ours, names = set(_read_begun(out).names), [*_names(options), TRUTH]
    if options.force and (out / manifest.NAME).is_file():
        ours |= {name for name, _ in manifest.outputs_of(out)}
    manifest.begin_anew(out)
    for name in ours if options.force else ():
        (out / name).unlink(missing_ok=True)
    for folder in {(out / name).parent for name in names} - {out}:
        sweep(folder)
    mine = [
        name for name in names if options.force or name in ours or not os.path.lexists(out / name)
    ]
    begun = _Begun(config_sha256, tuple(mine))
    write_json(out / manifest.STATE_FOLDER / _BEGUN, asdict(begun))


def _read_begun(out: Path) -> _Begun:
    """What a folder was begun as; InputError if the note is damaged."""
    path = out / manifest.STATE_FOLDER / _BEGUN
    if not path.exists():
        return _Begun()
    begun = from_dict(_Begun, read_json(path), str(path))
    if not all(map(is_inside, begun.names)):
        raise InputError(path, "is damaged", "draw into another folder")
    return begun


def _names(options: PhantomOptions) -> Iterator[str]:
    for number in range(options.count):
        names = phantom_names(options.layout, number, options.count)
        yield from filter(None, astuple(names))


def _write(out: Path, names: PhantomNames, made: Phantom, force: bool) -> dict[str, str]:
    """Write one phantom's files; their SHA-256 by name.

    Raises:
        StrangersFile: if another file stands there, such as a real photograph, and not `force`.
    """
    hashes = {}
    pictures = (made.photograph, made.mask, made.mask2, made.fov)
    for name, pixels in zip(astuple(names), pictures, strict=True):
        if not name:
            continue
        data = picture_bytes(pixels, name)
        if not force:
            manifest.require_no_stranger(out / name, "phantom", data)
        write_bytes(out / name, data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    return hashes


def _is_finished(out: Path, config_sha256: str) -> bool:
    """Whether all is drawn; InputError if the folder was begun with other settings."""
    settings = {_read_begun(out).config}
    is_concluded = (out / manifest.NAME).is_file()
    if is_concluded:
        settings.add(manifest.read_manifest(out / manifest.NAME)["config"].get("sha256", ""))
    if settings - {"", config_sha256}:
        problem = "holds phantoms drawn with other settings"
        raise InputError(out, problem, "choose another folder, or give --force")
    return is_concluded and all(
        output_stands(out / name, sha256) for name, sha256 in manifest.outputs_of(out)
    )
