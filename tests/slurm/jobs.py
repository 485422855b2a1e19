"""Jobs of a real Slurm: submit a chain, watch it, and strike its tasks."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SUBMIT = Path(__file__).parent.parent.parent / "bin" / "submit"
PATIENCE_S = 600


def output_of(*words: str | Path, **environment: str) -> str:
    """The stdout of a command that succeeds."""
    done = subprocess.run(
        list(map(str, words)), env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{shlex.join(map(str, words))}: {done.stderr}"
    return done.stdout


def submitted(*words, **environment: str) -> dict[str, str]:
    """Submit a chain: the job id by stage."""
    lines = output_of(SUBMIT, *words, **environment).splitlines()
    return dict(line.split("\t") for line in lines)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, output_of("squeue", "--format", "%i %j %T %E %r %N")
        time.sleep(0.01)


def wait_for_all_jobs() -> None:
    """Until the queue is empty."""

    def queue_is_empty() -> bool:
        time.sleep(0.3)
        return output_of("squeue", "--noheader") == ""

    wait_until(queue_is_empty)


def state(job: str) -> str:
    """A job's state, such as COMPLETED; an ended one is known for ten minutes."""
    return shown(job)["JobState"]


def shown(job: str) -> dict[str, str]:
    """What Slurm knows of a job, or of one task of an array."""
    line = output_of("scontrol", "show", "job", "--oneliner", job)
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def ended_as(state: str) -> set[str]:
    """The jobs and tasks that ended in a state at least once, also if they ran again later."""
    lines = Path(os.environ["SLURM_CONF"]).with_name("log").joinpath("jobs.txt").read_text()
    found = set()
    for line in lines.splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        task = f"{fields.get('ArrayJobId', fields['JobId'])}_{fields.get('ArrayTaskId', '')}"
        if fields["JobState"] == state:
            found.add(task.removesuffix("_"))
    return found


def log_of(run: Path, name: str) -> str:
    """The logs of the jobs that a pattern of stage and id names, such as infer-12_3."""
    return "".join(path.read_text() for path in sorted((run / "logs").glob(f"{name}.log")))


def finished_keys(out: Path, part: int | str = "*") -> list[str]:
    """A line for every finished photograph that the ledgers of an output folder hold."""
    ledgers = sorted(out.glob(f".fundusseg/ledger-{part}-of-*.jsonl"))
    lines = [line for ledger in ledgers for line in ledger.read_text().splitlines()]
    return [line for line in lines if '"row": ' in line]


def frozen_in_the_middle(out: Path, parts: int) -> dict[int, int]:
    """Freeze the processes of all parts, each after its first photographs: pid by part."""
    pids: dict[int, int] = {}

    def all_frozen() -> bool:
        for part in set(range(parts)) - set(pids):
            if finished_keys(out, part):
                pids[part] = process_of(out, part)
                os.kill(pids[part], signal.SIGSTOP)
        return len(pids) == parts

    wait_until(all_frozen)
    return pids


def process_of(out: Path, part: int) -> int:
    """The process that works on one part of an output folder."""
    wanted = (f"\0{out}\0".encode(), f"\0--shard\0{part}\0".encode())
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if all(word in words for word in wanted):
            return int(folder.name)
    raise AssertionError(f"no process works on part {part} of {out}")
