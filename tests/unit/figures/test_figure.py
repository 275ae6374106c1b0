"""`Attention.figure`: every view and form, with no browser and no widget on show."""

from __future__ import annotations

import functools
import io
import re
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pypdfium2
import pytest
from contract.record import record
from contract.test_protocol import validate
from PIL import Image
from support.pictures import similarity
from support.vectors import ELEMENTS, SVG

import attnwidget as aw
from attnwidget.figures import convert
from attnwidget.serve.source import source_of

if TYPE_CHECKING:
    from pathlib import Path

XLINK = "{http://www.w3.org/1999/xlink}href"
TEXT = "The cat sat on the mat because it was tired"


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, TEXT, tokenizer=tokenizer)


FIGURES: dict[str, tuple[str, dict[str, Any]]] = {
    "model": ("model", {}),
    "lines": ("head", {"layer": 3, "heads": [1, 3]}),
    "fan": ("head", {"layer": 3, "heads": [1, 3], "query": "it"}),
    "matrix": ("matrix", {"layer": 3, "heads": [1, 3]}),
    "text": ("text", {"layer": 3, "heads": [1, 3], "query": "it"}),
    "scatter": ("scatter", {"score": "previous", "other_score": "induction"}),
    "neuron": ("neuron", {"layer": 3, "heads": [1], "query": "it"}),
    "neuron head": ("neuron", {"layer": 3, "heads": [1], "query": "it", "explain": "head"}),
    "compare": ("compare", {"heads": [(0, 1), (3, 1)]}),
    "compared matrices": ("compare", {"heads": [(0, 1), (3, 1)], "selection": {"form": "matrix"}}),
    "grid": ("head", {"layer": 3, "heads": [0, 1, 2], "grid": True}),
    "grid of layers": ("matrix", {"heads": [(0, 1), (3, 2)], "theme": "print"}),
    "horizontal": ("lines", {"layer": 3, "heads": [1], "layout": "horizontal"}),
    "mirrored": ("lines", {"layer": 3, "heads": [1], "direction": "rtl", "theme": "dark"}),
    "all": ("all", {"layer": 3, "heads": [1, 3], "query": "it"}),
    "cropped": ("all", {"layer": 3, "heads": [1], "positions": slice(3, 9)}),
    "column": ("head", {"layer": 3, "heads": [1], "width": "85mm", "font_size": 7, "top_k": 2}),
}


@functools.cache
def make(attention: aw.Attention, name: str) -> Any:
    kind, options = FIGURES[name]
    return attention.figure(kind, **options)


def elements(svg: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter())  # noqa: S314 - made a moment ago


def words(svg: str) -> list[str]:
    texts = [element for element in elements(svg) if element.tag == f"{SVG}text"]
    # A cut label holds the whole one as its title.
    return [(text.text or "") + "".join(child.tail or "" for child in text) for text in texts]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float64)


def rasterised(pdf: bytes, width: int) -> np.ndarray:
    document = pypdfium2.PdfDocument(pdf)
    page = document[0]
    picture = page.render(scale=width / page.get_width()).to_pil().convert("RGB")
    page.close()
    document.close()
    return np.asarray(picture, dtype=np.float64)


