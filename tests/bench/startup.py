"""Start-up: the command until its first frame would go into the network, against its least.

The least is a process that imports tensorflow and loads the weights. Both take turns.
"""

import statistics
import sys
from pathlib import Path

from tests.bench.processes import Usage, measured, usage_of
from tests.bench.tables import table

ROUNDS = 7

# The command as it is, ended where the network is ready and the first frame is at hand.
_TO_FIRST_FRAME = """
import os, sys
from fundusseg.cli import main
from fundusseg.segmenter import Segmenter
def ready_and_gone(segmenter, images, fovs):
    segmenter.batch
    os._exit(0)
Segmenter.scores = ready_and_gone
main(["infer", *sys.argv[1:], "--quiet"])
sys.exit("no frame came to the network")
"""
_WHOLE = """
import sys
from fundusseg.cli import main
sys.exit(main(["infer", *sys.argv[1:], "--quiet"]))
"""
_LEAST = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow
from fundusseg.files import models
models.read_model(models.model_folder("default"))
os._exit(0)
"""


def startup_table(photograph: Path, work: Path) -> tuple[str, float]:
    """Seconds of both, a whole run and --help, medians; and the wall ratio of the first two."""
    taken: dict[str, list[Usage]] = {"least": [], "command": [], "whole": [], "help": []}
    for number in range(ROUNDS):
        for name, code in (("least", _LEAST), ("command", _TO_FIRST_FRAME), ("whole", _WHOLE)):
            out = work / f"start-{name}-{number}"
            words = [] if name == "least" else [photograph.resolve(), out]
            taken[name].append(usage_of([sys.executable, "-c", code, *map(str, words)]))
        taken["help"].append(measured("infer", "--help"))
    rows = [
        ("import tensorflow, load the weights", *_seconds(taken["least"])),
        ("infer until its first frame goes into the network", *_seconds(taken["command"])),
        ("infer of one photograph, to the end", *_seconds(taken["whole"])),
        ("infer --help", *_seconds(taken["help"])),
    ]
    ratios = {
        field: statistics.median(
            getattr(command, field) / getattr(least, field)
            for command, least in zip(taken["command"], taken["least"], strict=True)
        )
        for field in ("wall_s", "cpu_s")
    }
    rows.append(("ratio of the first two", f"{ratios['wall_s']:.2f}", f"{ratios['cpu_s']:.2f}"))
    text = f"Medians of {ROUNDS} runs in turns; the ratio is the median of the turns' ratios."
    return table("## Start-up", ("", "wall s", "CPU s"), rows, text), ratios["wall_s"]


def _seconds(usages: list[Usage]) -> tuple[str, str]:
    wall, cpu = (statistics.median(getattr(u, f) for u in usages) for f in ("wall_s", "cpu_s"))
    return f"{wall:.2f}", f"{cpu:.2f}"
