"""Traces: known answers of the pocket model, and each change that of a pass of its own, however links were cut."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support import others, zoo
from support.model_checks import hooks, tensors

import attnwidget as aw
from attnwidget.capture.taps.listeners import listeners
from attnwidget.intervene.passes import Passes

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "the cat sat on the mat because it"
Case = tuple[Any, dict[str, Any]]


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Any]:
    return aw.pocket()


@pytest.fixture(scope="module")
def found(pocket: tuple[Any, Any]) -> aw.Trace:
    model, tokenizer = pocket
    return aw.trace(model, TEXT, tokenizer, metric="purred")


def changed(model: Any, tokenizer: Any, edit: aw.Edits, **options: Any) -> float:
    effect = aw.what_if(model, TEXT, tokenizer, edit, **options)
    return effect.value_after - effect.value_before


def test_what_purred_comes_from_is_the_cat_that_it_refers_to(found: aw.Trace) -> None:
    first = found.links[0]
    assert (first.layer, first.head) == (3, 3)
    assert (found.labels[first.query], found.labels[first.key]) == ("it", "cat")
    assert first.change is not None
    assert first.change < -4
    assert found.starts == (8,)
    assert found.together is not None
    assert found.together.share >= 0.9
    assert repr(found).startswith("Trace(log p(“purred”) -0.738, 6 links, 6 cut, together -5.56")


def test_changes_are_those_of_what_if(found: aw.Trace, pocket: tuple[Any, Any]) -> None:
    options: dict[str, Any] = {"metric": "purred"}
    for link in [*found.links, *found.small[:2]]:
        edit = aw.cut(link.query, link.key, heads=[(link.layer, link.head)])
        assert link.change == pytest.approx(changed(*pocket, edit, **options), abs=1e-5)
    assert found.together is not None
    assert found.together.traced == changed(*pocket, found.edit, **options)
    every = aw.cut(key=list(range(9)))
    assert found.together.every == changed(*pocket, every, **options)


def test_links_lead_back_to_where_the_metric_is_read(found: aw.Trace) -> None:
    reached = set(found.starts)
    for layer in (3, 2, 1, 0):
        here = [link for link in found.links if link.layer == layer]
        assert all(link.query in reached for link in here)
        reached |= {link.key for link in here}
    sizes = [link.size for link in found.links]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 0.02 * max(sizes)
    # What is left out changes too little, or is a link of a position that no other leads to.
    large = [link for link in found.small if link.size >= 0.02 * max(sizes)]
    keys = {(link.layer, link.key) for link in found.links}
    for link in large:
        assert not any(layer > link.layer and key == link.query for layer, key in keys)
        assert link.query not in found.starts


def test_a_table_has_what_is_traced_and_what_was_cut_in_vain(found: aw.Trace) -> None:
    rows = found.to_dataframe()
    assert list(rows["traced"]) == [True] * len(found) + [False] * len(found.small)
    assert list(rows.iloc[0][["layer", "head", "query", "key", "distance"]]) == [3, 3, 8, 2, 6]
    assert list(rows.iloc[0][["query_label", "key_label"]]) == ["it", "cat"]


def test_without_a_budget_all_are_estimates(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    made = aw.trace(model, TEXT, tokenizer, metric="purred", budget=0, threshold=0.2)
    assert {link.change for link in made.links} == {None}
    assert (made.together, made.small, made.ways) == (None, (), {})
    graded = aw.capture(model, TEXT, tokenizer, metric="purred")
    for link in made.links:
        layer = graded["decoder"][link.layer]
        assert layer.value is not None
        assert layer.output_gradient is not None
        slope = layer.output_gradient[link.head, link.query] @ layer.value[link.head, link.key]
        assert link.weight == pytest.approx(float(layer.weights(link.head)[link.query, link.key]))
        assert link.estimate == pytest.approx(-link.weight * float(slope), rel=1e-4)


def test_a_budget_cuts_the_largest_estimates(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    made = aw.trace(model, TEXT, tokenizer, metric="purred", budget=1, threshold=0.2)
    cut = [link for link in (*made.links, *made.small) if link.change is not None]
    assert [(link.layer, link.head, link.key) for link in cut] == [(3, 1, 6)]
    assert sum(made.ways.values()) == 1


def test_weights_that_are_left_may_stay_as_they_are(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    options: dict[str, Any] = {"metric": "purred", "threshold": 0.5, "budget": 2}
    made = aw.trace(model, TEXT, tokenizer, renormalise=False, **options)
    link = made.links[0]
    edit = aw.cut(link.query, link.key, heads=[(link.layer, link.head)], renormalise=False)
    assert link.change == pytest.approx(changed(model, tokenizer, edit, metric="purred"), abs=1e-5)


def test_an_interrupt_leaves_what_was_cut(
    pocket: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = pocket
    whole, calls = Passes.each, []

    def each(self: Passes, parts: Any) -> Any:
        calls.append(parts)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, parts)

    monkeypatch.setattr(Passes, "each", each)
    made = aw.trace(model, TEXT, tokenizer, metric="purred", budget=6, at_once=2)
    assert made.interrupted
    assert made.together is None
    assert sum(one.change is not None for one in (*made.links, *made.small)) == 2
    assert any(one.change is None for one in made.links)
    assert listeners() == ()


def test_an_answer_of_several_tokens_is_read_at_each_of_them(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    made = aw.trace(model, TEXT, tokenizer, metric="purred .", threshold=0.3, budget=4)
    assert made.starts == (8, 9)
    assert made.labels[9:] == ("purred",)
    first = made.links[0]
    edit = aw.cut(first.query, first.key, heads=[(first.layer, first.head)])
    expected = changed(model, tokenizer, edit, metric="purred .")
    assert first.change == pytest.approx(expected, abs=1e-5)


def test_a_trace_can_be_copied_and_pickled(found: aw.Trace) -> None:
    for again in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301
        assert (again.links, again.edit, again.ways) == (found.links, found.edit, found.ways)
        with pytest.raises(TypeError):
            again.ways["grown"] = 3


def _other(name: str) -> Case:
    return zoo.wake(others.MODELS[name]()), zoo.tokens()


def _known(name: str) -> Case:
    return zoo.build(name, "sdpa"), zoo.inputs_of(name)


CASES: dict[str, tuple[Callable[[], Case], set[str]]] = {
    "gpt2": (lambda: _known("gpt2"), {"grown"}),
    "deberta": (lambda: _other("deberta"), {"grown"}),
    "bloom": (lambda: _other("bloom"), {"batched"}),
    "xlnet": (lambda: _other("xlnet"), {"one by one"}),
}


def number_of(output: Any) -> torch.Tensor:
    """Make a number of what a model returns at its last position, whatever it is."""
    number: torch.Tensor = tensors(output)[0][0, -1, :5].sum()
    return number


@pytest.mark.parametrize("name", CASES)
def test_links_that_are_cut_at_once_are_those_that_are_cut_alone(name: str) -> None:
    build, ways = CASES[name]
    model, inputs = build()
    held = hooks(model)
    with torch.no_grad():
        clean = tensors(model(**inputs))
    options: dict[str, Any] = {"metric": number_of, "threshold": 0.05, "budget": 8}
    made = aw.trace(model, inputs, **options)
    alone = aw.trace(model, inputs, at_once=1, **options)
    assert set(alone.ways) == {"one by one"}
    assert ways <= set(made.ways)
    assert sum(made.ways.values()) == sum(alone.ways.values()) == 8

    def changes(of: aw.Trace) -> dict[Any, float]:
        return {
            (one.layer, one.head, one.query, one.key): one.change
            for one in (*of.links, *of.small)
            if one.change is not None
        }

    first, second = changes(made), changes(alone)
    assert first.keys() == second.keys()
    assert max(map(abs, second.values())) > 1e-2
    assert max(abs(first[place] - second[place]) for place in first) <= 2e-5
    assert hooks(model) == held
    assert listeners() == ()
    with torch.no_grad():
        assert all(map(torch.equal, clean, tensors(model(**inputs))))


def test_padding_before_the_input_changes_nothing() -> None:
    model, inputs = _known("gpt2")
    padded = {
        "input_ids": torch.cat([torch.zeros(1, 3, dtype=torch.long), inputs["input_ids"]], 1),
        "attention_mask": torch.cat([torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 7, dtype=torch.long)], 1),
    }  # fmt: skip
    padded["position_ids"] = (padded["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    plain, shifted = (aw.trace(model, one, threshold=0.3, budget=6) for one in (inputs, padded))
    assert plain.links[0].change is not None
    places = [
        [(one.layer, one.head, one.query, one.key) for one in of.links] for of in (plain, shifted)
    ]
    assert places[0] == places[1]
    for one, other in zip(plain.links, shifted.links, strict=True):
        assert one.size == pytest.approx(other.size, abs=2e-5)


def test_a_number_without_a_slope_is_refused() -> None:
    model, inputs = _known("bert")
    with pytest.raises(
        ValueError, match=r"cosine .* gradients are 0: pass metric=lambda .*another text\.$"
    ):
        aw.trace(model, inputs)


def test_what_cannot_be_traced_is_refused(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    for threshold in (0, 1.5, "much"):
        with pytest.raises(ValueError, match="threshold must be a share"):
            aw.trace(model, TEXT, tokenizer, threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="budget"):
        aw.trace(model, TEXT, tokenizer, budget=-1)
    with pytest.raises(ValueError, match="'enc'"):
        aw.trace(model, TEXT, tokenizer, stream="enc")
    with pytest.raises(ValueError, match=r"queries and .* keys of its own"):
        aw.trace(model, TEXT, tokenizer, positions=slice(4, 9))
    model, inputs = _known("bart-2-4")
    with pytest.raises(ValueError, match="several streams"):
        aw.trace(model, inputs)
    with pytest.raises(ValueError, match=r"queries and .* keys of its own"):
        aw.trace(model, inputs, stream="cross")
