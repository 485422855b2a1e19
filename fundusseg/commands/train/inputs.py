"""What a training takes in: its preset, its samples, and the weights that it begins with."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fundusseg import ui
from fundusseg.config import Preset
from fundusseg.datasets.samples import Sample, SampleRef
from fundusseg.datasets.shards import ShardFolder
from fundusseg.datasets.splits import SPLITS
from fundusseg.errors import FundussegError, InputError, UsageError
from fundusseg.files import models
from fundusseg.files.checksums import sha256_of
from fundusseg.files.names import escaped
from fundusseg.options import TrainOptions
from fundusseg.presets import ADAPTING, PRESETS
from fundusseg.report.markdown import named_in_a_line
from fundusseg.serial import with_overrides
from fundusseg.wording import counted


@dataclass(frozen=True)
class TrainingData:
    """What is trained on, and what validates.

    frames: uint8 (S, S, 5), one data set after another. set_names, set_sizes: of each its name
        and the number of its frames. photographs: SHA-256 of those that train and that validate,
        by part, those of the initial model too.
    """

    frames: tuple[np.ndarray, ...]
    set_names: tuple[str, ...]
    set_sizes: tuple[int, ...]
    held_out: tuple[Sample, ...]
    photographs: dict[str, list[str]]


def configured(folders: list[ShardFolder], options: TrainOptions) -> Preset:
    """The preset that the shards carry, with what the command line and --config change.

    Raises:
        FundussegError: if the shards were prepared with different presets or frames, or the
            network does not fit the frame or the crops.
    """
    if options.steps is not None and options.epochs is not None:
        raise UsageError("--steps and --epochs exclude each other")
    if options.adapt and options.distribute != "none":
        raise UsageError("--adapt takes one process; leave --distribute out")
    first = folders[0]
    for folder in folders[1:]:
        if (folder.header.preset, folder.header.frame) != (first.header.preset, first.header.frame):
            problem = f"was prepared with another preset or frame than {first.root}"
            raise InputError(folder.root, problem, "prepare both with the same preset")
    preset = PRESETS[first.header.preset]
    if options.adapt:
        preset = with_overrides(preset, ADAPTING, "--adapt")
    preset = with_overrides(preset, options.preset_keys, "--config")
    if "frame" in options.preset_keys and preset.frame != first.header.frame:
        problem = "sets another frame than the shards have"
        raise InputError("--config", problem, "leave it out, or prepare other shards")
    preset = dataclasses.replace(preset, frame=first.header.frame)
    epochs = options.epochs if options.steps is None else 0
    given = {"steps": options.steps, "epochs": epochs, "seed": options.seed}
    asked: dict[str, Any] = {"train": {key: n for key, n in given.items() if n is not None}}
    if options.adversarial_weight is not None:
        asked["loss"] = {"adversarial": float(options.adversarial_weight)}
    preset = with_overrides(preset, asked, "command line")
    if options.adapt and preset.train.epochs:
        raise UsageError(
            "--adapt is counted in steps, not in epochs; leave them out, or give --steps"
        )
    _require_fitting_sizes(preset)
    return preset


def _require_fitting_sizes(preset: Preset) -> None:
    stride = preset.generator.stride
    sizes = [("frame", size_px) for size_px in preset.frame.sizes_px]
    for name, size_px in (*sizes, ("crops", preset.augment.crop_px)):
        if size_px % stride:
            raise FundussegError(
                f"the {name} of {size_px} pixels cannot be halved {stride.bit_length() - 1} times, "
                f"as this network does; give multiples of {stride}"
            )
    if len(sizes) > 1 and not preset.augment.crop_px:
        raise FundussegError("frames of several sizes make no batch; give augment.crop_px")


def training_data(
    folders: list[ShardFolder], split: str, initial: models.Model | None = None
) -> TrainingData:
    """Read the labelled samples of the train and validation parts, or all to train on.

    A photograph that is also in the test part of one of the folders, with the same bytes, is left
    out; so is one that trains and would validate. What the `initial` model saw was seen, too.

    Raises:
        FundussegError: if a part that is needed has no labelled sample, or no vessel in its masks.
    """
    from fundusseg.nets.pipeline import stacked

    frames, names, sizes = [], [], []
    held_out: list[Sample] = []
    seen_train: set[str] = set()
    superseded = _superseded(folders, SPLITS if split == "all" else (split,))
    for folder in folders:
        labelled = [ref for ref in folder.refs if ref.labelled and ref not in superseded]
        chosen = [ref for ref in labelled if split in ("all", ref.split)]
        validating = [ref for ref in labelled if split != "all" and ref.split == "validation"]
        for sample in map(folder.read, chosen):  # one at a time: photographs fill the memory
            frames.append(stacked(sample.image, sample.labelled_mask, sample.fov))
        if chosen:
            names.append(folder.header.data_set)
            sizes.append(len(chosen))
        held_out += map(folder.read, validating)
        seen_train.update(ref.source_sha256 for ref in chosen)
    parts = {"train": [frame[..., 3] for frame in frames]}
    if split != "all":
        parts["validation"] = [sample.labelled_mask for sample in held_out]
    roots = ", ".join(str(folder.root) for folder in folders)
    for part, masks in parts.items():
        if not masks:
            raise FundussegError(f"{roots}: no photograph with a mask in the {part} part")
        if not any(mask.any() for mask in masks):
            raise FundussegError(f"{roots}: no vessel in the masks of the {part} part")
    seen = photographs_seen(initial, seen_train, {sample.source_sha256 for sample in held_out})
    return TrainingData(tuple(frames), tuple(names), tuple(sizes), tuple(held_out), seen)


def adapting_samples(folders: list[ShardFolder], part: str) -> list[Sample]:
    """The labelled samples that a model is adapted to: all but the test part, or all.

    A photograph that is also in the test part, with the same bytes, is left out. FundussegError
    if there is none, or no vessel in their masks.
    """
    parts = SPLITS if part == "all" else ("train", "validation")
    superseded = _superseded(folders, parts)
    samples = [
        folder.read(ref)
        for folder in folders
        for ref in folder.refs
        if ref.labelled and ref not in superseded and ref.split in parts
    ]
    if not any(sample.labelled_mask.any() for sample in samples):
        roots = ", ".join(str(folder.root) for folder in folders)
        raise FundussegError(f"{roots}: no photograph with vessels in its mask to adapt to")
    return samples


def adapting_data(samples: list[Sample]) -> TrainingData:
    """Samples to train on, as one data set; none validates."""
    from fundusseg.nets.pipeline import stacked

    frames = [stacked(sample.image, sample.labelled_mask, sample.fov) for sample in samples]
    seen = photographs_seen(None, {sample.source_sha256 for sample in samples})
    return TrainingData(tuple(frames), ("adapted",), (len(frames),), (), seen)


def photographs_seen(
    initial: models.Model | None, train: set[str], validation: Collection[str] = ()
) -> dict[str, list[str]]:
    """SHA-256 of the photographs that train and that validate, those of the initial model too."""
    earlier = {} if initial is None else models.photographs_seen(initial.folder)
    train = train.union(earlier.get("train", ()))
    held_out = {*validation, *earlier.get("validation", ())} - train
    return {"train": sorted(train), "validation": sorted(held_out)}


def _superseded(folders: list[ShardFolder], parts: Collection[str]) -> set[SampleRef]:
    """Samples whose photograph, by its bytes, is also in a later part: train, validation, test.

    Equal bytes are one subject, in one shard folder or in several, and a test photograph never
    trains. Where all `parts` are trained on, none is. Equal photographs are warned of.
    """
    equal: dict[str, list[SampleRef]] = {}
    for ref in (ref for folder in folders for ref in folder.refs if ref.source_sha256):
        equal.setdefault(ref.source_sha256, []).append(ref)
    superseded: set[SampleRef] = set()
    repeated: list[SampleRef] = []
    for refs in equal.values():
        if {*parts} != {*SPLITS}:
            latest = max(SPLITS.index(ref.split) for ref in refs)
            superseded.update(ref for ref in refs if SPLITS.index(ref.split) < latest)
        trained = [ref for ref in refs if ref.labelled and ref.split in parts]
        repeated += [ref for ref in trained if ref not in superseded][1:]
    for left, what in (
        (list(superseded), "left out, since a later part of the split has the same bytes"),
        (repeated, "there more than once, with the same bytes, and count as often"),
    ):
        if left:
            names = named_in_a_line(sorted(escaped(ref.id) for ref in left))
            are = counted(len(left), "photograph is", "photographs are")
            ui.log.warning("%s %s: %s", are, what, names)
    return superseded


def require_distinct(folders: list[Path]) -> None:
    """Raise UsageError if a shard folder is given twice: its photographs would count twice."""
    for number, folder in enumerate(folders):
        if any(folder.resolve() == other.resolve() for other in folders[:number]):
            raise UsageError(f"{folder}: is given twice; leave one out")


def initial_model(name: str | None, preset: Preset, out: Path) -> models.Model | None:
    """The model whose weights the training begins with, if --start-from names one.

    FundussegError if there is no such model, its generator is another one, or it is what stands
    in the folder `out` that the training writes to.
    """
    if name is None:
        return None
    folder = models.model_folder(name)
    if folder.resolve() == out.resolve():
        raise InputError(folder, "is the model to start from", "write to another folder")
    model = models.read_model(folder)
    if model.preset.generator != preset.generator:
        remedy = "give its preset's `generator` in --config"
        raise InputError(model.folder, "has another generator than this training", remedy)
    return model


def input_hashes(folders: list[ShardFolder]) -> dict[str, str]:
    """SHA-256 of every shard file, by the name of its data set and its own.

    Data sets of one name are numbered from the second on.
    """
    hashes: dict[str, str] = {}
    for number, folder in enumerate(folders, start=1):
        for path in sorted({ref.path for ref in folder.refs}):
            name = f"{folder.header.data_set}/{path.relative_to(folder.root)}"
            hashes[f"{number}/{name}" if name in hashes else name] = sha256_of(path)
    return hashes


def with_batch_of_all(preset: Preset, replicas: int) -> Preset:
    """The preset that one replica would have to train with to get the same: with the batch of all.

    The batch that is configured is that of each replica. All else is written and hashed with the
    batch of a step, so a training goes on with any number of replicas that leaves it the same.
    """
    batch = preset.train.batch * replicas
    return dataclasses.replace(preset, train=dataclasses.replace(preset.train, batch=batch))
