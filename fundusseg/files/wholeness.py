"""Whether a picture is whole, which Pillow does not always say.

A PNG has checksums. A JPEG has none: libjpeg fills up what is missing and warns of it, but Pillow
does not pass that on. So it is tried: bytes added behind a scan must not change the picture (else
the decoder ran out of bits there), and a scan without its last bytes must change it (else the
decoder was done before). All scans and restarts must be there, and no run of zeros that is not the
code of a flat area. Damage of a few bytes that passes all this stays unseen.

Formats that store plain pixels have neither. There a block that a disk or a copy left out is a run
of zeros that begins and ends within the lit field. One that begins or ends in the dark looks like a
field of view that is cut off, and stays unseen.
"""

import re
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise

import numpy as np
from PIL import Image, JpegImagePlugin

from fundusseg.errors import PictureFault

_REMEDY = "copy it again from where it came from"
_SIGNATURE_BYTES = 8  # of a PNG; then chunks: size, name, content, checksum
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)  # but for those in scans
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_START, _END, _SCAN, _CODES = 0xD8, 0xD9, 0xDA, 0xC4
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_HUFFMAN = {0xC0, 0xC1, _PROGRESSIVE}  # arithmetic codes may end early
_COEFFICIENTS = 64
_PADDING = bytes(range(1, 65))  # codes that draw something
_TAIL_BYTES = 64  # more than what encoders leave behind a scan
_HOLE_BYTES = 64  # of blocks that are no flat area, zeros would code 63 equal coefficients each
_UNSET = 128  # what libjpeg leaves where a scan ended
_OF_OTHER_CHECKS = (b"\x89PNG", b"\xff\xd8")
_PAGE_BYTES = 4096  # what a disk leaves out at least
_LIT = 32  # grey levels; below may be the dark around a field of view
_NEIGHBOURS = 0.1  # of the width: so far the rows beside a hole must be lit at its ends


@dataclass
class _Structure:
    """frame: its marker and header. scans: of each its header, and where its codes begin and end.

    tables: the headers that define the codes. has_end: whether an end follows the scans.
    """

    frame: tuple[int, bytes] = (0, b"")
    scans: list[tuple[bytes, int, int]] = field(default_factory=list)
    tables: bytes = b""
    has_end: bool = False


def require_whole_png(data: bytes) -> None:
    """Raise if the checksum of a chunk that is needed does not hold, or the last chunk is missing.

    Raises:
        PictureFault: if so.
    """
    position, name = _SIGNATURE_BYTES, b""
    while name != b"IEND":
        size = int.from_bytes(data[position : position + 4], "big")
        chunk, position = data[position + 4 : position + 8 + size], position + 12 + size
        name, checksum = chunk[:4], int.from_bytes(data[position - 4 : position], "big")
        if position > len(data) or (name[:1].isupper() and zlib.crc32(chunk) != checksum):
            raise PictureFault("is a PNG that is not whole", _REMEDY)


def require_whole_jpeg(data: bytes, image: Image.Image) -> None:
    """Raise if the JPEG in `data`, which begins with it, is not what its `image` promises.

    Args:
        image: as Pillow decodes it, not turned yet.

    Raises:
        PictureFault: if its end or a scan is missing, or codes are missing in one or left over.
    """
    structure = _structure(data)
    is_whole = (
        structure.has_end
        and _is_in_order(data, structure)
        and not _has_hole(data, structure)
        and _needs_all(data, structure, image)
    )
    if not is_whole:
        raise PictureFault("is a JPEG that is not whole", _REMEDY)


def require_no_hole(data: bytes, pixels: np.ndarray, bits: int = 8) -> None:
    """Raise if zeros of whole pages stand in the midst of a photograph; not of a JPEG or PNG.

    Args:
        data: the file's bytes.
        pixels: what it shows, uint8 (Y, X, 1 or 3).
        bits: of a value in the file.

    Raises:
        PictureFault: if so.
    """
    if data.startswith(_OF_OTHER_CHECKS):
        return
    brightest = pixels.max(axis=2)
    least_px = _PAGE_BYTES * 8 // (bits * pixels.shape[2]) - 1
    # BMP begins with the lowest row.
    if _has_zeros(brightest, least_px) or _has_zeros(brightest[::-1], least_px):
        raise PictureFault("has a hole of zeros in its picture", _REMEDY)


