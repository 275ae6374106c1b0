"""PNGs of a bounded size, what is accepted of a browser's, and what a figure's output holds."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from base64 import b64decode
from typing import TYPE_CHECKING

import numpy as np
import pypdfium2
import pytest
from contract.record import record
from PIL import Image

import attnwidget as aw
from attnwidget.compute.resumable import finish
from attnwidget.figures import convert
from attnwidget.figures.convert import png_chunk
from attnwidget.figures.small_png import (
    MOST_BYTES,
    SmallPng,
    checked_png,
    encoded,
    picture_pdf,
    small_png,
)

if TYPE_CHECKING:
    from attnwidget.figures.figure import Figure

SVG, PNG, PDF = "image/svg+xml", "image/png", "application/pdf"


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def dense(layers: int, heads: int, positions: int) -> aw.Attention:
    weights = np.random.default_rng(1).exponential(size=(layers, heads, positions, positions)) ** 3
    weights = np.tril(weights).astype(np.float32)
    return aw.from_weights(weights / weights.sum(-1, keepdims=True), positions * ["a"])


@pytest.mark.parametrize("width", [10, 11])
def test_few_colours_are_kept_exactly(width: int) -> None:
    shades = np.array([[255, 255, 255], [0, 0, 0], [200, 30, 90]], np.uint8)
    pixels = shades[np.arange(7 * width).reshape(7, width) % 3]
    assert (decoded(encoded(pixels, 64, 1.0)) == pixels).all()
    assert (decoded(encoded(pixels, 16, 1.0)) == pixels).all()


def test_many_colours_stay_close_and_the_background_exact() -> None:
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (20, 1))] * 3, axis=2)
    pixels[0, 0] = (17, 20, 24)
    found = decoded(encoded(pixels, 64, 1.0)).astype(int)
    assert np.abs(found - pixels).max() <= 8
    assert tuple(found[0, 0]) == (17, 20, 24)


@pytest.mark.parametrize("shape", [(700, 1200), (9000, 300), (1, 5), (40, 3000)])
def test_whatever_is_drawn_it_fits(shape: tuple[int, int]) -> None:
    height, width = shape
    made = finish(small_png(noise(height, width), (width, height)))
    assert len(made.data) <= MOST_BYTES
    assert (made.width, made.height) == (width, height)
    across, down = checked_png(made.data)
    assert abs(across / down / (width / height) - 1) < 0.1


def test_a_pdf_of_a_picture_shows_its_pixels() -> None:
    pixels = np.zeros((6, 10, 3), np.uint8)
    pixels[:, 5:] = (255, 0, 0)
    made = SmallPng(encoded(pixels, 16, 1.0), 40, 24)
    page = pypdfium2.PdfDocument(picture_pdf(made))[0]
    assert page.get_size() == (30, 18)
    drawn = page.render(scale=1).to_numpy()[:, :, ::-1]
    assert tuple(drawn[9, 5, :3]) == (0, 0, 0)
    assert tuple(drawn[9, 25, :3]) == (255, 0, 0)


def with_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body + png_chunk(b"IEND", b"")


GOOD = encoded(noise(3, 5), 16, 1.0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no PNG"),
        (b"<svg onload=alert(1)>", "no PNG"),
        (b"GIF89a" + GOOD[6:], "no PNG"),
        (GOOD[:-5], "not all of one"),
        (GOOD[:40] + b"x" + GOOD[41:], "not all of one"),
        (with_header(0, 4), "0 × 4 pixels"),
        (with_header(60_000, 60_000), "60000 × 60000 pixels"),
        (GOOD + bytes(MOST_BYTES), "at most 60,000 are kept"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_png(data)


def test_a_picture_is_accepted() -> None:
    assert checked_png(GOOD) == (5, 3)


FIGURES = {
    "head": lambda: aw.capture(*pocket()).figure(),
    "matrix": lambda: aw.capture(*pocket()).figure("matrix"),
    "model": lambda: dense(32, 32, 16).figure("model"),
    "many links": lambda: dense(1, 12, 48).figure("head", heads=list(range(12))),
    "long": lambda: dense(1, 1, 800).figure("matrix"),
    "comparison": lambda: aw.compare(record(), record()).figure(),
}


def pocket() -> tuple[object, str, object]:
    model, tokenizer = aw.pocket()
    return model, "The cat sat on the mat", tokenizer


@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_s_output_has_all_three_and_small(kind: str) -> None:
    figure: Figure = FIGURES[kind]()
    bundle = figure._repr_mimebundle_()
    assert list(bundle) == [SVG, PNG, PDF]
    assert bundle[SVG] == figure.svg
    width, height = convert.size_of(figure.svg)
    picture = b64decode(bundle[PNG])
    across, down = checked_png(picture)
    assert abs(across / down / (width / height) - 1) < 0.02
    pdf = b64decode(bundle[PDF])
    assert len(pdf) < 500_000
    page = pypdfium2.PdfDocument(pdf)[0]
    assert page.get_size() == pytest.approx((0.75 * width, 0.75 * height), abs=1)
    # Both show the same picture.
    drawn = page.render(scale=1 / 0.75).to_pil().convert("L").resize((60, 60))
    shown = Image.open(io.BytesIO(picture)).convert("L").resize((60, 60))
    assert np.abs(np.asarray(drawn, int) - np.asarray(shown, int)).mean() < 8


def test_only_what_is_asked_for_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = aw.capture(*pocket()).figure()
    assert list(figure._repr_mimebundle_(include={SVG})) == [SVG]
    assert list(figure._repr_mimebundle_(exclude={SVG, PDF})) == [PNG]
    monkeypatch.setattr(convert, "available", lambda: False)
    assert list(figure._repr_mimebundle_()) == [SVG]


def test_without_the_converter_there_is_the_svg_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert list(aw.capture(*pocket()).figure()._repr_mimebundle_()) == [SVG]


def test_no_warning_of_fonts_for_who_looks_at_the_svg() -> None:
    figure = aw.from_weights(np.full((1, 1, 2, 2), 0.5, np.float32), ["\U0001333d", "b"]).figure()
    assert list(figure._repr_mimebundle_()) == [SVG, PNG, PDF]