@pytest.mark.parametrize("name", FIGURES)
def test_svgs_are_well_formed_and_alone(attention: aw.Attention, name: str) -> None:
    svg = make(attention, name).svg
    found = elements(svg)
    assert {element.tag.removeprefix(SVG) for element in found} <= ELEMENTS
    ids = [element.get("id") for element in found if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in found:
        for attribute, value in element.attrib.items():
            assert not attribute.startswith("on")
            if attribute == XLINK:
                # Letters of an encoded picture mean nothing.
                assert value.startswith(("data:image/png;base64,", "#"))
                continue
            assert not re.search("NaN|Infinity|undefined|javascript:", value)
            if attribute.endswith("href") or "url(" in value:
                assert re.fullmatch(r"url\(#[\w.-]+\)", value)
    assert "loading" not in words(svg)


@pytest.mark.parametrize("name", FIGURES)
def test_the_pdf_is_the_png(attention: aw.Attention, name: str, tmp_path: Path) -> None:
    figure = make(attention, name)
    # Thumbnails are pictures of two pixels to the CSS pixel; letters of 7 points want more, or two ways of smoothing
    # their edges are all there is to compare.
    scale = 4 if name == "column" else 2
    png = pixels(figure.save(tmp_path / "figure.png", scale=scale).read_bytes())
    drawn = rasterised(figure.save(tmp_path / "figure.pdf").read_bytes(), png.shape[1])
    height, width = np.minimum(png.shape, drawn.shape)[:2]
    assert similarity(png[:height, :width], drawn[:height, :width]) >= 0.98


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_bytes_each_time(attention: aw.Attention, name: str) -> None:
    svg = make(attention, name).svg
    kind, options = FIGURES[name]
    assert attention.figure(kind, **options).svg == svg
    assert convert.to_pdf(svg) == convert.to_pdf(svg)
    assert convert.to_png(svg) == convert.to_png(svg)


def test_groups_are_named_for_those_who_edit(attention: aw.Attention) -> None:
    ids = [element.get("id") for element in elements(make(attention, "lines").svg)]
    for name in ("head-view", "tokens-query", "tokens-key", "links", "colour-key", "legend"):
        assert name in ids
    grid = [element.get("id") for element in elements(make(attention, "grid").svg)]
    assert {"head-0", "head-1", "head-2", "links-head-2", "legends"} <= set(grid)


def test_text_is_text(attention: aw.Attention) -> None:
    assert words(make(attention, "lines").svg).count("because") == 2


def test_thirty_tokens_stay_small() -> None:
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(30, 0.2), size=(1, 2, 30)).astype(np.float32)
    attention = aw.from_weights(weights, [f"word{n}" for n in range(30)])
    figure = attention.figure("head", layer=0, heads=[0, 1])
    assert words(figure.svg).count("word29") == 2, "all of the tokens are there"
    assert len(figure.svg.encode()) < 200_000


@pytest.mark.parametrize(
    ("width", "points"),
    [("85mm", 240.94), ("8.5cm", 240.94), ("3.3in", 237.6), ("240pt", 240.0), ("320px", 240.0)],
)
def test_the_width_is_that_of_the_print(
    attention: aw.Attention, width: str, points: float, tmp_path: Path
) -> None:
    figure = attention.figure("head", layer=3, heads=1, width=width)
    root = elements(figure.svg)[0]
    assert root.get("width") == width
    pdf = figure.save(tmp_path / "figure.pdf").read_bytes()
    document = pypdfium2.PdfDocument(pdf)
    assert document[0].get_width() == pytest.approx(points, abs=0.02)
    document.close()
    png = figure.save(tmp_path / "figure.png", dpi=300).read_bytes()
    assert Image.open(io.BytesIO(png)).width == pytest.approx(points / 72 * 300, abs=1)
    assert png[33:41] == struct.pack(">I4s", 9, b"pHYs")
    assert struct.unpack(">I", png[41:45])[0] == round(300 / 0.0254)


def test_labels_have_the_size_asked_for(attention: aw.Attention) -> None:
    for points in (6, 9):
        svg = attention.figure("head", layer=3, heads=1, width="85mm", font_size=points).svg
        root = elements(svg)[0]
        box = float(root.get("viewBox", "").split()[2])
        (label,) = {text.get("font-size") for text in elements(svg) if text.text == "because"}
        assert float(label or 0) / box * 85 / 25.4 * 72 == pytest.approx(points, rel=1e-3)


def lines(svg: str, group: str = "links") -> list[ET.Element]:
    found = [e for e in elements(svg) if (e.get("id") or "").startswith(group)]
    return list(found[0].iter(f"{SVG}path"))


