"""The command lines that are tried, and what they read, made once."""

import functools
import importlib
import json
import pkgutil
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import fundusseg
from fundusseg import presets, serial
from fundusseg.files.manifest import package_versions
from tests.batch import photograph, run, write_tiny_model
from tests.faults.stand_ins import without_network
from tests.faults.trials import PATIENCE_S, Command, child
from tests.nets.tiny import tiny_preset
from tests.phantom_sets import encoded

QUIET = ("--jobs", 1, "--quiet")
PARTS = 2
STEPS = 12
_TRAIN = "fundusseg.commands.train"
_OF_TENSORFLOW = ("fundusseg.nets", "fundusseg.distributed", f"{_TRAIN}.shared", f"{_TRAIN}.adapt")
# What stands for a path in a command's own folder.
OWN = {"photographs", "phantoms", "shards", "model", "maps", "report"}
OWN |= {"measures.csv", "segments.csv"}


class Inputs:
    """What the commands read, below `root`; of another seed, other contents of the same names."""

    def __init__(self, root: Path, seed: int):
        self.photographs, self.model = root / "photographs", root / "model"
        self.phantoms, self.settings = root / "phantoms", root / "settings.json"
        self.seed = seed

    def write(self) -> int:
        """Write them, which takes tensorflow; an exit code."""
        names = ("a.png", "b/c.jpg")
        for number, name in enumerate(names):
            path = self.photographs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(photograph(self.seed + number), name))
        values = serial.to_dict(tiny_preset(log_every=2, validate_every=3, checkpoint_every=4))
        del values["frame"]  # the shards carry it
        self.settings.write_text(json.dumps(values))
        write_tiny_model(self.model, self.seed)
        words = ("--count", 4, "--size", 64, "--seed", self.seed, *QUIET)
        return run("phantom", self.phantoms, *words)


def prepare(root: Path) -> tuple[Inputs, Inputs]:
    """Two sets of inputs; this process never loads tensorflow."""
    presets.PRESETS["native"] = tiny_preset()
    inputs = Inputs(root, 1), Inputs(root / "others", 11)
    ended = child(lambda: max(one.write() for one in inputs), root, PATIENCE_S * 10)
    assert ended.code == 0, ended.error
    without_network()
    import_all()
    run("check", inputs[0].model, "--quiet")  # imports what typer imports at its first command
    metadata.version = functools.cache(metadata.version)  # which not every user may read
    package_versions()
    return inputs


def import_all() -> None:
    """Import what the commands import when they run, but tensorflow; have small frames."""
    presets.PRESETS["native"] = tiny_preset()
    for module in pkgutil.walk_packages(fundusseg.__path__, "fundusseg."):
        if not module.name.startswith(_OF_TENSORFLOW):
            importlib.import_module(module.name)


@dataclass(frozen=True)
class Reading:
    """A command that reads what stands in its own folder at its beginning.

    may_differ: outputs that hold hashes of what was read, or follow from such.
    """

    command: Command
    begin: Path
    may_differ: frozenset[str]


