"""Tokens that would be markup, commands or a mess, in every format: inert, and legible as far as fonts go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pypdfium2
import pytest
from support.vectors import ELEMENTS, SVG

import attnwidget as aw
from attnwidget.figures import convert

if TYPE_CHECKING:
    from pathlib import Path

LONG = "x" * 10_000
TOKENS = [
    "</script><script>alert(1)</script>",
    "]]>",
    "&amp;",
    "\"double\" 'single'",
    "<!--",
    "\u202eevil",
    "\u2066a\u2069",
    "é",
    "שלום!",
    "url(http://example.org/x)",
    LONG,
]
# What a reader sees of them; a long one is cut.
SHOWN = [
    "</script><script>alert(1)</script>",
    "]]>",
    "&amp;",
    "\"double\" 'single'",
    "<!--",
    "⟨U+202E⟩evil",
    "⟨U+2066⟩a⟨U+2069⟩",
    "é",
    "שלום!",
    "url(http://example.org/x)",
]


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    count = len(TOKENS)
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(count, 0.3), size=(2, 2, count)).astype(np.float32)
    return aw.from_weights(weights, TOKENS)


KINDS: dict[str, dict[str, Any]] = {
    "lines": {"width": 900},
    "matrix": {"width": 900},
    "text": {"width": 900, "query": 0},
    "model": {},
    "neuron": {"query": 0},
    "compare": {"heads": [(0, 0), (1, 1)]},
    "head": {"layout": "horizontal", "width": 1600},
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_token_is_markup(attention: aw.Attention, kind: str) -> None:
    svg = attention.figure(kind, **KINDS[kind], title="</title><script>alert(2)</script>").svg
    found = list(ET.fromstring(svg).iter())  # noqa: S314 - made a moment ago
    names = {element.tag.removeprefix(SVG) for element in found}
    assert names <= ELEMENTS
    for element in found:
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "http" not in value.replace("http://www.w3.org", "")
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", svg)


def test_every_token_is_there_to_be_read(attention: aw.Attention) -> None:
    svg = attention.figure("lines", width=900).svg
    root = ET.fromstring(svg)  # noqa: S314 - made a moment ago
    group = next(e for e in root.iter() if e.get("id") == "tokens-query")
    whole = []
    for text in group.iter(f"{SVG}text"):
        title = text.find(f"{SVG}title")
        whole.append(title.text if title is not None else text.text)
    assert whole == [*SHOWN, LONG]


@pytest.mark.parametrize("kind", ["lines", "matrix", "text", "neuron"])
def test_a_pdf_holds_the_text_and_no_script(
    attention: aw.Attention, kind: str, tmp_path: Path
) -> None:
    path = attention.figure(kind, **KINDS[kind]).save(tmp_path / "figure.pdf")
    data = path.read_bytes()
    for command in (b"/JavaScript", b"/JS", b"/OpenAction", b"/URI", b"/Launch"):
        assert command not in data
    # Embedded, each of them: it prints alike where none of them is installed.
    assert data.count(b"/FontFile") == len(re.findall(rb"/Type /FontDescriptor", data)) > 0
    document = pypdfium2.PdfDocument(data)
    page = document[0].get_textpage()
    text = page.get_text_range()
    page.close()
    document.close()
    if kind == "lines":
        assert "]]>" in text
        assert "U+202E" in text
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("kind", ["lines", "matrix", "text", "neuron"])
def test_a_png_is_drawn(attention: aw.Attention, kind: str, tmp_path: Path) -> None:
    path = attention.figure(kind, **KINDS[kind]).save(tmp_path / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_glyph_is_told_from_the_box_that_stands_for_none() -> None:
    assert all(convert._has_glyph(char) for char in "Ωж→×−")
    # Not assigned, and a plane for private use: nobody has a glyph for these.
    assert not convert._has_glyph("\u0378")
    assert not convert._has_glyph("\U000f0001")


def test_characters_without_a_glyph_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "_has_glyph", lambda char: char != "猫")
    attention = aw.from_weights(np.full((1, 1, 2, 2), 0.5, np.float32), ["猫", "fine"])
    figure = attention.figure("lines")
    for ending in ("png", "pdf"):
        with pytest.warns(UserWarning, match="No font on this machine has 猫: PDF and PNG show"):
            figure.save(tmp_path / f"figure.{ending}")
    figure.save(tmp_path / "figure.svg")