def test_only_the_strongest_lines_are_drawn_and_the_legend_says_so(
    attention: aw.Attention,
) -> None:
    weights = attention["decoder"][3].weights(1)
    figure = attention.figure("head", layer=3, heads=1, top_k=2)
    place = np.argsort(np.argsort(-weights, axis=1, kind="stable"), axis=1)
    # What is fainter than a level of grey is no line on any figure.
    visible = weights > 0.00068
    assert len(lines(figure.svg)) == np.count_nonzero((place < 2) & visible)
    share = round(100 * weights[place < 2].sum() / weights.sum())
    assert f"2 strongest links a query: {share} % of the weight" in words(figure.svg)
    usual = attention.figure("head", layer=3, heads=1)
    assert len(lines(usual.svg)) == np.count_nonzero((place < 3) & visible)
    strong = attention.figure("head", layer=3, heads=1, threshold=0.2, top_k=None)
    assert len(lines(strong.svg)) == np.count_nonzero(weights >= 0.2) == len(strong.data)
    assert "links drawn: weight 0.2 or more" in words(strong.svg)
    silent = attention.figure("head", layer=3, heads=1, threshold=0.2, legend=False)
    assert not any("weight" in word for word in words(silent.svg))


def test_a_crop_keeps_the_weights_of_the_whole(attention: aw.Attention) -> None:
    kept = [2, 6, 8]
    figure = attention.figure("matrix", layer=3, heads=1, positions=kept)
    weights = attention["decoder"][3].weights(1, kept, kept)
    np.testing.assert_array_equal(figure.data["weight"], weights.ravel())
    assert figure.data["query"].unique().tolist() == kept
    assert "3 of 11 positions shown; weights are over all keys" in words(figure.svg)
    assert words(figure.svg).count("cat") == 2
    assert "tired" not in words(figure.svg)
    (image,) = [e for e in elements(figure.svg) if e.tag == f"{SVG}image"][:1]
    whole = [e for e in elements(attention.figure("matrix", layer=3, heads=1).svg)
             if e.tag == f"{SVG}image"]  # fmt: skip
    assert image.get(XLINK) != whole[0].get(XLINK)


def test_a_cropped_neuron_view_counts_as_the_record_does(attention: aw.Attention) -> None:
    figure = attention.figure("neuron", layer=3, heads=1, query="it", keys=slice(4, 9))
    said = words(figure.svg)
    layer = attention["decoder"][3]
    # Keys of the record, the strongest first.
    order = np.argsort(-layer.weights(1, 8, range(4, 9)))
    names = [["on", "the", "mat", "because", "it"][key] for key in order]
    start = said.index("weight") + 1
    assert [word for word in said[start:] if word in names] == names
    assert {"“it”", "→"} <= set(said)
    np.testing.assert_allclose(figure.data["weight"], layer.weights(1, 8, range(4, 9)))
    np.testing.assert_allclose(figure.data["score"], layer.scores(1, 8, range(4, 9)))


def test_a_grid_has_a_panel_for_each_head_of_any_layer(attention: aw.Attention) -> None:
    figure = attention.figure("head", heads=[(0, 1), (3, 2)], grid=1)
    assert {"layer 0 · head 1", "layer 3 · head 2"} <= set(words(figure.svg))
    assert set(zip(figure.data["layer"], figure.data["head"], strict=True)) == {(0, 1), (3, 2)}
    panels = [
        e for e in elements(figure.svg) if e.get("id") in {"layer-0-head-1", "layer-3-head-2"}
    ]
    places = [re.findall(r"[\d.]+", panel.get("transform", "")) for panel in panels]
    assert places[0][0] == places[1][0], "one column"


def test_title_and_legend(attention: aw.Attention) -> None:
    plain = attention.figure("head", layer=3, heads=[1, 3])
    assert {"weight", "head 1"} <= set(words(plain.svg))
    assert "GPT2LMHeadModel" not in words(plain.svg), "the caption below a figure says it"
    named = attention.figure("head", layer=3, heads=[1, 3], title=True)
    assert {"GPT2LMHeadModel", "layer 3", "head 1"} <= set(words(named.svg))
    assert not any(text.startswith("under ") for text in words(named.svg))
    edited = replace(attention, edits=("ablate(heads=[(3, 3)])",))
    under = edited.figure("head", layer=3, heads=[1, 3], title=True)
    assert "under ablate(heads=[(3, 3)])" in words(under.svg)
    validate("Meta", source_of(edited).meta()[0])
    title = attention.figure("head", layer=3, heads=[1, 3], title="Where <it> & its cat look")
    assert "Where <it> & its cat look" in words(title.svg)
    assert "GPT2LMHeadModel" not in words(title.svg)
    bare = attention.figure("head", layer=3, heads=[1, 3], title=False, legend=False)
    assert not {"GPT2LMHeadModel", "weight", "head 1"} & set(words(bare.svg))
    heights = [float(elements(f.svg)[0].get("height", "")) for f in (named, bare)]
    assert heights[0] > heights[1] + 50


