"""What each command can be told beside its paths: each option once.

A field of these dataclasses is an option: its type, its default, and, by `option`, its name, its
range, its help and the panel of the help that it stands in. An option that several commands
take is inherited, or made by one function where default or panel differ. `command_line` makes the
command line of it, so nothing here knows how words are parsed.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fundusseg.config import DEFAULT_MODEL, DEFAULT_PRESET, LARGEST_SEED
from fundusseg.option_fields import option
from fundusseg.processor import free_cores

PresetName = Literal["native", "pix2pix"]
DrawnLayout = Literal["fives", "drive", "chase", "stare", "hrf", "les-av", "pairs"]
Layout = Literal["auto", DrawnLayout]
InferLayout = Literal["auto", "none", DrawnLayout]
Precision = Literal["auto", "float32", "bfloat16"]
TruthSplit = Literal["auto", "train", "validation", "test", "all"]

# The panels of a command's help, in this order.
INPUT, OUTPUT, MODEL = "Input", "Output", "Model"
TRAINING, SCORING, MEASURING, DRAWING = "Training", "Scoring", "Measuring", "Drawing"
PARTS, FINISHED, SPEED = "Parts of an array", "Finished work", "Speed"
SETTINGS, MESSAGES = "Settings", "Messages"
PANELS = (
    *(INPUT, OUTPUT, MODEL, TRAINING, SCORING, MEASURING, DRAWING),
    *(PARTS, FINISHED, SPEED, SETTINGS, MESSAGES),
)


def _seed(default: int | None, panel: str) -> Any:
    help = "Seed that all random numbers follow from."
    return option(default, help, panel, minimum=0, maximum=LARGEST_SEED)


def _threshold(panel: str) -> Any:
    help = "Lowest probability of a pixel that counts as vessel, in place of the model's own."
    return option(None, help, panel, metavar="P", minimum=0, maximum=1)


def _fov() -> Any:
    help = "Folder of field-of-view masks, matched to the photographs by name."
    return option(None, help, INPUT, metavar="DIR", is_read=True)


def _include() -> Any:
    help = "Take only what fits: photographs by their path below the folder, maps and masks by "
    help += "their id, which has no suffix; * fits / too; may be repeated."
    return option((), help, INPUT, metavar="GLOB")


def _exclude() -> Any:
    help = "Leave out what fits, likewise, also of what --include takes; may be repeated."
    return option((), help, INPUT, metavar="GLOB")


def _subjects() -> Any:
    help = "TSV file with the columns id and subject: the person of each photograph."
    return option(None, help, INPUT, is_read=True)


def _truth_split(done: str) -> Any:
    help = f"Part of the data set that is {done}: auto, test where TRUTH is split, else all."
    return option("auto", help, INPUT)


def _dry_run() -> Any:
    help = "Print what would be done with which files, and write nothing."
    return option(False, help, OUTPUT, is_noted=False)


def _json() -> Any:
    return option(False, "Print JSON on stdout, for programs.", OUTPUT, is_noted=False)


def _precision() -> Any:
    help = "Precision of the network's convolutions; auto takes bfloat16 where it is faster."
    return option("auto", help, SPEED)


@dataclass(frozen=True)
class SettingsOptions:
    """What every command can be told of where its options stand."""

    config: Path | None = option(
        None,
        "File of options, TOML as --print-config prints it, or the manifest.json of an earlier "
        "run; an option on the command line counts in place of the file's.",
        SETTINGS,
    )
    print_config: bool = option(
        False,
        "Print all options with the values they would have, as TOML, and do nothing.",
        SETTINGS,
    )


@dataclass(frozen=True)
class MessageOptions:
    """What every command can be told: what of its messages is shown, and where."""

    quiet: bool = option(False, "Print only warnings and errors.", MESSAGES)
    verbose: bool = option(False, "Print more messages, and tracebacks of errors.", MESSAGES)
    log_file: Path | None = option(
        None, "Append all messages to this file too, with their times.", MESSAGES
    )
    log_format: Literal["text", "json"] = option(
        "text",
        "Lines of the log file: text, or a JSON object for each message and each photograph.",
        MESSAGES,
    )


@dataclass(frozen=True)
class WorkOptions:
    """What every command that makes something can be told. jobs: 0 takes the free cores."""

    jobs: int = option(
        0,
        "Number of threads; 0 takes one for each free core.",
        SPEED,
        minimum=0,
        is_noted=False,
    )
    force: bool = option(
        False, "Make finished work anew, in place of keeping it.", FINISHED, is_noted=False
    )

    @property
    def threads(self) -> int:
        """How many threads `jobs` is."""
        return self.jobs or free_cores()


@dataclass(frozen=True)
class PartOptions(WorkOptions):
    """What a command can be told that a job array can share out.

    shard: this task of the array (0-based), None for all that there is to do.
    """

    shard: int | None = option(
        None,
        "Make only this part of the N; the first is 0.",
        PARTS,
        metavar="K",
        minimum=0,
        is_noted=False,
    )
    num_shards: int | None = option(
        None,
        "Number of parts, the same in every task of an array.",
        PARTS,
        minimum=1,
        is_noted=False,
    )

    @property
    def part(self) -> tuple[int, int]:
        """(K, N) of this task; (0, 1) where one task does all."""
        return (0, 1) if self.shard is None else (self.shard, self.num_shards or 1)


@dataclass(frozen=True)
class ArrayOptions(PartOptions):
    """What such a command can be told that goes by size and time."""

    verify: bool = option(
        False,
        "Hash inputs and outputs of finished work, in place of trusting size and time.",
        FINISHED,
        is_noted=False,
    )


@dataclass(frozen=True)
class PrepOptions(ArrayOptions):
    """What `prep` can be told. num_shards: 0 lets the number of samples decide."""

    layout: Layout = option("auto", "Layout of SRC; auto recognises it.", INPUT)
    split: Literal["auto", "train", "test"] = option(
        "auto",
        "Part of the data set that photographs go to: auto, as the set itself has it, else dealt "
        "out by subject; train or test, all of them. Of the subjects that train, a fifth is held "
        "out to validate the training, unless the set has a validation part.",
        INPUT,
    )
    include: tuple[str, ...] = _include()
    exclude: tuple[str, ...] = _exclude()
    subjects: Path | None = _subjects()
    preset: PresetName = option(
        DEFAULT_PRESET, "Frame of the photographs, and network that they are for.", MODEL
    )
    format: Literal["h5", "npz"] = option(
        "h5", "Kind of shard: an h5 file holds many samples, an npz file one.", OUTPUT
    )
    dry_run: bool = _dry_run()
    num_shards: int = option(
        0,
        "Number of shards, and of parts of an array; 0 goes by the size of the set.",
        PARTS,
        minimum=0,
    )


@dataclass(frozen=True)
class TrainOptions(WorkOptions):
    """What `train` can be told; None leaves the preset's value.

    split: "all" makes a final model (nothing is validated, the last weights count). preset_keys:
    values of the preset by section and key, which only a file of settings can give.
    """

    split: Literal["auto", "train", "all"] = option(
        "auto",
        "Part of the data set that is trained on: auto or train, the train part, validated on "
        "the validation part; all, every photograph, and none validates.",
        INPUT,
    )
    tensorboard: Path | None = option(
        None,
        "Write the figures of history.csv as event files for TensorBoard, too.",
        OUTPUT,
        metavar="DIR",
        is_noted=False,
    )
    summary: bool = option(
        False, "Print the layers of the network, and train nothing.", OUTPUT, is_noted=False
    )
    start_from: str | None = option(
        None,
        "Begin with the weights of this model, a folder or the name of a shipped one.",
        MODEL,
        metavar="MODEL",
    )
    adapt: bool = option(
        False,
        "Fit a trained model, --start-from or the default one, to a few photographs of your own "
        "camera, in some ten minutes; takes all that are not in the test part.",
        MODEL,
    )
    preset_keys: dict[str, Any] = field(default_factory=dict)
    steps: int | None = option(
        None,
        "Length of the training in steps; without it the preset's or, with --adapt, 1200.",
        TRAINING,
        minimum=1,
    )
    epochs: int | None = option(
        None, "Length of the training in epochs, rounds over all photographs.", TRAINING, minimum=1
    )
    adversarial_weight: float | None = option(
        None,
        "Weight of the discriminator in the loss; 0 trains without one.",
        TRAINING,
        metavar="W",
        minimum=0,
    )
    seed: int | None = _seed(None, TRAINING)
    precision: Precision = _precision()
    distribute: Literal["none", "mirrored", "multi-worker"] = option(
        "none",
        "Train on one device (none), on all GPUs of this machine (mirrored), or in all "
        "processes of srun or TF_CONFIG (multi-worker).",
        SPEED,
        is_noted=False,
    )

    @property
    def trained_part(self) -> str:
        """ "train" or "all", whichever way it was asked for: the word that is hashed."""
        return "all" if self.split == "all" else "train"

    @property
    def adapted_model(self) -> str | None:
        """The model that --start-from names, or --adapt takes."""
        return self.start_from or (DEFAULT_MODEL if self.adapt else None)


@dataclass(frozen=True)
class InferOptions(ArrayOptions):
    """What `infer` can be told. threshold: None is the model's own. batch: 0 is 8, on a GPU."""

    layout: InferLayout = option(
        "auto", "Layout of IN; auto recognises it, none takes every image for a photograph.", INPUT
    )
    split: Literal["train", "validation", "test", "all"] = option(
        "all", "Part of the data set that is drawn, where IN is shards.", INPUT
    )
    include: tuple[str, ...] = _include()
    exclude: tuple[str, ...] = _exclude()
    fov: Path | None = _fov()
    null_separated: bool = option(
        False,
        "Names in the list on stdin end in NUL, as find -print0 writes them (IN is -).",
        INPUT,
        spelling="--null",
    )
    relative_to: Path | None = option(
        None,
        "Folder below which the names of a list are taken: OUT has its tree, not that from the "
        "root.",
        INPUT,
        metavar="DIR",
        is_read=True,
    )
    allow_empty: bool = option(
        False,
        "Exit with 0 where IN is empty, as an inbox may be.",
        INPUT,
        is_noted=False,
    )
    format: Literal["png", "npz", "h5"] = option(
        "png", "Kind of output: an image, or a file of arrays.", OUTPUT
    )
    probability: bool = option(
        False, "Write the probabilities too: <name>.prob.png, 16 bit.", OUTPUT
    )
    overlay: bool = option(False, "Write the photograph with the vessels' outlines too.", OUTPUT)
    contact_sheet: Path | None = option(
        None,
        "Write a page to look at all photographs and maps side by side, doubtful ones first; "
        "beyond 1,000, several pages.",
        OUTPUT,
        metavar="FILE.html",
        is_noted=False,
    )
    prune: bool = option(
        False,
        "Remove the maps of photographs that are gone from the folder IN, and the rows of names "
        "that were never there.",
        OUTPUT,
        is_noted=False,
    )
    keep_suffix: bool = option(
        False, "Keep the photograph's suffix: a.jpg becomes a.jpg.png.", OUTPUT
    )
    keep_small_objects: bool = option(
        False,
        "Keep the maps as they were cut: with small objects, mostly noise, and with gaps.",
        OUTPUT,
    )
    dry_run: bool = _dry_run()
    json: bool = _json()
    retry_failed: bool = option(
        False,
        "Try photographs again that failed before and have not changed, in place of counting them.",
        FINISHED,
        is_noted=False,
    )
    model: str = option(
        DEFAULT_MODEL,
        "Model that draws the maps: a folder, or the name of a shipped one.",
        MODEL,
        metavar="MODEL",
    )
    threshold: float | None = _threshold(MODEL)
    test_time_augmentation: bool = option(
        False, "Draw the mean over four mirror images, at four times the cost.", MODEL
    )
    tile_px: int = option(
        0,
        "Side of the tiles that a frame is drawn in, in pixels; 0 draws it whole.",
        SPEED,
        metavar="PX",
        minimum=0,
        spelling="--tile",
    )
    batch: int = option(
        0, "Number of frames that a GPU draws at once; 0 is 8.", SPEED, minimum=0, is_noted=False
    )
    precision: Precision = _precision()


