"""What the model view is coloured by: traits, rankings, blocks, copies."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from contract.record import record
from contract.test_protocol import validate
from support.copies import array_of, snapshot_of

import attnwidget as aw
from attnwidget.analysis.find_heads import find, stream_weights
from attnwidget.analysis.head_scores import score_stream
from attnwidget.protocol import codec

NAMES = list(aw.SCORES)


@pytest.fixture
def view() -> aw.AttentionWidget:
    return aw.view(record(), choose=False)


def block(view: aw.AttentionWidget, **request: Any) -> np.ndarray:
    # As the page does, which asks again for what took longer than a slice.
    while True:
        reply, buffers = view.blocks({"requests": [{"stream": "decoder", **request}]}, [])
        (answer,) = reply["replies"]
        if "part" not in answer:
            break
    assert answer["ok"], answer
    return codec.decode(answer["block"], buffers[0])


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("score", "inductive", "score must be one of previous, next, self"),
        ("score", 3, "got 3"),
        ("score", "ranking", "call view.rank(query='it', key='cat')"),
        ("other_score", "nothing", "other_score must be one of previous"),
        (
            "threshold",
            1.5,
            "threshold must be a number from 0 to 1, or None for all heads, got 1.5",
        ),
        ("threshold", "half", "got 'half'"),
        ("threshold", float("nan"), "got nan"),
        ("show_layers", [0, 1], "are 0, 2, got [1]"),
        ("show_layers", [], "such as range(0, 4), or None for all of them, got []"),
        ("show_layers", "all", "got 'all'"),
        ("together_layers", [0, 1], "are 0, 2, got [1]"),
        ("together_layers", [], "or None for the selected layer alone, got []"),
        ("ranking", {"keys": [0]}, "ranking must be {'queries': [6], 'keys': [2]}"),
        ("ranking", {"queries": None, "keys": [99]}, "key must be integers in 0..6"),
        ("ranking", {"queries": [], "keys": [1]}, "query names no position"),
        ("ranking", {"pattern": "mine", "number": 0}, "there is no pattern 'mine'"),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(
    view: aw.AttentionWidget, trait: str, value: object, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        setattr(view, trait, value)
    assert getattr(view, trait) is None
    with pytest.raises(ValueError, match=re.escape(words)):
        aw.view(record(), **{trait: value})


def test_numbers_are_those_of_the_record(view: aw.AttentionWidget) -> None:
    found = score_stream(view.attention["decoder"])
    scores = block(view, what="head_scores")
    assert (scores.shape, scores.dtype) == ((2, 8, len(NAMES)), np.float32)
    for way, name in enumerate(("values", "without")):
        whole = np.concatenate([getattr(layer, name) for layer in found.layers])
        np.testing.assert_allclose(scores[way], whole, rtol=1e-6)
    labels = [label for layer in found.labels for label in layer]
    sent = block(view, what="head_labels")
    assert sent[:, 0].tolist() == [-1 if one is None else NAMES.index(one.name) for one in labels]
    values = [0 if one is None else one.value for one in labels]
    np.testing.assert_allclose(sent[:, 1], values, rtol=1e-6)


def test_numbers_are_those_of_the_measure_on_show(view: aw.AttentionWidget) -> None:
    view.measure = "value"
    found = score_stream(view.attention["decoder"], measure="value")
    scores = block(view, what="head_scores", measure="value")
    np.testing.assert_allclose(
        scores[0], np.concatenate([layer.values for layer in found.layers]), rtol=1e-6
    )
    view.rank(query=4, key=3)
    weights = block(view, what="ranking", measure="value", ranking=view.ranking)
    asked = view.source.heads.links(view.attention["decoder"], view.ranking)
    expected = np.concatenate(stream_weights(view.attention["decoder"], asked, "value"))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    stored = [entry["request"] for entry in snapshot_of(view.page())["blocks"]]
    where = {"stream": "decoder", "measure": "value"}
    for request in ({"what": "head_scores"}, {"what": "ranking", "ranking": view.ranking}):
        assert {**request, **where} in stored


def test_a_ranking_is_of_what_remains(
    view: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)
    whole = view.attention.find(query=4, key=[2, 3], top=None, stream="decoder")
    rest = view.attention.find(query=4, key=[2, 3], aside="first", top=None, stream="decoder")
    assert [row["weight"] for row in whole] != [row["weight"] for row in rest]
    view.aside = "first"
    view.rank(query=4, key=[2, 3])
    assert (view.layer, view.heads) == (rest[0]["layer"], [rest[0]["head"]])
    assert view.chosen["weight"] == pytest.approx(rest[0]["weight"])
    by_head = {(row["layer"], row["head"]): row["weight"] for row in rest}
    weights = block(view, what="ranking", ranking=view.ranking, aside="first")
    np.testing.assert_allclose(weights, [by_head[head] for head in sorted(by_head)], rtol=1e-6)
    stored = [entry["request"] for entry in snapshot_of(view.page())["blocks"]]
    asked = {"what": "ranking", "stream": "decoder", "ranking": view.ranking, "aside": "first"}
    assert asked in stored


def test_the_first_of_a_ranking_is_that_of_the_measure_on_show(
    view: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)
    view.measure = "value"
    asked: list[Any] = []
    work = view.source.heads.work
    monkeypatch.setattr(
        view.source.heads, "work", lambda request: (asked.append(request), work(request))[1]
    )
    view.rank(query=4, key=[2, 3])
    found = view.attention.find(query=4, key=[2, 3], measure="value", top=1, stream="decoder")
    assert (view.layer, view.heads) == (found[0]["layer"], [found[0]["head"]])
    assert view.chosen["weight"] == pytest.approx(found[0]["weight"], rel=1e-5)
    # What the page asks for is what was computed.
    about = {"what": "ranking", "stream": "decoder", "ranking": view.ranking}
    assert asked == [{**about, "measure": "value"}]


def test_where_no_head_has_anything_left_none_is_selected() -> None:
    weights = np.zeros((2, 2, 3, 3), np.float32)
    weights[..., 0] = 1
    shown = aw.from_weights(weights, list("abc")).view(aside="first", layer=0, heads=[1])
    shown.rank(query=2, key=1)
    assert (shown.ranking, shown.heads, shown.chosen) == ({"queries": [2], "keys": [1]}, [1], None)
    json.dumps(shown.get_state(["chosen", "ranking"]), allow_nan=False)
    request = {"what": "ranking", "stream": "self", "ranking": shown.ranking, "aside": "first"}
    assert np.isnan(block(shown, **request)).all()


def test_heads_are_scored_once(view: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    first = block(view, what="head_scores")
    monkeypatch.setattr("attnwidget.serve.head_numbers.score_slices", None)
    np.testing.assert_array_equal(first, block(view, what="head_scores"))


def test_rank_is_find_as_a_picture(
    view: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)
    view.rank(query="cat", key=["the", "cat"])
    assert view.ranking == {"queries": [1], "keys": [2, 3]}
    assert (view.score, view.arrange) == ("ranking", "rank")
    weights = block(view, what="ranking", ranking=view.ranking)
    found = find(view.attention, "cat", ["the", "cat"], top=None, stream="decoder")
    places = {
        (layer, head): 4 * row + head for row, layer in enumerate((0, 2)) for head in range(4)
    }
    expected = {places[row["layer"], row["head"]]: row["weight"] for row in found}
    np.testing.assert_allclose(weights, [expected[place] for place in range(8)], rtol=1e-6)


def test_rank_takes_the_pins_or_a_pattern(view: aw.AttentionWidget) -> None:
    view.arrange = "scatter"
    view.query, view.key = 3, 2
    view.rank()
    assert view.ranking == {"queries": [3], "keys": [2]}
    assert view.arrange == "scatter"
    view.query = None
    view.rank()
    assert view.ranking == {"queries": None, "keys": [2]}
    view.rank(pattern=np.eye(5, 7, 2), name="itself")
    assert view.ranking == {"pattern": "itself", "number": 0}
    diagonal = [
        layer.weights(head)[range(5), range(2, 7)].mean()
        for layer in view.attention["decoder"]
        for head in range(4)
    ]
    weights = block(view, what="ranking", ranking=view.ranking)
    np.testing.assert_allclose(weights, diagonal, rtol=1e-5)
    view.rank(pattern=np.eye(5, 7, 1), name="before")
    assert view.ranking == {"pattern": "before", "number": 1}


def test_rank_says_what_is_missing_or_hidden(view: aw.AttentionWidget) -> None:
    with pytest.raises(ValueError, match="or a pinned key: for instance"):
        view.rank()
    weights = np.tril(np.full((1, 1, 3, 3), 0.25))
    causal = aw.view(aw.from_weights(weights, ["a", "b", "c"]), choose=False)
    with pytest.raises(ValueError, match="the mask hides the keys"):
        causal.rank(query="a", key="c")
    assert (causal.ranking, causal.score) == (None, None)


def test_a_ranking_shows_its_first_head_and_says_what_was_selected(
    view: aw.AttentionWidget,
) -> None:
    view.layer, view.heads, view.query = 2, [1, 3], 4
    view.together, view.together_layers = "mean", [0, 2]
    view.rank(query=4, key=[2, 3])
    found = view.attention.find(query=4, key=[2, 3], stream=view.stream, top=1).to_dict("records")[
        0
    ]
    assert (view.layer, view.heads, view.query, view.key) == (
        found["layer"],
        [found["head"]],
        4,
        [2, 3],
    )
    # It is one head by itself.
    assert view.together_layers is None
    chosen = view.chosen
    assert chosen["weight"] == pytest.approx(found["weight"], abs=1e-6)
    assert chosen["before"] == {
        "layer": 2,
        "heads": [1, 3],
        "together_layers": [0, 2],
        "query": 4,
        "key": None,
    }
    assert chosen["why"] == "the first of the heads ranked by these links"
    validate("Chosen", chosen)


def test_of_a_ranking_by_a_pattern_the_pins_stay(view: aw.AttentionWidget) -> None:
    view.query = 3
    queries, keys = (
        len(axis)
        for axis in (
            view.attention["decoder"].query_positions,
            view.attention["decoder"].key_positions,
        )
    )
    view.rank(pattern=np.eye(queries, keys), name="diagonal")
    assert (view.query, view.key) == (3, None)
    assert view.chosen["why"] == "the first of the heads ranked by diagonal"


def test_a_ranking_goes_with_its_links(view: aw.AttentionWidget) -> None:
    view.rank(query=4, key=3)
    view.other_score = "ranking"
    view.stream = "probe"  # three queries
    assert (view.ranking, view.score, view.other_score) == (None, None, None)
    view.rank(query=1, key=1)
    view.ranking = None
    assert view.score is None


def test_a_message_from_the_browser_brings_links_and_score_at_once(
    view: aw.AttentionWidget,
) -> None:
    ranking = {"queries": [4], "keys": [3]}
    view.set_state({"ranking": ranking, "score": "ranking", "arrange": "rank"})
    assert (view.ranking, view.score) == (ranking, "ranking")
    with pytest.raises(ValueError, match="key must be integers"):
        view.set_state({"ranking": {"queries": None, "keys": [7]}, "threshold": 0.5})
    assert (view.ranking, view.threshold) == (ranking, None)


def test_meta_says_which_scores_there_are_and_which_make_no_sense() -> None:
    even = np.full((1, 2, 3, 7), 1 / 7, dtype=np.float32)
    meta = aw.view(aw.from_weights(cross_attention=even)).meta
    assert [score["name"] for score in meta["scores"]] == NAMES
    assert "different sequences" in meta["streams"][0]["absent"]["previous"]


def test_a_copy_brings_scores_and_the_ranking_along(view: aw.AttentionWidget) -> None:
    view.rank(query=4, key=3)
    stored = {
        (entry["request"]["what"], entry["request"]["stream"]): entry
        for entry in snapshot_of(view.page())["blocks"]
        if "layer" not in entry["request"]
    }
    assert set(stored) == {
        ("head_scores", "decoder"),
        ("head_labels", "decoder"),
        ("head_scores", "probe"),
        ("head_labels", "probe"),
        ("ranking", "decoder"),
    }
    weights = array_of(stored["ranking", "decoder"])
    np.testing.assert_array_equal(weights, block(view, what="ranking", ranking=view.ranking))


@pytest.mark.parametrize("arrange", ["layers", "rank", "rank_by_layer", "scatter"])
def test_a_figure_shows_the_scores(view: aw.AttentionWidget, tmp_path: Any, arrange: str) -> None:
    view.view, view.score, view.arrange = "model", "broad", arrange
    svg = view.save(tmp_path / "heads.svg").read_text("utf-8")
    assert ">broad<" in svg
    assert "of all weight" in svg
    view.without_sink, view.threshold = True, 0.5
    values = block(view, what="head_scores")[1, :, NAMES.index("broad")]
    count = int((values >= 0.5).sum())
    svg = view.save(tmp_path / "heads.svg").read_text("utf-8")
    assert f"special tokens set aside · {count} of 8 heads reach 0.50" in svg


def test_the_model_view_shows_the_layers_that_are_chosen_and_keeps_those_a_stream_has() -> None:
    view = aw.view(record(), show_layers=[2, 0, 2])
    assert view.show_layers == [0, 2]
    view.show_layers = 2
    assert view.show_layers == [2]
    view.show_layers = np.array([0, 2])
    assert view.show_layers == [0, 2]
    view.stream = "probe"
    assert view.show_layers == [0]  # a layer that this stream has too
    view.show_layers = range(1)
    view.stream = "decoder"
    view.show_layers = [2]
    view.together_layers = [0, 2]
    view.stream = "probe"
    assert view.show_layers is None
    assert view.together_layers == [0]
    assert view.below_threshold == "faint"
