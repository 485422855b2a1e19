"""fundusseg: vessel maps from retinal photographs, as Unix batch commands.

In Python: `Segmenter`, a model that is ready to draw; and `segment`, the same in one function.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Segmenter", "segment"]


def __getattr__(name: str) -> Any:
    """Load the API on first use: it needs tensorflow, `fundusseg --help` does not."""
    if name in __all__:
        from fundusseg import segmenter

        return getattr(segmenter, name)
    raise AttributeError(f"module 'fundusseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