@dataclass(frozen=True)
class ScoreOptions(WorkOptions):
    """What `score` can be told. threshold: it does not touch binary maps."""

    layout: Layout = option("auto", "Layout of TRUTH; auto recognises it.", INPUT)
    split: TruthSplit = _truth_split("scored")
    include: tuple[str, ...] = _include()
    exclude: tuple[str, ...] = _exclude()
    subjects: Path | None = _subjects()
    fov: Path | None = _fov()
    groups: Path | None = option(
        None, "TSV file with the column id, and others to group the images by.", INPUT, is_read=True
    )
    out: Path | None = option(
        None,
        "Folder for tables, plots and the report, which is also one HTML page to mail.",
        OUTPUT,
        metavar="DIR",
        is_noted=False,
    )
    json: bool = _json()
    threshold: float | None = _threshold(SCORING)
    whole_frame: bool = option(False, "Score what lies outside the field of view too.", SCORING)
    at: Literal["native", "prepared"] = option(
        "native",
        "Size at which maps and masks are compared: native, the masks' own; prepared, that of "
        "the frame (TRUTH must be shards).",
        SCORING,
    )
    baseline: bool = option(
        False, "Score a classical filter too, which has learnt nothing.", SCORING
    )
    seed: int = _seed(1, SCORING)


