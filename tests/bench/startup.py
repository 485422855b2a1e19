"""Start-up: the command until its first frame would go into the network, against its least.

The least is a process that imports tensorflow and loads the weights. Both take turns.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.processes import ROOT
from tests.bench.tables import table

ROUNDS = 7

# The command as it is, ended where the network is ready and the first frame is at hand.
_TO_FIRST_FRAME = """
import os, sys
from fundusseg.cli import main
from fundusseg.stages import infer
ready_predictor = infer.ready_predictor
def ready_and_gone(*words):
    ready_predictor(*words)
    os._exit(0)
infer.ready_predictor = ready_and_gone
main(["infer", *sys.argv[1:], "--quiet"])
sys.exit("no frame came to the network")
"""
_LEAST = """
import os
import tensorflow
from fundusseg.io import models
models.read_model(models.model_folder("default"))
os._exit(0)
"""


def startup_table(photograph: Path, work: Path) -> tuple[str, float]:
    """Wall seconds of both, medians, their ratio; and the ratio."""
    taken: dict[str, list[float]] = {"command": [], "least": [], "whole": []}
    for number in range(ROUNDS):
        words = [str(photograph), str(work / f"start-{number}")]
        whole = "import sys; from fundusseg.cli import main; main(['infer', *sys.argv[1:]])"
        for name, code in (("command", _TO_FIRST_FRAME), ("least", _LEAST), ("whole", whole)):
            started = time.perf_counter()
            given = [] if name == "least" else words
            subprocess.run(
                [sys.executable, "-c", code, *given],
                check=True,
                cwd=ROOT,
                stderr=subprocess.DEVNULL,
            )
            taken[name].append(time.perf_counter() - started)
    ratio = statistics.median(
        command / least for command, least in zip(taken["command"], taken["least"], strict=True)
    )
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    rows = [
        ("import tensorflow, load the weights", f"{seconds['least']:.2f}"),
        ("infer until its first frame goes into the network", f"{seconds['command']:.2f}"),
        ("ratio", f"{ratio:.2f}"),
        ("infer of one photograph, to the end", f"{seconds['whole']:.2f}"),
    ]
    text = f"Medians of {ROUNDS} runs in turns; the ratio is the median of the turns' ratios."
    return table("## Start-up, wall seconds", ("", "s"), rows, text), ratio
