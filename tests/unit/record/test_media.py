"""Pictures and sounds in a record without a model: what is accepted, stored, sent and drawn."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.protocol.codec import decode
from attnwidget.protocol.positions import unpack
from attnwidget.record import storage
from attnwidget.record.layer import Layer
from attnwidget.record.media import Medium
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import answer
from attnwidget.serve.meta import describe, media_bytes
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = (np.arange(4 * 6 * 3) * 3).astype(np.uint8).reshape(4, 6, 3)
IMAGE = Medium("image", PIXELS, note="colours are made up")
SOUND = Medium("spectrogram", PIXELS[:, :, 0], seconds=0.75)
PATCHES = tuple(
    Position(f"r{row} c{column}", kind="patch", row=row, column=column, grid=(2, 3), medium=0)
    for row in range(2)
    for column in range(3)
)


def layer(stream: str, queries: int, keys: int) -> Layer:
    scores = torch.arange(2 * queries * keys).reshape(2, queries, keys).sin() * 3
    return Layer(
        stream=stream,
        layer=0,
        module_path=stream,
        num_heads=2,
        recorded=torch.softmax(scores, dim=-1),
        reason="the record was made from weights alone.",
    )


def seen() -> Attention:
    """A stream of [CLS] and six patches, and one of three words."""
    cls = Position("[CLS]", kind="special")
    vision = Stream("vision", (layer("vision", 7, 7),), *[(cls, *PATCHES)] * 2)
    words = tuple(Position(word) for word in ("a", "b", "c"))
    text = Stream("decoder", (layer("decoder", 3, 3),), words, words)
    return Attention("Sees", {"vision": vision, "decoder": text}, media=(IMAGE, SOUND))


@pytest.mark.parametrize(
    ("kind", "pixels"),
    [
        ("image", PIXELS[:, :, 0]),
        ("image", PIXELS[:, :, :2]),
        ("image", PIXELS.astype(np.float32)),
        ("image", PIXELS[:0]),
        ("spectrogram", PIXELS),
        ("film", PIXELS),
    ],
)
def test_a_medium_says_what_it_needs(kind: str, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"needs uint8 pixels, \[height, width, 3\]"):
        Medium(kind, pixels)  # type: ignore[arg-type]


def test_frequencies_are_one_for_each_band_of_a_sound() -> None:
    bands = (100.0, 200.0, 400.0, 800.0)
    sound = Medium("spectrogram", PIXELS[:, :, 0], seconds=0.75, frequencies=bands)
    assert sound != SOUND
    for kind, pixels, wrong in (
        ("spectrogram", PIXELS[:, :, 0], bands[:3]),
        ("spectrogram", PIXELS[:, :, 0], bands[::-1]),
        ("image", PIXELS, bands),
    ):
        with pytest.raises(ValueError, match="one number for each of the bands"):
            Medium(kind, pixels, frequencies=wrong)  # type: ignore[arg-type]


def test_media_are_values() -> None:
    assert Medium("image", PIXELS.copy(), note=IMAGE.note) == IMAGE
    assert hash(Medium("image", PIXELS.copy(), note=IMAGE.note)) == hash(IMAGE)
    assert Medium("image", 255 - PIXELS) != IMAGE
    assert repr(SOUND) == "Medium(spectrogram, 6 × 4, 0.75 s)"
    for again in (pickle.loads(pickle.dumps(seen())), copy.deepcopy(seen())):  # noqa: S301  (our own)
        assert again.media == seen().media


def test_a_position_lies_in_a_medium_that_is_there() -> None:
    attention = seen()
    assert attention["vision"].lies_in_media
    assert not attention["decoder"].lies_in_media
    with pytest.raises(
        ValueError, match="'r0 c0' of stream 'vision' lies in medium 0, but there are 0 media"
    ):
        Attention("Sees", attention.streams)


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    seen().save(tmp_path / "seen.safetensors")
    again = storage.load(tmp_path / "seen.safetensors")
    assert again.media == seen().media
    assert again["vision"].key_positions == seen()["vision"].key_positions


def test_a_file_from_before_there_were_media_is_read(tmp_path: Path) -> None:
    """As version 1 was written: no media, and patches that know their row and column only."""
    path = tmp_path / "old.safetensors"
    seen().save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["attnwidget"])
        tensors = {name: file.get_tensor(name) for name in file.keys() if "media" not in name}  # noqa: SIM118
    header["version"] = 1
    header = {name: header[name] for name in ("version", "model_name", "text", "streams")}
    for stream in header["streams"]:
        for position in stream["query_positions"]:
            position.pop("medium", None)
            position.pop("grid", None)
    save_file(tensors, path, metadata={"attnwidget": json.dumps(header)})
    again = storage.load(path)
    assert again.media == ()
    assert again["vision"].key_positions[4].row == 1
    assert not again["vision"].lies_in_media


def test_what_is_sent() -> None:
    attention = seen()
    meta, _ = describe(attention)
    sent = media_bytes(attention)
    assert len(sent) == 4 * 6 * 3 + 4 * 6
    image, sound = meta["media"]
    assert image == {"kind": "image", "width": 6, "height": 4, "note": IMAGE.note, "offset": 0}
    assert sound == {"kind": "spectrogram", "width": 6, "height": 4, "seconds": 0.75, "offset": 72}
    np.testing.assert_array_equal(np.frombuffer(sent[72:], np.uint8).reshape(4, 6), SOUND.pixels)
    patch = unpack(meta["positions"][0])[5]
    assert (patch["row"], patch["column"], patch["grid"], patch["medium"]) == (1, 1, [2, 3], 0)


def test_the_mean_over_all_queries() -> None:
    attention = seen()
    request = {"what": "mean", "stream": "vision", "layer": 0, "head": 1}
    block, data = answer(attention, request)
    expected = attention["vision"][0].weights(head=1).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(decode(block, data), expected, rtol=1e-6)


def test_a_record_with_a_picture_is_drawn_over_it_first() -> None:
    attention = seen()
    widget = AttentionWidget(attention)
    assert widget.form == "image"
    assert AttentionWidget(attention, form="lines").form == "lines"
    widget.stream = "decoder"
    assert widget.form == "image"  # the front end draws lines there
    plain = aw.from_weights([attention["vision"][0].weights()], [p.label for p in PATCHES] + ["x"])
    assert AttentionWidget(plain).form == "lines"
    with pytest.raises(
        ValueError, match="form must be 'lines', 'matrix' or 'text', got 'image': no picture"
    ):
        AttentionWidget(plain, form="image")


def test_figures_and_pages_hold_the_picture(tmp_path: Path) -> None:
    widget = AttentionWidget(seen(), view="head", heads=[0, 1], query=2)
    svg = widget.save(tmp_path / "a.svg", renderer="headless").read_text(encoding="utf-8")
    assert "head 1" in svg
    assert len(re.findall(r"<image", svg)) >= 4  # for each head the picture and the heat
    widget.query = None
    assert "mean over 7 queries" in widget.save(tmp_path / "b.svg", renderer="headless").read_text()
    snapshot = widget.snapshot()
    assert base64.b64decode(snapshot["media"]) == media_bytes(seen())
    page = widget.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert len(page) > len(widget._bundle)


def test_a_stream_in_no_picture_is_drawn_as_lines(tmp_path: Path) -> None:
    widget = AttentionWidget(seen(), view="head", stream="decoder")
    svg = widget.save(tmp_path / "a.svg", renderer="headless").read_text(encoding="utf-8")
    assert "strongest links a query" in svg
    assert "<image" not in svg
    assert "mean over" not in svg
