"""Valid files of every kind that the program reads, and what reads them: for the fuzzing."""

import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fundusseg import serial
from fundusseg.datasets.maps import MapFolder
from fundusseg.datasets.shards import ShardFolder
from fundusseg.files import decoders, images, masks, models
from fundusseg.files.text import read_json
from fundusseg.options import InferOptions
from fundusseg.presets import PRESETS
from fundusseg.segmenter import Segmenter
from tests.batch import photograph, run, write_photographs, write_tiny_model
from tests.faults.trials import child
from tests.files.image_files import png_16_bit

SIZE_PX = 64
Commands = Iterable[tuple]
Reader = Callable[[Path, Path, random.Random], Commands | None]


@dataclass(frozen=True)
class Target:
    """Valid files below `root`, of which one at a time is made wrong.

    read: given the file, the folder that stands for `root`, and what is random, it reads them, or
    gives the command lines that do. writes: these change the folder.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    read: Reader
    writes: bool = False


def targets(root: Path) -> list[Target]:
    """All of them, made below `root`."""
    # The network is in that process alone.
    ended = child(lambda: _write(root), root, patience_s=600)
    assert ended.code == 0, ended.error
    return [
        Target("photographs", root / "photographs", _below(root / "photographs"), _photograph),
        Target("masks", root / "masks", _below(root / "masks"), _mask),
        Target("shards-h5", root / "h5", _below(root / "h5", "shard*"), _shards),
        Target("shards-npz", root / "npz", _below(root / "npz", "*.npz"), _shards),
        Target("maps-h5", root / "maps-h5", _below(root / "maps-h5", "*.h5"), _maps),
        Target("maps-npz", root / "maps-npz", _below(root / "maps-npz", "*.npz"), _maps),
        Target("model", root / "model", _below(root / "model"), _model),
        Target("config", root / "config", _below(root / "config"), _config),
        Target("infer", root / "inferred", _state(root / "inferred"), _infer, writes=True),
        Target("prep", root / "prepared", _state(root / "prepared"), _prep, writes=True),
        Target("measure", root / "measured", _state(root / "measured"), _measure, writes=True),
    ]


def _below(root: Path, pattern: str = "*") -> tuple[str, ...]:
    """The files below a folder, by relative path."""
    paths = sorted(path for path in root.rglob(pattern) if path.is_file())
    return tuple(str(path.relative_to(root)) for path in paths)


def _state(root: Path) -> tuple[str, ...]:
    """The files that a command wrote below a folder, but pictures and locks."""
    names = [name for name in _below(root) if not name.startswith(("in/", "model/"))]
    return tuple(name for name in names if not name.endswith((".png", ".lock")))


def _write(root: Path) -> int:
    quiet = ("--jobs", 1, "--quiet")
    model = write_tiny_model(root / "model")
    for name, pixels in (("photographs", photograph(0)), ("masks", _vessels())):
        (root / name).mkdir()
        for file, data in _pictures(pixels[:SIZE_PX, :SIZE_PX]):
            (root / name / file).write_bytes(data)
    (root / "config").mkdir()
    (root / "config" / "config.json").write_text(
        serial.canonical_json(serial.to_dict(PRESETS["native"]))
    )
    photographs = write_photographs(root / "inferred" / "in", "a.png", "b/c.jpg", "b/d.png")
    small = write_photographs(root / "measured" / "in", "a.png", "b.png")
    data = root / "prepared" / "in"
    infer = ("infer", photographs)
    own = ("--model", model, *quiet)
    codes = [
        run("phantom", data, "--count", 4, "--size", SIZE_PX, *quiet),
        run("prep", data, root / "h5", "--preset", "native", *quiet),
        run("prep", data, root / "npz", "--format", "npz", *quiet),
        run("prep", data, root / "prepared" / "shards", "--num-shards", 2, *quiet),
        run(*infer, root / "maps-h5", "--format", "h5", *own),
        run(*infer, root / "maps-npz", "--format", "npz", *own),
        run(*infer, root / "inferred" / "maps", *own),
        run("infer", small, root / "measured" / "maps", *own),
        run("measure", root / "measured" / "maps", root / "measured" / "vessels.csv", *quiet),
    ]
    for name in ("inferred", "prepared"):
        (root / name / "model").symlink_to(model)
    return max(codes)


def _vessels() -> np.ndarray:
    """uint8 (Y, X): lines on black."""
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    mask[30:33, 4:60] = mask[10:50, 20:22] = 255
    return mask


def _pictures(pixels: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """A picture, uint8 (Y, X[, 3]), in every format, kind of packing and depth."""
    image = Image.fromarray(pixels)
    ways: dict[str, tuple[str, dict]] = {
        **{"a.png": ("PNG", {}), "a.bmp": ("BMP", {}), "a.ppm": ("PPM", {}), "a.gif": ("GIF", {})},
        **{"a.jpg": ("JPEG", {}), "progressive.jpg": ("JPEG", {"progressive": True})},
        **{"a.tif": ("TIFF", {}), "lossy.webp": ("WEBP", {}), "a.webp": ("WEBP", {"lossless": 1})},
        **{
            f"{way}.tif": ("TIFF", {"compression": way}) for way in ("tiff_lzw", "jpeg", "packbits")
        },
        "deflated.tif": ("TIFF", {"compression": "tiff_adobe_deflate", "strip_size": 999}),
        "pages.tif": ("TIFF", {"save_all": True, "append_images": [image.resize((40, 40))]}),
    }
    for name, (format, options) in ways.items():
        yield name, _saved(image, format, **options)
    yield "restarts.jpg", _saved(image, "JPEG", restart_marker_blocks=2)
    yield "palette.png", _saved(image.convert("P"), "PNG")
    yield "alpha.png", _saved(image.convert("RGBA"), "PNG")
    deep = np.atleast_3d(pixels).astype(np.uint16) * 257
    yield "deep.png", png_16_bit(np.repeat(deep[..., :1], 3, 2))
    for name, values in (("deep", deep), ("float", (deep / 65535).astype(np.float32))):
        buffer = BytesIO()
        tifffile.imwrite(buffer, values.squeeze(), tile=(16, 16), compression="zlib")
        yield f"{name}.tif", buffer.getvalue()
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.moveaxis(deep, 2, 0).squeeze(), planarconfig=None)
    yield "planes.tif", buffer.getvalue()
    yield "a.ppm.gz", zlib.compress(_saved(image, "PPM"), wbits=31)


def _saved(image: Image.Image, format: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _photograph(path: Path, root: Path, drawn: random.Random) -> None:
    decoders.is_turned(path)
    images.read_photograph(path)


def _mask(path: Path, root: Path, drawn: random.Random) -> None:
    masks.is_plain_mask(path)
    read = drawn.choice((masks.read_vessels, masks.read_probability, masks.read_field_of_view))
    read(path, (SIZE_PX, SIZE_PX)) if read is masks.read_field_of_view else read(path)


def _shards(path: Path, root: Path, drawn: random.Random) -> None:
    folder = ShardFolder(root)
    for ref in folder.refs:
        folder.read(ref, native=True)


def _maps(path: Path, root: Path, drawn: random.Random) -> None:
    folder = MapFolder(root)
    for file in folder.files.values():
        folder.read(file)


def _model(path: Path, root: Path, drawn: random.Random) -> Commands:
    model = models.read_model(root)
    Segmenter(model, InferOptions()).framed(photograph(0))
    models.photographs_seen(root)
    models.thresholds_by_masks(root)
    return [("info", root), ("check", root)]


def _config(path: Path, root: Path, drawn: random.Random) -> None:
    serial.with_overrides(PRESETS["native"], read_json(path), str(path))


def _infer(path: Path, root: Path, drawn: random.Random) -> Commands:
    maps, quiet = root / "maps", ("--jobs", 1, "--quiet")
    own = ("--model", root / "model", *quiet)
    extra = drawn.choice(((), ("--verify",), ("--dry-run",), ("--force",), ("--json",)))
    ways = [
        ("infer", root / "in", maps, *own, *extra),
        ("infer", root / "in", maps, *own, "--shard", 0, "--num-shards", 2),
        ("check", maps),
        ("status", maps),
        ("merge", maps),
        ("measure", maps, root / "vessels.csv", *quiet),
        ("score", maps, maps, *quiet),
    ]
    return drawn.sample(ways, 2)


def _prep(path: Path, root: Path, drawn: random.Random) -> Commands:
    shards, quiet = root / "shards", ("--jobs", 1, "--quiet")
    own = ("--num-shards", 2, *quiet)
    ways = [
        ("prep", root / "in", shards, *own, *drawn.choice(((), ("--verify",), ("--force",)))),
        ("prep", root / "in", shards, *own, "--shard", 1),
        ("check", shards),
        ("infer", shards, root / "maps", "--dry-run", "--model", root / "model"),
        ("merge", shards),
    ]
    return drawn.sample(ways, 2)


def _measure(path: Path, root: Path, drawn: random.Random) -> Commands:
    table, quiet = root / "vessels.csv", ("--jobs", 1, "--quiet")
    ways = [
        ("measure", root / "maps", table, *quiet),
        ("check", table),
        ("merge", table),
    ]
    return drawn.sample(ways, 2)
