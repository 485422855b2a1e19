"""How far a run is: one small file of each part in OUT's hidden folder, for `fundusseg status`."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fundusseg.errors import InputError
from fundusseg.files.atomic import write_json
from fundusseg.files.manifest import STATE_FOLDER, Part, parts_of
from fundusseg.files.text import read_json
from fundusseg.serial import from_dict

NAME = "run.json"
WRITE_EVERY_S = 5


@dataclass
class Run:
    """One part of a command's work, as far as it has come.

    asked: the photographs that it was asked for. finished, failed: of these until now, those of
    earlier runs among them. made: in this run, in vain or not. began_s, last_s: when it began, and
    when it last said so, in seconds of Unix time. is_over: whether it came to its end.
    """

    asked: int
    finished: int = 0
    failed: int = 0
    made: int = 0
    began_s: float = 0.0
    last_s: float = 0.0
    is_over: bool = False

    @property
    def left(self) -> int:
        """The photographs that are neither finished nor failed."""
        return self.asked - self.finished - self.failed

    @property
    def per_s(self) -> float | None:
        """Photographs a second; None before the first."""
        seconds = self.last_s - self.began_s
        return self.made / seconds if self.made and seconds > 0 else None


class RunFile:
    """The file in which a run says how far it is, every `WRITE_EVERY_S` at most.

    Args:
        out: OUT, in which the hidden folder stands.
    """

    def __init__(self, out: Path, part: Part, run: Run):
        self.path, self.run = out / STATE_FOLDER / part.named(NAME), run
        run.began_s = time.time()
        self.write()

    def note(self, failed: bool) -> None:
        """Count a photograph."""
        self.run.made += 1
        if failed:
            self.run.failed += 1
        else:
            self.run.finished += 1
        if time.time() - self.run.last_s >= WRITE_EVERY_S:
            self.write()

    def end(self) -> None:
        """Say that the run came to its end."""
        self.run.is_over = True
        self.write()

    def write(self) -> None:
        """Write the file; InputError if the file system refuses."""
        self.run.last_s = time.time()
        write_json(self.path, asdict(self.run))


def read_runs(out: Path) -> list[Run | None]:
    """The run of each part, in their order, None where it has not begun; of the last array.

    Raises:
        InputError, FundussegError: if there are none, or a file is damaged.
    """
    folder = out / STATE_FOLDER
    names = parts_of(folder, NAME) if folder.is_dir() else {}
    if (folder / NAME).is_file():
        names[folder / NAME] = Part()
    runs = {part: _read(path) for path, part in names.items()}
    if not runs:
        problem = "holds no run of infer, which would tell how far it is"
        raise InputError(out, problem, "give the output folder of infer")
    total = max(runs, key=lambda part: runs[part].last_s).total
    return [runs.get(Part(number, total)) for number in range(total)]


def _read(path: Path) -> Run:
    try:
        return from_dict(Run, read_json(path), str(path))
    except TypeError as error:  # a key is missing
        remedy = "the next run of infer writes it anew"
        raise InputError(path, f"is damaged ({error})", remedy) from error
