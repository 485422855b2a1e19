"""Encoders of maps and decoders of photographs, measured: what docs/speed.md chooses from."""

import statistics
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image

from fundusseg.files import encoders, images
from tests.bench.tables import table

STRATEGIES = {
    "default": zlib.Z_DEFAULT_STRATEGY,
    "filtered": zlib.Z_FILTERED,
    "Huffman only": zlib.Z_HUFFMAN_ONLY,
    "runs": zlib.Z_RLE,
    "fixed": zlib.Z_FIXED,
}
# Level 0 stores; Huffman and runs look for no matches, so their level changes nothing.
PNG_WAYS = [
    *((level, "default") for level in range(10)),
    (1, "filtered"),
    (6, "filtered"),
    (1, "Huffman only"),
    (1, "runs"),
    (1, "fixed"),
]


def png_table(maps: Path) -> str:
    """CPU ms and kB of each level and strategy, for a map, its probabilities, an overlay.

    Args:
        maps: a folder that infer --probability --overlay wrote.
    """
    kinds = {
        "map": [path for path in _pngs(maps) if "." not in path.stem],
        "probability": [path for path in _pngs(maps) if path.name.endswith(".prob.png")],
        "overlay": [path for path in _pngs(maps) if path.name.endswith(".overlay.png")],
    }
    pictures = {kind: [Image.open(path) for path in paths] for kind, paths in kinds.items()}
    rows = []
    for level, strategy in PNG_WAYS:
        options = {"compress_level": level, "compress_type": STRATEGIES[strategy]}
        cells = []
        for opened in pictures.values():
            found = [_encoded(picture, options) for picture in opened]
            milliseconds, sizes = zip(*found, strict=True)
            cells += [f"{statistics.mean(milliseconds):.1f}", f"{statistics.mean(sizes):.0f}"]
        is_chosen = options == encoders.PNG_COMPRESSION
        rows.append((f"{level}, {strategy}{' (chosen)' if is_chosen else ''}", *cells))
    columns = ("zlib level, strategy", *(f"{kind}, {unit}" for kind in kinds for unit in _UNITS))
    return table("## PNG: CPU ms and kB a photograph, CHASE_DB1", columns, rows)


_UNITS = ("ms", "kB")


def _pngs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


def _encoded(picture: Image.Image, options: dict) -> tuple[float, float]:
    picture.load()
    buffer = BytesIO()
    started = time.process_time()
    picture.save(buffer, format="PNG", **options)
    return 1000 * (time.process_time() - started), buffer.tell() / 1000


def decoding_table(photographs: dict[str, list[Path]]) -> str:
    """CPU ms of a photograph by each decoder, from bytes in memory.

    Args:
        photographs: some of each data set.
    """
    ways: dict[str, Callable[[Path, bytes], object]] = {
        "Pillow": lambda path, data: np.asarray(Image.open(BytesIO(data))),
        "Pillow through imageio": lambda path, data: iio.imread(data, plugin="pillow"),
        "Pillow, draft at half size": lambda path, data: _drafted(data),
        "as the program reads: decode, upright, RGB, SHA-256": lambda path, data: (
            images.read_photograph(path)
        ),
    }
    rows = []
    for name, way in ways.items():
        cells = []
        for paths in photographs.values():
            taken = []
            for path in paths:
                data = path.read_bytes()
                started = time.process_time()
                way(path, data)
                taken.append(1000 * (time.process_time() - started))
            cells.append(f"{statistics.median(taken):.1f}")
        rows.append((name, *cells))
    return table("## Decoding a JPEG, CPU ms", ("decoder", *photographs), rows)


def _drafted(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", (image.width // 2, image.height // 2))
        return np.asarray(image)
