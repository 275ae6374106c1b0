"""Two records side by side: what is aligned, the signed difference, and which heads changed most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.divergence import dense_divergence
from support.records import HEADS, random_layer

from attnwidget.attention import Attention
from attnwidget.comparison.alignment import align
from attnwidget.comparison.comparison import compare
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.masks import Band
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream
from attnwidget.recordings import from_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = ["the", "nurse", "said", "that", "she", "was", "tired"]
SECOND = ["the", "old", "doctor", "said", "that", "she", "was", "tired", "now", "."]


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(params=[{}, {"row_bytes": 64}], ids=["one block", "many blocks"])
def block_bytes(request: pytest.FixtureRequest) -> Iterator[None]:
    with block_sizes(least_rows=1, **request.param):
        yield


def record(tokens: list[str], *, layers: int = 2, seed: int = 0, **fields: Any) -> Attention:
    positions = positions_from_tokens(tokens)
    size = len(positions)
    made = [
        random_layer(queries=size, keys=size, layer=number, seed=seed + number, **fields)
        for number in range(layers)
    ]
    return Attention("model", {"self": Stream("self", tuple(made), positions, positions)})


def sides(a: str, b: str, **options: Any) -> list[tuple[int | None, int | None]]:
    pairs = align(positions_from_tokens(a.split()), positions_from_tokens(b.split()), **options)
    return [(pair.a, pair.b) for pair in pairs]


def test_equal_tokens_stand_side_by_side() -> None:
    assert sides("a b c", "a b c") == [(0, 0), (1, 1), (2, 2)]
    assert sides("a b c", "a c") == [(0, 0), (1, None), (2, 1)]
    assert sides("a c", "x a c y") == [(None, 0), (0, 1), (1, 2), (None, 3)]
    assert sides("the nurse said", "the doctor said") == [(0, 0), (1, 1), (2, 2)]
    assert sides("the nurse said", "the old doctor said") == [
        *((0, 0), (1, None), (None, 1), (None, 2), (2, 3)),
    ]
    assert sides("the nurse said", "the doctor said", replaced=False) == [
        *((0, 0), (1, None), (None, 1), (2, 2)),
    ]


def test_a_pair_says_what_it_is() -> None:
    the, nurse = align(
        positions_from_tokens(["the", "nurse"]), positions_from_tokens(["the", "doctor"])
    )
    assert (the.label, the.same, the.aligned) == ("the", True, True)
    assert (nurse.label, nurse.same, nurse.aligned) == ("nurse → doctor", False, True)


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"band": Band(causal=True), "key_value_heads": 2},
        {"sinks": torch.linspace(-1, 3, HEADS)},
    ],
    ids=["full", "grouped causal", "sinks"],
)
@pytest.mark.parametrize("replaced", [True, False])
def test_divergence_is_what_it_is_defined_to_be(fields: dict[str, Any], replaced: bool) -> None:  # noqa: FBT001
    a, b = record(FIRST, **fields), record(SECOND, seed=5, **fields)
    found = compare(a, b, replaced=replaced)
    axis = align(a["self"].key_positions, b["self"].key_positions, replaced=replaced)
    for layer, values in zip(
        found.streams["self"].layers, found.streams["self"].divergence, strict=True
    ):
        expected = [dense_divergence((a, b), axis, (layer, head)) for head in range(HEADS)]
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_difference_is_signed_and_empty_where_one_lacks_a_token() -> None:
    a, b = record(FIRST), record(SECOND, seed=5)
    found = compare(a, b)
    pairs = found.streams["self"].keys
    difference = found.difference(1, 2)
    assert difference.dtype == np.float32
    first, second = a["self"][1].weights(2), b["self"][1].weights(2)
    for row, query in enumerate(pairs):
        for column, key in enumerate(pairs):
            value = difference[row, column]
            if query.aligned and key.aligned:
                expected = second[query.b, key.b] - first[query.a, key.a]
                assert value == pytest.approx(expected, abs=1e-6)
            else:
                assert np.isnan(value)
    assert found.difference(1).shape == (HEADS, len(pairs), len(pairs))
    np.testing.assert_array_equal(found.difference(1, [2]), difference[None])


def test_a_record_does_not_differ_from_itself() -> None:
    a = record(FIRST)
    found = compare(a, a)
    assert all(row["divergence"] == 0 for row in found.changed(None))
    assert not found.difference(0).any()
    assert (
        repr(found) == "Comparison(model, self: 12 heads, 7 of 7 queries and 7 of 7 keys in both)"
    )


def test_the_head_that_changed_comes_first_and_nothing_in_common_is_1() -> None:
    weights = torch.full((2, 3, 4, 4), 0.25)
    other = weights.clone()
    weights[1, 2] = torch.eye(4)
    other[1, 2] = torch.eye(4).flip(0)
    other[0, 1, 0] = torch.tensor([0.4, 0.2, 0.2, 0.2])
    found = compare(from_weights(weights, list("abcd")), from_weights(other, list("abcd")))
    rows = found.changed(3)
    assert [(row["rank"], row["layer"], row["head"]) for row in rows[:2]] == [(1, 1, 2), (2, 0, 1)]
    assert rows[0]["divergence"] == 1.0
    assert rows[2]["divergence"] == 0.0


def test_two_models_of_different_depth_share_what_they_share() -> None:
    a, b = record(FIRST, layers=2), record(FIRST, layers=3)
    found = compare(a, b)
    assert found.streams["self"].layers == (0, 1)
    assert dict(found.streams["self"].left_out) == {2: "only the second record has it"}
    with pytest.raises(
        ValueError, match=r"layer must be one of \[0, 1\] .* got 2: only the second"
    ):
        found.difference(2)
    weights = from_weights(torch.full((1, 2, 7, 7), 1 / 7), FIRST)
    with pytest.raises(ValueError, match="no layer in common with as many heads"):
        compare(record(FIRST, layers=1), weights)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda a: compare(a, "text"), TypeError, r"compare takes two records, got str: call"),
        (lambda a: compare(a, record(["x"])), ValueError, "no query of stream 'self' in common"),
        (lambda a: compare(a, a).changed(0), ValueError, "top must be a positive integer"),
        (lambda a: compare(a, a).difference(0, 9), ValueError, r"heads must be integers in 0\.\.5"),
        (lambda a: compare(a, a).difference(0, stream="x"), KeyError, "no stream 'x' in both"),
    ],
)
def test_what_cannot_be_compared_says_so(act: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        act(record(FIRST))


def test_several_streams_are_ranked_together() -> None:
    tokens = list("abcd")
    weights = torch.full((1, 2, 4, 4), 0.25)
    other = weights.clone()
    other[0, 1] = torch.eye(4)
    options = {"encoder_tokens": tokens, "decoder_tokens": tokens}
    a = from_weights(encoder_attention=weights, decoder_attention=weights, **options)
    b = from_weights(encoder_attention=weights, decoder_attention=other, **options)
    found = compare(a, b)
    best = found.changed(1)[0]
    assert (best["stream"], best["layer"], best["head"]) == ("decoder", 0, 1)
    with pytest.raises(ValueError, match="several streams"):
        found.difference(0)
    assert found.difference(0, 1, stream="decoder").shape == (4, 4)
