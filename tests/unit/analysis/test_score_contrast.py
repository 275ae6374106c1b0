"""Contrasts of queries and keys on and off a pattern, against sums over pairs written out one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.records import dense_weights, random_layer, seen

from attnwidget.analysis.score_contrast import (
    ScoreContrast,
    check_pattern,
    marked_pairs,
    mean_weight,
)
from attnwidget.analysis.score_definitions import PAIRS, SHARES
from attnwidget.compute.masks import Band
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream

TOKENS = ["the", "cat", "sat", ".", "the", "cat", "ran", "."]
POSITIONS = positions_from_tokens(TOKENS)
SIZE = len(TOKENS)
BAND = Band(causal=True, window=5)


def stream_of(**fields: Any) -> Stream:
    layer = random_layer(queries=SIZE, keys=SIZE, band=BAND, key_value_heads=3, **fields)
    return Stream("self", (layer,), POSITIONS, POSITIONS)


def on_pattern(name: str, query: int, key: int) -> bool:
    """Straight from the definitions of `SCORES`."""
    same = TOKENS[query] == TOKENS[key] and query != key
    after = key > 0 and TOKENS[key - 1] == TOKENS[query] and key - 1 != query and key != query
    return {
        "previous": key == query - 1,
        "self": key == query,
        "duplicate": same,
        "induction": after,
        "first": key == 0,
        "punctuation": TOKENS[key] == ".",
    }[name]


def dense(stream: Stream, head: int, on: Any) -> tuple[np.ndarray[Any, Any], int, float]:
    layer = stream[0]
    queries, keys = (
        each.astype(np.float64) for each in (layer.query_vectors(head), layer.key_vectors(head))
    )
    weights = dense_weights(layer)[head].numpy()
    total, rows, weight = np.zeros((queries.shape[1],) * 2), 0, 0.0
    for query in range(SIZE):
        visible = [key for key in range(SIZE) if seen(BAND, query, key)]
        marked = [key for key in visible if on(query, key)]
        others = [key for key in visible if not on(query, key)]
        if marked and others:
            gap = keys[marked].mean(0) - keys[others].mean(0)
            total += np.outer(queries[query], gap)
            rows += 1
            weight += weights[query, marked].sum()
    return total, rows, weight


@pytest.mark.parametrize("name", ["previous", "self", "duplicate", "induction", "first", "punctuation"])  # fmt: skip
def test_it_is_the_sum_over_the_queries_that_see_both(name: str) -> None:
    stream = stream_of()
    marked = marked_pairs(stream, name)
    found = ScoreContrast.of(stream, stream[0], 4, marked)
    total, rows, weight = dense(stream, 4, lambda q, k: on_pattern(name, q, k))
    assert found.rows == rows > 0
    np.testing.assert_allclose(found.total, total, atol=1e-5)
    np.testing.assert_allclose(found.mean, total / rows * 0.7, atol=1e-6)
    assert mean_weight(stream, stream[0], 4, marked, stream[0]) == (pytest.approx(weight, abs=1e-5), rows)  # fmt: skip


def test_the_trace_is_the_gap_of_the_scores() -> None:
    stream = stream_of()
    layer = stream[0]
    found = ScoreContrast.of(stream, layer, 1, marked_pairs(stream, "previous"))
    scores = layer.scores(1).astype(np.float64)
    gaps = []
    for query in range(1, SIZE):
        others = [key for key in range(SIZE) if seen(BAND, query, key) and key != query - 1]
        gaps.append(scores[query, query - 1] - scores[query, others].mean())
    assert np.trace(found.mean) == pytest.approx(np.mean(gaps), abs=1e-5)


def test_what_is_added_to_all_keys_changes_nothing() -> None:
    stream = stream_of()
    layer = stream[0]
    assert layer.key is not None
    moved = replace(layer, key=layer.key + torch.linspace(-2, 3, layer.key.shape[2]))
    marked = marked_pairs(stream, "duplicate")
    first, second = (ScoreContrast.of(stream, one, 2, marked) for one in (layer, moved))
    np.testing.assert_allclose(first.total, second.total, atol=1e-5)


def test_inputs_add_up() -> None:
    one, other = stream_of(), stream_of(seed=5)
    found = [
        ScoreContrast.of(each, each[0], 0, marked_pairs(each, "previous")) for each in (one, other)
    ]
    both = found[0] + found[1]
    assert both.rows == 14
    np.testing.assert_allclose(both.mean, (found[0].total + found[1].total) / 14 * 0.7)
    with pytest.raises(ValueError, match="take inputs of one model"):
        found[0] + ScoreContrast(np.zeros((2, 2)), 1, 0.7)


def test_masks_functions_and_links_say_the_same() -> None:
    stream = stream_of()
    mask = np.zeros((SIZE, SIZE))
    mask[5, 1] = mask[6, [2, 3]] = 1
    for asked in (
        {"pattern": mask},
        {"pattern": lambda _queries, _keys: mask},
        {"pattern": None, "links": [(5, 1), (6, 2), ("ran", 3)]},
    ):
        found = ScoreContrast.of(stream, stream[0], 3, marked_pairs(stream, **asked))
        total, rows, _ = dense(stream, 3, lambda q, k: bool(mask[q, k]))
        assert found.rows == rows == 2
        np.testing.assert_allclose(found.total, total, atol=1e-5)


def test_every_name_is_a_pattern() -> None:
    stream = stream_of()
    for name in (*PAIRS, *SHARES):
        check_pattern(name, None)
    with pytest.raises(ValueError, match="no pattern 'special': no position is a special token"):
        marked_pairs(stream, "special")


@pytest.mark.parametrize(
    ("pattern", "links", "said"),
    [
        ("before", None, "pattern must be one of previous, next, "),
        ("broad", None, "pattern must be one of previous, next, "),
        (None, None, r"takes a pattern or links: .* links=\[\('it', 'cat'\)\]"),
        ("previous", [(1, 0)], "takes a pattern or links"),
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(pattern: Any, links: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_pattern(pattern, links)


@pytest.mark.parametrize(
    ("links", "said"),
    [([], "links must be pairs"), ([3], "links must be pairs"), ([(1, 2, 3)], "links must be pairs"),
     ([("dog", 0)], "dog"), ([(1, 99)], "99")],
)  # fmt: skip
def test_what_are_no_links_is_refused(links: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        marked_pairs(stream_of(), None, links)
