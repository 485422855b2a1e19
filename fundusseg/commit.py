"""The commit that the program is of: what was built notes it in a file, a checkout asks git."""

import os
import subprocess
from pathlib import Path

NAME = "COMMIT"  # beside this file, in wheels and sdists


def commit(package: Path = Path(__file__).parent) -> str:
    """The first 12 digits, with + behind them where files were changed; "" where nothing tells."""
    if (package / NAME).is_file():
        return (package / NAME).read_text()
    if not (package.parent / ".git").exists():  # another project's checkout may lie around it
        return ""
    command = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # it would write the index
    try:
        asked = subprocess.run(
            command, cwd=package.parent, env=environment, capture_output=True, text=True
        )
    except OSError:  # no git
        return ""
    return asked.stdout.strip()
