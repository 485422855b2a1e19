"""A Slurm of two nodes for the tests of this folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.batch import run

CLUSTER = Path(__file__).parent / "cluster"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
REQUIRED = os.environ.get("FUNDUSSEG_SLURM") == "required"


@pytest.fixture(scope="session", autouse=True)
def cluster():
    """Bring Slurm up; FUNDUSSEG_SLURM=required installs it where it is missing."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0 and not REQUIRED:
        pytest.skip("Slurm's daemons need root")
    if missing and not REQUIRED:
        pytest.skip(f"no {', '.join(missing)} here; FUNDUSSEG_SLURM=required installs Slurm")
    # Not below pytest's folder: munge wants one that all may enter.
    with tempfile.TemporaryDirectory(prefix="fundusseg-slurm-") as folder:
        try:
            subprocess.run([CLUSTER, "up", folder], check=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SLURM_CONF", f"{folder}/slurm.conf")
                yield
        finally:
            subprocess.run([CLUSTER, "down", folder], check=True)


@pytest.fixture(scope="session")
def data_set(tmp_path_factory) -> Path:
    """64 phantoms; not to be changed."""
    root = tmp_path_factory.mktemp("drawn") / "data set"
    assert run("phantom", root, "--count", 64, "--size", 128, "--quiet") == 0
    return root


@pytest.fixture(scope="session")
def undisturbed(data_set, tiny_model, tmp_path_factory) -> Path:
    """The maps of the phantoms by one local run; not to be changed."""
    out = tmp_path_factory.mktemp("local") / "maps"
    words = ("--model", tiny_model, "--probability", "--quiet")
    assert run("infer", data_set, out, *words) == 0
    return out
