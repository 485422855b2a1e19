"""Words that messages and reports share: counts with their nouns in the right number."""


def counted(count: int, one: str, several: str = "") -> str:
    """A count with what it counts: 1 photograph, 2 photographs.

    several: what stands behind any count but 1; without it `one` and an s.
    """
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def left_aside(count: int, first: str, what: str, done: str = "left out") -> str:
    """That files are left out; `what` they are, as a noun of several, and the first by name."""
    if count == 1:
        return f"{first} is {done}, as are all {what}"
    end = "," if "," in what else ""  # of the clause behind the noun
    return f"{count} {what}{end} are {done}, the first is {first}"
