"""The contact sheet of a run: what --contact-sheet writes when the maps are there."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.commands.infer.output_folder import OutputFolder
from fundusseg.datasets.maps import MapFolder
from fundusseg.datasets.sources import Source
from fundusseg.errors import InputError
from fundusseg.files.atomic import write_pieces
from fundusseg.files.encoders import thumbnail
from fundusseg.files.images import read_photograph
from fundusseg.files.names import escaped
from fundusseg.files.regular import open_regular
from fundusseg.files.single import require_file_to_write
from fundusseg.parallel import ordered_map
from fundusseg.report.contact_sheet import MARK, Card, contact_sheet
from fundusseg.wording import counted

MOST_CARDS = 1000  # on a page


def require_own_sheet(file: Path, out: Path) -> None:
    """Raise if something else stands where the sheet is to be written, or it cannot be.

    out: the output folder, which infer makes.

    Raises:
        InputError: if so, or if it cannot be read.
        UsageError: as of `require_file_to_write`.
    """
    require_file_to_write(file, "sheet.html")
    try:
        with open_regular(file) as page:
            is_ours = page.read(len(MARK)) == MARK.encode()
    except FileNotFoundError:
        if not file.parent.is_dir() and file.parent != out:
            raise InputError(file.parent, "is no folder", "make it first") from None
        return
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "choose another") from error
    if not is_ours:
        raise InputError(file, "is there, and is no contact sheet", "choose another name for it")


def write_sheets(file: Path, mine: Sequence[Source], folder: OutputFolder, jobs: int) -> None:
    """Write `file`, and beyond `MOST_CARDS` further pages beside it: FILE-2.html and so on.

    Failures first, then by expected Dice. Photographs and maps are read again for it.

    Raises:
        InputError: if the file system refuses, or something else stands there.
        Stopped: between two photographs, if a stop is asked for.
    """
    maps = MapFolder(folder.root, folder.map_names())
    ordered = sorted(mine, key=lambda source: _doubt(source, folder, maps))
    starts = range(0, max(len(ordered), 1), MOST_CARDS)
    pages = [file.with_stem(f"{file.stem}-{n + 1}") if n else file for n in range(len(starts))]
    names = [page.name for page in pages]

    def cards(start: int) -> Iterator[Card]:
        some = ordered[start : start + MOST_CARDS]
        for card in ordered_map(lambda source: _card(source, folder, maps), some, jobs):
            stop.check()
            bar.advance()
            yield card

    with ui.progress(f"contact sheet {file}", len(ordered), "photograph") as bar:
        for number, (start, page) in enumerate(zip(starts, pages, strict=True)):
            require_own_sheet(page, folder.root)
            title = f"{escaped(folder.root.resolve().name)}: {counted(len(ordered), 'photograph')}"
            pieces = contact_sheet(title, cards(start), names, number)
            write_pieces(page, (piece.encode() for piece in pieces))


def _doubt(source: Source, folder: OutputFolder, maps: MapFolder) -> tuple[float, str]:
    """What the sheet is sorted by."""
    if source.id in folder.failures:
        return -1, source.id
    row = maps.row(source.id)
    return float(row.expected_dice) if row and row.expected_dice else 2, source.id


def _card(source: Source, folder: OutputFolder, maps: MapFolder) -> Card:
    photograph = vessels = None
    row, reason = maps.row(source.id), folder.failures.get(source.id, "")
    if not reason:
        try:
            vessels = thumbnail(maps.read(maps.files[source.id]).vessels)
            if source.ref is None:
                photograph = thumbnail(read_photograph(source.path).pixels)
        except InputError as error:
            reason = error.reason
    dice, doubt = (row.expected_dice, row.reason) if row else ("", "")
    return Card(escaped(source.id), escaped(reason), dice, escaped(doubt), photograph, vessels)