@dataclass(frozen=True)
class MeasureOptions(PartOptions):
    """What `measure` can be told. pixel_um: a number, or the path of a table."""

    include: tuple[str, ...] = _include()
    exclude: tuple[str, ...] = _exclude()
    fov: Path | None = _fov()
    pixel_um: str | None = option(
        None,
        "Side of a pixel in micrometres, or a TSV file with the columns id and pixel_um; without "
        "it, what DICOM files say.",
        INPUT,
        metavar="UM|FILE",
    )
    segments: Path | None = option(
        None, "Write a table of the maps' segments too, one row each.", OUTPUT, metavar="FILE"
    )
    compare: Path | None = option(
        None,
        "Manual masks that the same measures are taken of, as a data set folder, shards or masks: "
        "how far the maps agree with them.",
        INPUT,
        metavar="TRUTH",
        is_read=True,
    )
    split: TruthSplit = _truth_split("compared, with --compare")
    describe: bool = option(False, "Print what each column is, and measure nothing.", OUTPUT)
    min_confidence: float | None = option(
        None,
        "Mark maps whose expected Dice is less as of low confidence; their rows stay.",
        MEASURING,
        metavar="D",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True)
class StatusOptions:
    """What `status` can be told."""

    json: bool = _json()


@dataclass(frozen=True)
class PhantomOptions(WorkOptions):
    """What `phantom` can be told."""

    layout: DrawnLayout = option("pairs", "Layout in which the data set is written.", OUTPUT)
    count: int = option(24, "Number of photographs to draw.", DRAWING, minimum=1)
    size_px: int = option(
        512,
        "Height of the photographs in pixels.",
        DRAWING,
        metavar="PX",
        minimum=64,
        maximum=4096,
        spelling="--size",
    )
    appearance: Literal["natural", "varied"] = option(
        "natural",
        "Colour, light and texture of the photographs: natural, as cameras and eyes give; "
        "varied, wide beyond that, for training.",
        DRAWING,
    )
    seed: int = _seed(1, DRAWING)
