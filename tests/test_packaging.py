"""What is installed: the package and the model that ships, at versions that are known."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

requirements = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).parent.parent
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


def constraints() -> dict[str, str]:
    """Versions by name, in lower case with - for _."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_each_dependency_has_one_version_in_the_constraints(needed):
    """constraints.txt: the versions that the figures were made with, within setup.cfg's bounds."""
    assert needed.specifier.contains(constraints()[needed.name.lower()])


def test_scripts_tests_and_the_other_models_are_not_packed(tmp_path):
    """bin/: none of it is in the wheel, nor what only its figures come from."""
    pytest.importorskip("setuptools")
    words = ["--quiet", "egg_info", "--egg-base", str(tmp_path)]
    code = f"import setuptools; setuptools.setup(script_args={words})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (listed,) = tmp_path.glob("*.egg-info/SOURCES.txt")
    packed = [name for name in listed.read_text().splitlines() if not Path(name).is_absolute()]
    assert "fundusseg/cli.py" in packed
    assert "fundusseg/weights/default/generator.weights.h5" in packed
    beside = {name for name in packed if not name.startswith("fundusseg/")}
    pages = {f"docs/man/{path.name}" for path in (ROOT / "docs/man").iterdir()}
    assert pages <= beside <= pages | {"LICENSE", "README.md", "pyproject.toml", "setup.cfg"}
    weights = {name.split("/")[2] for name in packed if name.startswith("fundusseg/weights/")}
    assert weights == {"default"}
