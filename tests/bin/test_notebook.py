"""The report of make notebook, from what the stages leave; and once the whole chain on phantoms."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bin.notebook import own_output_figures, run_notebook_report
from fundusseg.datasets.shards import ShardFolder
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.history import History
from fundusseg.files.manifest import Part, write_manifest
from fundusseg.nets.generator import build_generator
from fundusseg.nets.runtime import policy
from fundusseg.presets import PIX2PIX
from tests.batch import contents, run

ROOT = Path(__file__).parents[2]
FIGURES = ("mse_continuous", "ssim_continuous", "psnr_db_continuous", "dice", "cldice")


def write_scores(path: Path, *systems: tuple[str, str, float]) -> None:
    """A summary.json with every figure at one mean, by (of, role, mean)."""
    rows = [
        {"of": of, "role": role, "figure": key, "mean": mean, "low": None, "high": None}
        | {"n_images": 2}
        for of, role, mean in systems
        for key in FIGURES
    ]
    rows.append({"of": "pix2pix", "role": "maps", "figure": "auroc"})  # does not apply
    truth = {"of": "first observer", "role": "maps", "figure": "truth_connected_components"}
    rows.append({**truth, "mean": 9.0, "low": 8.0, "high": 10.0, "n_images": 2})
    path.mkdir(parents=True)
    (path / "summary.json").write_text(json.dumps({"rows": rows}))


def write_cost(folder: Path, one_s: float, several_s: float, several: int) -> None:
    for name, seconds, count in (("one", one_s, 1), ("several", several_s, several)):
        (folder / name).mkdir(parents=True)
        (folder / f"{name}.txt").write_text(f"{seconds}\n")
        inputs = {str(number): "0" * 64 for number in range(count)}
        counts = {"photographs": len(inputs), "failed": 0}
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_manifest(folder / name, "infer", {}, {}, part=Part(0, 3), counts=counts)


@pytest.fixture
def finished_run(phantom_set, tmp_path) -> Path:
    """What notebook.mk leaves of one data set, without maps."""
    folder = tmp_path / "notebook"
    shards = folder / "shards/data/pix2pix"
    assert run("prep", phantom_set("fives"), shards, "--preset", "pix2pix") == 0
    history = History(folder / "model" / models.HISTORY)
    history.add(100, 1.0, {"generator_loss": 30.0})
    history.add(200, 2.0, {"generator_loss": 10.0})
    history.write()
    notes = {"step": 150, "steps": 200, "precision": "bfloat16", "threads": 2}
    notes |= {"train_photographs": 3, "validation_photographs": 1}
    generator = dataclasses.replace(PIX2PIX.generator, encoder_filters=(4,), bottleneck_filters=4)
    small = dataclasses.replace(PIX2PIX, generator=generator)
    built = build_generator(small.generator, policy("float32"))
    weights = {weight.path: 0 * weight.numpy() for weight in built.weights}  # it draws 0 in [-1, 1]
    models.write_weights(folder / "model" / models.GENERATOR, weights)
    models.write_config(folder / "model", small, 0.4, None, notes)
    preset = json.loads((folder / "model" / models.CONFIG).read_text())["preset"]
    inputs = {"FIVES/shard-0.h5": "0" * 64}
    write_manifest(folder / "model", "train", {"preset": preset}, {}, inputs=inputs)
    (folder / "model" / "cpu-seconds.txt").write_text("1800.0\n5400.5\n")
    both = (("pix2pix", "maps", 0.5), ("split", "maps", 0.75))
    for size in ("256", "native"):
        write_scores(
            folder / "score/data" / size,
            *both,
            ("split - pix2pix", "difference", 0.25),
            ("oracle of split", "oracle", 0.9),
        )
    write_cost(folder / "cost/data/split", 5.0, 9.0, 9)
    write_cost(folder / "cost/data/pix2pix", 5.0, 13.0, 9)
    return folder


def test_the_report_has_losses_both_models_costs_and_how_it_was_trained(finished_run, tmp_path):
    run_notebook_report(finished_run, tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == ["generator_loss.png", "history.csv", "report.md"]
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.startswith("# The notebook, reproduced: pix2pix on data set\n")
    for said in ("seed 1, on 3 photographs of FIVES", "at step 150", "2.00 CPU-hours", "bfloat16"):
        assert said in report
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines()]
    assert ["200", "", "20.000", "10.000"] in lines
    assert ["data set", "split - pix2pix", "2", *["0.2500"] * 2, "0.25", *["0.2500"] * 2] in lines
    assert lines.index(["data set", "pix2pix", "1.00"]) < lines.index(["data set", "split", "0.50"])
    for absent in ("oracle", "observer", "adversary"):
        assert absent not in report


def test_the_networks_own_output_is_scored_in_its_frame(finished_run):
    """A map that is 0 everywhere is 1 away from a mask of -1 and 1; above the threshold it is all
    vessel, and Dice follows from the mask's share of the field of view."""
    found = own_output_figures(finished_run, "data")
    shards = ShardFolder(finished_run / "shards/data/pix2pix")
    samples = [shards.read(ref) for ref in shards.of_split("test")]
    squares = [np.square(sample.mask / 127.5 - 1).mean() for sample in samples]
    shares = [(sample.mask[sample.fov >= 128] >= 128).mean() for sample in samples]
    assert found["mse_continuous"]["mean"] == pytest.approx(np.mean(squares), abs=1e-5)
    assert found["dice"]["mean"] == pytest.approx(np.mean([2 * s / (1 + s) for s in shares]))
    assert found["psnr_db_continuous"]["n_images"] == 2


