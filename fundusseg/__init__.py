"""fundusseg: vessel maps from retinal photographs, as Unix batch commands.

`segment` is the Python API in one function: a photograph in, a probability map out.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    """Load `segment` on first use: it needs tensorflow, `fundusseg --help` does not."""
    if name == "segment":
        from fundusseg.stages.segmenting import segment

        return segment
    raise AttributeError(f"module 'fundusseg' has no attribute {name!r}")
