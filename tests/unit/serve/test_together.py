"""Heads of one layer or of several as one: rows, columns, means, tiles and parts against dense numbers, in any crop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.test_protocol import validate
from support.copies import snapshot_of
from support.records import dense_weights, random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.figures.crop import Crop, cropped_answer
from attnwidget.protocol import codec
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream
from attnwidget.serve import requests
from attnwidget.serve.jobs import Jobs
from attnwidget.serve.source import RecordSource
from attnwidget.serve.together import together_of, together_requests

if TYPE_CHECKING:
    from pathlib import Path

QUERIES, KEYS = 30, 41
# Layer 3 has fewer heads than the others.
COUNTS = {0: 5, 2: 5, 3: 2}
PAIRS = [(0, 1), (0, 4), (2, 1), (2, 4), (3, 1)]
TOGETHER = {"heads": [head for _, head in PAIRS], "layers": [layer for layer, _ in PAIRS]}
WAYS = {"mean": np.mean, "max": np.max, "sum": np.sum}


def axis(count: int) -> tuple[Position, ...]:
    # Every third piece goes on with the word before it.
    return tuple(
        Position(str(at), kind="token", continues=at % 3 == 2, text=str(at)) for at in range(count)
    )


@pytest.fixture(scope="module")
def source() -> RecordSource:
    layers = tuple(
        random_layer(heads=heads, queries=QUERIES, keys=KEYS, layer=layer, seed=layer)
        for layer, heads in COUNTS.items()
    )
    return RecordSource(
        Record("model", {"self": Stream("self", layers, axis(QUERIES), axis(KEYS))})
    )


@pytest.fixture(scope="module")
def dense(source: RecordSource) -> np.ndarray:
    """All heads of `PAIRS`, float64 ``[head, query, key]``."""
    stream = source.streams["self"]
    return np.stack([dense_weights(stream[layer]).numpy()[head] for layer, head in PAIRS])


def asked(source: RecordSource, how: str, what: str, **more: Any) -> np.ndarray:
    request = {
        "what": what,
        "stream": "self",
        "layer": 2,
        "head": 1,
        "together": {"how": how, **TOGETHER},
        **more,
    }
    validate("Request", request)
    return codec.decode(*source.answer(request)).astype(np.float64)


def between_words(weights: np.ndarray) -> np.ndarray:
    """Heads between words, ``[head, query, key]``: summed over a key's pieces, averaged over a query's."""
    numbers = [np.cumsum(np.arange(count) % 3 != 2) - 1 for count in weights.shape[1:]]
    into = [np.eye(number[-1] + 1)[number] for number in numbers]
    merged: np.ndarray = np.einsum("hqk,qr,kc->hrc", weights, into[0] / into[0].sum(0), into[1])
    return merged


@pytest.mark.parametrize("how", WAYS)
def test_heads_of_several_layers_are_the_dense_numbers(
    source: RecordSource, dense: np.ndarray, how: str
) -> None:
    one = WAYS[how](dense, axis=0)
    rows = asked(source, how, "weights", queries=[4, 9])
    np.testing.assert_allclose(rows, one[None, 4:9], rtol=1e-5, atol=1e-7)
    column = asked(source, how, "column", keys=[3, 5])
    np.testing.assert_allclose(column, one[:, 3:5], rtol=1e-5, atol=1e-7)
    mean = asked(source, how, "mean")
    np.testing.assert_allclose(mean, one.mean(axis=0)[None], rtol=1e-5, atol=1e-7)
    tile = asked(source, how, "tile", level=0, tile=[0, 0])
    np.testing.assert_allclose(tile, one, rtol=1e-5, atol=1e-7)
    words = asked(source, how, "weights", queries=[0, 20], positions="words")
    merged = WAYS[how](between_words(dense), axis=0)
    np.testing.assert_allclose(words[0], merged, rtol=1e-5, atol=1e-7)


def test_a_measure_is_taken_of_each_head_by_itself(source: RecordSource) -> None:
    stream = source.streams["self"]
    each = [stream[layer].measure("value", head) for layer, head in PAIRS]
    found = asked(source, "max", "weights", queries=[0, QUERIES], measure="value")
    np.testing.assert_allclose(found[0], np.max(each, axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="a rollout has no heads"):
        asked(source, "max", "weights", queries=[0, 1], measure="rollout")


def largest(weights: np.ndarray) -> np.ndarray:
    """How often each head is the largest, equal ones counting alike, written pair by pair."""
    totals = np.zeros(len(weights))
    for pair in weights.reshape(len(weights), -1).T:
        if pair.max() > 0:
            at = pair == pair.max()
            totals[at] += 1 / at.sum()
    return totals / totals.sum()


def test_parts_are_of_what_is_between_the_pins(source: RecordSource, dense: np.ndarray) -> None:
    between = {"queries": [[2, 3], [7, 9]], "keys": [[0, 1], [30, 33]]}
    chosen = dense[:, [2, 7, 8]][:, :, [0, 30, 31, 32]]
    for how in ("mean", "sum"):
        parts = asked(source, how, "together_shares", between=between)
        weight = chosen.sum(axis=(1, 2))
        np.testing.assert_allclose(parts[0], weight / weight.sum(), rtol=1e-5)
    single = chosen.astype(np.float32)
    parts = asked(source, "max", "together_shares", between=between)
    np.testing.assert_allclose(parts[0], largest(single), rtol=1e-6)
    # Without pins all queries and keys; a query's weights add up to 1 in every head.
    np.testing.assert_allclose(asked(source, "mean", "together_shares")[0], 1 / 5, rtol=1e-5)
    whole = asked(source, "max", "together_shares")[0]
    np.testing.assert_allclose(whole, largest(dense.astype(np.float32)), rtol=1e-6)
    words = asked(source, "sum", "together_shares", between={"keys": [[3, 5]]}, positions="words")
    weight = between_words(dense)[:, :, 3:5].sum(axis=(1, 2))
    np.testing.assert_allclose(words[0], weight / weight.sum(), rtol=1e-5)


def test_equal_heads_share_what_they_are_largest_in_and_masked_pairs_are_of_none() -> None:
    half = [[1.0, 0.0], [0.5, 0.5]]
    other = [[1.0, 0.0], [0.25, 0.75]]
    attention = aw.from_weights([[half, other]], ["the", "cat"])
    request = {
        "what": "together_shares",
        "stream": "self",
        "layer": 0,
        "head": 0,
        "together": {"how": "max", "heads": [0, 1]},
    }
    parts = codec.decode(*RecordSource(attention).answer(request))[0]
    # Of three pairs with weight the first is shared, and each is the largest in one of the others.
    np.testing.assert_allclose(parts, [1.5 / 3, 1.5 / 3])
    at_cat = {**request, "between": {"queries": [[1, 2]], "keys": [[1, 2]]}}
    np.testing.assert_array_equal(
        codec.decode(*RecordSource(attention).answer(at_cat))[0], [0.0, 1.0]
    )
    masked = {**request, "between": {"queries": [[0, 1]], "keys": [[1, 2]]}}
    np.testing.assert_array_equal(
        codec.decode(*RecordSource(attention).answer(masked))[0], [0.0, 0.0]
    )


def test_a_word_that_is_half_there_has_the_pieces_that_are(
    source: RecordSource, dense: np.ndarray
) -> None:
    # Pieces 0, 1+2, 3, 4+5: of the fourth word only the first piece is there.
    found = asked(source, "max", "weights", queries=[0, 4], positions="words", there=5)
    merged = between_words(dense[:, :5])
    np.testing.assert_allclose(found[0], merged.max(axis=0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("how", WAYS)
def test_some_positions_count_as_they_are_drawn(
    source: RecordSource, dense: np.ndarray, how: str
) -> None:
    crop = Crop("self", (3, 9, 20), (0, 5, 6, 40))
    some = dense[:, crop.queries][:, :, crop.keys]
    one = WAYS[how](some, axis=0)

    def cropped(what: str, **more: Any) -> np.ndarray:
        request = {
            "what": what,
            "stream": "self",
            "layer": 2,
            "head": 1,
            "together": {"how": how, **TOGETHER},
            **more,
        }
        return codec.decode(*cropped_answer(source, crop, request, source.answer))

    close = {"rtol": 1e-5, "atol": 1e-7}
    np.testing.assert_allclose(cropped("weights", queries=[1, 3])[0], one[1:], **close)
    np.testing.assert_allclose(cropped("mean"), one.mean(axis=0)[None], **close)
    np.testing.assert_allclose(cropped("column", keys=[2, 4]), one[:, 2:], **close)
    np.testing.assert_allclose(cropped("tile", level=0, tile=[0, 0]), one, **close)
    # Pieces 5 and 6 are of different words; 0 stands alone.
    words = cropped("weights", queries=[0, 3], positions="words")
    np.testing.assert_allclose(words[0], one, **close)
    parts = cropped("together_shares", between={"queries": [[0, 1]], "keys": [[3, 4]]})[0]
    weight = some[:, 0, 3]
    wanted = weight == weight.max() if how == "max" else weight / weight.sum()
    np.testing.assert_allclose(parts, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("together", "said"),
    [
        ({"heads": [0, 1], "layers": [0]}, "together.layers must contain at least 2 items"),
        ({"heads": [0, 1, 2], "layers": [0, 2]}, "the layer of each head, 3 of them, got 2"),
        ({"heads": [0, 4], "layers": [0, 3]}, r"heads must be integers in 0..1, got \[4\]"),
        ({"heads": [0, 0], "layers": [1, 0]}, "layer must be one of"),
        ({"heads": [1, 1], "layers": [0, 0]}, "must be different heads"),
        ({"heads": [1, 1]}, "must be different heads"),
    ],
)
def test_heads_that_are_not_there_are_refused(
    source: RecordSource, together: dict[str, Any], said: str
) -> None:
    request = {
        "what": "weights",
        "stream": "self",
        "layer": 0,
        "head": 0,
        "queries": [0, 1],
        "together": {"how": "mean", **together},
    }
    (reply,), _ = requests.reply(Jobs(), source, [request])
    assert not reply["ok"]
    assert re.search(said, reply["error"])


def test_a_selection_says_which_heads_are_one(source: RecordSource) -> None:
    stream = source.streams["self"]
    state = {
        "measure": "weights",
        "layer": 2,
        "heads": [4, 1],
        "together": "sum",
        "together_layers": [0, 2, 3],
    }
    assert together_of(state, stream) == {"how": "sum", **TOGETHER}
    # The selected layer alone while it is none of them, or where they are not named.
    alone = {"how": "sum", "heads": [1, 4]}
    assert together_of({**state, "together_layers": [0, 3]}, stream) == alone
    assert together_of({**state, "together_layers": None}, stream) == alone
    for none in (
        {"together": None},
        {"measure": "rollout"},
        {"heads": [4], "together_layers": [2, 3]},
    ):
        assert together_of({**state, **none}, stream) is None


def test_a_page_brings_the_rows_of_one_head_and_the_parts_at_its_pins(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(24, 0.1), size=(3, 6, 24)).astype(np.float32)
    view = aw.view(
        aw.from_weights(weights, [f"t{n}" for n in range(24)]),
        layer=1,
        heads=[0, 2],
        together="mean",
        together_layers=[0, 1],
        query=7,
        key=[1, 2, 5],
    )
    page = view.save(tmp_path / "page.html")
    stored = {
        block["request"]["what"]: block
        for block in snapshot_of(page.read_text("utf-8"))["blocks"]
        if "together" in block["request"]
    }
    assert set(stored) == {"weights", "together_shares"}
    request = stored["together_shares"]["request"]
    assert request["between"] == {"queries": [[7, 8]], "keys": [[1, 3], [5, 6]]}
    assert request["together"]["layers"] == [0, 0, 1, 1]
    # All of it is one head: its rows once.
    assert stored["weights"]["block"]["shape"] == [1, 24, 24]
    state = {name: getattr(view, name) for name in view.snapshot()["state"]}
    bands = [
        one
        for one in together_requests(
            {**state, "together_layers": None}, view.source.streams["self"]
        )
        if one["what"] == "weights"
    ]
    assert bands == []


@pytest.mark.parametrize("layers", [[50], [10**80], ["x"], [True]])
def test_what_is_no_layer_is_refused_by_the_name_that_the_caller_used(layers: list[Any]) -> None:
    attention = aw.from_weights(np.full((3, 2, 4, 4), 0.25, np.float32))
    options: Any = {"heads": [0, 1], "together": "mean", "together_layers": layers}
    for draw in (aw.view, Attention.figure, lambda shown, **given: aw.view(shown).figure(**given)):
        with pytest.raises(ValueError, match="together_layers must be layers of stream"):
            draw(attention, **options)
