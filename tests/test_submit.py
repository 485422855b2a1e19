"""What bin/submit says to sbatch, and what a job does with signals and exit codes; no Slurm."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUBMIT = ROOT / "bin" / "submit"

PROGRAM = """#!/bin/sh
# Notes its arguments and ends with $CODE; with WAIT set, waits for USR1 and then stops.
printf '[%s]' "$@" >> "$CALLS"
if [ -n "$WAIT" ]; then
  trap 'exit 75' USR1
  touch "$WAIT"
  while :; do sleep 0.05; done
fi
exit "$CODE"
"""
NOTED = """#!/bin/sh
# Stands for a command of Slurm: notes its arguments.
printf '%s\\n' "$(basename "$0") $*" >> "$CALLS.slurm"
[ "$(basename "$0")" != srun ] || { shift 2; exec "$@"; }
"""


@pytest.fixture
def source(tmp_path) -> Path:
    """An IN with a quote and blanks in its name."""
    (tmp_path / "it's a set").mkdir()
    return tmp_path / "it's a set"


def dry_run(*words: str | Path) -> list[list[str]]:
    """The words of every sbatch command that would be run, without the options common to all."""
    done = subprocess.run([SUBMIT, "--dry-run", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def option(command: list[str], name: str) -> str | None:
    """The value of an option of sbatch."""
    script = next(number for number, word in enumerate(command) if word.endswith(".sbatch"))
    found = [word.partition("=")[2] for word in command[:script] if word.startswith(f"--{name}=")]
    return found[-1] if found else None


def arguments(command: list[str]) -> list[str]:
    """The arguments of the job script that differ from job to job."""
    script = next(number for number, word in enumerate(command) if word.endswith(".sbatch"))
    assert command[script + 1 : script + 3] == [str(ROOT), str(ROOT / "bin" / "fundusseg")]
    return command[script + 4 :]


def test_each_stage_waits_for_the_one_before_it(source, tmp_path):
    commands = dry_run("all", source, tmp_path / "run")
    assert [option(command, "dependency") for command in commands] == [
        None,
        "afterany:PREP",
        "afterok:PREP_MERGE",
        "afterok:TRAIN",
        "afterany:INFER",
        "afterok:INFER_MERGE",
    ]
    assert [option(command, "array") for command in commands] == [
        "0-3",
        None,
        None,
        "0-3",
        None,
        None,
    ]
    assert not (tmp_path / "run").exists()


def test_after_prep_all_work_on_shards_and_the_test_part(source, tmp_path):
    run = tmp_path / "a run"
    prep, _, train, infer, _, score = map(arguments, dry_run("all", source, run))
    shards, model, maps = (f"{run}/{name}" for name in ("shards", "model", "maps"))
    assert prep == ["4", str(source), shards]
    assert train == [shards, model]
    assert infer == ["4", shards, maps, "--model", model, "--split", "test", "--probability"]
    assert score == [maps, shards, "--out", f"{run}/score"]


def test_infer_alone_takes_the_photographs_and_the_model_given(source, tmp_path):
    words = ("--num-shards", "9", "--model", "hrf")
    infer, merge = dry_run(*words, "infer", source, tmp_path / "r")
    assert option(infer, "array") == "0-8"
    assert arguments(infer) == ["9", str(source), f"{tmp_path}/r/maps", "--model", "hrf"]
    again = merge[merge.index("--") + 1 :]
    assert again == infer[-len(again) :], "the join must know how to submit a part again"


def test_options_of_sbatch_and_of_the_stages(source, tmp_path):
    words = ("--sbatch", "train=--gres=gpu:1 --comment='a b'", "--with", "train=--steps 7")
    words += ("--partition", "long", "all", source, tmp_path / "run")
    commands = dry_run(*words, "--", "--account=lab", "--time=4:00:00")
    assert {option(command, "account") for command in commands} == {"lab"}
    assert {option(command, "partition") for command in commands} == {"long"}
    comments = [option(command, "comment") for command in commands]
    assert comments == [None, None, "a b", None, None, None]
    assert arguments(commands[2])[-2:] == ["--steps", "7"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("infer", "nowhere", "run"), "nowhere: does not exist"),
        (("infer", "."), "give STAGES IN RUN"),
        (("guess", "bin", "run"), "guess: is no list"),
        (("--num-shards", "0", "infer", "bin", "run"), "--num-shards 0: is no positive number"),
        (("--with", "steps=3", "infer", "bin", "run"), "is not STAGE=WORDS"),
        (("--with", "train='", "infer", "bin", "run"), "a quote without its other"),
        (("--shards", "3", "infer", "bin", "run"), "--shards: no such option"),
        (("infer", "bin", "run", "--model"), "--model: its value is missing"),
        (("infer", "bin", "bin/run"), "bin/run: is inside of"),
    ],
)
def test_a_wrong_command_line_is_2_and_one_line(words, message):
    command = [SUBMIT, "--dry-run", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("submit: error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_chain_that_sbatch_refuses_is_cancelled(source, tmp_path):
    """What was submitted before the refused job must not run alone."""
    for name, text in (
        ("sbatch", '#!/bin/sh\ncase "$*" in *train.sbatch*) exit 1 ;; esac\necho 12\n'),
        ("scancel", NOTED),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    of_an_earlier_chain = tmp_path / "run" / "shards" / "manifest-1-of-7.json"
    of_an_earlier_chain.parent.mkdir(parents=True)
    of_an_earlier_chain.touch()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    done = subprocess.run(
        [SUBMIT, "all", source, tmp_path / "run"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == "prep\t12\nprep-merge\t12\n"
    assert "train was refused by sbatch" in done.stderr
    assert (tmp_path / "calls.slurm").read_text() == "scancel 12 12\n"
    assert not of_an_earlier_chain.exists(), "would pass for a part of this chain"


@pytest.fixture
def job(tmp_path):
    """Start a job script as Slurm would, with stubs of fundusseg and of Slurm's commands."""
    for name, text in (("fundusseg", PROGRAM), ("scontrol", NOTED), ("srun", NOTED)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "logs").mkdir()
    around = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "CODE": "0",
        "WAIT": "",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "31",
        "SLURM_CPUS_ON_NODE": "3",
    }

    def start(script: str, *words: str, **environment: str) -> subprocess.Popen:
        command = ["bash", ROOT / "bin" / script, ROOT, tmp_path / "fundusseg", "2", *words]
        return subprocess.Popen(
            command,
            cwd=tmp_path / "logs",
            env={**os.environ, **around, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


ARRAY = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}


def calls(tmp_path: Path) -> str:
    return (tmp_path / "calls").read_text()


def slurm_calls(tmp_path: Path) -> str:
    path = tmp_path / "calls.slurm"
    return path.read_text() if path.exists() else ""


def test_an_array_task_does_its_part(job, tmp_path):
    process = job("infer.sbatch", "5", "an in", "an out", "--overlay", **ARRAY)
    assert process.wait() == 0
    assert calls(tmp_path) == (
        "[infer][an in][an out][--overlay][--jobs][3][--shard][3][--num-shards][5]"
    )


@pytest.mark.parametrize(
    ("code", "restarts", "requeued", "refused"),
    [
        ("3", "0", False, False),
        ("1", "0", False, True),
        ("75", "1", True, False),
        ("75", "2", False, False),
        ("137", "0", True, False),
    ],
)
def test_what_an_exit_code_means_for_the_task(job, tmp_path, code, restarts, requeued, refused):
    """Stopped or killed: back to the queue, but not for ever; refused: never again."""
    process = job("prep.sbatch", "5", "in", "out", **ARRAY, CODE=code, SLURM_RESTART_COUNT=restarts)
    assert process.wait() == int(code)
    assert slurm_calls(tmp_path) == ("scontrol requeue 12_3\n" if requeued else "")
    assert (tmp_path / "logs" / ".refused-12_3").exists() == refused


def test_usr1_goes_on_to_the_stage_and_the_job_back_to_the_queue(job, tmp_path):
    waiting = tmp_path / "waiting"
    process = job("train.sbatch", "shards", "model", WAIT=str(waiting))
    end = time.monotonic() + 60
    while not waiting.exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    assert process.wait() == 75
    assert "USR1, asking it to save" in process.stderr.read()
    assert slurm_calls(tmp_path) == "scontrol requeue 31\n"


@pytest.mark.parametrize(
    ("parts", "manifests", "called"),
    [
        ("1", ["manifest.json"], "[check][out]"),
        ("2", ["manifest-0-of-2.json", "manifest-1-of-2.json"], "[merge][out][check][out]"),
    ],
)
def test_a_join_joins_what_its_tasks_wrote(job, tmp_path, parts, manifests, called):
    for name in manifests:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).touch()
    dependency = {"SLURM_JOB_DEPENDENCY": "afterany:12"}
    process = job("merge.sbatch", "out", parts, "--", "infer.sbatch", parts, "in", **dependency)
    assert process.wait() == 0, process.stderr.read()
    assert calls(tmp_path) == called


