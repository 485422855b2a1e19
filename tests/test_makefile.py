"""The Makefile chains the stages by their manifests; a stub of fundusseg notes the calls."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILES = "".join(path.read_text() for path in (ROOT / "Makefile", *(ROOT / "bin").glob("*.mk")))

STUB = """#!/bin/sh
# Notes its arguments, one line a call, and leaves what the stage would leave.
line=
for word in "$@"; do line="$line[$word]"; done
echo "$line" >> "$CALLS"
stage=$1
case $stage in
  phantom) out=$2 ;;
  train) for word in "$@"; do case $word in --*) break ;; esac; out=$word; done ;;
  score) out=$(echo "$@" | sed 's/.*--out \\([^ ]*\\).*/\\1/') ;;
  *) out=$3 ;;
esac
if [ $stage = measure ]; then
  echo > "$out"
  printf '7 maps\\n\\n| measure |\\n| --- |\\n| area_density_ratio |\\n| loops_count |\\n'
  [ "$stage" = "$SOME_FAILED" ] && exit 3
  exit 0
fi
mkdir -p "$out"
[ $stage = score ] && printf '![plot](roc.png)\\n\\n## Figures\\n\\n| a |\\n|---|\\n| 1 |\\n' \\
  > "$out/report.md"
[ "$stage" = "$KILLED" ] && exit 75
said="$stage $CHANGED"
before=
[ $stage = prep ] && [ -e "$out/manifest.json" ] && before=$(cat "$out/manifest.json")
[ "$before" = "$said" ] || echo "$said" > "$out/manifest.json"
[ "$stage" = "$SOME_FAILED" ] && exit 3
exit 0
"""


@pytest.fixture
def make(tmp_path):
    """Run make with the stub; returns its exit code and the stages called."""
    if shutil.which("make") is None:
        pytest.skip("no make here")
    stub = tmp_path / "stub"
    stub.write_text(STUB)
    stub.chmod(0o755)
    calls = tmp_path / "calls"
    writer = tmp_path / "notebook-report"
    writer.write_text(
        '#!/bin/sh\nmkdir -p "$2"; touch "$2/report.md"; echo "[report]" >> "$CALLS"\n'
    )
    writer.chmod(0o755)

    def run(*words: str, around=os.environ, **environment: str) -> tuple[int, list[str]]:
        calls.write_text("")
        ready = tmp_path / "ready"
        ready.touch()
        names = [f"FUNDUSSEG={stub}", f"RUN={tmp_path / 'run'}", f"READY={ready}"]
        names.append(f"NOTEBOOK_REPORT={writer}")
        done = subprocess.run(
            ["make", "--no-print-directory", *names, *words],
            cwd=ROOT,
            env={**around, "CALLS": str(calls), **environment},
            capture_output=True,
            text=True,
        )
        return done.returncode, calls.read_text().splitlines()

    return run


def stages(calls: list[str]) -> list[str]:
    return [call.split("]")[0].removeprefix("[") for call in calls]


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_all_runs_the_stages_in_order_then_nothing(make, jobs):
    code, calls = make("all", jobs)
    assert (code, stages(calls)) == (0, ["phantom", "prep", "train", "infer", "score", "measure"])
    assert make("all", jobs) == (0, [])


def test_all_runs_from_cron(make):
    """No HOME, no TERM, no SHELL, and the PATH that cron gives."""
    code, calls = make("all", around={"PATH": "/usr/bin:/bin"})
    assert (code, stages(calls)) == (0, ["phantom", "prep", "train", "infer", "score", "measure"])


def test_a_changed_parameter_redoes_what_depends_on_it_and_nothing_else(make):
    make("all")
    assert stages(make("all", "STEPS=7")[1]) == ["train", "infer", "score", "measure"]
    assert stages(make("all", "STEPS=7", "PRESET=pix2pix")[1]) == [
        "prep",
        "train",
        "infer",
        "score",
        "measure",
    ]
    assert make("all", "STEPS=7", "PRESET=pix2pix") == (0, [])


def test_data_with_blanks_reaches_prep_as_one_word(make):
    code, calls = make("all", "DATA=/some where/it's here")
    assert code == 0
    assert "[/some where/it's here]" in calls[0]
    assert stages(calls) == ["prep", "train", "infer", "score", "measure"]


def test_data_is_looked_at_each_time_and_the_rest_redone_only_where_it_changed(make):
    """A photograph more, or another mask, is not seen by make, but by prep."""
    assert make("all", "DATA=/a/set")[0] == 0
    assert stages(make("all", "DATA=/a/set")[1]) == ["prep"]
    again = make("all", "DATA=/a/set", CHANGED="a mask")[1]
    assert stages(again) == ["prep", "train", "infer", "score", "measure"]
    assert stages(make("all", "DATA=/a/set", CHANGED="a mask")[1]) == ["prep"]


def test_failed_photographs_let_the_report_be_made_and_make_fail(make, tmp_path):
    code, calls = make("all", SOME_FAILED="infer")
    assert code != 0
    assert stages(calls)[-1] == "measure"
    assert (tmp_path / "run" / "report.md").exists()
    assert make("all")[0] != 0


def test_photographs_that_could_not_be_read_are_tried_again(make):
    code, calls = make("all", SOME_FAILED="prep")
    assert code != 0 and stages(calls)[1:] == ["prep", "train", "infer", "score", "measure"]
    code, calls = make("all")
    assert code == 0 and stages(calls)[0] == "prep"
    assert make("all") == (0, [])


def test_a_stopped_stage_goes_on_and_what_is_done_stays(make, tmp_path):
    code, calls = make("all", KILLED="train")
    assert code != 0 and stages(calls)[-1] == "train"
    left = tmp_path / "run" / "model" / "state"
    left.write_text("step 37")
    code, calls = make("all")
    assert (code, stages(calls)) == (0, ["train", "infer", "score", "measure"])
    assert left.exists()


def test_other_settings_begin_the_stage_anew(make, tmp_path):
    make("all")
    left = tmp_path / "run" / "model" / "state"
    left.write_text("of 400 steps")
    make("all", "STEPS=7")
    assert not left.exists()


def test_pictures_of_the_report_are_found_from_the_run_folder(make, tmp_path):
    make("all")
    report = (tmp_path / "run" / "report.md").read_text()
    assert "![plot](score/roc.png)" in report
    assert report.rstrip().endswith("| 1 |")


def test_the_report_has_a_few_measures_before_its_last_section(make, tmp_path):
    make("all")
    report = (tmp_path / "run" / "report.md").read_text()
    measures = report[report.index("## Measures of the vessels") : report.index("## Figures")]
    assert "7 maps" in measures and "| area_density_ratio |" in measures
    assert "loops_count" not in measures


def test_the_shipped_models_are_trained_on_what_they_may_see(make, tmp_path):
    """make reproduce-default: the split model, its seeds, seven left-out models, the final one."""
    ship = tmp_path / "ship-model"
    ship.write_text(
        '#!/bin/sh\nmkdir -p "$2"\necho > "$2/manifest.json"\necho "ship $*" >> "$CALLS"\n'
    )
    ship.chmod(0o755)
    words = (f"MODELS={tmp_path / 'models'}", f"SHIP_MODEL={ship}", "DATA=/some sets")
    code, calls = make("reproduce-default", *words)
    assert code == 0 and stages(calls).count("prep") == 8
    sets_of, begins_from = {}, {}
    for call in calls:
        if call.startswith("[train]"):
            names = [word.rpartition("/models/")[2] for word in call[1:-1].split("][")[1:]]
            model = next(name for name in names if not name.startswith("shards/"))
            sets_of[model] = {name.removeprefix("shards/") for name in names if "shards/" in name}
            begins_from[model] = re.findall(r"\[--start-from\]\[\S+?/models/([^]]+)", call)
            everything = model.startswith(("final", "without-"))
            assert ("[--split][all]" in call) == everything
    seven = {"CHASE_DB1", "HRF", "LES-AV", "ARIA", "DR-HAGIS", "ORVS", "GAVE"}
    learnt = seven | {"phantoms"}
    assert sets_of == {
        "final-first": seven,
        "final": learnt,
        **{f"split-seed-{seed}": learnt - {"LES-AV"} for seed in (1, 2, 3)},
        **{f"without-{name}/model-first": seven - {name} for name in seven},
        **{f"without-{name}/model": learnt - {name} for name in seven},
    }
    for model, before in begins_from.items():
        has_first = f"{model}-first" in sets_of
        assert before == ([f"{model}-first"] if has_first else [])
    chosen_on = {}
    for call in calls:
        if call.startswith("ship "):
            shipped = call.split()[2].rpartition("/models/")[2]
            chosen_on[shipped] = set(re.findall(r"shards/(\S+)", call))
            assert ("--before" in call) == (shipped == "default" or shipped.endswith("/mean"))
    assert chosen_on == {
        "split": set(),
        "default": seven,
        **{f"without-{name}/mean": set() for name in seven},
        **{f"without-{name}/shipped": seven - {name} for name in seven},
    }
    assert make("reproduce-default", *words) == (0, [])


def test_help_lists_every_target(make):
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True)
    for target in re.findall(r"^([a-z-]+):.*##", MAKEFILES, re.MULTILINE):
        assert f"make {target}" in done.stdout


COMPARED = ["infer", "prep", "infer", "score", "score"]  # pix2pix and the other model
COSTS = ["infer"] * 4
NOTEBOOK = ["prep", "train", *COMPARED, *COSTS, "report"]
ABLATION = [*["train", "infer"] * 4, "score", "score", "report"]


def words_after(calls: list[str], stage: str, option: str) -> list[str]:
    """What follows an option in the calls of one stage."""
    mark = f"[{option}]["
    mine = [call for call in calls if call.startswith(f"[{stage}]")]
    return [call.split(mark)[1].split("]")[0] for call in mine if mark in call]


def test_notebook_trains_pix2pix_and_compares_then_does_nothing(make):
    code, calls = make("notebook", "DATA=/some where/it's here")
    assert (code, stages(calls)) == (0, NOTEBOOK)
    assert "[/some where/it's here]" in calls[0] and "[--preset][pix2pix]" in calls[0]
    assert words_after(calls, "train", "--steps") == ["7838"]
    assert make("notebook", "DATA=/some where/it's here") == (0, [])


def test_notebook_takes_steps_and_seed(make):
    make("notebook", "DATA=/set")
    code, calls = make("notebook", "DATA=/set", "STEPS=40", "SEED=3")
    assert code == 0 and stages(calls)[:2] == ["train", "infer"]
    assert words_after(calls, "train", "--steps") == ["40"]
    assert words_after(calls, "train", "--seed") == ["3"]


def test_notebook_goes_on_with_a_stopped_training(make, tmp_path):
    code, calls = make("notebook", "DATA=/set", KILLED="train")
    assert code != 0 and stages(calls) == ["prep", "train"]
    (tmp_path / "run/notebook/model/state").write_text("step 37")
    code, calls = make("notebook", "DATA=/set")
    assert (code, stages(calls)) == (0, NOTEBOOK[1:])
    assert (tmp_path / "run/notebook/model/state").exists()
    seconds = (tmp_path / "run/notebook/model/cpu-seconds.txt").read_text().splitlines()
    assert len(seconds) == 2 and all(float(line) >= 0 for line in seconds)


def test_notebook_finds_the_folder_of_kaggle(make, tmp_path):
    (tmp_path / "input").mkdir()
    code, calls = make("notebook", f"KAGGLE={tmp_path / 'input'}")
    assert (code, stages(calls)) == (0, NOTEBOOK)
    assert f"[prep][{tmp_path / 'input'}]" in calls[0]
    assert make("notebook", "KAGGLE=/nowhere")[0] != 0


def test_failed_photographs_let_the_notebook_go_on_and_make_fail(make):
    code, calls = make("notebook", "DATA=/set", SOME_FAILED="infer")
    assert code != 0 and stages(calls) == NOTEBOOK


def test_ablation_trains_with_and_without_the_adversary_two_seeds_each(make):
    make("notebook", "DATA=/set")
    code, calls = make("notebook-ablation", "DATA=/set")
    assert (code, stages(calls)) == (0, ABLATION)
    assert words_after(calls, "train", "--steps") == ["1400"] * 4
    assert words_after(calls, "train", "--seed") == ["1", "2", "1", "2"]
    assert words_after(calls, "train", "--adversarial-weight") == ["0", "0"]


def test_reference_is_on_five_sets_then_with_the_ablation_on_one_camera(make, tmp_path):
    report = tmp_path / "report"
    code, calls = make(
        "notebook-reference", "DATA=/the sets", f"REPORT={report}", "BATCHNORM=echo measured on"
    )
    assert code == 0
    assert words_after(calls, "train", "--steps") == ["7838", "4000", *["1400"] * 4]
    one_camera = next(
        at
        for at, call in enumerate(calls)
        if "[/the sets/CHASE_DB1]" in call and f"[{tmp_path}/run/CHASE_DB1/" in call
    )
    sides = {
        call.split("]")[1].removeprefix("[/the sets/"): call.split("[--split][")[1].split("]")[0]
        for call in calls[:one_camera]
        if "[pix2pix][--split]" in call
    }
    assert sides == {
        **dict.fromkeys(("CHASE_DB1", "HRF"), "auto"),
        **dict.fromkeys(("ARIA", "DR-HAGIS", "ORVS"), "train"),
        "LES-AV": "test",
    }
    trained = next(call for call in calls if call.startswith("[train]"))
    assert all(f"shards/{name}/pix2pix]" in trained for name in sides if name != "LES-AV")
    assert "LES-AV" not in trained
    assert stages(calls[:one_camera]).count("score") == 3 * 2
    assert stages(calls[one_camera:]).count("score") == 2 + 2
    assert (report / "five-sets/report.md").exists()
    assert {path.name for path in (report / "CHASE_DB1").iterdir()} == {
        "report.md",
        "batchnorm.md",
    }


def test_the_runs_folder_has_a_name_that_needs_no_quotes():
    words = ["make", "-n", "all", "DATA=/some where/CHASE (1) it's & more/"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "runs/CHASE__1__it_s___more/report.md" in done.stdout
    assert subprocess.run(["bash", "-n", "-c", done.stdout]).returncode == 0
