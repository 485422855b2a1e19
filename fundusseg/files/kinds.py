"""What a file is that is not read as an image."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.images import image_suffix

UNKNOWN = "files of unknown suffix"
UNREAD = "files that look like pictures, of a format or suffix that is not read"
ARCHIVES = "archives, which must be unpacked first"
DANGLING = "links to nothing"
KINDS = (UNKNOWN, UNREAD, ARCHIVES, DANGLING)

_ARCHIVES = (
    *(".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz"),
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"),
)
# Pictures of formats that are not read. Not here: .pdf, and others that hold more than pictures.
_PICTURE_SUFFIXES = tuple(
    ".jp2 .j2k .jpx .jpf .jxl .jxr .wdp .hdp .jls .heic .heif .hif .avif .psd .xcf .tga .pcx .exr"
    " .bigtiff .btf .svs .ndpi .czi .mpo .pbm .pnm .apng .ico .icns .fits .ima .nii"
    " .nii.gz .nrrd .mha .e2e .fda .fds .dng .raw .cr2 .cr3 .crw .nef .nrw .arw .orf .rw2 .raf .pef"
    " .srw .x3f".split()
)
_PICTURE_BEGINNINGS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"\0\0\0\x0cjP  "),
    b"\xff\x4f\xff\x51",
)


def is_archive(path: Path | str) -> bool:
    """Whether a file is called an archive."""
    return str(path).lower().endswith(_ARCHIVES)


def require_no_archive(path: Path) -> None:
    """Raise InputError if a file that was given is an archive."""
    if is_archive(path):
        raise InputError(path, f"is a {path.suffix[1:].lower()} archive", "unpack it first")


def by_kind(root: Path, paths: Iterable[str]) -> dict[str, list[str]]:
    """Files below `root` that have no image's suffix, by which of `KINDS` they are."""
    paths_of: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path in paths:
        if not image_suffix(path):
            paths_of[_kind(root / path)].append(path)
    return paths_of


def _kind(path: Path) -> str:
    if is_archive(path):
        return ARCHIVES
    if not path.exists():
        return DANGLING
    return UNREAD if _is_unread_picture(path) else UNKNOWN


def _is_unread_picture(path: Path) -> bool:
    if path.name.lower().endswith(_PICTURE_SUFFIXES):
        return True
    if not path.is_file():  # reading from a pipe would wait
        return False
    with suppress(OSError), path.open("rb") as file:
        start = file.read(132)
        return start.startswith(_PICTURE_BEGINNINGS) or start[128:] == b"DICM"
    return False
