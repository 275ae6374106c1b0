"""Edits of a view: the record under them, what the model says then, what is refused, and the picture of before."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from contract.record import record
from contract.test_protocol import validate
from support import builders, words, zoo
from support.loops import CalledLoop

import attnwidget as aw
from attnwidget.edits.edits import Edits
from attnwidget.intervene import kept_runs
from attnwidget.widget.carried_edits import _moved_ends

if TYPE_CHECKING:
    from attnwidget.widget.widget import AttentionWidget

TEXT = "the cat sat on the mat because it"
HEAD = aw.ablate(heads=[(3, 3)])
OTHER = aw.ablate(heads=[(0, 2)])
PARTS = [{"ablate": [[3, 3]], "how": "zero", "stream": None, "source": None}]


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Any]:
    return aw.pocket()


@pytest.fixture
def view(pocket: tuple[Any, Any]) -> AttentionWidget:
    return aw.view(pocket[0], TEXT, pocket[1], layer=3, heads=[1, 3], query="it", form="matrix")


def shown(view: AttentionWidget) -> list[Any]:
    """Return all that the page draws from, but for the count of records."""
    state = view.get_state()
    names = sorted(set(view.keys) - {"_editing", "layout", "_esm", "_bundle", "_css"})
    return [[name, state[name]] for name in names]


def set_together(view: AttentionWidget, **traits: Any) -> None:
    with view.hold_trait_notifications():
        for name, value in traits.items():
            setattr(view, name, value)


def same_weights(first: Any, second: Any) -> None:
    for layer in first["decoder"]:
        np.testing.assert_array_equal(layer.weights(), second["decoder"][layer.layer].weights())


def test_the_record_under_an_edit_is_shown_and_the_one_before_comes_back(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    before, clean, state = shown(view), view.attention, view._state()
    heard: list[Any] = []
    view.observe(lambda change: heard.append((change.old, change.new)), "attention")
    view.interventions = OTHER
    changed = aw.capture(pocket[0], TEXT, pocket[1], interventions=OTHER)
    same_weights(view.attention, changed)
    # The layers after the head are others, and so are their thumbnails.
    assert not np.array_equal(view.attention["decoder"][3].weights(), clean["decoder"][3].weights())
    assert dict(before)["overview"] != view.overview
    assert view._state() == state
    assert heard == [(clean, view.attention)]
    view.interventions = None
    assert shown(view) == before
    assert view.attention is clean
    assert (view.effect, view.what_if) == (None, None)


def test_what_the_model_says_is_what_what_if_says(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    view.metric = "purred"
    view.interventions = HEAD
    effect = aw.what_if(pocket[0], TEXT, pocket[1], HEAD, metric="purred")
    assert view.effect is not None
    assert (view.effect.before, view.effect.after) == (effect.before, effect.after)
    assert (view.effect.value_before, view.effect.value_after) == (
        effect.value_before,
        effect.value_after,
    )
    told = view.what_if
    validate("WhatIf", told)
    assert (told["state"], told["message"], told["kind"]) == ("done", "", "token")
    assert (told["at"], told["position"]) == ("it", view.query)
    assert (told["before"], told["after"], told["kl"]) == (
        effect.value_before,
        effect.value_after,
        effect.kl,
    )
    assert told["metric"] == effect.metric == "log p(“purred”)"
    assert told["edits"] == PARTS
    assert {one["label"]: one["after"] for one in told["choices"]} == dict(effect.after)
    assert told["after"] < told["before"] - 3


def test_the_numbers_follow_the_pinned_query_and_the_metric_without_another_run(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    view.interventions = HEAD
    runs: list[int] = []
    handle = pocket[0].register_forward_hook(lambda *_: runs.append(1))
    view.query = 5
    expected = aw.what_if(pocket[0], TEXT, pocket[1], HEAD, position=5)
    count = len(runs)
    assert (view.what_if["at"], view.what_if["position"]) == ("the", 5)
    assert view.effect.before == expected.before
    view.metric = ["purred", "lay"]
    view.query = [8, 3]
    assert view.what_if["metric"] == "logit(“purred”) − logit(“lay”)"
    assert view.what_if["position"] == 8
    view.query = None
    assert view.what_if["position"] == 8
    assert len(runs) == count
    handle.remove()


def test_outputs_that_are_too_large_to_be_kept_are_computed_again(
    view: AttentionWidget, pocket: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_runs, "KEPT_BYTES", 100)
    view.interventions = HEAD
    view.query = 5
    expected = aw.what_if(pocket[0], TEXT, pocket[1], HEAD, position=5)
    assert view.effect.before == expected.before
    assert view.effect.after == expected.after


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (aw.ablate(heads=[(9, 1)]), "no layer 9"),
        (5, "interventions must be an edit"),
        ([5], "interventions must be an edit"),
    ],
)
def test_an_edit_that_is_refused_leaves_everything_as_it_was(
    view: AttentionWidget, given: Any, said: str
) -> None:
    for in_force in (Edits(), HEAD):
        view.interventions = in_force
        before, effect, shown_record = shown(view), view.effect, view.attention
        with pytest.raises(ValueError, match=said):
            view.interventions = given
        with pytest.raises(ValueError, match=said):
            set_together(view, layer=2, interventions=given)
        assert shown(view) == before
        assert (view.interventions, view.effect) == (in_force, effect)
        assert view.attention is shown_record
    with pytest.raises(ValueError, match="no tokens for metric"):
        view.metric = "zzzz"
    assert shown(view) == before
    with pytest.raises(ValueError, match="metric must be a token"):
        view.metric = ["a", "b", "c"]


def test_edit_and_metric_set_together_are_one_run(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    view.interventions = OTHER
    runs: list[int] = []
    handle = pocket[0].register_forward_hook(lambda *_: runs.append(1))
    set_together(view, metric="purred", interventions=HEAD)
    handle.remove()
    assert len(runs) == 1
    assert (view.effect.metric, view.effect.edit) == ("log p(“purred”)", HEAD)


def test_the_page_sets_an_edit_and_hears_why_one_is_refused(view: AttentionWidget) -> None:
    view.set_state({"interventions": PARTS})
    assert (view.interventions, view.what_if["state"]) == (HEAD, "done")
    effect, drawn = view.effect, view.overview
    view.set_state({"interventions": [{**PARTS[0], "ablate": [[9, 0]]}]})
    told = view.what_if
    validate("WhatIf", told)
    assert told["state"] == "refused"
    assert "no layer 9" in told["message"]
    # What is in force is there as before.
    assert (told["edits"], view.interventions, view.effect) == (PARTS, HEAD, effect)
    assert view.overview is drawn
    view.set_state({"metric": "zzzz"})
    assert "no tokens for metric" in view.what_if["message"]
    assert view.metric is None
    for wrong in (5, [{"nothing": 1}], [{**PARTS[0], "how": "other"}]):
        with pytest.raises(ValueError, match=r"interventions|forms that the schema"):
            view.set_state({"interventions": wrong})
    view.set_state({"interventions": [{**PARTS[0], "how": "mean"}]})
    assert "needs texts" in view.what_if["message"]
    view.set_state({"what_if": None, "cannot_edit": "no"})
    assert (view.what_if is None, view.cannot_edit) == (False, "")
    view.set_state({"interventions": []})
    assert (view.interventions, view.what_if) == (Edits(), None)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> CalledLoop:
    return CalledLoop.of_kernel(monkeypatch)


def test_of_several_edits_quickly_after_one_another_the_last_is_run(
    view: AttentionWidget, pocket: tuple[Any, Any], loop: CalledLoop
) -> None:
    runs: list[int] = []
    before = view.attention
    handle = pocket[0].register_forward_hook(lambda *_: runs.append(1))
    for head in (0, 1, 3):
        view.set_state({"interventions": [{**PARTS[0], "ablate": [[3, head]]}]})
        assert view.what_if["state"] == "running"
        assert view.attention is before
    assert not runs
    loop.run()
    handle.remove()
    # One without and one with the edit.
    assert len(runs) == 2
    assert (view.what_if["state"], view.effect.edit) == ("done", HEAD)


def test_a_view_that_is_gone_has_nothing_run(pocket: tuple[Any, Any], loop: CalledLoop) -> None:
    view = aw.view(pocket[0], TEXT, pocket[1])
    view.set_state({"interventions": PARTS})
    held = weakref.ref(view)
    view.close()
    del view
    gc.collect()
    assert held() is None
    loop.run()


def test_before_and_after_are_compared(view: AttentionWidget) -> None:
    clean = view.attention
    view.interventions = OTHER
    changed = view.attention
    assert view._editing["before"]
    assert view.before is clean
    view.compare_before({"on": True}, [])
    assert view.meta["comparison"] == {"names": ["before", "after"]}
    difference = aw.compare(clean, changed).difference(3, 1)
    drawn = view.source.block(("decoder", 3, 1), range(len(difference)), range(difference.shape[1]))
    np.testing.assert_allclose(drawn, np.abs(np.nan_to_num(difference)), atol=1e-5)
    assert (view.interventions, view.what_if["state"]) == (OTHER, "done")
    view.compare_with_before(on=False)
    assert view.attention["decoder"] is changed["decoder"]
    # An edit that is set or taken back meanwhile leaves the comparison.
    view.compare_with_before()
    view.interventions = HEAD
    assert "comparison" not in view.meta
    view.compare_with_before()
    view.interventions = []
    assert view.attention is clean
    assert not view._editing["before"]


def test_edits_stay_with_another_text_where_they_fit(pocket: tuple[Any, Any]) -> None:
    view = aw.view(pocket[0], TEXT, pocket[1])
    clean = view.attention
    short = aw.ablate(heads=[(1, 0)], how="resample", source=["the dog sat on the mat because it"])
    view.interventions = HEAD + short
    view.text = "the dog sat on the mat because it"
    assert view.interventions == HEAD + short
    assert view.what_if["message"] == ""
    changed = aw.capture(*_call(pocket, view.text), interventions=HEAD + short)
    same_weights(view.attention, changed)
    view.compare_with_before()
    assert view.meta["comparison"] == {"names": ["before", "after"]}
    # Another input's output has to be at least as long.
    view.text = f"{TEXT} was tired and it sat on the mat"
    assert view.interventions == HEAD
    assert "dropped: ablate(heads=[(1, 0)], how='resample'" in view.what_if["message"]
    assert view.what_if["edits"] == PARTS
    view.interventions = None
    assert view.before.text == "the dog sat on the mat because it"
    assert clean.text == TEXT


def _call(pocket: tuple[Any, Any], text: str) -> tuple[Any, str, Any]:
    return pocket[0], text, pocket[1]


def test_ends_of_links_are_at_the_same_tokens_of_another_text(pocket: tuple[Any, Any]) -> None:
    old = aw.capture(*_call(pocket, TEXT))["decoder"]
    new = aw.capture(*_call(pocket, "the big old cat sat on the mat because it"))["decoder"]
    assert _moved_ends({"query": 8, "key": 2}, old, new) == {"query": 10, "key": 4}
    assert _moved_ends({"query": None, "key": [2, -1]}, old, new) == {"query": None, "key": [4, -1]}
    assert _moved_ends({"query": "it", "key": 4}, new, old) == {"query": "it", "key": 2}
    assert _moved_ends({"query": 8, "key": 3}, new, old) is None


def test_the_call_opens_a_view_under_the_same_edit(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    view.interventions = HEAD + aw.ablate(heads=[(1, 1)], how="mean", source=["the cat sat"])
    assert "interventions=aw.ablate(heads=[(3, 3)]) + aw.ablate(heads=[(1, 1)], how='mean'" in (
        view.code()
    )
    names = {"aw": aw, "model": pocket[0], "tokenizer": pocket[1]}
    again = eval(view.code(), names)  # noqa: S307 - what the view itself wrote
    assert again.interventions == view.interventions
    assert again.what_if == view.what_if
    assert again.code() == view.code()
    chosen = aw.view(pocket[0], TEXT, pocket[1], interventions=HEAD)
    assert chosen.code() == (
        f'aw.view(model, "{TEXT}", tokenizer=tokenizer, interventions=aw.ablate(heads=[(3, 3)]))'
    )
    measured = aw.view(pocket[0], TEXT, pocket[1], interventions=HEAD, metric=["purred", "barked"])
    assert measured.what_if["metric"] == "logit(“purred”) − logit(“barked”)"
    assert measured.code() == (
        f'aw.view(model, "{TEXT}", tokenizer=tokenizer, interventions=aw.ablate(heads=[(3, 3)]), '
        "metric=['purred', 'barked'])"
    )
    means = aw.ablate(heads=(1, 1), how="mean", source=[view.attention])
    assert "interventions=interventions" in _under(view, means).code()


def _under(view: AttentionWidget, edits: Edits) -> AttentionWidget:
    view.interventions = edits
    return view


def test_an_edit_that_is_refused_when_a_view_is_made(pocket: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="no layer 9"):
        aw.view(pocket[0], TEXT, pocket[1], interventions=aw.ablate(heads=[(9, 0)]))
    with pytest.raises(TypeError, match="interventions must be an edit"):
        aw.view(pocket[0], TEXT, pocket[1], interventions="3.3")
    with pytest.raises(TypeError, match="interventions"):
        aw.view(record(), interventions=HEAD)
    with pytest.raises(ValueError, match="no tokens for metric='zyzzyva'"):
        aw.view(pocket[0], TEXT, pocket[1], interventions=HEAD, metric="zyzzyva")
    with pytest.raises(
        TypeError, match="metric must be nothing, a token, a pair of such, or a function"
    ):
        aw.view(pocket[0], TEXT, pocket[1], metric=1.5)
    waiting = aw.view(pocket[0], TEXT, pocket[1], metric="purred")
    assert (waiting.metric, waiting.what_if) == ("purred", None)


def test_views_that_cannot_be_edited_say_why() -> None:
    plain = aw.view(record())
    assert "a record without its model" in plain.cannot_edit
    with pytest.raises(ValueError, match="a record without its model"):
        plain.interventions = HEAD
    both = aw.compare(record(), record()).view()
    assert "not of one run of a model" in both.cannot_edit
    model, tokenizer = aw.pocket()
    view = aw.view(model, TEXT, tokenizer)
    assert view.cannot_edit == ""
    view.interventions = OTHER
    drawn = view.overview
    with torch.no_grad():
        model.transformer.h[2].attn.c_attn.weight[5, 5] += 1
    with pytest.raises(ValueError, match="has changed since this was recorded"):
        view.interventions = HEAD
    view.set_state({"interventions": []})
    view.set_state({"interventions": PARTS})
    assert "has changed since" in view.what_if["message"]
    assert "has changed since" in view.cannot_edit
    assert view.interventions == Edits()
    assert drawn != view.overview
    view.text = view.text
    assert view.cannot_edit == ""
    view.interventions = HEAD
    model.train()
    with pytest.raises(ValueError, match="training mode"):
        view.interventions = OTHER
    model.eval()
    del model
    gc.collect()
    view.query = 3
    assert "is gone" in view.what_if["message"]
    assert "is gone" in view.cannot_edit


def test_inputs_that_are_no_text_are_run_again(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    ids = tokenizer(TEXT, return_tensors="pt")
    view = aw.view(model, dict(ids), tokenizer, query="it")
    assert (view.cannot_edit, view.text is None or view.text != "") == ("", True)
    view.interventions = HEAD
    assert view.effect.after == aw.what_if(model, TEXT, tokenizer, HEAD).after
    assert "interventions=aw.ablate" in view.code()
    rows = aw.view(model, [f"{TEXT} was tired", TEXT], tokenizer, batch=1, choose=False)
    rows.interventions = HEAD
    # Counted without the padding of the shorter row.
    assert (rows.what_if["at"], rows.what_if["position"]) == ("it", 8)


def test_a_model_with_labels_and_one_with_an_embedding() -> None:
    tokenizer = words.word_piece(words.WORDS)
    model = zoo.wake(builders.bert())
    view = aw.view(model, "the cat sat", tokenizer, query=1)
    view.interventions = aw.ablate(heads=[(0, 1)])
    told = view.what_if
    validate("WhatIf", told)
    assert told["kind"] == "embedding"
    assert (told["at"], told["position"], told["choices"], told["kl"]) == (None, None, [], None)
    assert told["before"] == pytest.approx(1)
    assert told["after"] < 1


def test_ranked_patterns_and_groups_are_known_under_an_edit(pocket: tuple[Any, Any]) -> None:
    view = aw.view(pocket[0], TEXT, pocket[1], groups={"first": range(3)})
    view.rank(pattern=lambda queries, keys: np.eye(len(queries), len(keys)), name="diagonal")
    ranking = view.ranking
    view.interventions = HEAD
    assert (view.ranking, view.score) == (ranking, "ranking")
    view.interventions = None
    assert (view.ranking, view.score) == (ranking, "ranking")


def test_a_link_is_cut_from_the_page_and_stays_with_its_tokens(view: AttentionWidget) -> None:
    link = {
        "cut": {"query": 8, "key": 2},
        "heads": [[3, 3]],
        "layers": None,
        "stream": "decoder",
        "renormalise": True,
    }
    view.metric = "purred"
    assert view.attention["decoder"][3].weights(3)[8, 2] > 0.99
    view.set_state({"interventions": [link]})
    assert (view.what_if["state"], view.what_if["edits"]) == ("done", [link])
    assert view.attention["decoder"][3].weights(3)[8, 2] == 0
    assert np.exp(view.what_if["before"]) > 0.4
    assert np.exp(view.what_if["after"]) < 0.02
    view.text = "the big old cat sat on the mat because it"
    assert view.what_if["edits"] == [{**link, "cut": {"query": 10, "key": 4}}]
    assert view.attention["decoder"][3].weights(3)[10, 4] == 0
    view.text = "the dog sat on the mat because it"
    assert (view.interventions, view.attention.edits) == (Edits(), ())
    assert "dropped: cut(query=10, key=4" in view.what_if["message"]


def test_what_is_taken_from_another_record_stands_by_a_name(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    other = aw.capture(*_call(pocket, "the dog sat on the mat because it"))
    view.interventions = aw.patch(other, heads=[(3, 3)])
    validate("WhatIf", view.what_if)
    assert ", interventions=interventions, " in view.code()


def test_links_named_by_tokens_are_those_that_a_click_makes(view: AttentionWidget) -> None:
    view.interventions = aw.cut(query="it", key="cat", heads=(3, 3))
    assert view.interventions == aw.cut(query=8, key=2, heads=(3, 3))
    with pytest.raises(ValueError, match="'dog' is no token of this input"):
        view.interventions = aw.cut(key="dog")
    assert view.interventions == aw.cut(query=8, key=2, heads=(3, 3))


def test_a_token_replaced_can_be_put_back_by_the_page(view: AttentionWidget) -> None:
    part = {"replace": "cat", "with": "dog"}
    view.interventions = aw.replace("cat", "dog")
    assert view.get_state()["interventions"] == [part]
    assert view.attention["decoder"].query_positions[2].label == "dog"
    view.set_state({"interventions": []})
    view.set_state({"interventions": [part]})
    assert view.interventions == aw.replace("cat", "dog")


def test_of_a_model_whose_output_is_a_plain_tensor_the_record_is_shown() -> None:
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.parts = torch.nn.Linear(16, 48)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            states = self.embed(ids)
            q, k, v = (
                part.unflatten(-1, (2, 8)).transpose(1, 2)
                for part in self.parts(states).chunk(3, -1)
            )
            weights = torch.softmax(q @ k.transpose(-1, -2) * 8**-0.5, dim=-1)
            return states + (weights @ v).transpose(1, 2).flatten(2)

    torch.manual_seed(0)
    model = Own().eval()
    view = aw.view(model, torch.arange(6)[None])
    before = view.attention
    (name,) = before.streams
    view.interventions = aw.cut(query=1, key=2, heads=[(0, 1)])
    weights = view.attention[name][0].weights(head=1)
    assert weights[1, 2] == 0
    assert before[name][0].weights(head=1)[1, 2] > 0
    told = view.what_if
    validate("WhatIf", told)
    assert (told["state"], told["before"], told["choices"], told["metric"]) == (
        "done",
        None,
        [],
        "",
    )
    assert "not measured" in told["message"]
    # What is asked for and cannot be had is refused as ever.
    with pytest.raises(ValueError, match="returns no logits"):
        view.metric = "a"
    with pytest.raises(ValueError, match=r"returns no logits.*metric=lambda"):
        view.find_effects()
    view.interventions = None
    np.testing.assert_array_equal(
        view.attention[name][0].weights(head=1), before[name][0].weights(head=1)
    )
