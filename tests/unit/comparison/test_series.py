"""More than two records in a row: common axes, each head's steps against their definition, tables, refusals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from support.divergence import dense_divergence
from support.records import HEADS, random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.comparison.alignment import align
from attnwidget.comparison.common_axis import align_all
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


FIRST = ["the", "nurse", "said", "that", "she", "was", "tired"]
SECOND = ["the", "old", "doctor", "said", "that", "she", "was", "tired", "."]
THIRD = ["the", "driver", "said", "she", "was", "tired", "now", "."]
BY = ("change", "largest_step", "first_to_last")


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(params=[{}, {"row_bytes": 64}], ids=["one block", "many blocks"])
def block_bytes(request: pytest.FixtureRequest) -> Iterator[None]:
    with block_sizes(least_rows=1, **request.param):
        yield


def record(tokens: list[str], *, layers: int = 2, seed: int = 0, **fields: Any) -> Attention:
    positions = positions_from_tokens(tokens)
    made = [
        random_layer(
            queries=len(positions), keys=len(positions), layer=layer, seed=seed + layer, **fields
        )
        for layer in range(layers)
    ]
    return Attention("model", {"self": Stream("self", tuple(made), positions, positions)})


@pytest.fixture
def records() -> list[Attention]:
    return [record(FIRST), record(SECOND, seed=5), record(THIRD, seed=9)]


def placed(*texts: str, **options: Any) -> list[tuple[str, tuple[int | None, ...]]]:
    inputs = [positions_from_tokens(text.split()) for text in texts]
    return [(place.label, place.at) for place in align_all(inputs, **options)]


def test_every_record_is_aligned_with_the_first() -> None:
    assert placed("the nurse said", "the old nurse said", "the doctor said") == [
        ("the", (0, 0, 0)),
        ("old", (None, 1, None)),
        ("nurse → doctor", (1, 2, 1)),
        ("said", (2, 3, 2)),
    ]
    assert placed("the nurse said", "the doctor said", "the nurse said", replaced=False) == [
        ("the", (0, 0, 0)),
        ("nurse", (1, None, 1)),
        ("doctor", (None, 1, None)),
        ("said", (2, 2, 2)),
    ]


def test_what_the_first_lacks_is_one_place_where_others_have_the_same() -> None:
    assert placed("a c", "x a y z c", "a z c w", "a y c w") == [
        ("x", (None, 0, None, None)),
        ("a", (0, 1, 0, 0)),
        ("y", (None, 2, None, 1)),
        ("z", (None, 3, 1, None)),
        ("c", (1, 4, 2, 2)),
        ("w", (None, None, 3, 3)),
    ]


def test_of_many_different_tokens_the_label_names_the_first_and_the_last() -> None:
    (three,) = placed("a", "b", "c")
    (four,) = placed("a", "b", "c", "d")
    assert (three[0], four[0]) == ("a → b → c", "a → … → d")
    same, other = align_all([positions_from_tokens(["x", each]) for each in "aab"])
    assert (same.same, same.aligned, other.same, other.aligned) == (True, True, False, True)


@pytest.mark.parametrize("replaced", [True, False])
def test_two_records_are_aligned_as_ever(replaced: bool) -> None:  # noqa: FBT001
    random = np.random.default_rng(0)
    for _ in range(200):
        a, b = (
            positions_from_tokens(list(random.choice(list("abcd"), size=random.integers(1, 8))))
            for _ in range(2)
        )
        pairs = [(pair.at, pair.label, pair.same) for pair in align(a, b, replaced=replaced)]
        places = align_all([a, b], replaced=replaced)
        assert [(place.at, place.label, place.same) for place in places] == pairs


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("replaced", [True, False])
def test_steps_are_what_they_are_defined_to_be(
    records: list[Attention],
    replaced: bool,  # noqa: FBT001
) -> None:
    found = aw.compare(*records, replaced=replaced)
    assert isinstance(found, aw.ComparisonSeries)
    one = found.streams["self"]
    assert one.queries == align_all(
        [each["self"].query_positions for each in records], replaced=replaced
    )
    rows = {(row["layer"], row["head"]): row for row in found.changed(None)}
    assert len(rows) == 2 * HEADS
    for layer, steps in zip(one.layers, one.steps, strict=True):
        assert steps.shape == (HEADS, 2)
        for head in range(HEADS):
            expected = [
                dense_divergence((records[a], records[b]), one.queries, (layer, head), (a, b))
                for a, b in ((0, 1), (1, 2), (0, 2))
            ]
            np.testing.assert_allclose(steps[head], expected[:2], atol=1e-6)
            row = rows[layer, head]
            assert row["change"] == pytest.approx(sum(expected[:2]) / 2, abs=1e-6)
            assert row["first_to_last"] == pytest.approx(expected[2], abs=1e-6)
            assert row["largest_step"] == pytest.approx(max(expected[:2]), abs=1e-6)
            at = int(expected[1] > expected[0])
            assert (row["from"], row["to"]) == (found.names[at], found.names[at + 1])


def test_heads_are_ranked_by_what_is_asked() -> None:
    eye, flat = torch.eye(4), torch.full((4, 4), 0.25)
    # The first head goes away and comes back, the second moves once and stays, the third moves a little at a time.
    heads = [
        [eye, eye.flip(0), eye],
        [flat, flat, 0.1 * flat + 0.9 * eye],
        [flat, 0.9 * flat + 0.1 * eye, 0.8 * flat + 0.2 * eye],
    ]
    weights = [torch.stack([head[at] for head in heads])[None] for at in range(3)]
    made = [aw.from_weights(each, list("abcd")) for each in weights]
    found = aw.compare(*made, names=["x", "y", "z"])
    order = {by: [row["head"] for row in found.changed(by=cast("Any", by))] for by in BY}
    assert order == {
        "change": [0, 1, 2],
        "largest_step": [0, 1, 2],
        "first_to_last": [1, 2, 0],
    }
    first, second, third = found.changed()
    assert (first["change"], first["first_to_last"], first["rank"]) == (1.0, 0.0, 1)
    assert (second["from"], second["to"]) == ("y", "z")
    assert second["change"] == pytest.approx(second["first_to_last"] / 2, abs=1e-6)
    assert 0 < third["largest_step"] < third["first_to_last"]


def test_only_some_heads_are_ranked(records: list[Attention]) -> None:
    found = aw.compare(*records)
    rows = found.changed(None, layer=-1, heads=[1, 4])
    assert {(row["layer"], row["head"]) for row in rows} == {(1, 1), (1, 4)}
    assert len(found.changed(3)) == 3


def test_the_difference_is_between_any_two(records: list[Attention]) -> None:
    found = aw.compare(*records)
    axis = found.streams["self"].keys
    for between, (first, second) in (((0, -1), (0, 2)), ((2, 1), (2, 1))):
        difference = found.difference(1, 2, between=between)
        a, b = (records[number]["self"][1].weights(2) for number in (first, second))
        for row, query in enumerate(axis):
            for column, key in enumerate(axis):
                at = [(place.at[first], place.at[second]) for place in (query, key)]
                if any(None in own for own in at):
                    assert np.isnan(difference[row, column])
                else:
                    expected = b[at[0][1], at[1][1]] - a[at[0][0], at[1][0]]
                    assert difference[row, column] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(found.difference(1, 2), found.difference(1, 2, between=(0, 2)))
    assert found.difference(0).shape == (HEADS, len(axis), len(axis))


def test_layers_that_not_all_have_are_left_out(records: list[Attention]) -> None:
    found = aw.compare(*records[:2], record(THIRD, layers=3), record(THIRD, layers=1))
    assert found.streams["self"].layers == (0,)
    left_out = {1: "record 4 lacks it", 2: "records 1, 2, 4 lack it"}
    assert dict(found.streams["self"].left_out) == left_out
    with pytest.raises(ValueError, match=r"layer must be one of \[0\] .* got 2: records 1, 2, 4"):
        found.difference(2)
    fewer = aw.from_weights(torch.full((1, 2, 7, 7), 1 / 7), FIRST)
    with pytest.raises(ValueError, match="no layer in common with as many heads"):
        aw.compare(record(FIRST, layers=1), record(FIRST, layers=1), fewer)


def test_records_are_called_by_what_tells_them_apart(records: list[Attention]) -> None:
    assert aw.compare(*records).names == ("record 1", "record 2", "record 3")
    assert aw.compare(*records, names=["x", "y", "z"]).names == ("x", "y", "z")
    for names in (["x", "y"], "xyz", [1, 2, 3]):
        with pytest.raises(ValueError, match="names must be 3 texts, one for each record"):
            aw.compare(*records, names=cast("Any", names))
    text = repr(aw.compare(*records))
    assert text.startswith("ComparisonSeries(model, 3 records, self: 12 heads, 5 of 11 queries")


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda a: aw.compare(a, a, "text"), TypeError, "compare takes records, got str: call"),
        (lambda a: aw.compare(*[a] * 27), ValueError, r"up to 26 records, got 27: .*\[::2\]"),
        (lambda a: aw.compare(a, record(["x"]), a), ValueError, r"records 1 \('record 1'\) and 2"),
        (lambda a: aw.compare(a, a, a).changed(0), ValueError, "top must be a positive integer"),
        (lambda a: aw.compare(a, a, a).changed(by="x"), ValueError, "by must be one of 'change', "),
        (lambda a: aw.compare(a, a, a).changed(layer=7), ValueError, "layer must be one of"),
        (lambda a: aw.compare(a, a, a).difference(0, 9), ValueError, r"heads must be integers in"),
        (lambda a: aw.compare(a, a, a).difference(5), ValueError, "no such layer in any of them"),
        (lambda a: aw.compare(a, a, a).difference(0, stream="x"), KeyError, "in all records"),
        (
            lambda a: aw.compare(a, a, a).difference(0, between=(0, 3)),
            ValueError,
            r"between must be two numbers of records in -3\.\.2, such as \(0, -1\), got \(0, 3\)",
        ),
        (
            lambda a: aw.compare(a, a, a).save("x.safetensors"),
            ValueError,
            r"comparison\.records\[0\]\.save",
        ),
    ],
)
def test_what_cannot_be_compared_says_so(act: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        act(record(FIRST))


def test_neighbours_without_a_common_query_are_named() -> None:
    texts = (["a", "b"], ["a", "x", "y"], ["p", "q", "r", "b"])
    with pytest.raises(ValueError, match=r"records 2 \('y'\) and 3 \('z'\) have no query"):
        aw.compare(*(record(text) for text in texts), names=["x", "y", "z"])


def test_heads_without_numbers_come_last(records: list[Attention]) -> None:
    cast("Any", records[2]["self"][1]).query[3] = math.nan
    found = aw.compare(*records)
    with pytest.warns(UserWarning, match="such heads come last"):
        rows = found.changed(None)
    assert (rows[-1]["layer"], rows[-1]["head"]) == (1, 3)
    assert [math.isnan(row["change"]) for row in rows] == [*[False] * 11, True]
