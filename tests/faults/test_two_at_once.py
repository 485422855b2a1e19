"""Two processes on one output folder: both end well, and the bytes are the same."""

import shutil

from tests.batch import contents, run, started, temporaries


def both(*commands: tuple) -> list[tuple[int, bytes]]:
    """Run command lines at once: exit code and stderr of each."""
    processes = [started(*words) for words in commands]
    ends = [process.communicate()[1] for process in processes]
    return [(process.returncode, error) for process, error in zip(processes, ends, strict=True)]


def test_two_infers_at_once(tiny_model, photographs, tmp_path):
    """Two at once: infer is idempotent."""
    words = ("--model", tiny_model, "--probability", "--quiet")
    command = ("infer", photographs, tmp_path / "maps", *words)
    assert both(command, command) == [(0, b"")] * 2
    assert run("infer", photographs, tmp_path / "alone", *words) == 0
    assert contents(tmp_path / "maps") == contents(tmp_path / "alone")
    assert temporaries(tmp_path / "maps") == []


def test_two_parts_at_once(phantom_set, tmp_path):
    """Two at once: the parts of a job array write beside each other."""
    words = ("prep", phantom_set("pairs"), tmp_path / "shards", "--num-shards", 2, "--quiet")
    assert both((*words, "--shard", 0), (*words, "--shard", 1)) == [(0, b"")] * 2
    assert run("merge", tmp_path / "shards") == 0
    assert run("check", tmp_path / "shards") == 0


def test_two_preps_at_once(phantom_set, tmp_path):
    """Two at once: prep is idempotent."""
    words = ("prep", phantom_set("pairs"), tmp_path / "shards", "--num-shards", 2, "--quiet")
    assert both(words, words) == [(0, b"")] * 2
    before = contents(tmp_path / "shards")
    shutil.rmtree(tmp_path / "shards")
    assert run(*words) == 0
    assert contents(tmp_path / "shards") == before
