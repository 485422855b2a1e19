"""The short form of `make faults`: a random sample of all faults, another one each day."""

import subprocess
import sys
from pathlib import Path

SECONDS = 100


def test_nothing_is_lost_wrong_or_hung():
    """The trials fork, so they have a process of their own without tensorflow and threads."""
    words = (sys.executable, "-m", "tests.faults", "--seconds", str(SECONDS), "--jobs", "1")
    root = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
