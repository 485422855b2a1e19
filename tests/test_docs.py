"""README.md is true: its commands run, its tables agree with the program."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer

from fundusseg import errors
from fundusseg.cli import app
from fundusseg.datasets import layouts
from fundusseg.files import models
from fundusseg.files.encoders import picture_bytes
from fundusseg.phantom.drawing import PhantomConfig, phantom

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHORT = "--adapt --steps 3"
COMMANDS = typer.main.get_command(app).commands


ALL_OPTIONS = {
    name
    for command in COMMANDS.values()
    for parameter in command.params
    for name in parameter.opts
    if name.startswith("--")
}


def test_the_examples_run_as_they_stand(tmp_path):
    """Every sh block, one after the other, in a folder with a few photographs.

    Only what would take ten minutes takes fewer steps.
    """
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
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks).replace("--adapt", SHORT)],
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
    assert len(list((tmp_path / "my-maps").rglob("*.png"))) == 3


def test_the_exit_table_is_that_of_the_program():
    table = re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert sorted(map(int, table)) == sorted(codes)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_synopsis_and_has_a_section(command):
    assert re.search(rf"^fundusseg {command} ", README, re.MULTILINE)
    assert re.search(rf"^### .*\b{command} ", README, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(ALL_OPTIONS))
def test_every_option_is_documented(name):
    pages = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    assert any(re.search(rf"(?<![\w-]){name}(?![\w-])", page) for page in pages)


def test_every_option_that_the_readme_names_exists():
    programs = README.replace("find photographs -name '*.png' -print0", "")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", programs))
    assert named <= ALL_OPTIONS | {"--help", "--version"}


def test_every_layout_stands_in_the_table():
    assert re.findall(r"^\| ([a-z-]+) \| `", README, re.MULTILINE) == list(layouts.LAYOUT_NAMES)
