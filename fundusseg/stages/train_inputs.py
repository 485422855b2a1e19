"""What a training takes in: its preset, its samples, and the weights that it begins with."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fundusseg.config import LARGEST_SEED, PRESETS, Preset, with_overrides
from fundusseg.errors import FundussegError, InputError, UsageError
from fundusseg.io import models
from fundusseg.io.files import read_json, sha256_of
from fundusseg.io.samples import Sample
from fundusseg.io.shards import ShardFolder
from fundusseg.options import TrainOptions


@dataclass(frozen=True)
class TrainingData:
    """frames: uint8 (S, S, 5), one data set after another. set_sizes: samples of each."""

    frames: tuple[np.ndarray, ...]
    set_sizes: tuple[int, ...]
    held_out: tuple[Sample, ...]


def configured(folders: list[ShardFolder], options: TrainOptions) -> Preset:
    """The preset that the shards carry, with what the command line and --config change.

    Raises:
        FundussegError: if the shards were prepared with different presets or frames, or the
            network does not fit the frame or the crops.
    """
    if options.steps is not None and options.epochs is not None:
        raise UsageError("--steps and --epochs exclude each other")
    first = folders[0]
    for folder in folders[1:]:
        if (folder.header.preset, folder.header.frame) != (first.header.preset, first.header.frame):
            problem = f"was prepared with another preset or frame than {first.root}"
            raise InputError(folder.root, problem, "prepare both with the same preset")
    preset = PRESETS[first.header.preset]
    if options.config is not None:
        values = read_json(options.config)
        preset = with_overrides(preset, values, str(options.config))
        if "frame" in values and preset.frame != first.header.frame:
            problem = "sets another frame than the shards have"
            raise InputError(options.config, problem, "leave it out, or prepare other shards")
    preset = dataclasses.replace(preset, frame=first.header.frame)
    changed = {"steps": options.steps, "epochs": options.epochs, "seed": options.seed}
    if options.steps is not None:
        changed["epochs"] = 0
    changed = {name: value for name, value in changed.items() if value is not None}
    preset = dataclasses.replace(preset, train=dataclasses.replace(preset.train, **changed))
    if options.adversarial_weight is not None:
        changed = {"adversarial": options.adversarial_weight}
        if not options.adversarial_weight:
            changed["feature_matching"] = 0.0
        preset = dataclasses.replace(preset, loss=dataclasses.replace(preset.loss, **changed))
    _require_possible_numbers(preset)
    _require_fitting_sizes(preset)
    return preset


def _require_possible_numbers(preset: Preset) -> None:
    generator, train = preset.generator, preset.train
    counts = {
        "generator.networks": generator.networks,
        "discriminator.every": preset.discriminator.every,
        "train.batch": train.batch,
        "train.steps": train.steps if not train.epochs else 1,
        "train.log_every": train.log_every,
        "train.checkpoint_every": train.checkpoint_every,
    }
    for name, count in counts.items():
        if count < 1:
            raise FundussegError(f"{name} is {count}; give 1 or more")
    not_negative = {
        "train.epochs": train.epochs,
        "train.validate_every": train.validate_every,
        "train.learning_rate": train.learning_rate,
    }
    for name, value in not_negative.items():
        if value < 0:
            raise FundussegError(f"{name} is {value}; give 0 or more")
    if not 0 <= train.seed <= LARGEST_SEED:
        raise FundussegError(f"train.seed is {train.seed}; give 0 to {LARGEST_SEED}")
    if not all(0 <= rate < 1 for rate in generator.dropout):
        raise FundussegError("generator.dropout must be from 0 to below 1")
    if generator.networks > 1 and generator.output != "logit":
        raise FundussegError("several networks in a row need logits; give generator.output: logit")


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


def training_data(folders: list[ShardFolder], split: str) -> TrainingData:
    """Read the labelled samples of the train and validation parts, or all to train on.

    Raises:
        FundussegError: if a part that is needed has no labelled sample.
    """
    from fundusseg.nets.pipeline import stacked

    frames, sizes, held_out = [], [], []
    for folder in folders:
        refs = [ref for ref in folder.refs if ref.labelled]
        chosen = [folder.read(ref) for ref in refs if split in ("all", ref.split)]
        frames += [stacked(sample.image, sample.mask, sample.fov) for sample in chosen]
        sizes.append(len(chosen))
        if split != "all":
            held_out += [folder.read(ref) for ref in refs if ref.split == "validation"]
    names = ", ".join(str(folder.root) for folder in folders)
    if not frames or not (held_out or split == "all"):
        part = "validation" if frames else "train"
        raise FundussegError(f"{names}: no photograph with a mask in the {part} part")
    return TrainingData(tuple(frames), tuple(filter(None, sizes)), tuple(held_out))


def initial_model(name: str | None, preset: Preset, out: Path) -> models.Model | None:
    """The model whose weights the training begins with, if --start-from names one.

    Raises:
        FundussegError: if there is no such model, its generator is another one, or it is what
            stands in the folder `out` that the training writes to.
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


def start_entry(initial: models.Model | None) -> dict[str, str]:
    """What hash and manifest say of a training that does not begin with random weights."""
    return {} if initial is None else {"start_from": initial.sha256}


def input_hashes(folders: list[ShardFolder]) -> dict[str, str]:
    """SHA-256 of every shard file, by the name of its data set and its own.

    Data sets of one name are numbered from the second on.
    """
    found: dict[str, str] = {}
    for number, folder in enumerate(folders, start=1):
        for path in sorted({ref.path for ref in folder.refs}):
            name = f"{folder.header.data_set}/{path.relative_to(folder.root)}"
            found[f"{number}/{name}" if name in found else name] = sha256_of(path)
    return found
