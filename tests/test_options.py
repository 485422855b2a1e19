"""Each option stands once: the command line has the fields of options.py, and no more."""

import ast
import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest
import typer

from fundusseg import cli, option_fields, options
from fundusseg.datasets.layouts import LAYOUT_NAMES
from fundusseg.datasets.splits import SPLITS

KINDS = {
    "prep": options.PrepOptions,
    "train": options.TrainOptions,
    "infer": options.InferOptions,
    "score": options.ScoreOptions,
    "measure": options.MeasureOptions,
    "phantom": options.PhantomOptions,
    "merge": None,
    "check": None,
    "status": options.StatusOptions,
    "info": None,
}
COMMANDS = typer.main.get_command(cli.app).commands


def fields(kind: type | None) -> list[option_fields.Field]:
    """The options of a command: its own, and those that all have."""
    kinds = [*([kind] if kind else []), options.SettingsOptions, options.MessageOptions]
    return [found for kind in kinds for found in option_fields.fields_of(kind)]


FIELDS = [(command, found) for command, kind in KINDS.items() for found in fields(kind)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_the_options_of_its_dataclass(command):
    parsed = [found for found in COMMANDS[command].params if found.param_type_name == "option"]
    assert {found.name: (found.opts, found.default, found.min, found.max) for found in parsed} == {
        found.name: (
            [found.word],
            found.default,
            found.minimum,
            found.maximum,
        )
        for found in fields(KINDS[command])
    }


def test_no_default_stands_in_the_command_line():
    """But for the paths of info and of measure (--describe), which may be left out."""
    tree = ast.parse(Path(cli.__file__).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    commands = [found for found in functions if found.name in COMMANDS]
    assert len(commands) == len(COMMANDS)
    defaults = {
        found.name: [*found.args.defaults, *filter(None, found.args.kw_defaults)]
        for found in commands
    }
    assert [name for name, given in defaults.items() if given] == ["measure", "info"]
    names = {found.word for _, found in FIELDS}
    declared = [
        node.value
        for command in commands
        for node in ast.walk(command.args)
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert declared == []


@pytest.mark.parametrize(("command", "found"), FIELDS)
def test_every_help_is_a_sentence_that_helps_alone(command, found):
    assert re.fullmatch(r"[A-Z].*\.", found.sentence)
    assert len(found.sentence.split()) >= 3
    assert not found.sentence.startswith(("Of ", "For ", "In "))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_path_is_a_sentence_too(command):
    paths = [found for found in COMMANDS[command].params if found.param_type_name == "argument"]
    assert paths
    for found in paths:
        assert re.fullmatch(r"[A-Z].*\.", found.help) and len(found.help.split()) >= 3


@pytest.mark.parametrize(("command", "found"), FIELDS)
def test_every_option_has_a_panel_a_name_and_a_value_to_show(command, found):
    assert found.panel in options.PANELS
    assert re.fullmatch(r"--[a-z]+(-[a-z]+)*", found.word)
    assert (found.type is bool) == (found.syntax == found.word)
    if found.default is not None and found.choices:
        assert found.default in found.choices


@pytest.mark.parametrize(
    ("found", "syntax", "help"),
    [
        (
            "jobs",
            "--jobs N",
            "Number of threads; 0 takes one for each free core. [at least 0; defau",
        ),
        ("threshold", "--threshold P", "[0 to 1]"),
        ("format", "--format png|npz|h5", "[default: png]"),
        ("force", "--force", "Make finished work anew, in place of keeping it."),
    ],
)
def test_help_shows_range_default_and_choices(found, syntax, help):
    by_name = {field.name: field for field in option_fields.fields_of(options.InferOptions)}
    assert by_name[found].syntax == syntax
    assert help in by_name[found].help
    assert ("[" in by_name[found].help) == (found != "force")


def test_an_option_has_one_meaning_everywhere():
    """The same name has the same help, but where its words or its default are a command's own."""
    texts: dict[str, set[str]] = {}
    for _, found in FIELDS:
        texts.setdefault(found.word, set()).add(found.sentence)
    own = {"--layout", "--split", "--format", "--num-shards"}
    assert {name for name, helps in texts.items() if len(helps) > 1} == own


def test_layouts_are_those_that_are_read():
    assert get_args(options.DrawnLayout) == LAYOUT_NAMES
    assert get_args(options.Layout) == ("auto", *LAYOUT_NAMES)
    assert get_args(options.InferLayout) == ("auto", "none", *LAYOUT_NAMES)


def test_split_has_one_vocabulary():
    words = ["auto", *SPLITS, "all"]
    for kind in (found for found in KINDS.values() if found):
        for found in option_fields.fields_of(kind):
            if found.word == "--split":
                assert list(found.choices) == [word for word in words if word in found.choices]


@pytest.mark.parametrize(("split", "part"), [("auto", "train"), ("train", "train"), ("all", "all")])
def test_a_training_is_hashed_by_the_part_that_it_learns_from(split, part):
    """A model folder that was trained with --split train is finished for --split auto too."""
    assert options.TrainOptions(split=split).trained_part == part
    assert options.TrainOptions().trained_part == "train"


@pytest.mark.parametrize("kind", [options.PrepOptions, options.InferOptions])
def test_the_part_of_an_array(kind):
    assert kind().part == (0, 1)
    assert kind(num_shards=3).part == (0, 1)
    assert kind(shard=2, num_shards=3).part == (2, 3)


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.TrainOptions().seed = 3