def _has_zeros(brightest: np.ndarray, least_px: int) -> bool:
    """Whether a run of so many zeros in (Y, X), row by row, has light at and beside its ends."""
    width, flat = brightest.shape[1], brightest.reshape(-1)
    beside_px = int(_NEIGHBOURS * width)
    changes = np.flatnonzero(np.diff(flat == 0)) + 1
    if flat[0] == 0:
        changes = changes[1:]  # there is nothing before
    ends = [*changes[1::2].tolist(), flat.size]
    for start, end in zip(changes[::2].tolist(), ends, strict=False):
        if end - start < least_px or start < width or start % width + beside_px > width:
            continue
        before = flat[start - 1], *flat[start - width : start - width + beside_px]
        after = [*flat[end : end + 1], *flat[end + width - beside_px : end + width]]
        if min(before) >= _LIT and (end == flat.size or min(after) >= _LIT):
            return True
    return False


def _structure(data: bytes) -> _Structure:
    """What the markers of the first picture in `data` tell."""
    structure, position = _Structure(), 0
    while match := _MARKER.search(data, position):
        marker, position = match.group(1)[0], match.end()
        if marker == _END:
            structure.has_end = True
            break
        if marker == _START:
            continue
        size = int.from_bytes(data[position : position + 2], "big")
        header, position = data[position + 2 : position + size], position + size
        if marker in _FRAMES:
            structure.frame = marker, header
        elif marker == _CODES:
            structure.tables += header
        elif marker == _SCAN:
            end = _MARKER.search(data, position)
            structure.scans.append((header, position, end.start() if end else len(data)))
    return structure


def _is_in_order(data: bytes, structure: _Structure) -> bool:
    """Whether a progressive JPEG has all its scans, and restarts within scans are numbered on."""
    marker, header = structure.frame
    if marker == _PROGRESSIVE:
        components = header[6::3]
        missing = {(c, k) for c in components for k in range(_COEFFICIENTS)}
        for scan, _, _ in structure.scans:
            of_scan, (first, last, bits) = scan[1 : 1 + 2 * scan[0] : 2], scan[-3:]
            if bits & 15 == 0:  # its lowest bit is there
                missing -= {(c, k) for c in of_scan for k in range(first, last + 1)}
        if missing:
            return False
    numbers = ([int(n[0]) for n in _RESTART.findall(data, *scan[1:])] for scan in structure.scans)
    return all((b - a) % 8 == 1 for of_scan in numbers for a, b in pairwise(of_scan))


def _has_hole(data: bytes, structure: _Structure) -> bool:
    """Whether there are zeros in a scan, where these are no code of the end of a block."""
    marker, tables = structure.frame[0], structure.tables
    are_flat = True
    while len(tables) > 17:  # class and number, how many codes have 1 to 16 bits, their symbols
        are_flat &= tables[0] < 0x10 or tables[17] == 0  # the first symbol's code is all zeros
        tables = tables[17 + sum(tables[1:17]) :]
    is_clear = marker in _HUFFMAN and marker != _PROGRESSIVE and not are_flat
    return is_clear and any(
        data.find(bytes(_HOLE_BYTES), start, end) >= 0 for _, start, end in structure.scans
    )


def _needs_all(data: bytes, structure: _Structure, image: Image.Image) -> bool:
    """Whether the decoder needs all codes of a JPEG, and no more."""
    marker, _ = structure.frame
    if marker not in _HUFFMAN or not structure.scans:
        return True
    coarse = _pixels(data, is_coarse=True)
    padded = _pixels(_padded(data, structure), is_coarse=marker != _PROGRESSIVE)
    if not np.array_equal(padded, np.asarray(image) if marker == _PROGRESSIVE else coarse):
        return False
    _, start, end = structure.scans[0]
    without_tail = data[: max(start, end - _TAIL_BYTES)] + data[end:]
    is_unset = bool((coarse[-1, -1] == _UNSET).all())  # it ends in grey of its own
    return is_unset or not np.array_equal(_pixels(without_tail, is_coarse=True), coarse)


def _padded(data: bytes, structure: _Structure) -> bytes:
    """A JPEG with more codes behind those of each scan, and before each restart in it."""
    pieces, done = [], 0
    for _, start, end in structure.scans:
        codes = _RESTART.sub(lambda restart: _PADDING + restart.group(), data[start:end])
        pieces += [data[done:start], codes, _PADDING]
        done = end
    return b"".join([*pieces, data[done:]])


def _pixels(data: bytes, is_coarse: bool) -> np.ndarray:
    """The picture at its size, or at an eighth of it, for which the first coefficient is enough."""
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:
        if is_coarse:
            image.draft(None, (1, 1))
        return np.asarray(image)
