"""Which photographs of a folder, maps or masks are taken: --include and --exclude."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from fundusseg.errors import InputError
from fundusseg.files.names import escaped, nfc
from fundusseg.wording import counted

_Item = TypeVar("_Item")
LEFT_OUT = "photographs that --include and --exclude do not take"


@dataclass(frozen=True)
class Choice:
    """Patterns of paths, as of the shell, but that * stands for any characters, / too.

    Without `include` all are taken that are not excluded.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        """Whether a photograph, a map or a mask is taken.

        path: of a photograph, as seen from the folder that is walked; of a map or a mask, its id.
        A folder that cannot be listed, with / at its end, may hold what is included.
        """
        is_included = not self.include or path.endswith("/") or _fits(path, self.include)
        return is_included and not _fits(path, self.exclude)

    def divided(
        self,
        place: Path | str,
        items: Sequence[_Item],
        path_of: Callable[[_Item], str],
        what: str = "photograph",
    ) -> tuple[list[_Item], list[_Item]]:
        """Those of the items in `place` that are taken, and those that are left out.

        path_of: an item's path, as of `takes`. InputError if there are items, and none is taken.
        """
        divided: dict[bool, list[_Item]] = {True: [], False: []}
        for item in items:
            divided[self.takes(path_of(item))].append(item)
        if items and not divided[True]:
            problem = f"has {counted(len(items), what)}, and none that --include and --exclude take"
            remedy = f"quote patterns, and give them as for {escaped(path_of(items[0]))}"
            raise InputError(place, problem, remedy)
        return divided[True], divided[False]


def told_of_left_out(count: int) -> str:
    """What the last line of a command says of them; nothing where there are none."""
    return f", {count} left out by --include and --exclude" if count else ""


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(nfc(path), nfc(pattern)) for pattern in patterns)
