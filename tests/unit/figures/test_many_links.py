"""PNG and PDF of many links: one picture instead of vectors, opacity without layers, small files."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2
import pytest
import torch
import vl_convert
from PIL import Image
from support.pictures import similarity

import attnwidget as aw
from attnwidget.figures import convert

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget.figures.figure import Figure

# Of a file, without a size of its own.
PNG_LINKS, PDF_LINKS = 500, 30_000
HEIGHT, WIDTH = 2700, 1512
# The colour of the legend's samples.
SAMPLE = 'stroke="#1c2127"'


def figure(heads: int, tokens: int, **options: object) -> Figure:
    """Return the lines of a layer whose causal weights are random."""
    scores = 2 * torch.randn(
        2, 1, heads, tokens, tokens, generator=torch.Generator().manual_seed(0)
    )
    hidden = torch.ones(tokens, tokens).triu(1).bool()
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    record = aw.from_weights(list(weights), [f"word{number}" for number in range(tokens)])
    drawn = {"top_k": None, **options}
    return record.figure("lines", layer=1, heads=list(range(heads)), **drawn)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float64)


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every SVG that is converted."""
    seen: list[str] = []
    for name in ("to_png", "to_pdf"):
        real = getattr(convert, name)

        def kept(svg: str, real: Any = real, **options: float) -> bytes:
            seen.append(svg)
            return bytes(real(svg, **options))

        monkeypatch.setattr(convert, name, kept)
    return seen


def links(svg: str) -> list[str]:
    """Return the translucent paths, without the legend's samples."""
    return [path for path in re.findall(r"<path [^>]* opacity=[^>]*>", svg) if SAMPLE not in path]


def texts(svg: str) -> list[str]:
    return re.findall("<text.*?</text>", svg)


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def test_few_links_are_the_vectors_of_the_svg(converted: list[str], tmp_path: Path) -> None:
    few = figure(2, 16)
    few.save(tmp_path / "few.png", dpi=300)
    few.save(tmp_path / "few.pdf")
    assert 200 < len(links(few.svg)) <= PNG_LINKS
    assert converted == [few.svg, few.svg]


def test_many_links_are_one_picture_of_the_png_and_vectors_of_the_pdf(
    converted: list[str], tmp_path: Path
) -> None:
    many = figure(4, 24)
    many.save(tmp_path / "many.png", dpi=300)
    many.save(tmp_path / "many.pdf")
    png, pdf = converted
    assert PNG_LINKS < len(links(many.svg)) < PDF_LINKS
    assert "<image" not in many.svg
    assert pdf == many.svg
    assert png.count("<image") == 1
    assert links(png) == []
    assert texts(png) == texts(many.svg)
    found = re.search(r'<image [^>]* width="([\d.]+)" height="([\d.]+)" .*base64,([^"]*)"', png)
    assert found
    picture = Image.open(io.BytesIO(decoded(found[3])))
    for side, length in zip(picture.size, (found[1], found[2]), strict=True):
        assert abs(side - float(length) * 300 / 96) <= 0.5


def test_the_picture_looks_as_the_vectors_do(tmp_path: Path) -> None:
    many = figure(4, 24)
    png = pixels(many.save(tmp_path / "many.png").read_bytes())
    vectors = pixels(convert.to_png(many.svg))
    assert png.shape == vectors.shape
    assert similarity(png, vectors) >= 0.98


def test_panels_share_what_may_be_vectors(converted: list[str], tmp_path: Path) -> None:
    one, grid = figure(4, 24, top_k=5), figure(4, 24, grid=2)
    one.save(tmp_path / "one.png")
    grid.save(tmp_path / "grid.png")
    assert converted[0] == one.svg
    # No panel alone has too many.
    assert PNG_LINKS < len(links(grid.svg)) < 4 * PNG_LINKS
    assert converted[1].count("<image") == 4
    assert links(converted[1]) == []


