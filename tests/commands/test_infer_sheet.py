"""infer --contact-sheet: one page that holds all it shows, doubtful photographs first."""

import os
import re

from fundusseg.commands.infer import sheet
from fundusseg.files.status import read_status
from tests.batch import one_line

CARD = re.compile(r'<figure[^>]* data-name="([^"]*)" data-failed="(\d)" data-dice="([^"]*)"')


def cards(path) -> list[tuple[str, str, str]]:
    return CARD.findall(path.read_text())


def test_the_sheet_has_every_photograph_failures_and_doubts_first(infer, photographs, tmp_path):
    (photographs / "half.png").write_bytes((photographs / "a.png").read_bytes()[:99])
    (photographs / "a.png").rename(photographs / "<b>&'\".png")
    page = tmp_path / "page.html"
    assert infer(photographs, "--contact-sheet", page) == 3
    status = {row.id: row for row in read_status(tmp_path / "maps/status.tsv")}
    (first, *others), text = cards(page), page.read_text()
    assert first == ("half", "1", "") and "FAILED: is a PNG that is not whole" in text
    assert len(others) == 4 and "&lt;b&gt;&amp;&#x27;&quot;" in {name for name, *_ in others}
    known = [float(dice) for _, failed, dice in others if dice]
    assert known == sorted(known)
    assert known == sorted(float(row.expected_dice) for row in status.values() if row.expected_dice)
    assert text.count("data:image/jpeg;base64,") == 2 * 4
    assert "<b>&'" not in text and not re.search(r"(src|href)=[\"'](?!data:)", text)


def test_a_finished_folder_gets_a_sheet_without_the_network(
    infer, maps, photographs, tmp_path, no_network
):
    assert infer(photographs, "--contact-sheet", tmp_path / "page.html") == 0
    assert len(cards(tmp_path / "page.html")) == 4


def test_many_photographs_have_several_pages(infer, maps, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "MOST_CARDS", 3)
    assert infer(photographs, "--contact-sheet", tmp_path / "page.html") == 0
    first, second = (tmp_path / name for name in ("page.html", "page-2.html"))
    assert (len(cards(first)), len(cards(second))) == (3, 1)
    assert 'href="page-2.html"' in first.read_text() and 'href="page.html"' in second.read_text()


def test_what_is_no_sheet_is_not_written_over(infer, photographs, tmp_path, capsys):
    (tmp_path / "page.html").write_text("my own page")
    assert infer(photographs, "--contact-sheet", tmp_path / "page.html", "--quiet") == 1
    assert "is there, and is no contact sheet; choose another name" in one_line(capsys)
    assert (tmp_path / "page.html").read_text() == "my own page"
    assert infer(photographs, "--contact-sheet", tmp_path / "nowhere/page.html", "--quiet") == 1
    assert "nowhere: is no folder; make it first" in one_line(capsys)
    assert not (tmp_path / "maps").exists()


def test_a_sheet_takes_the_place_of_a_regular_file_only(infer, photographs, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    for name in ("pipe", "link.html", "maps/status.tsv", "x.png"):
        assert infer(photographs, "--contact-sheet", tmp_path / name) == 2
        assert f"{name}: is n" in one_line(capsys)
