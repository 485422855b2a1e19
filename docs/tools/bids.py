"""Print the dataset_description.json of BIDS derivatives for maps of infer, from their manifest.

python3 docs/tools/bids.py maps/ > maps/dataset_description.json
"""

import json
import sys
from pathlib import Path

BIDS_VERSION = "1.10.0"


def description(manifest: dict) -> dict:
    """What BIDS asks of derivatives: the kind of data set, and which program made it."""
    model = f"model {manifest['model_sha256']}, threshold {manifest['threshold']}"
    made_by = {
        "Name": "fundusseg",
        "Version": manifest["packages"]["fundusseg"],
        "Description": f"{manifest['stage']}, {model}",
    }
    return {
        "Name": "Vessel maps of retinal photographs",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [made_by],
    }


if __name__ == "__main__":
    values = json.loads(Path(sys.argv[1], "manifest.json").read_text())
    print(json.dumps(description(values), indent=1))
