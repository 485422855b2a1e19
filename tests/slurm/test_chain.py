"""bin/submit on a real Slurm: the same bytes as one local run, whatever happens to the tasks."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from fundusseg.files.status import read_status
from tests.batch import PROGRAM, contents, run, write_photographs
from tests.slurm.jobs import (
    ended_as,
    finished_keys,
    frozen_in_the_middle,
    log_of,
    output_of,
    shown,
    state,
    submitted,
    wait_for_all_jobs,
    wait_until,
)

pytestmark = pytest.mark.slurm
PART_FILE = re.compile(r"(?:manifest|status|SHA256SUMS)-\d+-of-\d+(?:\.json|\.tsv)?")
DEADLY_PROGRAM = """#!/bin/sh
case "$*" in *'--shard 1 '*) [ ! -e {deadly} ] || kill -KILL $$ ;; esac
exec {program} "$@"
"""


def whole(folder: Path) -> dict[str, bytes]:
    """The contents of an output folder without what the parts of an array leave beside it."""
    return {name: data for name, data in contents(folder).items() if not PART_FILE.fullmatch(name)}


def require_each_once(out: Path, count: int) -> None:
    """Every photograph has one row, and was finished once."""
    ids = [row.id for row in read_status(out / "status.tsv")]
    assert len(ids) == len(set(ids)) == len(finished_keys(out)) == count


def test_four_tasks_on_two_nodes_are_one_local_run(data_set, tiny_model, undisturbed, tmp_path):
    """Same bytes: N parts give the same bytes as one; OUT paths may have blanks."""
    folder = tmp_path / "a run"
    jobs = submitted("--model", tiny_model, "infer,score", data_set, folder)
    assert list(jobs) == ["infer", "infer-merge", "score"]
    wait_for_all_jobs()
    assert {state(job) for job in jobs.values()} == {"COMPLETED"}
    parts = [shown(f"{jobs['infer']}_{part}") for part in range(4)]
    assert {part["NodeList"] for part in parts} == {"node1", "node2"}
    assert whole(folder / "maps") == contents(undisturbed)
    require_each_once(folder / "maps", 64)
    assert "Dice" in (folder / "score" / "report.md").read_text()


def test_tasks_that_are_killed_requeued_lost_and_stopped(
    data_set, tiny_model, undisturbed, tmp_path
):
    """Resume: the chain ends complete; no photograph twice, none missing."""
    folder = tmp_path / "run"
    jobs = submitted("--model", tiny_model, "infer,score", data_set, folder)
    array, out = jobs["infer"], folder / "maps"
    tasks = [f"{array}_{part}" for part in range(4)]
    pids = frozen_in_the_middle(out, 4)
    assert all(len(finished_keys(out, part)) < 16 for part in range(4)), "too late to strike"
    on_node2 = [part for part in range(4) if shown(tasks[part])["NodeList"] == "node2"]
    killed, requeued = set(range(4)) - set(on_node2)
    stopped, lost = on_node2

    output_of("scancel", "--signal=KILL", tasks[killed])
    output_of("scontrol", "requeue", tasks[requeued])
    end = time.strftime("%FT%T", time.localtime(time.time() + 100))
    output_of("scontrol", "update", f"jobid={tasks[stopped]}", f"EndTime={end}")
    wait_until(lambda: "USR1" in log_of(folder, f"infer-{tasks[stopped]}"))
    os.kill(pids[stopped], signal.SIGCONT)
    wait_until(lambda: "back to the queue" in log_of(folder, f"infer-{tasks[stopped]}"))
    output_of("scontrol", "update", "nodename=node2", "state=down", "reason=test")
    wait_until(lambda: state(tasks[lost]) == "PENDING")
    output_of("scontrol", "update", "nodename=node2", "state=resume")
    wait_for_all_jobs()

    assert tasks[killed] in ended_as("CANCELLED")
    assert "DUE TO JOB REQUEUE" in log_of(folder, f"infer-{tasks[requeued]}")
    assert tasks[lost] in ended_as("NODE_FAIL")
    assert "exit 75" in log_of(folder, f"infer-{tasks[stopped]}")
    again = f"parts {killed} are missing: submitted again"
    assert again in log_of(folder, f"infer-merge-{jobs['infer-merge']}")
    assert state(jobs["score"]) == "COMPLETED"
    assert whole(out) == contents(undisturbed)
    require_each_once(out, 64)


def test_a_data_set_becomes_a_report(tmp_path, tiny_settings):
    """prep, train, infer and score, each after the other; the shards as one local run has them."""
    data_set, folder = tmp_path / "the set", tmp_path / "the run"
    assert run("phantom", data_set, "--count", 8, "--size", 96, "--quiet") == 0
    words = ("--num-shards", 2, "--with", f"train=--steps 4 --config '{tiny_settings}'")
    jobs = submitted(*words, "all", data_set, folder)
    wait_for_all_jobs()
    assert {stage: state(job) for stage, job in jobs.items()} == dict.fromkeys(jobs, "COMPLETED")
    assert run("prep", data_set, tmp_path / "local", "--num-shards", 2, "--quiet") == 0
    assert whole(folder / "shards") == contents(tmp_path / "local")
    assert run("check", folder / "shards", folder / "model", folder / "maps") == 0
    assert "Dice" in (folder / "score" / "report.md").read_text()


def test_killed_again_and_again_it_gives_up_and_the_same_command_goes_on(tiny_model, tmp_path):
    """Every attempt at part 1 is killed: the join fails and names it; then only that is done."""
    photographs = write_photographs(tmp_path / "in", *(f"{n}.png" for n in range(4)))
    program, deadly, folder = tmp_path / "program", tmp_path / "deadly", tmp_path / "run"
    program.write_text(DEADLY_PROGRAM.format(deadly=deadly, program=PROGRAM))
    program.chmod(0o755)
    words = ("--model", tiny_model, "--num-shards", 2, "--retries", 1, "--program", program)
    deadly.touch()
    jobs = submitted(*words, "infer", photographs, folder)
    wait_for_all_jobs()
    assert log_of(folder, f"infer-{jobs['infer']}_1").count("exit 137") == 2
    assert log_of(folder, "infer-*_1").count("exit 137") == 4
    assert "status-1-of-2.tsv, SHA256SUMS-1-of-2 missing of 2 parts" in log_of(
        folder, "infer-merge-*"
    )
    deadly.unlink()
    jobs = submitted(*words, "infer", photographs, folder)
    wait_for_all_jobs()
    assert state(jobs["infer-merge"]) == "COMPLETED"
    done_before = "2 photographs, {} of them finished before"
    for part, count in ((0, 2), (1, 0)):
        assert done_before.format(count) in log_of(folder, f"infer-{jobs['infer']}_{part}")
    require_each_once(folder / "maps", 4)


def test_a_part_that_refuses_to_work_is_not_submitted_again(tiny_model, tmp_path):
    """A wrong option is no accident: the chain ends at once, and says why."""
    photographs = write_photographs(tmp_path / "in", "a.png", "b.png")
    words = ("--model", tiny_model, "--num-shards", 2, "--with", "infer=--tile 7")
    jobs = submitted(*words, "infer,score", photographs, tmp_path)
    wait_for_all_jobs()
    assert state(jobs["infer-merge"]) == "FAILED"
    assert state(jobs["score"]) == "CANCELLED"
    assert "part 1 refused to work" in log_of(tmp_path, f"infer-merge-{jobs['infer-merge']}")
    assert "--tile must be" in log_of(tmp_path, f"infer-{jobs['infer']}_1")
    assert len(list((tmp_path / "logs").glob("*.log"))) == 3
