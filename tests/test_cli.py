"""The command line: help, exit codes, messages. What commands do is tested with their stages."""

import functools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fundusseg import __version__, cli, errors
from fundusseg.options import PANELS

COMMANDS = ("prep", "train", "infer", "score", "phantom", "merge", "check", "info")


@functools.cache
def help_of(*words: str, **environment: str) -> str:
    """The help text, from a process of its own that may import nothing heavy."""
    program = (
        "import sys; from fundusseg.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'tensorflow', 'keras', 'skimage', 'scipy', 'numpy', 'h5py', 'matplotlib'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--help"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def full_file() -> Path:
    """A file that holds no more."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    return full


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command_has_an_example_and_imports_nothing_heavy(command):
    text = help_of(command)
    assert f"fundusseg {command}" in text
    assert "Example: fundusseg" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_plain_text_of_80_columns_in_titled_panels(command):
    """Whatever the terminal is: help that goes into a log is the same each time."""
    text = help_of(command, COLUMNS="200", FORCE_COLOR="1", TERM="xterm-256color")
    assert text == help_of(command, COLUMNS="20", TERM="dumb")
    assert text.isascii() and "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    titles = [line[:-1] for line in text.splitlines() if re.fullmatch(r"[A-Z].*:", line)]
    assert titles == ["Paths", *(title for title in PANELS if title in titles)]
    assert titles[-1] == "Messages"


@pytest.mark.parametrize(
    ("command", "usage", "panels"),
    [
        ("prep", "SRC OUT", "Input Output Model Parts"),
        ("train", "SHARDS... OUT", "Input Output Model Training Finished Speed"),
        ("infer", "IN OUT", "Input Output Model Parts Finished Speed"),
        ("score", "PRED... TRUTH", "Input Output Scoring Finished Speed"),
        ("phantom", "OUT", "Output Drawing Finished Speed"),
        ("merge", "OUT", ""),
        ("check", "PATH...", ""),
        ("info", "[MODEL]", ""),
    ],
)
def test_help_says_how_a_command_is_called(command, usage, panels):
    text = help_of(command)
    assert text.startswith(f"Usage: fundusseg {command} [OPTIONS] {usage}\n")
    assert all(f"\n{panel}" in text for panel in panels.split())


@pytest.mark.parametrize("words", [("help",), ("help", "infer")])
def test_help_is_a_word_too(words, capsys):
    assert cli.main(list(words)) == errors.EXIT_OK
    assert capsys.readouterr().out == help_of(*words[1:])


def test_what_a_command_does_is_not_cut_short_in_the_list():
    assert "..." not in help_of(COLUMNS="80").partition("Commands:")[2]


def test_help_lists_every_command_and_the_exit_codes():
    text = " ".join(help_of().split())
    for command in COMMANDS:
        assert command in text
    for code in ("0 done", "1 input", "2 wrong", "3 finished", "70 a bug", "75 stopped", "130"):
        assert code in text


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version(word, capsys):
    """With the commit, which git tells where there is a checkout."""
    assert cli.main([word]) == 0
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith(f"fundusseg {__version__}")
    if (Path(cli.__file__).parents[1] / ".git").exists():
        assert re.fullmatch(r"fundusseg \S+ \([0-9a-f]{12}\+?\)", said)


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
        ["infer", ".", "b", "--shard", "0"],
        ["infer", "a", "b", "--jobs"],
        ["infer", "a", "b", "--fov", "not there"],
        ["help", "no-such-command"],
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(words, capsys):
    assert cli.main(words) == errors.EXIT_USAGE
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("fundusseg: error: ") and streams.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("infer a b c", "'c' is one too many for fundusseg infer [OPTIONS] IN OUT; put quotes"),
        ("infer a.jpg b.jpg c.jpg d", "'c.jpg' and 1 more are too many"),
        ("infer a.jpg b.jpg c.jpg d", "give the folder in place of *.jpg"),
        ("infer a", "'OUT' of fundusseg infer [OPTIONS] IN OUT; see fundusseg infer --help"),
        ("train a", "the model folder; see fundusseg train --help"),
        ("score a", "the truth; see fundusseg score --help"),
        ("infer a -o b", "no such option: -o; OUT stands last, after no option"),
        ("infer a --output b", "no such option: --output; OUT stands last, after no option"),
        ("score a b -o c", "no such option: -o (--out?)"),
        ("infer a b --probabilty", "(--probability?); see fundusseg infer --help"),
        ("infer a b -j 3", "no such option: -j (--jobs, --json?)"),
        ("infer a b -v", "no such option: -v (--verify, --verbose?)"),
        ("-v", "no such option: -v (--version?)"),
        ("infr a b", "No such command 'infr'. Did you mean 'infer'"),
        (
            "infer . b --num-shards 3",
            "--num-shards 3 needs --shard K, the part that this run makes",
        ),
        ("infer . b --shard 1", "--shard 1 needs --num-shards N"),
        ("infer . b --shard 3 --num-shards 3", "so the last part of 3 is --shard 2"),
        ("prep . b --shard 3 --num-shards 3", "so the last part of 3 is --shard 2"),
    ],
)
def test_a_wrong_command_line_is_told_what_to_do(words, advice, capsys):
    assert cli.main(words.split()) == errors.EXIT_USAGE
    message = capsys.readouterr().err
    assert message.startswith("fundusseg: error: ") and message.count("\n") == 1
    assert advice in message


@pytest.mark.parametrize(
    "words", [["prep", "{}", "o"], ["train", "{}", "o"], ["infer", "{}", "o"], ["check", "{}"]]
)
def test_a_missing_path_is_named_and_exit_2(words, tmp_path, capsys):
    missing = str(tmp_path / "not there")
    assert cli.main([word.format(missing) for word in words]) == errors.EXIT_USAGE
    assert missing in capsys.readouterr().err


def test_a_lack_of_memory_is_one_line(monkeypatch, capsys):
    from fundusseg.commands import check

    def exhausted(paths):
        raise MemoryError

    monkeypatch.setattr(check, "run_check", exhausted)
    assert cli.main(["check", "."]) == errors.EXIT_ERROR
    said = (
        "fundusseg: error: this needs more memory than there is; give fewer --jobs, or more memory"
    )
    assert capsys.readouterr().err == f"{said}\n"


def test_a_bug_is_70_with_traceback(monkeypatch, capsys):
    from fundusseg.commands import check

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
    script = "import os; from fundusseg import streams; streams.replace_closed(); os.dup(2)"
    command = f"\"$1\" -c '{script}' <&- 2>&-"
    assert subprocess.run(["sh", "-c", command, "sh", sys.executable]).returncode == 0


@pytest.mark.parametrize("words", [["infer", "", "maps"], ["phantom", ""]])
def test_an_empty_argument_is_not_the_working_folder(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == errors.EXIT_USAGE
    assert "an argument is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_full_stderr_leaves_the_exit_code(tmp_path):
    script = "import sys; from fundusseg.cli import main; sys.exit(main(['merge', sys.argv[1]]))"
    with full_file().open("w") as stderr:
        words = [sys.executable, "-c", script, tmp_path / "missing"]
        assert subprocess.run(words, stderr=stderr).returncode == errors.EXIT_USAGE


def test_ctrl_c_is_130(monkeypatch, capsys):
    from fundusseg.commands import check

    monkeypatch.setattr(check, "run_check", lambda paths: signal.raise_signal(signal.SIGINT))
    assert cli.main(["check", "."]) == errors.EXIT_INTERRUPTED
    assert capsys.readouterr().err.count("\n") == 1


# A command with more to print than any pipe or buffer holds.
LONG_OUTPUT = """
import sys
from fundusseg import cli
from fundusseg.commands import check
check.run_check = lambda paths: sys.stdout.write(1_000_000 * "line\\n") and 0
sys.exit(cli.main(["check", "."]))
"""
PROGRAM = "import sys; from fundusseg.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize(
    "words", [(PROGRAM, "info"), (PROGRAM, "infer", "--help"), (LONG_OUTPUT,)], ids=len
)
def test_a_reader_that_goes_away_is_141_without_a_word(words):
    with subprocess.Popen(
        [sys.executable, "-c", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == errors.EXIT_READER_GONE


@pytest.mark.parametrize(
    "words", [(PROGRAM, "--version"), (PROGRAM, "infer", "--help"), (LONG_OUTPUT,)], ids=len
)
def test_stdout_that_is_full_is_exit_1_and_one_line(words):
    with full_file().open("w") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", *words], stdout=stdout, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == errors.EXIT_ERROR
    assert done.stderr.startswith("fundusseg: error: ") and done.stderr.count("\n") == 1


def test_a_log_file_that_is_full_is_exit_1_and_one_line(tmp_path):
    words = ["phantom", tmp_path / "out", "--size", "64", "--quiet", "--log-file", full_file()]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True)
    assert done.returncode == errors.EXIT_ERROR
    assert done.stderr.count("\n") == 1
    assert "/dev/full: cannot be written (No space left on device); free space" in done.stderr


def test_an_error_comes_before_that_of_a_full_log_file(tmp_path, capsys):
    words = ["merge", str(tmp_path / "missing"), "--log-file", str(full_file())]
    assert cli.main(words) == errors.EXIT_USAGE
    message = capsys.readouterr().err
    assert "is no folder" in message and message.count("\n") == 1


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
    assert version_by_program(Path("/"), PATH="/usr/bin:/bin").startswith(
        f"fundusseg {__version__}"
    )


@pytest.mark.parametrize("name", ["fundusseg", "typer", "logging"])
def test_modules_in_the_working_folder_are_not_imported(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not the program')")
    assert version_by_program(tmp_path, **os.environ).startswith(f"fundusseg {__version__}")


PROGRAM_FILE = Path(__file__).parent.parent / "bin" / "fundusseg"
LOCALES = (
    {"LC_ALL": "C.UTF-8"},
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
)


def test_names_and_what_is_printed_have_the_same_bytes_in_every_locale(tmp_path):
    """Ids, splits and output: names are UTF-8, whatever the locale."""
    for name in (b"M\xc3\xbcller", b"\xc5\xbdi\xc5\xbeek", b"latin\xe9", b"a", b"\xef\xbc\xa1"):
        for folder in (b"images", b"masks"):
            path = os.path.join(os.fsencode(tmp_path), b"set", folder, name + b".png")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "wb").close()
    words = [PROGRAM_FILE, "prep", tmp_path / "set", tmp_path / "x", "--dry-run"]
    done = [
        subprocess.run(words, capture_output=True, env={"PATH": os.environ["PATH"], **locale})
        for locale in LOCALES
    ]
    assert {each.returncode for each in done} == {0}
    assert len({each.stdout for each in done}) == 1
    assert b"images/M\xc3\xbcller\t" in done[0].stdout


def test_an_error_names_a_path_in_every_locale(tmp_path):
    words = [PROGRAM_FILE, "info", b"M\xc3\xbcller\xe9"]
    for locale in LOCALES:
        env = {"PATH": os.environ["PATH"], **locale}
        done = subprocess.run(words, capture_output=True, env=env, cwd=tmp_path)
        assert done.returncode == errors.EXIT_USAGE
        assert done.stderr.startswith(b"fundusseg: error: M\xc3\xbcller")


def test_a_log_file_is_no_pipe_and_nothing_that_is_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "table.csv").write_text("mine")
    for name, said in {
        "pipe": "is a pipe",
        "x.png": "is named like a picture",
        "manifest.json": "is named like a record",
        "table.csv": "is read by the command",
    }.items():
        words = ["check", str(tmp_path / "table.csv"), "--log-file", str(tmp_path / name)]
        assert cli.main(words) == errors.EXIT_USAGE
        message = capsys.readouterr().err
        assert f"{name}: {said}" in message and message.count("\n") == 1
    assert (tmp_path / "table.csv").read_text() == "mine"