def test_a_training_that_comes_back_from_the_queue_forgets_nothing_again(job, tmp_path):
    for restarts, forced in (("0", "[--force]"), ("1", "")):
        process = job("train.sbatch", "shards", "model", "--force", SLURM_RESTART_COUNT=restarts)
        assert process.wait() == 0
        assert calls(tmp_path) == f"[train][shards][model]{forced}[--jobs][3]"
        (tmp_path / "calls").unlink()


def test_train_with_several_tasks_has_a_worker_in_each(job, tmp_path):
    process = job("train.sbatch", "shards", "model", SLURM_NTASKS="2", SLURM_CPUS_PER_TASK="6")
    assert process.wait() == 0
    assert calls(tmp_path) == "[train][shards][model][--jobs][6][--distribute][multi-worker]"
    assert slurm_calls(tmp_path).startswith("srun --cpus-per-task=6 ")


@pytest.mark.parametrize("stage", ["prep", "train", "infer", "score", "merge"])
@pytest.mark.parametrize("words", [(), ("in", "out")])
def test_a_job_script_that_runs_alone_names_submit(stage, words):
    script = Path(__file__).parents[1] / "bin" / f"{stage}.sbatch"
    done = subprocess.run(["bash", script, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert "bin/submit gives this script its words" in done.stderr
