"""infer: odd and overlong names, and a reader of the log that goes away, cost no other map."""

import os
import shutil

from fundusseg.files.status import FAILED, read_status
from tests.batch import contents, run, started, write_photographs
from tests.commands.map_folders import IDS, rows


def test_names_that_are_no_text_come_through(infer, tmp_path):
    """status.tsv: tab, newline and undecodable bytes as C escapes."""
    names = [os.fsdecode(b"\xff.png"), "tab\tline\nbreak.png", "back\\slash.png"]
    write_photographs(tmp_path / "in", *names)
    (tmp_path / "in" / os.fsdecode(b"\xfe\n.png")).write_text("no picture")
    assert infer(tmp_path / "in") == 3
    lines = (tmp_path / "maps" / "status.tsv").read_text("ascii").splitlines()
    ids = [line.split("\t")[0] for line in lines[1:]]
    assert ids == ["back\\\\slash", "tab\\tline\\nbreak", "\\xfe\\n", "\\xff"]
    for name in names:
        assert (tmp_path / "maps" / name).is_file()
    assert run("check", tmp_path / "maps") == 0
    assert infer(tmp_path / "in") == 0  # it failed before, and has not changed
    assert infer(tmp_path / "in", "--retry-failed") == 3


def test_a_message_is_one_line_whatever_the_name(infer, tmp_path, capsys):
    """Messages are one line, and no name moves the cursor."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "\x1b[2J\n.png").write_text("no picture")
    infer(tmp_path / "in")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "decoded" in line]
    assert "\\x1b[2J\\n.png" in line


def test_a_name_too_long_for_its_map_costs_only_itself(infer, tmp_path):
    """Exit 3: a photograph whose map cannot be named is a failed row."""
    write_photographs(tmp_path / "in", "a.png", "x" * 251 + ".png")
    assert infer(tmp_path / "in", "--probability") == 3
    found = rows(tmp_path / "maps")
    assert found["a"].status == "ok"
    assert "name too long" in found["x" * 251].reason
    assert not (tmp_path / "maps" / ("x" * 251 + ".png")).exists()


def test_a_reader_of_the_log_that_goes_away_does_not_stop_it(
    tiny_model, shared_photographs, tmp_path
):
    """People read stderr: closing it must not cost a map."""
    process = started("infer", shared_photographs, tmp_path / "maps", "--model", tiny_model)
    process.stderr.close()
    process.stdout.read()
    assert process.wait() == 0
    assert set(contents(tmp_path / "maps")) >= {f"{id}.png" for id in IDS}


def test_a_photograph_called_like_probabilities_costs_itself_alone(infer, photographs, tmp_path):
    shutil.copy(photographs / "a.png", photographs / "z.prob.png")
    assert infer(photographs, "--probability") == 3
    failed = [row for row in read_status(tmp_path / "maps/status.tsv") if row.status == FAILED]
    assert [row.id for row in failed] == ["z.prob"]
    assert "which no command takes for a map; give --keep-suffix" in failed[0].reason
    assert not (tmp_path / "maps/z.prob.png").exists()
    assert infer(photographs, "--probability", "--keep-suffix", "--force") == 0


def test_a_map_of_such_a_name_from_before_is_not_taken_for_finished(
    infer, photographs, tmp_path, monkeypatch
):
    """Nor deleted: it may be the probabilities of another by now."""
    from fundusseg.commands.infer import run as infer_run

    shutil.copy(photographs / "a.png", photographs / "z.prob.png")
    with monkeypatch.context() as patch:
        patch.setattr(infer_run, "with_refusals", lambda items, kinds: items)
        assert infer(photographs) == 0
    for _ in range(2):
        assert infer(photographs) == 3
        assert rows(tmp_path / "maps")["z.prob"].status == FAILED
        assert (tmp_path / "maps/z.prob.png").exists()
