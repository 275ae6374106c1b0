"""Running text as a figure: what is drawn is what its data say, whole, cropped, and of every measure."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.record.positions import Position

# Different counts of queries and keys, and a head whose weights nothing else has.
TEXT = "The cat sat on the mat because it was tired"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, TEXT, tokenizer=tokenizer)


def words(figure: Any) -> list[str]:
    root = ET.fromstring(figure.svg)  # noqa: S314 - our own
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def columns(figure: Any) -> dict[str, list[Any]]:
    data = figure.data
    if hasattr(data, "to_dict"):
        return data.to_dict("list")  # type: ignore[no-any-return]
    return {name: [row[name] for row in data] for name in data[0]}


def test_a_pinned_query_draws_its_row(attention: aw.Attention) -> None:
    figure = attention.figure("text", layer=3, heads=1, query="it")
    row = attention["decoder"][3].weights(1)[8]
    data = columns(figure)
    assert set(data["query"]) == {8}
    assert data["key"] == np.flatnonzero(row).tolist()
    np.testing.assert_allclose(data["weight"], row[row > 0], rtol=1e-5)
    shown = words(figure)
    assert "weight of “it” on each token" in shown
    assert f"“mat” (position 6) {row[6]:.3f}" in shown
    for word in TEXT.lower().split():
        assert word in shown
    # On paper nothing is there to be clicked.
    assert "attended by" not in shown
    assert repr(figure) == "Figure(text, decoder, layer 3, heads 1)"


def test_a_pinned_key_draws_its_column(attention: aw.Attention) -> None:
    figure = attention.figure("text", layer=1, heads=[0, 2], key=2)
    data = columns(figure)
    for head in (0, 2):
        column = attention["decoder"][1].weights(head)[:, 2]
        mine = [at for at, one in enumerate(data["head"]) if one == head]
        assert [data["query"][at] for at in mine] == np.flatnonzero(column).tolist()
        np.testing.assert_allclose(
            [data["weight"][at] for at in mine], column[column > 0], rtol=1e-5
        )
    assert "weight of each token on “cat”" in words(figure)


def test_without_a_pin_it_draws_the_mean_over_all_queries(attention: aw.Attention) -> None:
    figure = attention.figure("text", layer=2, heads=3)
    mean = attention["decoder"][2].weights(3).mean(axis=0)
    data = columns(figure)
    assert data["key"] == list(range(len(mean)))
    assert set(data["query"]) == {-1}
    np.testing.assert_allclose(data["weight"], mean, rtol=1e-5)
    assert f"mean weight on each token, over {len(mean)} queries" in words(figure)


def test_a_crop_keeps_the_weights_of_the_whole(attention: aw.Attention) -> None:
    kept = slice(3, 10)
    weights = attention["decoder"][3].weights(1)
    figure = attention.figure("text", layer=3, heads=1, key=6, positions=kept)
    data = columns(figure)
    wanted = {query: weights[query, 6] for query in range(3, 10) if weights[query, 6] > 0}
    assert dict(zip(data["query"], data["weight"], strict=True)) == pytest.approx(wanted, rel=1e-4)
    # The index beside a label is the record's.
    assert any(word.startswith("“it” (position 8) ") for word in words(figure))
    mean = columns(attention.figure("text", layer=3, heads=1, positions=kept))
    np.testing.assert_allclose(mean["weight"], weights[kept, kept].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("measure", ["value", "norm", "rollout"])
@pytest.mark.parametrize("pins", [{}, {"query": 8}, {"key": 2}])
def test_every_measure_and_words_are_drawn(
    attention: aw.Attention, measure: str, pins: dict[str, int]
) -> None:
    figure = attention.figure("text", layer=2, heads=[0, 1], measure=measure, **pins)  # type: ignore[arg-type]
    assert figure.svg.count("<rect") > 4


def test_words_read_as_one() -> None:
    weights = np.full((1, 5, 5), 0.2, np.float32)
    tokens = ["un", "##believ", "##able", "it", "is"]
    attention = aw.from_weights([weights], tokens)
    figure = attention.figure("text", positions="words", query=0)
    assert "unbelievable" in words(figure)
    assert "“unbelievable” (position 0) 0.600" in words(figure)
    assert "un" in words(attention.figure("text"))


def test_two_texts_stand_below_each_other() -> None:
    weights = np.eye(2, 3, dtype=np.float32)[None]
    attention = aw.from_weights(
        cross_attention=[weights], decoder_tokens=["le", "chat"], encoder_tokens=["the", "cat", "."]
    )
    shown = words(attention.figure("text", query="chat"))
    assert {"queries", "keys", "le", "chat", "the", "cat", "."} <= set(shown)
    assert "“cat” (position 1) 1.000" in shown


def test_a_long_column_is_the_columns_numbers_and_no_rows_travel() -> None:
    generator = np.random.default_rng(0)
    weights = generator.random((1, 1100, 1100), dtype=np.float32)
    weights /= weights.sum(axis=-1, keepdims=True)
    attention = aw.from_weights([weights], [f" w{index}" for index in range(1100)])
    strongest = int(weights[0, :, 7].argmax())
    shown = words(attention.figure("text", key=7))
    assert f"“w{strongest}” (position {strongest}) {weights[0, strongest, 7]:.3f}" in shown


def test_what_is_no_text_is_refused_with_what_there_is() -> None:
    patches = [Position(f"r{index}", kind="latent") for index in range(4)]
    attention = aw.from_weights([np.full((1, 4, 4), 0.25, np.float32)], patches)
    with pytest.raises(
        ValueError, match="form must be 'lines' or 'matrix', got 'text': no text is in this record"
    ):
        attention.figure("text")
    with pytest.raises(ValueError, match="no text"):
        aw.view(attention, form="text")