class Commands:
    """The command lines, each in a folder of its own below `root`.

    Attributes:
        writing: by name, those that are disturbed while they write.
        left: by name, what they leave.
        reading: by name, those that read what has been damaged.
        denied: by name, those that are run by a user who may not use something.
    """

    def __init__(self, root: Path, inputs: Inputs):
        self.root = root
        self.writing: dict[str, Command] = {}
        self.left: dict[str, Path] = {}
        self.reading: dict[str, Reading] = {}
        self.denied: dict[str, Command] = {}
        prep = ("prep", inputs.phantoms, "shards", "--num-shards", PARTS, "--format")
        infer = ("infer", inputs.photographs, "maps", "--model", inputs.model)
        train = ("--config", inputs.settings, "--steps", STEPS, "--precision", "float32")
        parts = [("--shard", number, "--num-shards", PARTS) for number in range(PARTS)]
        for format in ("h5", "npz"):
            self._write(f"prep {format}", *prep, format)
            self._write(f"infer {format}", *infer, "--format", format)
        self._write("infer", *infer, "--probability")
        shards, maps = self.left["prep h5"] / "shards", self.left["infer"] / "maps"
        self._write("measure", "measure", maps, "measures.csv", "--segments", "segments.csv")
        self._write("train", "train", shards, "model", *train)
        of_infer = self._left("parts of infer", self.writing["infer"], *parts)
        self._write("merge", "merge", "maps", begin=of_infer)
        of_shards = self._left("maps of shards", self._command("", *infer[:1], shards, *infer[2:]))
        to_score = shutil.copytree(of_shards, root / "to score")
        shutil.copytree(shards, to_score / "shards")
        self._write("score", "score", to_score / "maps", shards, "--out", "report")

        of_prep = self._left("parts of prep", self.writing["prep npz"], *parts)
        sums = ("manifest.json", "SHA256SUMS", "state.h5")
        a_model = root / "a model"
        shutil.copytree(inputs.model, a_model / "model")
        self._read("infer", a_model, *infer[:3], "--model", "model")
        for format in ("h5", "npz"):
            begin = self.left[f"prep {format}"]
            self._read(f"infer of {format}", begin, "infer", "shards", *infer[2:])
            self._read(
                f"train on {format}", begin, "train", "shards", "model", *train, differs=sums
            )
        self._read("measure", self.left["infer"], "measure", "maps", "measures.csv")
        rows = ("measures.csv",)
        begin = self.left["infer h5"]
        self._read("measure of h5", begin, "measure", "maps", "measures.csv", differs=rows)
        sums = ("manifest.json", "SHA256SUMS")
        self._read("score", to_score, "score", "maps", "shards", "--out", "report", differs=sums)
        self._read("merge", of_infer, "merge", "maps")
        self._read("merge of npz", of_prep, "merge", "shards")

        given = root / "given"
        shutil.copytree(inputs.photographs, given / "photographs")
        shutil.copytree(inputs.phantoms, given / "phantoms")
        shutil.copytree(inputs.model, given / "model")
        infer = ("infer", "photographs", "maps", "--model", "model")
        for name, begin, words in (
            ("infer", given, infer),
            ("infer of a model", given, infer),
            ("infer again", given, infer),
            ("prep", given, ("prep", "phantoms", "shards")),
            ("train", self.left["prep h5"], ("train", "shards", "model", *train)),
            ("measure", self.left["infer"], ("measure", "maps", "measures.csv")),
            ("score", to_score, ("score", "maps", "shards", "--out", "report")),
            ("check", self.left["infer"], ("check", "maps")),
        ):
            self.denied[name] = self._command(f"{name} by nobody", *words, begin=begin)

    def _write(self, name: str, *words, begin: Path | None = None) -> None:
        self.writing[name] = self._command(name, *words, begin=begin)
        self.left[name] = self._left(name, self.writing[name])

    def _read(self, name: str, begin: Path, *words, differs: tuple[str, ...] = ()) -> None:
        command = self._command(f"{name} of damage", *words, begin=begin)
        self.reading[name] = Reading(command, begin, frozenset(differs))

    def _command(self, name: str, *words, begin: Path | None = None) -> Command:
        folder = self.root / "tried" / name
        words = tuple(folder / "out" / word if word in OWN else word for word in words)
        quiet = ("--quiet",) if words[0] in ("merge", "check") else QUIET
        return Command((*words, *quiet), folder, begin)

    def _left(self, name: str, command: Command, *calls: tuple) -> Path:
        """A copy of what a command leaves, called once with each of `calls`, its further words."""
        command.reset()
        for more in calls or [()]:
            ended = command.run(*more)
            assert ended.code == 0, (name, ended)
        return Path(shutil.copytree(command.out, self.root / "left" / name))
