"""Commands run as a user runs them, and what they leave: for the tests of the batch contract."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from fundusseg import cli
from fundusseg.files import models
from fundusseg.files.checksums import sha256_of
from fundusseg.files.ledger import LedgerFiles
from fundusseg.files.manifest import WHOLE, Part, write_manifest
from fundusseg.files.status import StatusRow, id_bytes, status_line, write_lines
from fundusseg.phantom.drawing import PhantomConfig, phantom
from fundusseg.serial import config_hash
from tests.nets.tiny import FRAME_PX, tiny_preset
from tests.phantom_sets import encoded

PROGRAM = Path(__file__).parent.parent / "bin" / "fundusseg"


def run(*words) -> int:
    """Run a command line in this process; its exit code."""
    return cli.main([*map(os.fspath, map(_word, words))])


def _word(word) -> str | Path:
    return word if isinstance(word, str | Path) else str(word)


_WITH_SIGNALS = """
import os, signal, sys
ignored, program, *words = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs the tests may ignore it
for name in ignored.split():
    signal.signal(signal.Signals[name], signal.SIG_IGN)
os.execv(program, [program, *words])
"""


def started(
    *words, program: tuple = (PROGRAM,), stdin=None, ignored: str = "", **environment: str
) -> subprocess.Popen:
    """Start a command line as a process of its own.

    Args:
        program: the words that start fundusseg.
        ignored: names of signals that it ignores from its start, as nohup has it.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _WITH_SIGNALS, ignored, *program, *map(_word, words)],
        env={**os.environ, **environment},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(*words, stdin=None, **environment: str) -> tuple[int, str, str]:
    """Run a command line as a process of its own: exit code, stdout, stderr."""
    process = started(*words, stdin=stdin, **environment)
    out, error = process.communicate()
    return process.returncode, out.decode(), error.decode()


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder by relative path; no dot files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not is_hidden(path.relative_to(folder))
    }


def is_hidden(path: Path) -> bool:
    """Whether a relative path is, or is below, what begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def temporaries(folder: Path) -> list[str]:
    """The names of temporary files anywhere below a folder."""
    return sorted(path.name for path in folder.rglob(".tmp-*"))


def require_whole_files(folder: Path) -> None:
    """Open every file that stands under a final name; a half one raises."""
    for path in folder.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda _, item: item[()] if hasattr(item, "shape") else None)
        elif path.suffix == ".npz":
            with np.load(path) as file:
                _ = {name: file[name] for name in file.files}
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix in (".tsv", ".csv"):
            assert path.read_text().endswith("\n"), path


def write_status(path: Path, rows: Iterable[StatusRow]) -> None:
    """Write a status table as infer does."""
    write_lines(path, sorted((status_line(row) for row in rows), key=id_bytes))


def write_sealed(path: Path, values: dict) -> None:
    """Write what a manifest holds, with the hash that it must have."""
    values = {key: value for key, value in values.items() if key != "sha256"}
    path.write_text(json.dumps({**values, "sha256": config_hash(values)}))


def note_outputs(folder: Path, *names: str, part: Part = WHOLE) -> None:
    """Note files as outputs in the ledger of a folder."""
    ledger = LedgerFiles(folder, part)
    ledger.begin()
    ledger.append("x", "0" * 64, outputs=dict.fromkeys(names, "0" * 64))


def flip_byte(path: Path, position: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@contextmanager
def small_disk(limit_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond a limit: as a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@cache
def photograph(seed: int) -> np.ndarray:
    """A phantom's photograph, uint8 (Y, X, 3), 96 pixels wide."""
    return phantom(PhantomConfig(size_px=96), seed).photograph


def write_photographs(root: Path, *names: str) -> Path:
    """Write a photograph under each of the names, no two alike; `root`."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photograph(seed), name))
    return root


def write_tiny_model(
    folder: Path,
    seed: int = 3,
    frame_px: tuple[int, ...] = (FRAME_PX,),
    is_calibrated: bool = True,
) -> Path:
    """A model of a tiny network with its initial weights; `folder`."""
    from fundusseg.nets import runtime
    from fundusseg.nets.generator import build_generator

    preset = tiny_preset()
    preset = replace(preset, frame=replace(preset.frame, sizes_px=frame_px))
    runtime.keras.utils.set_random_seed(seed)
    generator = build_generator(preset.generator, runtime.policy("float32"))
    weights = {weight.path: weight.numpy() for weight in generator.weights}
    models.write_weights(folder / models.GENERATOR, weights)
    calibration = models.Calibration(1.5, -0.25) if is_calibrated else None
    models.write_config(folder, preset, 0.5, calibration, {})
    hashes = {name: sha256_of(folder / name) for name in (models.CONFIG, models.GENERATOR)}
    sha256 = models.model_sha256(folder)
    write_manifest(folder, "train", {"sha256": "0" * 64}, hashes, inputs={}, model_sha256=sha256)
    return folder


def one_line(capsys) -> str:
    """The error, which must be one line."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert line.startswith("fundusseg: error: ")
    return line
