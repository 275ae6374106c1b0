"""A head of NaN: last where heads are ranked, in the tables, named once, and no other head's number changes."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.compute.not_numbers import largest, strongest_first, warn_not_numbers
from attnwidget.compute.visible_keys import looks_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = "the cat sat on the mat because it was tired"
NAN = float("nan")
BROKEN = (1, 2)


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


def broken_model(*places: tuple[int, int]) -> Any:
    """Return the pocket model with queries of NaN in some heads, which reach the outputs of no layer."""
    model, tokenizer = aw.pocket()
    width = model.config.n_embd // model.config.n_head

    for layer, head in places:
        attention = model.transformer.h[layer].attn
        with torch.no_grad():
            attention.c_attn.weight[:, head * width : (head + 1) * width] = NAN
        attention.register_forward_hook(lambda _m, _a, out: (out[0].nan_to_num(), *out[1:]))
    return model, tokenizer


@pytest.fixture(scope="module")
def record() -> aw.Attention:
    model, tokenizer = broken_model(BROKEN)
    return aw.capture(model, TEXT, tokenizer)


@pytest.fixture(scope="module")
def repaired(record: aw.Attention) -> aw.Attention:
    """The same record with 0 in the place of NaN: what all other heads should be as."""
    arrays = [torch.from_numpy(layer.weights(None)).nan_to_num() for layer in record["decoder"]]
    for layer, head in (BROKEN,):
        arrays[layer][head] = torch.eye(arrays[layer].shape[-1])
    tokens = [position.label for position in record["decoder"].query_positions]
    return aw.from_weights(arrays, tokens=tokens)


def said(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return what a call returns, and what it warns of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call()
    assert all(one.filename == __file__ for one in found)
    return result, [str(one.message) for one in found]


def named_once(messages: list[str]) -> bool:
    return len(messages) == 1 and "1 head has weights that are not numbers (NaN)" in messages[0] and f"'decoder': {BROKEN[0]}·{BROKEN[1]};" in messages[0]  # fmt: skip


@pytest.mark.parametrize("measure", ["weights", "value"])
def test_find_has_it_last_and_all_others_in_their_order(record: aw.Attention, measure: str) -> None:
    rows, messages = said(lambda: record.find(query="it", key="cat", top=None, measure=measure))
    assert named_once(messages)
    weights = [row["weight"] for row in rows]
    assert len(rows) == 16
    assert math.isnan(weights[-1])
    assert (rows[-1]["layer"], rows[-1]["head"]) == BROKEN
    assert weights[:-1] == sorted(weights[:-1], reverse=True)
    assert [row["rank"] for row in rows] == list(range(1, 17))
    best, messages = said(lambda: record.find(query="it", key="cat", top=3, measure=measure))
    assert (best, named_once(messages)) == (rows[:3], True)


def test_find_of_a_pattern_has_it_last(record: aw.Attention) -> None:
    pattern = np.eye(len(record["decoder"].query_positions))
    rows, _ = said(lambda: record.find(pattern=pattern, top=None))
    assert [math.isnan(row["weight"]) for row in rows] == [False] * 15 + [True]


def test_scores_have_it_with_nan_and_no_other_number_changes(
    record: aw.Attention, repaired: aw.Attention
) -> None:
    rows, messages = said(record.head_scores)
    assert named_once(messages)
    expected, messages = said(lambda: repaired.head_scores(sink=0))
    assert not messages
    own = [row for row in rows if (row["layer"], row["head"]) == BROKEN]
    names = {row["score"] for row in rows if (row["layer"], row["head"]) == (0, 0)}
    assert {row["score"] for row in own} == names
    assert all(math.isnan(row["value"]) for row in own)
    assert all(row["without_sink"] is None or math.isnan(row["without_sink"]) for row in own)
    numbers = {(row["layer"], row["head"], row["score"]): row["value"] for row in expected}
    for row in rows:
        if row not in own and (at := (row["layer"], row["head"], row["score"])) in numbers:
            assert row["value"] == pytest.approx(numbers[at], abs=1e-6), at


def test_labels_leave_it_out_and_say_so(record: aw.Attention) -> None:
    rows, messages = said(record.head_labels)
    assert named_once(messages)
    assert "no label" in messages[0]
    assert BROKEN not in {(row["layer"], row["head"]) for row in rows}
    assert rows


def test_a_comparison_has_it_last_and_opens_at_the_head_that_changed_most(
    record: aw.Attention,
) -> None:
    model, tokenizer = aw.pocket()
    other = aw.capture(model, TEXT, tokenizer)
    for compared in (aw.compare(record, other), aw.compare(other, record)):
        rows, messages = said(lambda each=compared: each.changed(top=None))
        assert named_once(messages)
        changes = [row["divergence"] for row in rows]
        assert math.isnan(changes[-1])
        assert changes[:-1] == sorted(changes[:-1], reverse=True)
        widget = aw.view(compared)
        assert (widget.layer, widget.heads) == (rows[0]["layer"], [rows[0]["head"]])
        widget.close()


def test_tables_of_links_have_its_rows(record: aw.Attention) -> None:
    pytest.importorskip("pandas")
    for top in (2, None):
        found, messages = said(lambda top=top: record.to_dataframe(top=top))
        assert named_once(messages)
        own = found[(found["layer"] == BROKEN[0]) & (found["head"] == BROKEN[1])]
        assert own["weight"].isna().all()
        assert set(own["query"]) == set(range(len(record["decoder"].query_positions)))
        rest = found.drop(own.index)
        assert rest["weight"].notna().all()


def test_a_plot_says_what_it_cannot_draw(record: aw.Attention) -> None:
    pytest.importorskip("matplotlib").use("agg")
    for kind in ("head", "matrix"):
        _, messages = said(lambda kind=kind: record.plot(kind, layer=BROKEN[0], heads=BROKEN[1]))
        assert named_once(messages)
        _, messages = said(lambda kind=kind: record.plot(kind, layer=0, heads=BROKEN[1]))
        assert not messages


def test_numbers_of_a_figure_have_it(record: aw.Attention) -> None:
    options: Any
    for options in ({}, {"selection": {"form": "matrix"}}, {"top_k": 2}, {"threshold": 0.1}):
        figure = record.figure("head", layer=BROKEN[0], heads=[0, BROKEN[1]], **options)
        rows = figure.data
        rows = rows.to_dict("records") if hasattr(rows, "to_dict") else rows
        own = [row for row in rows if row["head"] == BROKEN[1]]
        assert own, options
        assert all(math.isnan(row["weight"]) for row in own)
        assert not any(math.isnan(row["weight"]) for row in rows if row["head"] == 0)


def test_a_survey_has_it_with_nan_and_says_so_once() -> None:
    model, tokenizer = broken_model(BROKEN)
    texts = [TEXT, "the dog ran to the box .", "the keys near the box are small ."]
    found, messages = said(lambda: aw.survey(model, texts, tokenizer, progress=False))
    assert named_once(messages)
    rows = found.head_scores("previous")
    assert len(rows) == 16
    (own,) = (row for row in rows if (row["layer"], row["head"]) == BROKEN)
    assert math.isnan(own["mean"])
    assert (own["inputs"], found.count) == (0, 3)
    assert not any(math.isnan(row["mean"]) for row in rows if row is not own)


def test_a_resumed_survey_still_names_it(tmp_path: Any) -> None:
    broken, tokenizer = broken_model(BROKEN)
    texts = [TEXT, "the dog ran to the box .", "the keys near the box are small ."]

    def stopping() -> Iterator[str]:
        yield texts[0]
        raise KeyboardInterrupt

    path = tmp_path / "s.safetensors"
    aw.survey(broken, stopping(), tokenizer, progress=False, save=path)
    found, messages = said(lambda: aw.survey(broken, texts, tokenizer, progress=False, save=path))
    assert (found.count, named_once(messages)) == (3, True)


def test_a_score_that_is_nan_in_all_heads_is_not_said_to_be_undefined() -> None:
    model, tokenizer = broken_model(*((layer, head) for layer in range(4) for head in range(4)))
    record = aw.capture(model, TEXT, tokenizer)
    rows, messages = said(lambda: record.head_scores("previous"))
    assert len(rows) == 16
    assert "16 heads have weights" in messages[0]
    assert "and 4 more" in messages[0]


def test_recorded_heads_of_nan_say_nothing_about_what_the_others_see() -> None:
    weights = torch.full((3, 4, 4), 0.25).tril()
    layer = aw.from_weights(weights[None])["self"][0]
    assert not looks_ahead(layer, 0)
    layer.recorded[1] = NAN
    assert not looks_ahead(layer, 0)
    layer.recorded[2, 0, 3] = 0.1
    assert looks_ahead(layer, 0)


def test_an_order_has_nan_last_wherever_it_stood() -> None:
    for place in range(4):
        values = [0.5, 2.0, -math.inf]
        values.insert(place, NAN)
        ordered = sorted(values, key=strongest_first)
        assert ordered[:3] == [2.0, 0.5, -math.inf]
        assert math.isnan(ordered[3])
        assert values[largest(np.array(values))] == 2
    assert largest(np.array([NAN, NAN])) == 0


def test_many_heads_are_counted_and_some_are_named() -> None:
    heads = [("a", 0, head) for head in range(10)] + [("b", 1, head) for head in range(10)]
    with pytest.warns(UserWarning, match="20 heads") as found:
        warn_not_numbers([*heads, *heads], "such heads come last", stacklevel=1)
    assert str(found[0].message).startswith(
        "20 heads have weights that are not numbers (NaN), layer·head of stream 'a': 0·0, 0·1, 0·2, 0·3, 0·4, 0·5, 0·6, 0·7, "
        "0·8, 0·9; 'b': 1·0, 1·1 and 8 more; such heads come last."
    )
    assert found[0].filename == __file__
