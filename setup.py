"""What is built notes the commit that it is of; all else stands in setup.cfg."""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

COMMIT = runpy.run_path("fundusseg/commit.py")


def note(root: str) -> None:
    """Write the commit below the folder that the package lies in."""
    (Path(root) / "fundusseg" / COMMIT["NAME"]).write_text(COMMIT["commit"]())


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            note(self.build_lib)


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        note(base_dir)


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
