"""Manual pages and reference are those of the code, and list every option."""

import re

import pytest

from bin import manual
from fundusseg.cli import main


@pytest.mark.parametrize("path", manual.files())
def test_what_is_made_from_the_code_is_as_it_would_be_made_now(path):
    assert (manual.ROOT / path).read_text() == manual.files()[path], "run make man"


@pytest.mark.parametrize("name", manual.COMMANDS)
def test_every_option_stands_in_manual_page_and_reference(name):
    page, reference = (
        manual.files()[path] for path in (f"docs/man/fundusseg-{name}.1", manual.REFERENCE)
    )
    section = reference.partition(f"\n## {name} ")[2].partition("\n## ")[0]
    shared = reference.partition("\n## prep ")[0]
    for parameter in manual.COMMANDS[name].params:
        for word in (word for word in parameter.opts if word.startswith("--")):
            assert f".B {word} ".replace("-", r"\-") in page.replace("\n", " ")
            assert f"`{word}" in section or f"`{word}" in shared


def test_roff_reads_no_line_of_text_as_its_own():
    assert manual._roff(".name -x\\y") == r"\&.name \-x\ey"


@pytest.mark.parametrize("name", manual.COMMANDS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_every_option(monkeypatch, capsys, shell, name):
    words = f"fundusseg {name} --"
    asked = {
        "_FUNDUSSEG_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    for variable, value in asked.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit):
        main([])
    offered = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    options = {word for found in manual.COMMANDS[name].params for word in found.opts}
    assert {word for word in options if word.startswith("--")} <= offered
