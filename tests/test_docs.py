"""README.md and docs/ are true: their commands run, their tables agree with the program."""

import ast
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
from fundusseg.files.status import read_status
from fundusseg.phantom.drawing import PhantomConfig, phantom

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs/reference.md").read_text()
PAGES = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
SHORT = "--adapt --steps 3"
COMMANDS = typer.main.get_command(app).commands

ALL_OPTIONS = {
    name
    for command in COMMANDS.values()
    for parameter in command.params
    for name in parameter.opts
    if name.startswith("--")
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder in which all sh blocks of README.md and the tutorial ran, one after the other.

    It holds a few photographs. Only what would take ten minutes takes fewer steps.
    """
    if models.SHIPPED / "default" not in models.SHIPPED.iterdir():
        pytest.skip("no model ships with this checkout")
    folder = tmp_path_factory.mktemp("docs")
    for number in range(3):
        drawn = phantom(PhantomConfig(size_px=128), seed=number)
        path = folder / "photographs" / f"eye {number}" / "left.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(picture_bytes(drawn.photograph, path.name))
    environment = {**os.environ, "PATH": f"{ROOT / 'bin'}:{os.environ['PATH']}"}
    for page, cwd in ((README, folder), (PAGES["tutorial.md"], folder / "tutorial")):
        cwd.mkdir(exist_ok=True)
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", blocks.replace("--adapt", SHORT)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return folder


def test_the_commands_of_the_readme_run_as_they_stand(ran):
    assert len(list((ran / "maps").rglob("*.png"))) == 3
    assert (ran / "maps" / "eye 0" / "left.png").exists()
    assert (ran / "report" / "report.md").exists()
    reasons = {row.reason for row in read_status(ran / "eye-maps/status.tsv")}
    assert reasons == {""}  # a first trial warns of nothing
    assert len((ran / "vessels.csv").read_text().splitlines()) == 9
    assert len(list((ran / "my-maps").rglob("*.png"))) == 3


def test_the_commands_of_the_tutorial_run_as_they_stand(ran):
    compared = (ran / "tutorial/compared/report.md").read_text()
    assert "\nPaired differences:\n" in compared and "\n| my-maps - maps |" in compared


def test_the_python_of_the_docs_runs_as_it_stands(ran, monkeypatch):
    monkeypatch.chdir(ran)
    names: dict = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGES["python.md"], re.DOTALL)), names)
    assert len(names["maps"]) == 2 and names["maps"][0].any()
    assert set(names["rows"]) == {f"eye {number}/left" for number in range(3)}
    assert not names["seen"].vessels[:8].any() and names["lower"].threshold == 0.2


def test_the_exit_table_is_that_of_the_program():
    table = re.findall(r"^\| (\d+) \| ", REFERENCE, re.MULTILINE)
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert sorted(map(int, table)) == sorted(codes)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_synopsis_and_has_a_section(command):
    assert re.search(rf"^fundusseg {command} ", REFERENCE, re.MULTILINE)
    assert re.search(rf"^## {command} ", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "reference.md", "tutorial.md", "formats.md"])
def test_every_option_that_a_page_names_exists(page):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGES[page]))
    assert named <= ALL_OPTIONS | {"--help", "--version", "--install-completion"}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_that_a_page_names_exists(page):
    for name in re.findall(r"(?<![\w/])docs/[\w/-]+\.(?:md|jpg)", PAGES[page]):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_the_marks_of_a_merge(page):
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", PAGES[page], re.MULTILINE)


def test_what_contributing_says_of_the_code_is_there():
    named = re.findall(r"`([\w/]+\.py)`:\s`([\w.]+)`", PAGES["CONTRIBUTING.md"])
    assert len(named) > 10
    for path, name in named:
        scope = ast.parse((ROOT / "fundusseg" / path).read_text()).body
        for part in name.split("."):
            scope = next(node.body for node in scope if getattr(node, "name", "") == part)


def test_every_layout_stands_in_the_table():
    assert re.findall(r"^\| ([a-z-]+) \| `", REFERENCE, re.MULTILINE) == list(layouts.LAYOUT_NAMES)


def test_messages_that_the_readme_explains_are_those_of_the_program():
    files = [*ROOT.glob("fundusseg/**/*.py"), ROOT / "Makefile"]
    sources = " ".join(path.read_text() for path in files)
    said = re.sub(r'"\s+f?"', "", sources)
    table = README.partition("## Troubleshooting")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(messages) == 13
    for message in messages:
        assert message.partition(" (")[0] in said, message