def test_too_few_photographs_tell_no_cost(finished_run, tmp_path):
    shutil.rmtree(finished_run / "cost/data/split")
    write_cost(finished_run / "cost/data/split", 5.0, 4.5, 2)
    run_notebook_report(finished_run, tmp_path / "out")
    rows = (tmp_path / "out" / "report.md").read_text().split("## Cost")[1].split()
    assert rows[-2] == "n/a" and "1.00" in rows


def test_the_ablation_is_added_once_it_was_run(finished_run, tmp_path):
    names = ("L1-1", "L1-2", "L1+adversarial-1", "L1+adversarial-2")
    systems = [(name, "maps", 0.1 * number) for number, name in enumerate(names, start=1)]
    for size in ("256", "native"):
        write_scores(finished_run / "ablation/score/data" / size, *systems)
    run_notebook_report(finished_run, tmp_path / "out")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "0.1500 (0.1000, 0.2000)" in report and "0.3500 (0.3000, 0.4000)" in report


@pytest.mark.parametrize("name", ["model/cpu-seconds.txt", "model/history.csv", "score"])
def test_what_is_missing_is_named(finished_run, tmp_path, name):
    path = finished_run / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=str(path)):
        run_notebook_report(finished_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_processor_seconds_are_added_and_the_exit_status_is_the_commands(tmp_path):
    noted = tmp_path / "seconds.txt"
    for status in (0, 75):
        command = [ROOT / "bin/cpu-seconds", noted, "sh", "-c", f"exit {status}"]
        assert subprocess.run(command).returncode == status
    assert len(noted.read_text().splitlines()) == 2


# A few filters in place of 54 million weights; all else is the real program.
SMALL = {
    "generator": {"encoder_filters": [4] * 3, "bottleneck_filters": 4},
    "discriminator": {"strided_filters": [4], "last_filters": 4},
}


def test_make_notebook_on_a_folder_as_kaggle_mounts_it(phantom_set, tmp_path):
    """FIVES' folders below two wrappers, one with blanks; nothing is written there."""
    if shutil.which("make") is None:
        pytest.skip("no make here")
    mounted = tmp_path / "input"
    shutil.copytree(phantom_set("fives"), mounted / "fives")
    before = {path: path.stat().st_mtime_ns for path in mounted.rglob("*")}
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = train ] && set -- "$@" --config {tmp_path / "small.json"}\n'
        f'exec {ROOT / "bin" / "fundusseg"} "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / "ready").touch()
    words = [f"KAGGLE={mounted}", f"RUN={tmp_path / 'run'}", f"READY={tmp_path / 'ready'}"]
    words += [f"FUNDUSSEG={program}", "STEPS=3", "JOBS=1"]
    done = subprocess.run(
        ["make", "notebook", *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DATA"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in mounted.rglob("*")} == before
    report = (tmp_path / "run/notebook/report/report.md").read_text()
    assert "3 steps of batch 1, seed 1" in report and "| pix2pix " in report
    assert (tmp_path / "run/notebook/model" / models.KERAS_GENERATOR).exists()
