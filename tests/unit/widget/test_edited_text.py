"""Another text in a view's place: the record, the selection, the record before, and what has no text to edit."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from contract.record import record
from contract.test_protocol import validate
from support import builders, words, zoo

import attnwidget as aw

if TYPE_CHECKING:
    from attnwidget.widget.widget import AttentionWidget

FIRST = "The cat sat on the mat because it was tired"
SECOND = "The big old cat sat on the mat because it was tired"


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Any]:
    return aw.pocket()


@pytest.fixture
def view(pocket: tuple[Any, Any]) -> AttentionWidget:
    return aw.view(
        pocket[0],
        FIRST,
        pocket[1],
        layer=3,
        heads=[1, 2],
        form="matrix",
        query="it",
        key="cat",
        show_layers=[2, 3],
    )


def state_of(view: AttentionWidget, *names: str) -> list[Any]:
    return [getattr(view, name) for name in names]


def same_weights(view: AttentionWidget, text: str, pocket: tuple[Any, Any]) -> None:
    fresh = aw.capture(pocket[0], text, pocket[1])
    for layer in fresh["decoder"]:
        ours = view.attention["decoder"][layer.layer].weights()
        np.testing.assert_array_equal(ours, layer.weights())


def labels(view: AttentionWidget, stream: str = "decoder") -> list[str]:
    return [position.label for position in view.attention[stream].key_positions]


def test_a_text_that_is_set_is_recorded_and_the_selection_stays(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    kept = state_of(view, "layer", "heads", "form", "measure", "show_layers", "view")
    meta, count = view.meta, len(labels(view))
    view.text = SECOND
    assert view.text == view.attention.text == SECOND
    same_weights(view, SECOND, pocket)
    assert len(labels(view)) == count + 2
    assert view.meta != meta
    assert view.meta["positions"][0]["labels"] == labels(view)
    # The call that is copied opens the text on show.
    assert view.code().startswith(f'aw.view(model, "{SECOND}", tokenizer=tokenizer, layer=3')
    assert state_of(view, "layer", "heads", "form", "measure", "show_layers", "view") == kept
    # The same tokens, two places further on.
    assert [labels(view)[at] for at in (view.query, view.key)] == ["it", "cat"]
    assert (view.query, view.key) == (10, 4)


def test_pins_whose_token_is_gone_are_dropped_and_ranked_links_follow(
    view: AttentionWidget,
) -> None:
    view.rank(query="it", key="cat")
    view.query, view.key = ["it", "mat"], "sat"
    view.text = SECOND
    assert view.ranking == {"queries": [10], "keys": [4]}
    assert view.score == "ranking"
    view.text = "The big old cat sat because it was tired"
    assert [labels(view)[at] for at in (view.query, view.key)] == ["it", "sat"]
    view.text = "The cat"
    assert (view.query, view.key, view.ranking, view.score) == (None, None, None, None)
    view.text = FIRST
    assert view.layer == 3


def test_keys_set_aside_one_by_one_are_the_same_tokens_of_another_text(
    view: AttentionWidget,
) -> None:
    view.aside = [labels(view).index("mat"), labels(view).index("tired")]
    view.text = SECOND
    assert [labels(view)[at] for at in view.aside] == ["mat", "tired"]
    before = view.aside
    view.compare_with_before()
    keys = view.meta["positions"][-1]["labels"]
    assert [keys[at] for at in view.aside] == ["mat", "tired"]
    view.compare_with_before(on=False)
    assert view.aside == before
    view.text = "The cat"
    assert view.aside is None


def test_observers_hear_of_it_after_it_has_happened(view: AttentionWidget) -> None:
    heard: list[tuple[str, Any, Any]] = []
    view.observe(
        lambda change: heard.append((change.name, change.old, change.new)), ["text", "attention"]
    )
    before = view.attention
    view.text = SECOND
    assert [each[0] for each in heard] == ["text", "attention"]
    assert heard[0][1:] == (FIRST, SECOND)
    assert heard[1][1] is before
    assert heard[1][2].text == SECOND


@pytest.mark.parametrize(
    "text", ["", 5, ["a", "b"], ("a", "b", "c"), [{"role": "user", "content": [1]}], None]
)
def test_what_cannot_be_recorded_leaves_everything_as_it_was(
    view: AttentionWidget, text: Any
) -> None:
    view.text = SECOND
    kept = (view.text, view.attention, view.before, view.meta, view.query)
    kind = ValueError if text == "" else TypeError
    with pytest.raises(kind, match=r"give at least one|set view\.text = 'some text'"):
        view.text = text
    now = (view.text, view.attention, view.before, view.meta, view.query)
    assert all(one is other or one == other for one, other in zip(kept, now, strict=True))
    view.compare_with_before()
    assert view._editing["comparing"]


def test_a_model_that_raises_and_a_text_that_is_too_long() -> None:
    tokenizer = words.word_piece(words.WORDS)
    bert = zoo.wake(builders.bert())
    view = aw.view(bert, "the cat sat", tokenizer)
    with pytest.raises(ValueError, match="takes at most 64"):
        view.text = "cat " * 200
    assert view.text == "the cat sat"

    def fails(*_: Any) -> None:
        message = "out of memory, say"
        raise RuntimeError(message)

    model, tokenizer = aw.pocket()
    view = aw.view(model, FIRST, tokenizer)
    handle = model.register_forward_pre_hook(fails)
    answer, _ = view.edit_text({"texts": [SECOND]}, [])
    assert answer == {"error": "out of memory, say"}
    handle.remove()
    assert (view.text, view._editing["run"], view.before) == (FIRST, 0, None)
    assert view.edit_text({"texts": [SECOND]}, []) == ({}, [])
    assert (view.text, view._editing["run"]) == (SECOND, 1)


def test_the_record_before_beside_the_one_now_and_back(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    with pytest.raises(ValueError, match=r"set view\.text = 'another text'"):
        view.compare_with_before()
    view.positions = "words"
    view.text = SECOND
    alone = {name: getattr(view, name) for name in aw.AttentionWidget.class_trait_names(sync=True)}
    view.view = "head"
    view.compare_with_before()
    validate("Meta", view.meta)
    validate("Editing", view._editing)
    assert view.meta["comparison"] == {"names": [FIRST, SECOND]}
    assert view.code().startswith("aw.view(comparison")
    assert state_of(view, "view", "score", "arrange", "positions") == [
        "compare",
        "divergence",
        "rank",
        "pieces",
    ]
    # What view shows is what `compare` of the two records has: |b − a| is exactly the comparison's difference.
    difference = aw.compare(view.before, view.attention).difference(3, 1)
    drawn = view.source.block(("decoder", 3, 1), range(len(difference)), range(difference.shape[1]))
    np.testing.assert_allclose(drawn, np.nan_to_num(np.abs(difference)), atol=1e-5)
    # The pins are at the same tokens, and what is changed meanwhile stays.
    assert (view.query, view.key) == (10, 4)
    view.query = "tired"
    view.heads = [3]
    view.compare_with_before(on=False)
    assert state_of(view, "view", "heads", "score", "arrange", "positions") == [
        "head",
        [3],
        None,
        "layers",
        "words",
    ]
    assert labels(view)[view.query] == "tired"
    assert view.meta == alone["meta"]
    assert view.overview == alone["overview"]
    same_weights(view, SECOND, pocket)


def test_a_text_that_is_set_while_comparing_leaves_the_comparison(view: AttentionWidget) -> None:
    view.text = SECOND
    view.compare_before({"on": True}, [])
    assert view._editing["comparing"]
    view.text = "A dog sat"
    assert not view._editing["comparing"]
    assert "comparison" not in view.meta
    assert (view.before.text, view.attention.text) == (SECOND, "A dog sat")
    assert (view.layer, view.form, view.score) == (3, "matrix", None)


def kinds(position: Any) -> str | None:
    return "animals" if position.label in {"cat", "dog"} else None


def test_groups_that_are_told_of_any_text_stay_with_another_one(pocket: tuple[Any, Any]) -> None:
    own = aw.view(pocket[0], FIRST, pocket[1], groups=kinds)
    assert own.grouping == "own"
    own.from_group = "animals"
    own.text = SECOND
    assert (own.grouping, own.from_group) == ("own", "animals")
    own.compare_with_before()
    assert (own.grouping, own.from_group) == ("own", "animals")
    assert own.meta["streams"][0]["groupings"][0]["name"] == "own"
    own.compare_with_before(on=False)
    assert (own.grouping, own.from_group) == ("own", "animals")
    # A text without any of them has no such groups, which is no reason not to show it.
    own.text = "The mat was small"
    assert (own.grouping, own.from_group) == (None, None)
    assert "groups" not in own.code()
    own.compare_with_before()
    assert own.meta["streams"][0]["groupings"][0]["name"] == "own"


def test_groups_by_name_stay_with_another_text(pocket: tuple[Any, Any]) -> None:
    two = "the cat sat . it was tired ."
    named = aw.view(pocket[0], two, pocket[1], groups="sentence")
    first = named.meta["streams"][0]["groupings"][0]["name"]
    named.grouping, named.to_group = "sentence", "sentence 2"
    named.text = "the dog sat . it was tired ."
    assert named.meta["streams"][0]["groupings"][0]["name"] == first
    assert (named.grouping, named.to_group) == ("sentence", "sentence 2")
    assert 'groups="sentence"' in named.code()
    numbered = aw.view(pocket[0], two, pocket[1], groups={"first": range(3)})
    numbered.text = "the dog sat . it was tired ."
    assert numbered.grouping is None


def test_the_same_text_of_a_model_that_has_changed() -> None:
    model, tokenizer = aw.pocket()
    view = aw.view(model, FIRST, tokenizer)
    with torch.no_grad():
        model.transformer.h[2].attn.c_attn.weight.mul_(1.5)
    view.text = view.text
    same_weights(view, FIRST, (model, tokenizer))
    assert not np.array_equal(
        view.before["decoder"][2].weights(), view.attention["decoder"][2].weights()
    )
    view.compare_with_before()
    assert view.meta["comparison"] == {"names": ["before", "now"]}


def test_all_records_but_the_one_before_are_let_go(view: AttentionWidget) -> None:
    def held() -> weakref.ref[Any]:
        return weakref.ref(view.attention["decoder"][0].query)

    first = held()
    view.text = SECOND
    second = held()
    view.compare_with_before()
    view.compare_with_before(on=False)
    gc.collect()
    assert first() is not None
    view.text = "A dog sat"
    gc.collect()
    assert first() is None
    assert second() is not None


def test_a_text_is_recorded_and_shown_before_the_next_one_begins() -> None:
    model, tokenizer = aw.pocket()
    view = aw.view(model, FIRST, tokenizer)
    inside, go_on = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        inside.set()
        assert go_on.wait(60)

    handle = model.register_forward_pre_hook(wait)
    page = threading.Thread(target=lambda: view.edit_text({"texts": [SECOND]}, []))
    page.start()
    assert inside.wait(60)
    handle.remove()
    # The page's command is at work: a cell that sets a text has to wait.
    assert not view._recipe.lock.acquire(blocking=False)
    cell = threading.Thread(target=lambda: setattr(view, "text", "A dog sat"))
    cell.start()
    go_on.set()
    page.join(60)
    cell.join(60)
    assert (view.text, view.attention.text, view.before.text) == ("A dog sat", "A dog sat", SECOND)


def test_the_model_is_held_weakly_and_a_view_without_it_says_so() -> None:
    model, tokenizer = aw.pocket()
    view = aw.view(model, FIRST, tokenizer)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    said = r"model .* is gone.*call view\(model, 'some text', tokenizer=tokenizer\)"
    with pytest.raises(ValueError, match=said):
        view.text = SECOND
    assert view.text == FIRST
    answer, _ = view.edit_text({"texts": [SECOND]}, [])
    assert "is gone" in answer["error"]
    validate("Editing", view._editing)
    assert view._editing["texts"] == []
    assert "is gone" in view._editing["reason"]


def test_what_has_no_text_to_edit_says_why(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    plain = aw.view(record())
    ids = tokenizer(FIRST, return_tensors="pt")
    of_ids = aw.view(model, ids["input_ids"], tokenizer)
    count = ids["input_ids"].shape[1]
    labelled = aw.view(model, FIRST, tokenizer, tokens=[str(at) for at in range(count)])
    for view, reason in (
        (plain, "a record without its model"),
        (of_ids, "from a Tensor and not from text"),
        (labelled, "labels of their own"),
    ):
        validate("Editing", view._editing)
        assert reason in view._editing["reason"]
        assert "call view(model, 'some text'" in view._editing["reason"]
        with pytest.raises(ValueError, match=reason):
            view.text = SECOND
    both = aw.compare(aw.capture(model, FIRST, tokenizer), aw.capture(model, SECOND, tokenizer))
    assert both.view()._editing is None


def test_both_texts_of_a_pair_are_edited() -> None:
    tokenizer = words.word_piece(words.WORDS)
    model = zoo.wake(builders.bert())
    view = aw.view(model, ("the cat", "sat on the mat"), tokenizer)
    assert [each["name"] for each in view._editing["texts"]] == ["first text", "second text"]
    assert view.edit_text({"texts": ["the mat", "sat unable"]}, []) == ({}, [])
    assert view.text == ("the mat", "sat unable")
    (stream,) = view.attention.streams
    segments = [position.segment for position in view.attention[stream].key_positions]
    assert segments == [0, 0, 0, 0, 1, 1, 1, 1]
    answer, _ = view.edit_text({"texts": ["one"]}, [])
    assert answer == {"error": "this view has 2 texts to edit, got 1."}
    view.text = "the cat"
    assert [each["name"] for each in view._editing["texts"]] == ["text"]


def test_a_chat_is_edited_by_turn() -> None:
    tokenizer = words.byte_level(chat=True)
    model = zoo.wake(builders.with_vocabulary(270))
    chat = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yo"},
    ]
    view = aw.view(model, chat, tokenizer)
    assert view._editing["texts"] == [{"name": m["role"], "text": m["content"]} for m in chat]
    chat[1]["content"] = "changed by its owner"
    assert view.text[1] == {"role": "user", "content": "hi"}
    view.edit_text({"texts": ["be brief", "hey", "yo"]}, [])
    assert view.text[1] == {"role": "user", "content": "hey"}
    roles = [position.role for position in view.attention["decoder"].key_positions]
    assert list(dict.fromkeys(roles)) == ["system", "user", "assistant"]
    assert "hey" in view.attention.text


def test_source_and_target_of_an_encoder_decoder() -> None:
    tokenizer = words.sentence_piece(["▁the", "▁cat", "▁sat", "▁mat"])
    model = zoo.wake(builders.t5(2, 3))
    view = aw.view(model, "the cat sat", tokenizer, target="the mat", stream="cross")
    assert [each["name"] for each in view._editing["texts"]] == ["text", "target"]
    queries, keys = (
        len(axis)
        for axis in (view.attention["cross"].query_positions, view.attention["cross"].key_positions)
    )
    view.text = "the cat sat the cat"
    assert view.target == "the mat"
    assert len(view.attention["cross"].key_positions) == keys + 2
    assert len(view.attention["cross"].query_positions) == queries
    view.target = "the mat sat"
    assert len(view.attention["cross"].query_positions) == queries + 1
    assert view.stream == "cross"
    view.edit_text({"texts": ["the cat", "the"]}, [])
    assert (view.text, view.target) == ("the cat", "the")


def test_one_of_several_texts_and_options_of_the_recording(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    view = aw.view(model, [FIRST, SECOND], tokenizer, batch=1, layers=[1, 2])
    assert view.text == SECOND
    view.text = "A dog sat"
    assert [layer.layer for layer in view.attention["decoder"]] == [1, 2]


def test_a_page_cannot_set_what_is_offered(view: AttentionWidget) -> None:
    offered = dict(view._editing)
    view.set_state({"_editing": {"texts": []}})
    assert view._editing == offered
    answer, _ = view.edit_text({"texts": []}, [])
    assert "texts must contain at least 1 items" in answer["error"]


def test_a_record_that_cannot_be_described_leaves_everything_as_it_was(
    pocket: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Opened on what was chosen, which the call that is copied depends on.
    view = aw.view(pocket[0], FIRST, pocket[1])

    def kept() -> list[Any]:
        names = ("source", "meta", "text", "before", "_run", "_jobs", "_chooses", "_call", "chosen")
        return [*state_of(view, *names), view.code(), view.editing()]

    before = kept()

    def fails(_: object) -> None:
        message = "no memory, say"
        raise RuntimeError(message)

    monkeypatch.setattr(type(view), "described", fails)
    with pytest.raises(RuntimeError, match="no memory, say"):
        view.text = SECOND
    assert kept() == before
    with pytest.raises(RuntimeError, match="no memory, say"):
        view.interventions = aw.ablate(heads=[(3, 3)])
    assert kept() == before
    assert (view.interventions, view.effect, view.what_if) == (aw.ablate(heads=[]), None, None)
    monkeypatch.undo()
    view.text = SECOND
    assert view.text == SECOND