def colours(svg: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}", svg))


def luminance(colour: str) -> float:
    red, green, blue = bytes.fromhex(colour[1:])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_print_is_black_on_white_and_heads_differ_in_grey(attention: aw.Attention) -> None:
    figure = attention.figure("head", layer=3, heads=[0, 1, 2, 3], theme="print")
    assert "#ffffff" in colours(figure.svg)
    label = next(e for e in elements(figure.svg) if e.text == "because")
    assert label.get("fill") == "#000000"
    strokes = {line.get("stroke", "") for line in lines(figure.svg)}
    assert len(strokes) == 4
    shades = sorted(luminance(stroke) for stroke in strokes)
    assert min(np.diff(shades)) > 20


def test_colour_maps_are_even_in_lightness(attention: aw.Attention) -> None:
    seen = set()
    for name in ("blue", "cividis", "viridis", "magma", "grey"):
        svg = attention.figure("matrix", layer=3, heads=1, colour_map=name).svg
        images = [e.get(XLINK, "") for e in elements(svg) if e.tag == f"{SVG}image"]
        ramp = pixels(_decoded(images[-1]))[0]
        seen.add(images[-1])
        steps = np.diff(ramp @ [0.2126, 0.7152, 0.0722])
        assert (steps <= 1).all() or (steps >= -1).all()
    assert len(seen) == 5


def _decoded(uri: str) -> bytes:
    import base64

    return base64.b64decode(uri.partition(",")[2])


def test_transparent_has_no_ground(attention: aw.Attention, tmp_path: Path) -> None:
    for transparent, corner in ((True, 0), (False, 255)):
        figure = attention.figure("head", layer=3, heads=1, transparent=transparent)
        path = figure.save(tmp_path / "figure.png")
        with Image.open(path) as picture:
            assert picture.convert("RGBA").getpixel((1, 1))[3] == corner


def test_side_by_side_a_sentence_runs_along_x(attention: aw.Attention) -> None:
    figure = attention.figure("lines", layer=3, heads=1, layout="horizontal", width=900)

    def places(svg: str) -> list[float]:
        group = next(e for e in elements(svg) if e.get("id") == "tokens-query")
        return [float(text.get("x", "")) for text in group.iter(f"{SVG}text")]

    run = places(figure.svg)
    assert len(run) == 11
    assert run == sorted(run)
    back = attention.figure(
        "lines", layer=3, heads=1, layout="horizontal", width=900, direction="rtl"
    )
    assert places(back.svg) == sorted(places(back.svg), reverse=True)


HEBREW = ["החתול", "ישב", "על", "השטיח!"]


def test_hebrew_runs_to_the_left(tmp_path: Path) -> None:
    weights = np.full((1, 1, 4, 4), 0.25, np.float32)
    attention = aw.from_weights(weights, HEBREW)
    figure = attention.figure("lines", layer=0, layout="horizontal", width=900)
    group = next(e for e in elements(figure.svg) if e.get("id") == "tokens-query")
    labels = list(group.iter(f"{SVG}text"))
    assert [label.text for label in labels] == HEBREW
    assert all(label.get("direction") == "rtl" for label in labels)
    run = [float(label.get("x", "")) for label in labels]
    assert run == sorted(run, reverse=True)
    # In SVG an anchor is an end of the text: a label that ends at the links begins there when it runs to the left.
    upright = attention.figure("lines", layer=0).svg
    group = next(e for e in elements(upright) if e.get("id") == "tokens-query")
    assert {label.get("text-anchor") for label in group.iter(f"{SVG}text")} == {None}
    figure.save(tmp_path / "hebrew.pdf")


def test_the_converter_places_what_runs_to_the_left_as_a_browser_does() -> None:
    def ink(words: str) -> tuple[int, int]:
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40" viewBox="0 0 300 40" font-family="sans-serif">{words}</svg>'
        picture = np.asarray(Image.open(io.BytesIO(convert.to_png(svg, scale=1))))[:, :, 3]
        across = np.flatnonzero(picture.any(axis=0))
        return int(across[0]), int(across[-1])

    left, right = ink('<text x="150" y="25" direction="rtl">שלום!</text>')
    assert right <= 152
    mirrored = ink('<text x="150" y="25" direction="rtl" text-anchor="end">שלום!</text>')
    assert mirrored[0] >= 148
    assert mirrored[1] - mirrored[0] == pytest.approx(right - left, abs=2)


