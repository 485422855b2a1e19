"""Manual pages and reference are those of the code, and list every option."""

import pytest

from bin import manual


@pytest.mark.parametrize("path", manual.files())
def test_what_is_made_from_the_code_is_as_it_would_be_made_now(path):
    assert (manual.ROOT / path).read_text() == manual.files()[path], "run make man"


@pytest.mark.parametrize("name", manual.COMMANDS)
def test_every_option_stands_in_manual_page_and_reference(name):
    page, reference = (
        manual.files()[path] for path in (f"man/fundusseg-{name}.1", manual.REFERENCE)
    )
    section = reference.partition(f"\n## {name} ")[2].partition("\n## ")[0]
    shared = reference.partition("\n## prep ")[0]
    for parameter in manual.COMMANDS[name].params:
        for word in (word for word in parameter.opts if word.startswith("--")):
            assert f".B {word} ".replace("-", r"\-") in page.replace("\n", " ")
            assert f"`{word}" in section or f"`{word}" in shared


def test_roff_reads_no_line_of_text_as_its_own():
    assert manual._roff(".name -x\\y") == r"\&.name \-x\ey"
