"""Print a section of MultiQC's report for maps of infer: what became of each photograph.

python3 docs/tools/multiqc.py maps/ > fundusseg_mqc.json
"""

import csv
import json
import sys
from pathlib import Path

HEADERS = {
    "expected_dice": {"title": "expected Dice", "min": 0, "max": 1, "scale": "RdYlBu"},
    "sharpness_ratio": {"title": "sharpness", "format": "{:,.3f}"},
    "evenness_ratio": {"title": "evenness of the light", "format": "{:,.3f}"},
    "fov_diameter_px": {"title": "field of view", "suffix": " px", "format": "{:,.0f}"},
    "status": {"title": "status"},
    "reason": {"title": "reason"},
}


def section(rows: list[dict[str, str]]) -> dict:
    """A table with a row for each photograph; a cell that is empty is left out."""
    return {
        "id": "fundusseg",
        "section_name": "fundusseg",
        "description": "Vessel maps of retinal photographs, from status.tsv of fundusseg infer.",
        "plot_type": "table",
        "pconfig": {"id": "fundusseg_maps", "title": "fundusseg: maps"},
        "headers": HEADERS,
        "data": {
            row["id"]: {name: _value(row[name]) for name in HEADERS if row[name]} for row in rows
        },
    }


def _value(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


if __name__ == "__main__":
    with Path(sys.argv[1], "status.tsv").open(newline="") as file:
        lines = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        print(json.dumps(section(list(lines)), indent=1))
