"""Which photographs of a folder, maps or masks are taken: --include and --exclude."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from fundusseg.files.names import escaped, nfc
from fundusseg.wording import counted

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

    def none_of(self, count: int, first: str, what: str = "photograph") -> tuple[str, str]:
        """What is wrong where nothing is taken, and what to do."""
        problem = f"has {counted(count, what)}, and none that --include and --exclude take"
        return problem, f"quote patterns, and give them as for {escaped(first)}"


def told_of_left_out(count: int) -> str:
    """What the last line of a command says of them; nothing where there are none."""
    return f", {count} left out by --include and --exclude" if count else ""


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(nfc(path), nfc(pattern)) for pattern in patterns)
