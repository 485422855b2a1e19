"""A contact sheet: one page of HTML that holds all it shows, and needs no network."""

import base64
import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

MARK = "<!doctype html><!-- fundusseg contact sheet -->"

_EXPECTED_DICE = (
    "Expected Dice: how far a map should agree with a mask drawn by hand, by the model's own "
    "probabilities (1 all, 0 nothing). It tells which photographs of one camera to look at "
    "first; it is no measured figure, and cameras cannot be compared by it."
)
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem; overflow-wrap: anywhere }
header { padding: .25rem 0; background: Canvas }
@media (min-width: 800px) { header { position: sticky; top: 0 } }
h1 { font-size: 1.2rem; margin: 0 0 .5rem }
p { margin: .5rem 0 }
label { display: inline-block; margin: 0 .75rem .25rem 0 }
input, select { font: inherit }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)) }
main { gap: .75rem }
figure { margin: 0; padding: .4rem; border: 1px solid GrayText }
figure:focus { outline: 3px solid Highlight }
figure.failed { border: 3px dashed #d55e00 }
div { display: flex; gap: .25rem; align-items: flex-start }
img { flex: 1; min-width: 0; max-width: 50%; background: #000 }
[hidden] { display: none }
"""
_SCRIPT = """
const all = [...document.querySelectorAll("figure")], main = document.querySelector("main");
const find = document.querySelector("#find"), sort = document.querySelector("#sort");
const only = document.querySelector("#only"), count = document.querySelector("output");
function show() {
  const words = find.value.toLowerCase(), by = sort.value;
  const key = f => by === "name" ? 0 : f.dataset.failed === "1" ? -1 : +(f.dataset.dice || 2);
  all.sort((a, b) => key(a) - key(b) || (a.dataset.name < b.dataset.name ? -1 : 1));
  for (const f of all) f.hidden = !f.dataset.name.toLowerCase().includes(words)
    || only.checked && f.dataset.failed !== "1";
  main.append(...all);
  count.value = all.filter(f => !f.hidden).length + " of " + all.length;
}
function step(by) {
  const shown = all.filter(f => !f.hidden), at = shown.indexOf(document.activeElement);
  const next = shown[Math.min(Math.max(at + by, 0), shown.length - 1)];
  if (next) next.focus();
}
for (const each of [find, sort, only]) each.addEventListener("input", show);
document.addEventListener("keydown", event => {
  if (event.key === "Escape") document.activeElement.blur();
  if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey) return;
  const keys = { j: () => step(1), k: () => step(-1), "/": () => find.focus(),
    s: () => { sort.value = sort.value === "name" ? "worst" : "name"; show(); },
    f: () => { only.checked = !only.checked; show(); } };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
show();
"""


@dataclass(frozen=True)
class Card:
    """One photograph: its name, why it failed ("" if it did not), expected Dice ("" if unknown).

    doubt: why its map is hardly to be trusted; "" if it is. photograph, vessels: JPEG bytes of
    thumbnails; None where there is none.
    """

    name: str
    reason: str
    expected_dice: str
    doubt: str
    photograph: bytes | None
    vessels: bytes | None


def contact_sheet(title: str, cards: Iterable[Card], pages: list[str], page: int) -> Iterator[str]:
    """The page as pieces of text, a card each, in the order of `cards`.

    Args:
        pages: the names of all pages, if there are several, for links; this one is `page`, from 0.
    """
    shown = html.escape(title)
    yield f'{MARK}\n<html lang="en"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{shown}</title><style>{_STYLE}</style>\n<header><h1>{shown}</h1>\n"
    yield '<label>name <input id="find" type="search"></label>'
    yield '<label>sort <select id="sort"><option value="worst">failed, then least expected Dice'
    yield '<option value="name">name</select></label>'
    yield '<label><input id="only" type="checkbox">failed only</label><output></output>\n'
    yield f"<p>{_EXPECTED_DICE}</p>\n"
    yield "<p>Keys: / name, s sort, f failed only, j and k next and previous, Escape leaves.</p>"
    if len(pages) > 1:
        links = (
            f"<b>{number + 1}</b>"
            if number == page
            else f'<a href="{quote(name, errors="surrogateescape")}">{number + 1}</a>'
            for number, name in enumerate(pages)
        )
        yield f"<nav>Pages, worst first: {' '.join(links)}</nav>"
    yield "</header><main>\n"
    yield from map(_figure, cards)
    yield f"</main><script>{_SCRIPT}</script></html>\n"


def _figure(card: Card) -> str:
    name = html.escape(card.name)
    said = f"expected Dice {card.expected_dice}" if card.expected_dice else ""
    said += f"; {html.escape(card.doubt)}" if card.doubt else ""
    said = f"FAILED: {html.escape(card.reason)}" if card.reason else said
    kind = ' class="failed"' if card.reason else ""
    pictures = ((card.photograph, "photograph"), (card.vessels, "vessel map"))
    images = "".join(_image(data, f"{what} of {name}") for data, what in pictures if data)
    return (
        f'<figure tabindex="0"{kind} data-name="{name}" data-failed="{int(bool(card.reason))}" '
        f'data-dice="{card.expected_dice}"><div>{images}</div>'
        f"<figcaption><b>{name}</b> {said}</figcaption></figure>\n"
    )


def _image(data: bytes, alt: str) -> str:
    source = base64.b64encode(data).decode()
    return f'<img loading="lazy" alt="{alt}" src="data:image/jpeg;base64,{source}">'
