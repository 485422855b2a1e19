"""docs/cluster.md is true: its crontab line runs as cron runs it, the image has its files."""

import configparser
import fcntl
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.batch import write_photographs

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "cluster.md").read_text()
DEFINITION = (ROOT / "docs" / "cluster" / "fundusseg.def").read_text()


@pytest.fixture
def crontab_line(tmp_path, tiny_model):
    """Run the line as cron does, in a bare environment, with folders of this test."""
    if shutil.which("flock") is None:
        pytest.skip("no flock here")
    line = re.search(r"^\*/10 \* \* \* \* (.*)$", PAGE, re.MULTILINE)[1]
    line = line.replace("/opt/fundusseg", str(ROOT)).replace("/data", str(tmp_path))

    def ran() -> tuple[int, str]:
        done = subprocess.run(
            ["env", "-i", "/bin/sh", "-c", f"{line} --model {tiny_model}"],
            cwd="/",
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    return ran


def test_the_crontab_line_maps_what_is_new(crontab_line, tmp_path):
    """No HOME, no TERM, no PATH; silent, so that cron sends no mail."""
    write_photographs(tmp_path / "inbox", "a.png")
    assert crontab_line() == (0, "")
    write_photographs(tmp_path / "inbox", "a.png", "ward 3/b.png")
    assert crontab_line() == (0, "")
    assert (tmp_path / "maps" / "ward 3" / "b.png").exists()


def test_the_crontab_line_leaves_a_running_one_alone(crontab_line, tmp_path):
    write_photographs(tmp_path / "inbox", "a.png")
    with (tmp_path / "inbox.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert crontab_line() == (0, "")
    assert not (tmp_path / "maps").exists()


def test_a_broken_photograph_makes_the_crontab_line_speak(crontab_line, tmp_path):
    """Exit 3, and one warning that cron can mail."""
    write_photographs(tmp_path / "inbox", "a.png")
    (tmp_path / "inbox" / "half.png").write_bytes((tmp_path / "inbox" / "a.png").read_bytes()[:99])
    code, output = crontab_line()
    assert code == 3
    assert "half.png" in output and output.count("\n") == 1


def section(name: str) -> list[str]:
    """The lines of one section of the Apptainer definition."""
    return re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", DEFINITION, re.M | re.S)[1].split("\n")


def test_the_image_gets_all_that_installing_needs():
    files = dict(line.split() for line in section("files") if line.strip())
    assert all((ROOT / name).exists() for name in files)
    assert all(there == f"/opt/source/{name}" for name, there in files.items())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    metadata = setup["metadata"]
    needed = {metadata["license_files"], metadata["long_description"].removeprefix("file: ")}
    assert needed | {"setup.cfg", "pyproject.toml", "fundusseg", "docs/man"} == set(files)


def test_docker_copies_what_apptainer_does():
    recipe = (ROOT / "docs/cluster/Dockerfile").read_text()
    copied = {
        name for line in re.findall(r"^COPY (.*) \S+$", recipe, re.M) for name in line.split()
    }
    assert copied == {line.split()[0] for line in section("files") if line.strip()}
    (base,) = re.findall(r"^FROM (\S+)$", recipe, re.M)
    assert f"From: {base}" in DEFINITION


def test_the_scripts_of_the_image_are_shell():
    for name in ("post", "environment", "runscript", "test"):
        done = subprocess.run(["sh", "-n"], input="\n".join(section(name)), text=True)
        assert done.returncode == 0, name


def test_every_option_of_submit_that_the_page_names_exists():
    usage = subprocess.run([ROOT / "bin" / "submit", "--help"], capture_output=True, text=True)
    for line in re.findall(r"^bin/submit (.*?)(?: -- .*)?$", PAGE, re.MULTILINE):
        for option in re.findall(r"(?<![\w'-])--[a-z-]+", re.sub(r"'.*?'", "", line)):
            assert option in usage.stdout, option
