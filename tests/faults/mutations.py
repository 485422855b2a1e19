"""Files made wrong: bytes anywhere, or by their structure, so that checksums hold and more is read.

`mutated` knows PNG, JPEG, TIFF, HDF5, NPZ, JSON (one value, or one a line) and tables by their
bytes. The same `random.Random` gives the same file.
"""

import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import h5py
import numpy as np

NUMBERS = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**32 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, 2, 99, 10**6, 2**31, 2**63, 10**30, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), "", "x", "ok", "failed", "png", "native", "../../x", "/etc/x"),
    *("a\tb", "a\nb", "\0", "\ud800", "9" * 5000, [], {}, [[]], [None], {"": None}, [1, 2], [-1]),
)
SHAPES = ((), (0,), (3,), (2, 2), (4, 0), (96, 96), (96, 96, 3), (10**5, 10**5), (2**31, 2**31))
DTYPES = ("u1", "i8", ">f4", "f8", "c8", "b1", "S4", "m8[s]")


def mutated(data: bytes, drawn: random.Random) -> bytes:
    """`data` with something wrong in it; now and then in two places."""
    for _ in range(drawn.choice((1, 1, 1, 2))):
        by_structure = _by_structure(data)
        way = by_structure if by_structure and drawn.random() < 0.6 else _bytes_changed
        try:
            data = way(data, drawn)
        except Exception:  # the first change has left no structure
            data = _bytes_changed(data, drawn)
    return data


def _by_structure(data: bytes) -> Callable[[bytes, random.Random], bytes] | None:
    beginnings = {
        b"\x89PNG": _png_changed,
        b"\xff\xd8": _jpeg_changed,
        b"II*\0": _tiff_changed,
        b"\x89HDF": _hdf5_changed,
        b"PK": _npz_changed,
        b"{": _json_changed,
    }
    found = (way for start, way in beginnings.items() if data.startswith(start))
    return next(found, _table_changed if b"\t" in data or b"," in data[:200] else None)


def _bytes_changed(data: bytes, drawn: random.Random) -> bytes:
    """Bits flipped, numbers put in, pieces cut out, doubled or swapped, or the end cut off."""
    changed = bytearray(data)
    head = drawn.choice((64, 512, len(changed)))
    start = drawn.randrange(max(1, min(len(changed), head)))
    stop = min(len(changed), start + drawn.choice((1, 2, 4, 8, 64, 512)))
    match drawn.randrange(7):
        case 0:
            for _ in range(drawn.choice((1, 2, 8))):
                place = drawn.randrange(max(1, min(len(changed), head)))
                changed[place : place + 1] = bytes([drawn.randrange(256)])
        case 1:
            format = drawn.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
            most = 256 ** struct.calcsize(format) - 1
            number = struct.pack(format, min(most, drawn.choice((*NUMBERS, most))))
            changed[start : start + len(number)] = number
        case 2:
            del changed[start:stop]
        case 3:
            changed[start:start] = changed[start:stop] * drawn.choice((1, 2, 50))
        case 4:
            changed[start:stop] = bytes(stop - start)
        case 5:
            other = drawn.randrange(len(changed) + 1)
            changed[start:stop] = changed[other : other + stop - start]
        case 6:
            del changed[start:]
    return bytes(changed)


def _json_changed(data: bytes, drawn: random.Random) -> bytes:
    """One value of a JSON text, or of one of its lines, replaced, left out or doubled."""
    lines = [data] if data.startswith(b"{\n") else data.splitlines()
    number = drawn.randrange(len(lines))
    if drawn.random() < 0.05:
        lines[number] = b'{"key":' + b"[" * 10**5
    elif drawn.random() < 0.1 and len(lines) > 1:
        lines[number:number] = [drawn.choice(lines)]
    else:
        values = json.loads(lines[number])
        _change(values, drawn)
        lines[number] = json.dumps(values).encode()
    return b"\n".join(lines) + b"\n"


