"""Fixtures that tests of all packages share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch import write_photographs, write_tiny_model
from tests.phantom_sets import FORMS, draw


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a small data set in a form of `FORMS`, drawn once; not to be changed."""
    drawn: dict[str, Path] = {}

    def folder(form: str) -> Path:
        if form not in drawn:
            drawn[form] = draw(tmp_path_factory.mktemp(form) / "data set", FORMS[form])
        return drawn[form]

    return folder


@pytest.fixture
def own_set(phantom_set, tmp_path) -> Callable[[str], Path]:
    """A copy of a small data set that the test may change."""
    return lambda form: Path(shutil.copytree(phantom_set(form), tmp_path / "data set"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that FUNDUSSEG_DATA names; without it, the test is skipped."""
    folder = os.environ.get("FUNDUSSEG_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FUNDUSSEG_DATA names no folder of real data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A model folder with a tiny network's initial weights; not to be changed."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def shared_photographs(tmp_path_factory) -> Path:
    """A small tree of photographs; not to be changed."""
    root = tmp_path_factory.mktemp("shared") / "photographs"
    return write_photographs(root, "a.png", "b/c.jpg", "b/d e.tif", "\u00e9.ppm.gz")


@pytest.fixture
def photographs(shared_photographs, tmp_path) -> Path:
    """A copy of the small tree that the test may change."""
    return Path(shutil.copytree(shared_photographs, tmp_path / "photographs"))
