"""The notebook's tables beside ours: running means, both models, the adversary."""

import math

import pytest

from bin.notebook_tables import (
    NOTEBOOK_LOSS,
    AblationScores,
    LossPoint,
    SetScores,
    ablation_table,
    cost_table,
    loss_points,
    loss_table,
    native_table,
    notebook_report,
    similarity_table,
)

KEYS = ("mse_continuous", "ssim_continuous", "psnr_db_continuous", "dice", "cldice")


def figures(mean: float, low: float = math.nan, high: float = math.nan) -> dict:
    return {key: {"mean": mean, "low": low, "high": high, "n_images": 8.0} for key in KEYS}


def cells(table: str) -> list[list[str]]:
    """The rows of a table, header and rule left out."""
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


SET = SetScores(
    "CHASE_DB1",
    small={
        "pix2pix": figures(0.5),
        "split": figures(0.75),
        "split - pix2pix": figures(0.25, 0.125, 0.375),
    },
    native={"pix2pix": figures(0.4), "split": figures(0.8)},
    cost_s={"pix2pix": 0.5, "split": 0.25},
)


def test_the_running_mean_weighs_each_row_by_its_steps():
    """Rows of validation alone count for nothing; a last row over fewer steps counts for less."""
    rows = [
        {"step": 100.0, "generator_loss": 30.0},
        {"step": 150.0, "validation_l1": 0.1},
        {"step": 200.0, "generator_loss": 10.0},
        {"step": 250.0, "generator_loss": 5.0},
    ]
    assert loss_points(rows) == [
        LossPoint(100, 30.0, 30.0),
        LossPoint(200, 10.0, 20.0),
        LossPoint(250, 5.0, pytest.approx(17.0)),
    ]
    assert loss_points([{"step": 1.0}]) == []


def test_loss_by_step_stands_beside_the_notebooks():
    points = [LossPoint(step, 1.0, 2.0) for step in range(100, 7801, 100)]
    rows = cells(loss_table([*points, LossPoint(7838, 1.5, 2.5)]))
    assert [int(row[0]) for row in rows] == list(NOTEBOOK_LOSS)
    assert rows[0] == ["100", "33.597", "2.000", "1.000"]
    assert rows[-1] == ["7838", "5.816", "2.500", "1.500"]


def test_a_shorter_training_shows_its_last_step_too():
    rows = cells(loss_table([LossPoint(100, 1.0, 2.0), LossPoint(140, 1.0, 2.0)]))
    assert [row[:2] for row in rows] == [["100", "33.597"], ["140", ""]]


def test_similarity_has_the_notebooks_row_first_and_the_difference_with_its_interval():
    rows = cells(similarity_table([SET]))
    assert rows[0] == ["the notebook's", "the notebook", "", "0.0648", "0.8877", "18.05", "", ""]
    assert rows[1] == ["CHASE_DB1", "pix2pix", "8", "0.5000", "0.5000", "0.50", "0.5000", "0.5000"]
    assert rows[3][1] == "split - pix2pix" and rows[3][6] == "0.2500 (0.1250 to 0.3750)"


def test_a_figure_that_a_map_has_not_is_an_empty_cell():
    """Sensitivity, precision and AUROC are not in these figures."""
    assert cells(native_table([SET]))[0] == [
        "CHASE_DB1",
        "pix2pix",
        "8",
        *["0.4000"] * 2,
        *[""] * 3,
    ]


def test_cost_of_both():
    assert cells(cost_table([SET])) == [
        ["CHASE_DB1", "pix2pix", "0.50"],
        ["CHASE_DB1", "split", "0.25"],
    ]


def test_ablation_shows_the_mean_and_both_seeds():
    seeds = {"L1": [figures(0.5), figures(0.7)], "L1+adversarial": [figures(0.2), figures(0.4)]}
    rows = cells(ablation_table([AblationScores("HRF", seeds, seeds)]))
    assert [row[:2] for row in rows] == [["HRF", "L1"], ["HRF", "L1+adversarial"]]
    assert rows[0][2] == "0.6000 (0.5000, 0.7000)" and len(rows[0]) == 2 + 5 + 2
    assert rows[1][-1] == "0.3000 (0.2000, 0.4000)"


def test_the_report_says_that_the_photographs_differ_and_leaves_out_what_was_not_run():
    points = [LossPoint(100, 1.0, 2.0)]
    text = notebook_report({"training": "3 steps"}, points, [SET], [], "loss.png")
    assert text.startswith("# The notebook, reproduced: pix2pix on CHASE_DB1\n")
    assert text.count("photographs are not the notebook's") == 2
    assert "- **training**: 3 steps\n" in text and "](loss.png)" in text
    assert "adversary" not in text
    ablation = [AblationScores("HRF", {"L1": [figures(0.5)]}, {"L1": [figures(0.5)]})]
    assert "## What the adversary brought" in notebook_report({}, points, [SET], ablation, "a.png")
