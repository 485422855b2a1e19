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
    from fundusseg.commands.infer.inputs import InputFiles

    seen: list[str] = []
    whole = InputFiles.read

    def noted(self, source, *arguments):
        seen.append(source.id)
        return whole(self, source, *arguments)

    monkeypatch.setattr(InputFiles, "read", noted)
    return seen


@pytest.fixture
def no_network(monkeypatch):
    """Any use of the network from here on is a failure of the test."""
    monkeypatch.setattr("fundusseg.segmenter.Segmenter._predictor", None)


@pytest.fixture(scope="module")
def root(phantom_set) -> Path:
    """The data set that maps are scored against; not to be changed."""
    return phantom_set("pairs")
