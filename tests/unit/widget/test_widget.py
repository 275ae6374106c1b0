"""The widget without a browser: traits, their checks, commands."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
import pytest
import torch
import traitlets
from contract.record import record
from support.copies import snapshot_of

import attnwidget as aw
from attnwidget.protocol import codec
from attnwidget.record.layer import Layer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def view() -> aw.AttentionWidget:
    return aw.view(record(), choose=False)


def test_starts_on_the_first_layer_of_the_first_stream(view: aw.AttentionWidget) -> None:
    assert (view.stream, view.layer, view.heads, view.query, view.key) == (
        "decoder",
        0,
        [0],
        None,
        None,
    )
    assert view.chosen is None


def test_what_was_chosen_is_read_only_and_travels() -> None:
    view = aw.view(record())
    chosen = view.chosen
    assert view.get_state()["chosen"] == chosen
    assert (view.stream, view.layer, view.heads) == (
        chosen["stream"],
        chosen["layer"],
        [chosen["head"]],
    )
    with pytest.raises(traitlets.TraitError):
        view.chosen = None
    view.set_state({"chosen": None})
    assert view.chosen == chosen


def test_repr_is_short_and_stable(view: aw.AttentionWidget) -> None:
    text = repr(view)
    assert text == repr(aw.view(record()))
    assert text.startswith("AttentionWidget(FixtureModel, decoder: 2 layers × 4 heads")
    assert len(text) < 200


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("layer", 1, "layer must be one of 0, 2 in stream 'decoder', got 1"),
        ("layer", -3, "got -3"),
        ("layer", 1.5, "got 1.5"),
        ("layer", True, "got True"),
        ("heads", [12], "heads must be integers in 0..3, got [12]"),
        ("heads", [], "pass at least one, such as heads=[0]"),
        ("heads", "all", "got 'all': pass a list"),
        ("heads", None, "got None: pass a list"),
        ("query", 5, "query must be an integer in 0..4, a list of them, or None for no pin, got 5"),
        ("key", -8, "key must be an integer in 0..6"),
        ("stream", "encoder", "stream must be one of 'decoder', 'probe', got 'encoder'"),
        ("compare", [(0, 9)], "heads must be integers in 0..3, got [9]"),
        ("compare", [(1, 0)], "layer must be one of 0, 2"),
        ("compare", [0, 1], "such as compare=[(0, 1), (2, 3)]"),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(
    view: aw.AttentionWidget, trait: str, value: object, words: str
) -> None:
    before = getattr(view, trait)
    with pytest.raises(ValueError, match=re.escape(words)):
        setattr(view, trait, value)
    assert getattr(view, trait) == before
    with pytest.raises(ValueError, match=re.escape(words)):
        aw.view(record(), **{trait: value})


def test_pins_under_the_name_of_synced_traits_are_refused(view: aw.AttentionWidget) -> None:
    with pytest.raises(ValueError, match=re.escape("pin key positions with key=[1, 2]")):
        view.keys = [1, 2]
    assert "key" in view.keys


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("queries", [1, 2], "set view.query = [1, 2]"),
        ("head", 1, "set view.heads = 1"),
        ("layers", 2, "set view.layer = 2"),
        ("shown_layers", [0], "set view.show_layers = [0]"),
    ],
)
def test_what_is_nearly_a_trait_is_refused(
    view: aw.AttentionWidget, name: str, value: object, fix: str
) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"no {name!r}: {fix}")):
        setattr(view, name, value)
    assert not hasattr(view, name)
    view.caption = "one's own"
    view._queries = value


@pytest.mark.parametrize(
    "value", [2, np.int64(2), [2], (2,), range(2, 3), np.array([2]), torch.tensor([2]), {2}]
)
def test_heads_take_what_people_write(view: aw.AttentionWidget, value: object) -> None:
    view.heads = value
    assert view.heads == [2]
    assert all(type(head) is int for head in view.heads)


def test_setting_a_trait_fires_observers_once(view: aw.AttentionWidget) -> None:
    seen = []
    view.observe(lambda change: seen.append((change.name, change.new)), ["layer", "heads"])
    view.layer = 2
    view.heads = [3, 1, 3]
    assert seen == [("layer", 2), ("heads", [3, 1])]


def test_another_stream_keeps_what_fits(view: aw.AttentionWidget) -> None:
    view.layer, view.heads, view.query, view.key, view.compare = 2, [1, 3], 4, 6, [(0, 1), (2, 3)]
    view.stream = "probe"
    assert (view.layer, view.heads, view.query, view.key, view.compare) == (
        0,
        [1],
        None,
        6,
        [[0, 1]],
    )


def test_a_pin_that_another_stream_has_not_is_let_go() -> None:
    def even(rows: int, columns: int) -> np.ndarray:
        return np.full((1, 2, rows, columns), 1 / columns, dtype=np.float32)

    record = aw.from_weights(cross_attention=even(3, 7), decoder_attention=even(3, 3))
    view = aw.view(record, stream="cross", query=2, key=6)
    view.stream = "decoder"
    assert (view.query, view.key) == (2, None)


def test_a_message_from_the_browser_may_change_everything_at_once(view: aw.AttentionWidget) -> None:
    view.set_state({"stream": "probe", "layer": 0, "heads": [1], "query": 2, "key": None})
    assert (view.stream, view.layer, view.heads, view.query) == ("probe", 0, [1], 2)


def test_several_changes_are_taken_back_together(view: aw.AttentionWidget) -> None:
    view.layer, view.heads = 2, [3]
    seen: list[str] = []
    view.observe(lambda change: seen.append(change.name), ["stream", "layer", "heads"])
    with pytest.raises(ValueError, match="heads must be integers"):
        view.set_state({"layer": 0, "heads": [12]})
    with (
        pytest.raises(ValueError, match="stream must be one of"),
        view.hold_trait_notifications(),
    ):
        view.heads, view.stream = [1], "encoder"
    assert (view.stream, view.layer, view.heads) == ("decoder", 2, [3])
    assert seen == []


def test_two_widgets_can_be_linked(view: aw.AttentionWidget) -> None:
    other = aw.view(record())
    link = ipywidgets.link((view, "query"), (other, "query"))
    view.query = 3
    assert other.query == 3
    other.query = None
    assert view.query is None
    link.unlink()


def ask(
    view: aw.AttentionWidget, *requests: dict[str, object]
) -> tuple[list[dict[str, object]], list[bytes]]:
    reply, buffers = view.blocks({"requests": list(requests)}, [])
    return reply["replies"], buffers


def test_blocks_are_the_records_own_numbers(view: aw.AttentionWidget) -> None:
    layer = view.attention["decoder"][2]
    base = {"stream": "decoder", "layer": 2, "head": 3}
    replies, buffers = ask(
        view,
        {"what": "weights", **base, "queries": [1, 4]},
        {"what": "key_vectors", **base},
        {"what": "tile", **base, "level": 1, "tile": [0, 0]},
    )
    weights, keys, tile = (
        codec.decode(r["block"], b) for r, b in zip(replies, buffers, strict=True)
    )
    np.testing.assert_array_equal(weights, layer.weights(head=[3], queries=slice(1, 4)))
    np.testing.assert_array_equal(keys, layer.key_vectors(3))
    dense = layer.weights(head=3)
    cells = [[dense[i : i + 2, j : j + 2].max() for j in range(0, 7, 2)] for i in range(0, 5, 2)]
    np.testing.assert_array_equal(tile, codec.shade(np.array(cells)))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            {"what": "weights", "stream": "decoder", "layer": 0, "head": 9, "queries": [0, 5]},
            "0..3",
        ),
        (
            {"what": "weights", "stream": "nowhere", "layer": 0, "head": 0, "queries": [0, 5]},
            "decoder",
        ),
        (
            {"what": "scores", "stream": "probe", "layer": 0, "head": 0, "queries": [0, 3]},
            "made from weights alone",
        ),
        (
            {"what": "gossip", "stream": "decoder", "layer": 0, "head": 0},
            "what must be one of weights, scores",
        ),
        ({}, "what"),
    ],
)
def test_a_request_that_fails_is_answered_with_its_reason(
    view: aw.AttentionWidget, request_: dict[str, object], words: str
) -> None:
    good = {"what": "weights", "stream": "decoder", "layer": 0, "head": 0, "queries": [0, 5]}
    (bad, fine), buffers = ask(view, request_, good)
    assert bad["ok"] is False
    assert words in bad["error"]
    assert fine["ok"] is True
    assert len(buffers) == 1


def test_weights_that_are_not_numbers_are_named_not_drawn(tmp_path: Path) -> None:
    query = torch.zeros(2, 3, 4)
    query[1, 2] = torch.nan
    layer = Layer(
        stream="decoder", layer=0, module_path="m", num_heads=2, query=query, key=torch.ones(2, 5, 4),
        value=torch.ones(2, 5, 4), scaling=0.5,
    )  # fmt: skip
    axes = [tuple(aw.Position(str(i)) for i in range(n)) for n in (3, 5)]
    view = aw.view(aw.Attention("M", {"decoder": aw.Stream("decoder", (layer,), *axes)}, None))
    replies, _ = ask(
        view, {"what": "weights", "stream": "decoder", "layer": 0, "head": 1, "queries": [0, 3]}
    )
    assert "NaN, first at position 2" in replies[0]["error"]
    json.dumps(view.meta, allow_nan=False)
    snapshot = snapshot_of(view.save(tmp_path / "page.html").read_text(encoding="utf-8"))
    kept = [
        block["request"]["head"]
        for block in snapshot["blocks"]
        if block["request"]["what"] == "weights"
    ]
    assert kept == [0]


def test_the_strongest_link_leaves_the_first_key_aside(view: aw.AttentionWidget) -> None:
    top = np.array(view.meta["streams"][0]["top"]).reshape(2, 4, 3)
    for row, number in enumerate([0, 2]):
        weights = view.attention["decoder"][number].weights()
        for head in range(4):
            query, key, weight = top[row, head]
            assert key > 0
            assert weight == pytest.approx(weights[head, :, 1:].max())
            assert weight == pytest.approx(weights[head, int(query), int(key)])


def test_a_sink_is_named_with_its_share() -> None:
    weights = np.full((1, 2, 4, 4), 0.1, dtype=np.float32)
    weights[..., 0] = 0.7
    meta = aw.view(aw.from_weights(weights, ["a", "b", "c", "d"])).meta
    assert meta["streams"][0]["sink"] == {"share": pytest.approx(0.7, abs=1e-3)}
    even = np.full((1, 2, 5, 5), 0.2, dtype=np.float32)
    assert "sink" not in aw.view(aw.from_weights(even, list("abcde"))).meta["streams"][0]


def test_thumbnails_fit_their_budget_at_80_by_64() -> None:
    weights = [np.full((64, 20, 20), 0.05, dtype=np.float16)] * 80
    view = aw.view(aw.from_weights(weights, [str(i) for i in range(20)]))
    assert len(view.overview) <= 1_310_720
    place = view.meta["streams"][0]["overview"]
    assert len(view.overview) == 80 * 64 * place["rows"] * place["columns"]


def test_options_are_checked_by_name(view: aw.AttentionWidget) -> None:
    with pytest.raises(TypeError, match="A record is shown as it is, got pigment besides"):
        aw.view(view.attention, pigment="red")
    for show in (
        view.attention.view,
        view.attention.html,
        view.attention.figure,
        functools.partial(aw.view, view.attention),
        aw.compare(view.attention, view.attention).view,
    ):
        with pytest.raises(TypeError, match=r"lens asks the model.*view\(model, .*lens=True\)"):
            show(lens=True)
        with pytest.raises(TypeError, match=r"metric asks the model.*metric='a token'\)"):
            show(metric="purred")
    model, tokenizer = aw.pocket()
    for result, own in (
        (aw.effects(model, "the cat", tokenizer), r"Effects, .*to_dataframe"),
        (aw.trace(model, "the cat", tokenizer), r"Trace, .*\.figure\(…\)"),
        (aw.cut("it", "cat"), r"Edits, .*: call view\(model, 'some text'"),
    ):
        with pytest.raises(TypeError, match=f"shows a model's attention, got {own}"):
            aw.view(result)
    with pytest.raises(
        TypeError, match="Attention is shown without a model: call view of it alone"
    ):
        aw.view(model, view.attention)
    with pytest.raises(TypeError, match=r"Unknown option 'layr': did you mean 'layer'\?"):
        aw.view(model, "the cat", tokenizer=tokenizer, layr=2)
    with pytest.raises(TypeError, match="from_weights"):
        aw.view([torch.zeros(1, 2, 3, 3)], ["a", "b", "c"])


def test_a_token_may_be_given_by_its_text() -> None:
    assert aw.view(record(), query="cat").query == 1
    with pytest.raises(
        ValueError, match="query='dog' is no token of this input; there are the, cat"
    ):
        aw.view(record(), query="dog")
    twice = aw.from_weights(np.full((1, 1, 2, 2), 0.5, dtype=np.float32), ["a", "a"])
    with pytest.raises(
        ValueError, match=r"query='a' occurs at \[0, 1\]: pass one of these positions"
    ):
        aw.view(twice, query="a")


def test_doors_open_on_their_view() -> None:
    assert [
        door(record()).view for door in (aw.view, aw.model_view, aw.head_view, aw.neuron_view)
    ] == [
        "all",
        "model",
        "head",
        "neuron",
    ]


def test_a_misspelt_option_of_capture_is_named() -> None:
    model, tokenizer = aw.pocket()
    with pytest.raises(TypeError, match=r"Unknown option 'bach': did you mean 'batch'\?"):
        aw.capture(model, "the cat", tokenizer, bach=1)
    assert repr(aw.view(model, "the cat", tokenizer)).startswith("AttentionWidget(")


def test_the_neuron_view_explains_a_link_or_the_whole_head() -> None:
    view = aw.view(record())
    assert view.explain == "link"
    view.explain = "head"
    assert view.snapshot()["state"]["explain"] == "head"
    with pytest.raises(traitlets.TraitError, match="explain must be 'link' or 'head', got 'row'"):
        view.explain = "row"
    assert view.explain == "head"
    figures = {name: view.attention.figure("neuron", explain=name).svg for name in ("link", "head")}
    assert "Step by step" in figures["head"]
    assert "Step by step" not in figures["link"]
