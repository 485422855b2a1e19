"""The files below a folder: which are walked, which are passed over, which earlier runs wrote."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fundusseg import ui
from fundusseg.errors import InputError
from fundusseg.files import status
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import read_checksums
from fundusseg.files.images import image_suffix
from fundusseg.files.kinds import require_no_archive
from fundusseg.files.ledger import LedgerFiles, has_ledger
from fundusseg.files.manifest import read_manifest, whole_or_parts
from fundusseg.files.names import name_bytes
from fundusseg.files.regular import open_regular
from fundusseg.wording import left_aside

# Thumbnails, snapshots and deleted files of NAS, Windows, macOS and Linux; in lower case.
SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin", "@tmp"),
        *("$recycle.bin", "recycler", "recycled", "system volume information", "thumbs"),
        *("__macosx", "temporary items", "network trash folder", "network recycle bin"),
        *("lost+found", "lost.dir", "~snapshot"),
    }
)


OF_A_SYSTEM = "folders of a system (thumbnails, snapshots, deleted files)"
_LISTABLE = "make it readable, move it elsewhere, or give the folders that are wanted"


@dataclass(frozen=True)
class Walk:
    """What is below a folder; all paths relative to it, with /.

    paths: the files, in byte order. passed_over: folders that a system keeps for itself.
    unreadable: why a folder cannot be listed, by its path.
    """

    paths: list[str]
    passed_over: list[str]
    unreadable: dict[str, str]


def walk(root: Path, leave_out: Path | None = None) -> list[str]:
    """The files below `root`, as `walked` finds them; the log says what is passed over.

    Raises:
        InputError: if a folder cannot be listed: what is in it may belong to the rest.
    """
    below = walked(root, leave_out)
    for folder, reason in below.unreadable.items():
        raise InputError(root / folder, reason, _LISTABLE)
    if below.passed_over:
        count, first = len(below.passed_over), below.passed_over[0]
        said = left_aside(count, first, OF_A_SYSTEM, "passed over")
        ui.log.info("%s: %s", root, said)
    return below.paths


def walked(root: Path, leave_out: Path | None = None) -> Walk:
    """All files below `root`; no dot files, and nothing in the folders of a system.

    `leave_out` (and what is below it) is not walked. Links to folders are followed, but for
    those to a folder that they lie in, as `find -L` does.

    Raises:
        InputError: if `root` itself cannot be listed, or is a file.
    """
    if root.is_file():
        require_no_archive(root)
        raise InputError(root, "is no folder", f"give the folder that it lies in, {root.parent}")
    below = Walk([], [], {})
    left_out = leave_out and os.path.realpath(leave_out)
    # By folder: it and those that it lies in.
    above: dict[str, tuple[str, ...]] = {os.fspath(root): (os.path.realpath(root),)}

    def note(error: OSError) -> None:
        reason = f"cannot be listed ({error.strerror})"
        if error.filename == os.fspath(root):
            raise InputError(root, reason, _LISTABLE)
        below.unreadable[os.path.relpath(error.filename, root)] = reason

    for folder, folders, names in os.walk(root, onerror=note, followlinks=True):
        walked_through, candidates = above.pop(folder), sorted(folders)
        folders.clear()
        relative = os.path.relpath(folder, root)
        prefix = "" if relative == "." else relative + "/"
        for name in candidates:
            path = os.path.join(folder, name)
            real = os.path.realpath(path)
            if name.lower() in SYSTEM_FOLDERS:
                below.passed_over.append(prefix + name)
            elif not name.startswith(".") and real != left_out and real not in walked_through:
                above[path] = (*walked_through, real)
                folders.append(name)
        below.paths.extend(prefix + name for name in names if not name.startswith("."))
    below.paths.sort(key=name_bytes)
    return below


def parted(root: Path, paths: list[str], with_maps: bool = False) -> tuple[list[str], list[str]]:
    """`paths` (from `walk`) without the images that commands wrote below `root`, and these.

    An image in an output folder that no command noted is one like all others.

    with_maps: those that infer wrote are none of them.
    """
    folders = output_folders(root, paths) - {""}
    if with_maps:
        tables = status.NAME.replace(".", "*.")  # of a whole or of its parts
        folders = {folder for folder in folders if not any((root / folder).glob(tables))}
    if not folders:
        return paths, []
    images = {path for path in paths if image_suffix(path)}
    named = (f"{folder}/{name}" for folder in folders for name in _written(root / folder))
    written = images.intersection(named)
    return sorted(set(paths) - written, key=name_bytes), sorted(written, key=name_bytes)


def output_folders(root: Path, paths: list[str]) -> set[str]:
    """Of `root` ("") and the folders of images below it, those that a command wrote its results to.

    There stands its ledger, which `cp OUT/*` leaves behind, or its manifest or status table. What
    phantom draws are photographs.
    """
    with_images = {_folder(path) for path in paths if image_suffix(path)}
    folders = {above for folder in with_images for above in _upwards(folder)} | {""}
    outputs = {folder for folder in folders if has_ledger(root / folder)}
    return outputs | {_folder(path) for path in paths if _is_record(root, path)}


def _written(folder: Path) -> Iterator[str]:
    """The files that a command noted as its own in a folder: of a damaged list those before it."""
    with suppress(OSError, InputError):
        for record in LedgerFiles(folder):
            yield from record["outputs"]
    for path in whole_or_parts(folder, CHECKSUMS):
        with suppress(InputError):
            yield from (name for name, _ in read_checksums(path))
    for path in whole_or_parts(folder, status.NAME):
        with suppress(InputError):
            yield from (status.row_of(line).map for line in status.read_lines(path))


def _is_record(root: Path, path: str) -> bool:
    """Whether a file is a manifest or a status table of ours."""
    name = path.rpartition("/")[2]
    if name.startswith("manifest") and name.endswith(".json"):
        with suppress(InputError):
            return read_manifest(root / path)["stage"] != "phantom"
    if name.startswith("status") and name.endswith(".tsv"):
        header = "\t".join(status.COLUMNS[:3]).encode()
        with suppress(OSError, InputError), open_regular(root / path) as file:
            return file.read(len(header)) == header
    return False


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _upwards(folder: str) -> Iterator[str]:
    """A folder and those that it lies in, without the root."""
    while folder:
        yield folder
        folder = _folder(folder)
