"""Figures of traces: a document of their own, in every format, with the options of the others."""

from __future__ import annotations

import io
import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pypdfium2
import pytest
from PIL import Image

import attnwidget as aw
from attnwidget.attribution.trace_result import Together

SCHEMA = json.loads(
    (Path(aw.__file__).parent / "protocol" / "schema.json").read_text(encoding="utf-8")
)
SVG, PNG, PDF = "image/svg+xml", "image/png", "application/pdf"


def link(place: tuple[int, int, int, int], change: float | None, estimate: float = -0.1) -> aw.TraceLink:  # fmt: skip
    return aw.TraceLink(*place, 0.5, estimate, change)


def trace(count: int = 9, links: tuple[aw.TraceLink, ...] = (), **more: Any) -> aw.Trace:
    return aw.Trace(
        metric="log p(“purred”)",
        value=-0.738,
        stream="decoder",
        labels=tuple(f"w{at}" for at in range(count)),
        num_heads=dict.fromkeys(range(4), 4),
        starts=(count - 1,),
        links=links or (link((3, 3, 8, 2), -4.97), link((0, 2, 2, 1), -0.76)),
        together=Together(-5.6, -5.3),
        **more,
    )


def test_a_trace_travels_as_the_schema_says() -> None:
    schema = {"$ref": "#/$defs/Trace", "$defs": SCHEMA["$defs"]}
    jsonschema.validate(trace().to_data(), schema)
    jsonschema.validate(trace(links=(link((3, 3, 8, 2), None),)).to_data(), schema)


def test_the_picture_names_links_with_their_changes() -> None:
    drawn = trace().figure()
    root = ET.fromstring(drawn.svg)  # noqa: S314  our own
    words = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"3.3 −5.0", "0.2 −0.76", "log p(“purred”) = −0.74", "w8", "layer 3"} <= set(words)
    assert drawn.said.startswith("log p(“purred”) = −0.74 depends most on 3.3, “w8” → “w2”: −5.0")
    assert repr(drawn) == "Figure(trace, decoder, 2 links)"


def test_an_estimate_is_dashed_and_what_was_cut_is_not() -> None:
    solid, mixed = (
        trace(links=(link((3, 3, 8, 2), -4.97), link((0, 2, 2, 1), change))).figure().svg
        for change in (-0.76, None)
    )
    assert "stroke-dasharray" not in solid
    assert mixed.count("stroke-dasharray") == 1


def test_of_200_positions_only_those_that_take_part_are_there() -> None:
    places = random.Random(2)
    links = []
    for at in range(30):
        query = places.randrange(1, 200)
        links.append(link((at % 4, at % 3, query, places.randrange(query)), -1 / (1 + at)))
    svg = trace(200, tuple(links)).figure(width=900).svg
    numbers = {text for text in svg.replace("</text>", "<").split("<") if text.endswith(">w199")}
    assert numbers
    absent = set(range(200)) - {end for one in links for end in (one.query, one.key)} - {199}
    # One alone between two that take part stays.
    lonely = next(at for at in absent if {at - 1, at + 1} <= absent)
    assert f">w{lonely}<" not in svg


def test_it_is_saved_in_every_format(tmp_path: Path) -> None:
    made = trace()
    picture = Image.open(io.BytesIO(made.save(tmp_path / "a.png", width=600).read_bytes()))
    assert picture.width == 1200
    page = pypdfium2.PdfDocument(made.save(tmp_path / "a.pdf", width="85mm").read_bytes())[0]
    assert page.get_width() == pytest.approx(85 / 25.4 * 72, abs=0.1)
    assert made.save(tmp_path / "a.svg").read_text(encoding="utf-8") == made.figure().svg
    with pytest.raises(ValueError, match=r"must end in \.svg, \.pdf or \.png"):
        made.save(tmp_path / "a.html")


def test_options_are_those_of_figures() -> None:
    made = trace()
    dark = made.figure(theme="dark", title="<Trace>", transparent=True).svg
    assert "&lt;Trace&gt;" in dark
    assert '<rect width="860"' in made.figure().svg
    assert '<rect width="860"' not in dark
    assert 'id="notes"' not in made.figure(legend=False).svg
    with pytest.raises(TypeError, match="Unknown option 'grid'"):
        made.figure(grid=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="theme"):
        made.figure(theme="blue")  # type: ignore[arg-type]


def test_an_output_shows_the_picture_and_the_words() -> None:
    made = trace()
    bundle = made._repr_mimebundle_(include={SVG})
    assert bundle[SVG] == made.figure().svg
    assert bundle["text/plain"] == repr(made)
    assert set(made.figure()._repr_mimebundle_()) == {SVG, PNG, PDF}
