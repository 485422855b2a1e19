"""Files that are damaged, odd or hostile, made by a script; each has a row that says what it is."""

import csv
import os
import random
import signal
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fundusseg import cli
from fundusseg.commands.infer.inputs import InputFiles
from fundusseg.files.images import without_suffix
from fundusseg.files.names import unescaped
from fundusseg.files.status import OK
from tests.batch import photograph
from tests.faults.trials import Row, child, without_network
from tests.files.image_files import lying_png, png_16_bit

LONGEST_S = 30
LARGEST_MIB = 2048
DAMAGES = 24  # truncations, and as many flips, of each format
FORMATS = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {}),
    "tif": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff": ("TIFF", {}),
    "gif": ("GIF", {}),
    "ppm": ("PPM", {}),
    "bmp": ("BMP", {}),
    "webp": ("WEBP", {}),
}
NAMES = ("a\nb", "a\tb", "a\"b'c", "-rf", "--help", "\N{EYE}", "a\\b", "a b ", "$(touch x)", "%s%n")


def _saved(image: Image.Image, format: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _damaged(data: bytes, drawn: random.Random) -> Iterator[tuple[str, bytes]]:
    """A file cut off, with flipped bits, with a run of zeros, and filled up with zeros."""
    for n in range(DAMAGES):
        end = drawn.randrange(len(data))
        yield f"cut-{n}-at-{end}", data[:end]
        changed = bytearray(data)
        for _ in range(drawn.choice((1, 1, 8))):
            place = drawn.randrange(min(len(data), drawn.choice((64, len(data)))))
            changed[place] ^= 1 << drawn.randrange(8)
        yield f"flipped-{n}", bytes(changed)
    start = drawn.randrange(len(data))
    yield "holed", data[:start] + bytes(len(data[start : start + 512])) + data[start + 512 :]
    yield "zeros", bytes(len(data))


def _files(drawn: random.Random) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of all that is a file with bytes."""
    pixels = photograph(0)
    image = Image.fromarray(pixels)
    for suffix, (format, options) in FORMATS.items():
        data = _saved(image, format, **options)
        for name, damaged in _damaged(data, drawn):
            yield f"damaged/{name}-{suffix}.{suffix}".encode(), damaged
        for other in FORMATS:
            yield f"misnamed/{suffix}-as-{other}.{other}".encode(), data
        yield f"empty-{suffix}.{suffix}".encode(), b""
        yield f"text-{suffix}.{suffix}".encode(), b"<html>404 Not Found</html>"
    png = _saved(image, "PNG")
    for name in NAMES:
        yield f"names/{name}.png".encode(), png
    yield b"names/\xff\xfe.png", png
    yield b"names/" + b"n" * 251 + b".png", png
    for name, mode in enumerate(("1", "L", "P", "RGBA", "LA", "CMYK", "YCbCr", "I", "F", "I;16")):
        grey = image.convert("L")
        converted = grey.convert(mode) if mode in ("I", "F", "I;16") else image.convert(mode)
        yield f"modes/{name}.tif".encode(), _saved(converted, "TIFF")
    yield b"modes/cmyk.jpg", _saved(image.convert("CMYK"), "JPEG")
    for channels in (2, 3, 4):
        deep = np.repeat(pixels[..., :1].astype(np.uint16) * 257, channels, 2)
        yield f"modes/16-bit-{channels}.png".encode(), png_16_bit(deep)
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"turned-{turn}.jpg".encode(), _saved(image, "JPEG", exif=exif)
    pages = {"save_all": True, "append_images": [Image.fromarray(photograph(1))]}
    yield b"pages.tif", _saved(image, "TIFF", **pages)
    yield b"animated.gif", _saved(image, "GIF", **pages)
    nan = np.full((64, 64), np.nan, np.float32)
    yield b"nan.tif", _saved(Image.fromarray(nan), "TIFF")
    for width, height in ((1, 1), (20000, 16), (16, 20000), (31, 96), (4000, 40)):
        yield f"sizes/{width}x{height}.png".encode(), _saved(image.resize((width, height)), "PNG")
    for number, size in enumerate(((60000, 60000), (2**31 - 1, 1), (0, 0), (20000, 24000))):
        yield f"lying/{number}.png".encode(), lying_png(*size, zlib.compress(bytes(10**6)))
    rows = _saved(image, "TIFF")
    height = rows.index(struct.pack("<HHII", 257, 4, 1, 96)) + 8
    yield b"lying/rows.tif", rows[:height] + struct.pack("<I", 4194400) + rows[height + 4 :]
    yield b"lying/gzip.ppm.gz", zlib.compress(bytes(10**7), wbits=31)
    yield b"lying/gzip-bomb.ppm.gz", zlib.compress(b"P6 60000 60000 255\n" + bytes(10**8), wbits=31)
    yield b"lying/text.ppm", b"P6 99999999999999999999 1 255\n"
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    drawing = np.full((96, 96, 3), 255, np.uint8)
    drawing[20:70, 40:44] = 0
    twice = np.concatenate([pixels, photograph(1)], axis=1)
    strange = {
        **{"black": np.zeros_like(pixels), "white": np.full_like(pixels, 255), "noise": noise},
        **{"drawing": drawing, "two": twice, "upside-down": pixels[::-1]},
        **{"map": (pixels > 99).astype(np.uint8) * np.uint8(255), "right": pixels},
    }
    for name, values in strange.items():
        yield f"strange/{name}.png".encode(), _saved(Image.fromarray(values), "PNG")


def write_corpus(root: Path, drawn: random.Random) -> set[str]:
    """Write the files, and what is no file; the paths below `root` of which a row is due."""
    due = set()
    folder = os.fsencode(root)
    for name, data in _files(drawn):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        due.add(os.fsdecode(name))
    special = root / "special"
    (special / "folder.png").mkdir(parents=True)
    (special / "loop").symlink_to(special)
    (special / "dangling.png").symlink_to("nowhere.png")
    (special / "itself.png").symlink_to("itself.png")
    (special / "link.png").symlink_to(root / "strange" / "right.png")
    os.mkfifo(special / "fifo.png")
    here = os.getcwd()
    os.chdir(special)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.png")
    os.chdir(here)
    names = ("dangling", "itself", "link", "fifo", "socket")
    return due | {f"special/{name}.png" for name in names}


def bad_inputs(root: Path, due: set[str]) -> list[Row]:
    """Put the corpus through infer, then through measure as if it were maps.

    Args:
        root: below it stand the corpus and a model.
        due: the paths of the corpus' files.
    """
    corpus, model = root / "corpus", root / "model"
    read = InputFiles.read

    def timed(*arguments):
        signal.alarm(LONGEST_S)
        try:
            return read(*arguments)
        finally:
            signal.alarm(0)

    def infer() -> int:
        without_network()
        InputFiles.read = timed
        options = ("--layout", "none", "--keep-suffix", "--jobs", "1", "--quiet")
        return cli.main(["infer", str(corpus), str(root / "maps"), "--model", str(model), *options])

    def measure() -> int:
        return cli.main(["measure", str(corpus), str(root / "bad.csv"), "--jobs", "1", "--quiet"])

    rows = []
    patience_s = 20 * len(due)
    for name, work in (("infer", infer), ("measure", measure)):
        row = Row(f"bad inputs, {name}", tried=len(due))
        rows.append(row)
        ended = child(work, root, patience_s=patience_s)
        if ended.code is None:
            row.amiss("hung", ended.error[-300:])
        elif ended.code != 3:
            row.amiss("wrong", f"exit {ended.code}: {ended.error[-800:]}")
        if ended.rss_mib > LARGEST_MIB:
            row.amiss("wrong", f"took {ended.rss_mib:.0f} MiB")
    of_infer = partial(cells, root / "maps" / "status.tsv", delimiter="\t", quoting=csv.QUOTE_NONE)
    _judge(rows[0], due, of_infer)
    _judge(rows[1], {without_suffix(path) for path in due}, partial(cells, root / "bad.csv"))
    return rows


def cells(path: Path, **dialect) -> dict[str, tuple[str, str]]:
    """Status and reason by id, of a table."""
    with path.open(newline="") as file:
        lines = csv.DictReader(file, **dialect)
        return {unescaped(line["id"]): (line["status"], line["reason"]) for line in lines}


def _judge(row: Row, due: set[str], read: Callable[[], dict[str, tuple[str, str]]]) -> None:
    """Note what has no row, and rows that say nothing."""
    if row.faults:
        return  # there may be no table
    found = read()
    for id in sorted(due - found.keys()):
        row.amiss("lost", f"{id!r} has no row")
    for id, (status, reason) in found.items():
        if status != OK and not reason:
            row.amiss("wrong", f"{id!r} failed without a reason")
