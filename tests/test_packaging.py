"""What is installed: the package and the model that ships, at versions that are known."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fundusseg import __version__, commit
from tests.batch import write_photographs

requirements = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).parent.parent
LARGEST_WHEEL_BYTES = 8_000_000
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
NEEDED = [
    requirements.Requirement(line)
    for text in (
        CONFIG["options"]["install_requires"],
        CONFIG["options.extras_require"]["dicom"],
        CONFIG["options.extras_require"]["test"],
    )
    for line in text.split("\n")
    if line and not line.startswith("fundusseg[")
]


ROOT_FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "setup.py")


def constraints() -> dict[str, str]:
    """Versions by name, in lower case with - for _."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_each_dependency_has_one_version_in_the_constraints(needed):
    """constraints.txt: the versions that the figures were made with, within setup.cfg's bounds."""
    assert needed.specifier.contains(constraints()[needed.name.lower()])


def set_up(*words: str) -> None:
    """Run setup.py with these words."""
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "--quiet", *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def test_what_is_built_notes_its_commit(tmp_path):
    """A package has no git to ask. An sdist notes it too, for a wheel that is built from it."""
    words = ("build", "--build-base", str(tmp_path), "build_py", "--build-lib", str(tmp_path / "x"))
    set_up("egg_info", "--egg-base", str(tmp_path), *words)
    assert (tmp_path / "x/fundusseg/COMMIT").read_text() == commit.commit()
    built = commit.commit(tmp_path / "x" / "fundusseg")
    assert built == commit.commit() and not (ROOT / "fundusseg" / "COMMIT").exists()
    assert commit.commit(tmp_path) == ""


def test_what_is_installed_runs_alone(tmp_path):
    """Version, model and a map, without the repository; the manual pages lie where man looks."""
    library, data = tmp_path / "library", tmp_path / "data"
    words = ("build", "--build-base", str(tmp_path / "build"), "--build-lib", str(library))
    set_up(
        "egg_info", "--egg-base", str(tmp_path), *words, "install_data", "--install-dir", str(data)
    )
    pages = {path.name for path in (ROOT / "docs" / "man").iterdir()}
    assert {path.name for path in (data / "share" / "man" / "man1").iterdir()} == pages
    write_photographs(tmp_path / "photographs", "a.png")
    program = (
        "from fundusseg import cli\n"
        "print(cli.main(['--version']), cli.main(['info', 'default']),"
        " cli.main(['infer', 'photographs', 'maps', '--jobs', '1']), cli.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.splitlines()
    assert said[-1] == f"0 0 0 {library / 'fundusseg' / 'cli.py'}", done.stderr
    assert commit.commit() in said[0]
    assert f"model\t{library / 'fundusseg' / 'weights' / 'default'}" in said
    assert (tmp_path / "maps" / "a.png").is_file()


def test_conda_needs_what_pip_needs():
    """docs/cluster/meta.yaml: the same packages at the same versions as setup.cfg."""
    recipe = (ROOT / "docs/cluster/meta.yaml").read_text()
    run = recipe.partition("  run:\n")[2].partition("  run_constrained:")[0]
    options = CONFIG["options"]
    wanted = {f"python{options['python_requires']}", *options["install_requires"].split()}
    # conda's matplotlib brings Qt along, -base does not
    found = {re.sub(r"- |-base| ", "", line.strip()) for line in run.splitlines()}
    assert found == wanted
    assert f"version: {__version__}\n" in recipe


def test_scripts_tests_and_the_other_models_are_not_packed(tmp_path):
    """bin/: none of it is in the wheel, nor what only its figures come from."""
    set_up("egg_info", "--egg-base", str(tmp_path))
    (listed,) = tmp_path.glob("*.egg-info/SOURCES.txt")
    packed = [name for name in listed.read_text().splitlines() if not Path(name).is_absolute()]
    assert "fundusseg/cli.py" in packed
    assert "fundusseg/weights/default/generator.weights.h5" in packed
    beside = {name for name in packed if not name.startswith("fundusseg/")}
    pages = {f"docs/man/{path.name}" for path in (ROOT / "docs/man").iterdir()}
    assert pages <= beside <= pages | {*ROOT_FILES}
    weights = {name.split("/")[2] for name in packed if name.startswith("fundusseg/weights/")}
    assert weights == {"default"}
    assert sum((ROOT / name).stat().st_size for name in packed) < LARGEST_WHEEL_BYTES