def _change(values: Any, drawn: random.Random) -> None:
    """Change an object or a list somewhere in its depth."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        if not keys:
            return
        key = drawn.choice(keys)
        inner = values[key]
        if not isinstance(inner, dict | list) or not inner or drawn.random() < 0.3:
            break
        values = inner
    match drawn.randrange(6):
        case 0:
            del values[key]
        case 1 if isinstance(values, dict):
            values[drawn.choice(("", "x", "../x", "/x", "a\nb", key * 9))] = inner
        case 2:
            values[key] = [inner, inner]
        case 3 if isinstance(inner, int | float):
            values[key] = drawn.choice((-inner, inner * 1000, inner + 1, str(inner)))
        case _:
            values[key] = drawn.choice(VALUES)


def _table_changed(data: bytes, drawn: random.Random) -> bytes:
    """A cell or a line of a table replaced, left out or doubled."""
    separator = b"\t" if b"\t" in data else b","
    lines = data.split(b"\n")
    number = drawn.randrange(len(lines))
    match drawn.randrange(4):
        case 0:
            del lines[number]
        case 1:
            lines.insert(number, drawn.choice(lines))
        case _:
            cells = lines[number].split(separator)
            text = drawn.choice(("", "-1", "nan", "inf", "1e400", "x", "../x", "\\x", "\\xff", '"'))
            cells[drawn.randrange(len(cells))] = text.encode()
            lines[number] = separator.join(cells)
    return b"\n".join(lines)


def _png_changed(data: bytes, drawn: random.Random) -> bytes:
    """A chunk with other content and the right checksum; of pixels, before they are packed."""
    chunks, position = [], 8
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + size]))
        position += 12 + size
    number = drawn.randrange(len(chunks))
    name, content = chunks[number]
    if name == b"IHDR":
        fields = list(struct.unpack(">IIBBBBB", content))
        place = drawn.randrange(len(fields))
        small = (0, 1, 2, 3, 4, 6, 8, 16, 255)
        fields[place] = drawn.choice(NUMBERS if place < 2 else small)
        content = struct.pack(">IIBBBBB", *fields)
    elif name == b"IDAT":
        content = zlib.compress(_bytes_changed(zlib.decompress(content), drawn))
    else:
        content = _bytes_changed(content or b"\0", drawn)
    chunks[number] = name, content
    pieces = [data[:8]]
    for name, content in chunks:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        pieces.append(struct.pack(">I", len(content)) + name + content + checksum)
    return b"".join(pieces)


def _jpeg_changed(data: bytes, drawn: random.Random) -> bytes:
    """The header of a segment changed, its size kept right."""
    places, position = [], 2
    while data[position] == 0xFF and data[position + 1] != 0xDA:
        places.append(position)
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    start = drawn.choice([*places, position])
    (size,) = struct.unpack_from(">H", data, start + 2)
    content = _bytes_changed(data[start + 4 : start + 2 + size], drawn)[:65533]
    segment = data[start : start + 2] + struct.pack(">H", len(content) + 2) + content
    return data[:start] + segment + data[start + 2 + size :]


def _tiff_changed(data: bytes, drawn: random.Random) -> bytes:
    """The tag, kind, count or value of an entry of the first directory replaced."""
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    entry = directory + 2 + 12 * drawn.randrange(count)
    place, format = drawn.choice(((0, "<H"), (2, "<H"), (4, "<I"), (8, "<I"), (8, "<I")))
    (now,) = struct.unpack_from(format, data, entry + place)
    most = 256 ** struct.calcsize(format) - 1
    number = min(most, abs(drawn.choice((*NUMBERS, now + 1, now * 2, now - 1, now ^ 1 << 12))))
    changed = bytearray(data)
    struct.pack_into(format, changed, entry + place, number)
    return bytes(changed)


def _array(drawn: random.Random) -> np.ndarray:
    """An array of any shape that takes little room, and any kind."""
    shape = drawn.choice([shape for shape in SHAPES if np.prod(shape, dtype=float) < 10**5])
    return np.zeros(shape, drawn.choice(DTYPES))


def _hdf5_changed(data: bytes, drawn: random.Random) -> bytes:
    """An array or attribute replaced or left out; arrays may be huge, and nowhere stored."""
    buffer = BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        item = drawn.choice(items)
        if drawn.random() < 0.5 and len(item.attrs):
            key = drawn.choice(sorted(item.attrs))
            del item.attrs[key]
            if drawn.random() < 0.8:
                item.attrs[key] = drawn.choice([v for v in VALUES if type(v) in (int, str, float)])
        elif item.name != "/":
            name, values = item.name, _array(drawn)
            del file[name]
            match drawn.randrange(4):
                case 0:
                    file[name] = values
                case 1:
                    huge = drawn.choice(SHAPES[-2:])
                    file.create_dataset(name, huge, "u1", chunks=True, compression="gzip")
                case 2:
                    file[name] = h5py.ExternalLink("/etc/hostname", "/")
                case 3:
                    file[name] = h5py.SoftLink(name)
    return buffer.getvalue()


def _npz_changed(data: bytes, drawn: random.Random) -> bytes:
    """A member replaced, left out or doubled; its header may promise anything."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name, buffer = drawn.choice(sorted(members)), BytesIO()
    match drawn.randrange(5):
        case 0:
            del members[name]
        case 1:
            np.lib.format.write_array(buffer, _array(drawn))
            members[name] = buffer.getvalue()
        case 2:
            shape, kind = drawn.choice(SHAPES), drawn.choice(("|u1", "<f8", "|O", "<U9"))
            header = {"descr": kind, "fortran_order": drawn.random() < 0.5, "shape": shape}
            np.lib.format.write_array_header_1_0(buffer, header)
            members[name] = buffer.getvalue() + bytes(drawn.choice((0, 100, 3 * 10**7)))
        case 3:
            members[name] = _bytes_changed(members[name], drawn)
        case 4:
            members[drawn.choice(("../x.npy", "map.npy", "probability.npy", "x"))] = members[name]
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()
