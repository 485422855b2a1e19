"""README.md is true: its commands run, its tables agree with the program."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer

from fundusseg import errors
from fundusseg.cli import app
from fundusseg.fundus.phantom import PhantomConfig, phantom
from fundusseg.io import layouts, models
from fundusseg.io.phantom_set import picture_bytes

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = typer.main.get_command(app).commands


def options_of(command) -> dict[str, str]:
    """Help texts by long option."""
    return {
        name: parameter.help
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--")
    }


ALL_OPTIONS = {name for command in COMMANDS.values() for name in options_of(command)}


def test_the_examples_run_as_they_stand(tmp_path):
    """Every sh block, one after the other, in a folder with a few photographs."""
    if models.SHIPPED / "default" not in models.SHIPPED.iterdir():
        pytest.skip("no model ships with this checkout")
    for number in range(3):
        drawn = phantom(PhantomConfig(size_px=128), seed=number)
        path = tmp_path / "photographs" / f"eye {number}" / "left.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(picture_bytes(drawn.photograph, path.name))
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    environment = {**os.environ, "PATH": f"{ROOT / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 3
    assert (tmp_path / "maps" / "eye 0" / "left.png").exists()
    assert (tmp_path / "parts" / "manifest.json").exists()
    assert (tmp_path / "report" / "report.md").exists()


def test_the_exit_table_is_that_of_the_program():
    table = re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert sorted(map(int, table)) == sorted(codes)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_synopsis_and_has_a_section(command):
    assert re.search(rf"^fundusseg {command} ", README, re.MULTILINE)
    assert re.search(rf"^### .*\b{command} ", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command):
    for name, text in options_of(COMMANDS[command]).items():
        assert text, f"{command} {name}"
        assert re.fullmatch(r"--[a-z]+(-[a-z]+)*", name)


def test_every_option_that_the_readme_names_exists():
    programs = README.replace("find photographs -name '*.png' -print0", "")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", programs))
    assert named <= ALL_OPTIONS | {"--help", "--version"}


def test_every_layout_stands_in_the_table():
    assert re.findall(r"^\| ([a-z-]+) \| `", README, re.MULTILINE) == list(layouts.LAYOUT_NAMES)


def test_no_command_line_option_is_spelled_in_two_ways():
    """One meaning everywhere: the same option has the same help in every command."""
    texts: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for name, text in options_of(command).items():
            texts.setdefault(name, set()).add(text)
    shared = {"--model", "--jobs", "--force", "--verify", "--quiet", "--verbose", "--log-file"}
    assert all(len(texts[name]) == 1 for name in (shared | {"--seed", "--threshold", "--fov"}))