def test_a_figure_shows_itself_in_a_notebook(attention: aw.Attention) -> None:
    figure = make(attention, "fan")
    assert figure._repr_svg_() == figure.svg
    assert repr(figure) == "Figure(lines, decoder, layer 3, heads 1, 3)"


def test_view_save_takes_the_same_options(attention: aw.Attention, tmp_path: Path) -> None:
    view = aw.head_view(attention, layer=3, heads=[1, 3], query="it")
    saved = view.save(tmp_path / "a.svg", width="85mm", theme="print", whole=True)
    figure = attention.figure(
        "head", layer=3, heads=[1, 3], query="it", width="85mm", theme="print"
    )
    assert saved.read_text(encoding="utf-8") == figure.svg
    assert view.figure(width="85mm", theme="print", whole=True).svg == figure.svg


def test_a_picture_that_went_in_can_be_drawn_over(tmp_path: Path) -> None:
    figure = record().figure("image", stream="probe", heads=[0, 1], theme="print", width="120mm")
    assert figure.save(tmp_path / "image.pdf").read_bytes().startswith(b"%PDF")
    assert sum(e.tag == f"{SVG}image" for e in elements(figure.svg)) >= 2


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "scores"}, "figure draws 'head', 'lines'"),
    ({"width": "85 miles"}, "such as '85mm', '3.3in'"),
    ({"width": "10mm"}, "width='10mm' has no room for labels"),
    ({"width": True}, "width must be a positive number of pixels"),
    ({"font_size": 0}, "font_size must be a positive number of points"),
    ({"theme": "paper"}, "theme must be one of 'light', 'dark', 'print', got 'paper'"),
    ({"colour_map": "jet"}, "colour_map must be one of 'blue', 'cividis'"),
    ({"title": 3}, "title must be True, False or text, got 3"),
    ({"legend": "off"}, "legend must be True or False, got 'off'"),
    ({"font": "Arial'; x"}, "font must be the name of one font family"),
    (
        {"top_k": 0},
        "top_k must be an integer from 1 to 9007199254740991, such as top_k=3, or None for all links, got 0",
    ),
    ({"threshold": 2}, "threshold must be a weight in 0..1, got 2"),
    ({"threshold": np.array([0.5, np.nan])}, "threshold must be a weight in 0..1, got array"),
    ({"layout": "diagonal"}, "layout must be one of 'vertical', 'horizontal'"),
    ({"direction": "up"}, "direction must be one of 'auto', 'ltr', 'rtl'"),
    ({"grid": 0}, "grid must be a positive integer, True, or the number of columns, got 0"),
    ({"kind": "model", "grid": True}, "a grid is of the head view's panels"),
    ({"positions": "dog"}, "queries='dog' is no token"),
    ({"positions": [99]}, "queries must be integers in 0..10"),
    ({"positions": [1], "keys": [2]}, "pass either positions, or queries and keys"),
    ({"positions": [1, 2], "query": 5}, "query=5 is pinned and not among the positions drawn"),
    ({"heads": [(0, 9), (1, 0)]}, r"heads must be integers in 0..3, got \[9\]"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_is_not_accepted_says_what_is(
    attention: aw.Attention, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        attention.figure(**options)


def test_an_unknown_option_is_named(attention: aw.Attention) -> None:
    with pytest.raises(TypeError, match="Unknown option 'pigment'; accepted are width, font"):
        attention.figure(pigment="red")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"path": "figure.gif"}, "path must end in .svg, .pdf or .png, got 'figure.gif'"),
        ({"path": "figure.png", "scale": 2, "dpi": 300}, "pass scale or dpi, got both"),
        ({"path": "figure.png", "dpi": 0}, "dpi must be a positive number, got 0"),
    ],
)
def test_saving_checks_its_own(attention: aw.Attention, call: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(attention, "lines").save(**call)
