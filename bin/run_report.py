"""The report of `make all`: score's, with the measures that studies use most before its last part.

python -m bin.run_report RUN prints it as a page for the folder RUN, from which its pictures are
found. It needs no package.
"""

import re
import sys
from pathlib import Path

MEASURES = (
    "area_density_ratio",
    "length_density_per_fov",
    "width_length_weighted_fov",
    "tortuosity_arc_over_chord_ratio",
    "fractal_d0_skeleton_ratio",
)
ALL_MEASURES = "All measures, and plots: measures/vessels-agreement/agreement.md."
_SHOWN = tuple(f"| {first} " for first in ("measure", *MEASURES))


def run_report(scored: str, agreement: str) -> str:
    """One page of score's report.md and of what `measure --compare` printed."""
    before, heading, figures = scored.rpartition("\n## ")
    few = "".join(line for line in agreement.splitlines(keepends=True) if _is_shown(line))
    measures = f"\n## Measures of the vessels\n\n{few}\n{ALL_MEASURES}\n"
    return re.sub(r"\]\((?=[^)]*\.png\))", "](score/", before + measures + heading + figures)


def _is_shown(line: str) -> bool:
    """Whether a line is text, the head of the table, or one of `MEASURES`."""
    return not line.startswith("| ") or line.startswith(("| --", *_SHOWN))


if __name__ == "__main__":
    run = Path(sys.argv[1])
    scored, agreement = run / "score/report.md", run / "measures/agreement.md"
    sys.stdout.write(run_report(scored.read_text(), agreement.read_text()))