def test_a_printed_size_has_the_picture_at_the_resolution_of_the_print(
    converted: list[str], tmp_path: Path
) -> None:
    many = figure(4, 24, width="85mm", font_size=7)
    width = pixels(many.save(tmp_path / "many.png", dpi=300).read_bytes()).shape[1]
    assert abs(width - 85 / 25.4 * 300) <= 1
    found = re.search(r'<image [^>]* width="([\d.]+)" .*base64,([^"]*)"', converted[0])
    view = re.search(r'viewBox="0 0 ([\d.]+) ', converted[0])
    assert found
    assert view
    picture = Image.open(io.BytesIO(decoded(found[2])))
    assert abs(picture.width - float(found[1]) / float(view[1]) * width) <= 1


def test_twelve_heads_of_48_tokens_are_small_files(tmp_path: Path) -> None:
    whole = figure(12, 48)
    png = whole.save(tmp_path / "whole.png", dpi=300)
    pdf = whole.save(tmp_path / "whole.pdf")
    assert pixels(png.read_bytes()).shape == (HEIGHT, WIDTH, 3)
    assert png.stat().st_size <= 3_500_000
    assert pdf.stat().st_size <= 1_000_000
    assert len(links(whole.svg)) > 10_000
    # One for each opacity of two decimals, and not for each link.
    assert pdf.read_bytes().count(b"/Type /ExtGState") <= 101


def test_equal_graphics_states_are_merged_and_the_pdf_looks_the_same(tmp_path: Path) -> None:
    many = figure(4, 24)
    pdf = many.save(tmp_path / "many.pdf").read_bytes()
    document = pypdfium2.PdfDocument(pdf)
    vectors = pixels(convert.to_png(many.svg, scale=2.0))
    page = document[0]
    drawn = page.render(scale=vectors.shape[1] / page.get_width()).to_pil().convert("RGB")
    page.close()
    document.close()
    found = np.asarray(drawn, dtype=np.float64)
    height, width = np.minimum(found.shape, vectors.shape)[:2]
    assert similarity(found[:height, :width], vectors[:height, :width]) >= 0.98


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ('fill="none" stroke="#123456" stroke-width="1" opacity="0.2"',
         'fill="none" stroke="#123456" stroke-width="1" stroke-opacity="0.2"'),
        ('fill="none" stroke="#123456" stroke-width="1" opacity="0.2" stroke-dasharray="2 2"',
         'fill="none" stroke="#123456" stroke-width="1" stroke-opacity="0.2" stroke-dasharray="2 2"'),
        ('fill="#123456" opacity="0.2"', 'fill="#123456" fill-opacity="0.2"'),
        ('fill="#123456" stroke="#000000" stroke-width="1" opacity="0.2"',
         'fill="#123456" stroke="#000000" stroke-width="1" opacity="0.2"'),
        ('fill="none" stroke="#123456" stroke-width="1" opacity="0"', None),
    ],
)  # fmt: skip
def test_opacity_stands_where_it_needs_no_layer(shape: str, expected: str | None) -> None:
    made = convert._prepared(f'<svg><g>\n<path d="M0 0L9 9" {shape}/>\n</g></svg>')
    kept = "" if expected is None else f'<path d="M0 0L9 9" {expected}/>\n'
    assert made == f"<svg><g>\n{kept}</g></svg>"


def test_packing_changes_no_pixel() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="70" height="40">{}<circle cx="30" cy="20" r="15" fill="#a04020"/></svg>'
    for ground, mode in (('<rect width="70" height="40" fill="#ffffff"/>', "RGB"), ("", "RGBA")):
        loose = bytes(vl_convert.svg_to_png(svg.format(ground), scale=2.0))
        packed = convert._packed(loose)
        one, other = (Image.open(io.BytesIO(data)) for data in (loose, packed))
        assert other.mode == mode
        assert (np.asarray(one.convert("RGBA")) == np.asarray(other.convert("RGBA"))).all()
        assert len(packed) <= len(loose)
