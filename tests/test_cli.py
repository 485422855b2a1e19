"""The command line: help, exit codes, messages. What commands do is tested with their stages."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fundusseg import __version__, cli, errors

COMMANDS = ("prep", "train", "infer", "score", "phantom", "merge", "check", "info")


def help_of(*words: str) -> str:
    """The help text, from a process of its own that may import nothing heavy."""
    program = (
        "import sys; from fundusseg.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'tensorflow', 'keras', 'skimage', 'scipy', 'numpy', 'h5py', 'matplotlib'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command_has_an_example_and_imports_nothing_heavy(command):
    text = help_of(command)
    assert f"fundusseg {command}" in text
    assert "Example: fundusseg" in text


def test_help_lists_every_command_and_the_exit_codes():
    text = " ".join(help_of().split())
    for command in COMMANDS:
        assert command in text
    for code in ("0 done", "1 input", "2 wrong", "3 finished", "70 a bug", "75 stopped", "130"):
        assert code in text


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fundusseg {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"],
        ["infer"],
        ["infer", "a", "b", "--no-such-option"],
        ["infer", "a", "b", "--format", "bmp"],
        ["train", "only-one-path"],
        ["infer", "a", "b", "--quiet", "--verbose"],
        ["infer", ".", "b", "--shard", "3", "--num-shards", "3"],
        ["prep", ".", "b", "--shard", "0"],
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(words, capsys):
    assert cli.main(words) == errors.EXIT_USAGE
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("fundusseg: error: ") and streams.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["prep", "{}", "o"], ["train", "{}", "o"], ["infer", "{}", "o"], ["check", "{}"]]
)
def test_a_missing_path_is_named_and_exit_2(words, tmp_path, capsys):
    missing = str(tmp_path / "not there")
    assert cli.main([word.format(missing) for word in words]) == errors.EXIT_USAGE
    assert missing in capsys.readouterr().err


def test_a_bug_is_70_with_traceback(monkeypatch, capsys):
    from fundusseg.stages import check

    def broken(paths):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(check, "run_check", broken)
    assert cli.main(["check", "."]) == errors.EXIT_BUG
    error = capsys.readouterr().err
    assert "Traceback" in error and "please report" in error


def test_verbose_shows_where_an_error_comes_from(tmp_path, capsys):
    for words, lines in ((), 1), (("--verbose",), 5):
        assert cli.main(["merge", str(tmp_path), *words]) == 1
        found = capsys.readouterr().err.splitlines()
        assert len(found) >= lines and (len(found) == 1) == (lines == 1)
        assert found[-1].startswith(f"fundusseg: error: {tmp_path}: holds no parts")


def test_an_error_keeps_the_blanks_of_a_path(tmp_path, capsys):
    assert cli.main(["merge", f"{tmp_path}/a  b"]) == 2
    assert capsys.readouterr().err.startswith(f"fundusseg: error: {tmp_path}/a  b: is no folder")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_cost_nothing(tmp_path, closed):
    script = 'import sys; from fundusseg.cli import main; sys.exit(main(["merge", sys.argv[1]]))'
    command = f'"$1" -c \'{script}\' "$2" {closed}'
    done = subprocess.run(["sh", "-c", command, "sh", sys.executable, tmp_path])
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []  # no file took the place of a stream


def test_closed_streams_stay_taken():
    script = "import os; from fundusseg import cli; cli._replace_closed_streams(); os.dup(2)"
    command = f"\"$1\" -c '{script}' <&- 2>&-"
    assert subprocess.run(["sh", "-c", command, "sh", sys.executable]).returncode == 0


@pytest.mark.parametrize("words", [["infer", "", "maps"], ["phantom", ""]])
def test_an_empty_argument_is_not_the_working_folder(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == errors.EXIT_USAGE
    assert "an argument is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_full_stderr_leaves_the_exit_code(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    script = "import sys; from fundusseg.cli import main; sys.exit(main(['merge', sys.argv[1]]))"
    with full.open("w") as stderr:
        words = [sys.executable, "-c", script, tmp_path / "missing"]
        assert subprocess.run(words, stderr=stderr).returncode == errors.EXIT_USAGE


def test_ctrl_c_is_130(monkeypatch, capsys):
    from fundusseg.stages import check

    monkeypatch.setattr(check, "run_check", lambda paths: signal.raise_signal(signal.SIGINT))
    assert cli.main(["check", "."]) == errors.EXIT_INTERRUPTED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_reader_that_goes_away_is_exit_1():
    program = [sys.executable, "-c", "import sys; from fundusseg.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*program, "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        message = process.stderr.read()
    assert process.returncode == errors.EXIT_ERROR
    assert "Traceback" not in message


def test_stdout_that_is_full_is_exit_1():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as stdout:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from fundusseg.cli import main; sys.exit(main(['--version']))",
            ],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == errors.EXIT_ERROR


def test_messages_go_to_the_log_file_too(tmp_path, capsys):
    log = tmp_path / "log.txt"
    (tmp_path / "empty").mkdir()
    assert cli.main(["check", str(tmp_path / "empty"), "--log-file", str(log)]) == 1
    assert cli.main(["merge", str(tmp_path / "empty"), "--log-file", str(log)]) == 1
    assert "holds no parts" in log.read_text()
    assert time.strftime("%Y-%m-%d") in log.read_text()


def version_by_program(cwd: Path, **environment: str) -> str:
    """What bin/fundusseg --version prints in a folder."""
    program = Path(__file__).parent.parent / "bin" / "fundusseg"
    done = subprocess.run(
        [program, "--version"], env=environment, cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_checkout_runs_from_cron():
    """bin/fundusseg needs neither HOME nor a PATH worth the name."""
    assert version_by_program(Path("/"), PATH="/usr/bin:/bin") == f"fundusseg {__version__}\n"


@pytest.mark.parametrize("name", ["fundusseg", "typer", "logging"])
def test_modules_in_the_working_folder_are_not_imported(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not the program')")
    assert version_by_program(tmp_path, **os.environ) == f"fundusseg {__version__}\n"
