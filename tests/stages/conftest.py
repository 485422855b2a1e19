"""Fixtures that several modules of the tests of infer, and of score, share."""

from pathlib import Path

import pytest

from tests.batch import run


@pytest.fixture
def infer(tiny_model, tmp_path):
    """Run infer with the tiny model into tmp_path/maps; its exit code."""
    return lambda given, *words: run(
        "infer", given, tmp_path / "maps", "--model", tiny_model, *words
    )


@pytest.fixture
def maps(tiny_model, photographs, tmp_path) -> Path:
    """The finished output folder of infer over the photographs."""
    assert run("infer", photographs, tmp_path / "maps", "--model", tiny_model) == 0
    return tmp_path / "maps"


@pytest.fixture
def done_anew(monkeypatch):
    """The ids of the photographs that were put through the network."""
    from fundusseg.stages import infer as stage

    seen: list[str] = []
    whole = stage.from_file

    def noted(source, *arguments):
        seen.append(source.id)
        return whole(source, *arguments)

    monkeypatch.setattr(stage, "from_file", noted)
    return seen


@pytest.fixture(scope="module")
def root(phantom_set) -> Path:
    """The data set that maps are scored against; not to be changed."""
    return phantom_set("pairs")
