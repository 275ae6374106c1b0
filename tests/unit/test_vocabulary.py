"""One vocabulary: the same thing has the same names in every public call, counts in the same way, and is listed by editors."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from contract.record import record

import attnwidget as aw
from attnwidget.protocol.constants import STATE_NAMES
from attnwidget.record.options import SelectionOptions
from attnwidget.serve.selection_parts import CHOICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLASSES = (
    aw.Attention,
    aw.AttentionWidget,
    aw.Comparison,
    aw.ComparisonSeries,
    aw.Layer,
    aw.Stream,
    aw.Survey,
)
PAIRS = (("layer", "layers"), ("head", "heads"))
TOKENS = ["the", "cat", "sat", "it"]


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function, and every public method of the public classes, by name."""
    for name in aw.__all__:
        if inspect.isfunction(getattr(aw, name)):
            yield name, getattr(aw, name)
    for kind in CLASSES:
        for name in dir(kind):
            # Static, as reading a property of ipywidgets' class warns.
            method = inspect.getattr_static(kind, name)
            ours = inspect.isfunction(method) and method.__module__.startswith("attnwidget")
            if name[0] != "_" and ours:
                yield f"{kind.__name__}.{name}", method
    yield "AttentionWidget", aw.AttentionWidget


CALLS = dict(public())


def parameters(name: str) -> set[str]:
    return set(inspect.signature(CALLS[name]).parameters)


@pytest.mark.parametrize("name", CALLS)
def test_layer_and_head_have_both_names_or_none(name: str) -> None:
    known = parameters(name)
    for pair in PAIRS:
        assert len(known & set(pair)) != 1, f"{name} takes {known & set(pair)} alone"


@pytest.mark.parametrize("name", CALLS)
def test_query_and_key_are_called_so_wherever_positions_are_taken(name: str) -> None:
    known = inspect.signature(CALLS[name]).parameters
    for several, one in (("queries", "query"), ("keys", "key")):
        # Whole lists of `Position` values name nothing.
        if several in known and known[several].annotation != "Positions":
            assert one in known


@pytest.mark.parametrize(
    "name",
    ["view", "head_view", "model_view", "neuron_view", "AttentionWidget"]
    + [f"{kind}.view" for kind in ("Attention", "Comparison", "ComparisonSeries", "Survey")],
)
def test_shift_tab_lists_what_a_view_takes(name: str) -> None:
    known = inspect.signature(CALLS[name]).parameters
    assert {*STATE_NAMES, "layers", "head", "frozen"} <= set(known)
    assert all(
        one.kind is one.KEYWORD_ONLY for option, one in known.items() if option in STATE_NAMES
    )
    assert str(known["query"]).endswith("= ...")


@pytest.mark.parametrize(
    "name",
    [
        f"{kind}.{method}"
        for kind in ("Attention", "Comparison", "ComparisonSeries", "Survey", "AttentionWidget")
        for method in ("figure", "save")
    ],
)
def test_shift_tab_lists_what_a_figure_takes(name: str) -> None:
    wanted = {
        "layer",
        "heads",
        "query",
        "key",
        "form",
        "arrange",
        "compare",
        "width",
        "theme",
        "top_k",
    }
    assert wanted <= parameters(name)


def test_the_description_of_view_names_every_part_of_the_selection() -> None:
    assert [name for name in STATE_NAMES if f"``{name}``" not in str(aw.view.__doc__)] == []


@pytest.mark.parametrize("name", [name for name in CHOICES if name != "positions"])
def test_type_checkers_know_the_choices(name: str) -> None:
    """`positions` of a view are also those that are recorded, so there they can be anything."""
    hints = get_type_hints(
        SelectionOptions, localns={"Pins": Any, "Several": Any, "Head": Any, "Iterable": Iterable}
    )
    literals = [one for one in (hints[name], *get_args(hints[name])) if get_origin(one) is Literal]
    assert get_args(literals[0]) == CHOICES[name]


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    """Three layers of four heads over four tokens."""
    scores = np.random.default_rng(0).normal(size=(3, 4, 4, 4))
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return aw.from_weights(weights.astype(np.float32), TOKENS)


@pytest.fixture(scope="module")
def comparison(attention: aw.Attention) -> aw.Comparison:
    scores = np.random.default_rng(1).normal(size=(3, 4, 4, 4))
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return aw.compare(attention, aw.from_weights(weights.astype(np.float32), TOKENS))


@pytest.fixture(scope="module")
def survey() -> aw.Survey:
    model, tokenizer = aw.pocket()
    return aw.survey(model, ["the cat sat .", "it sat"], tokenizer, progress=False)


def rows(table: Any) -> list[dict[str, Any]]:
    return table.to_dict("records") if hasattr(table, "to_dict") else list(table)


def layer_calls(
    attention: aw.Attention, comparison: aw.Comparison
) -> dict[str, Callable[..., Any]]:
    """What takes a layer of the three, each as a function of its keyword arguments to something comparable."""
    return {
        "numpy": lambda **given: attention.numpy(**given).tolist(),
        "to_dataframe": lambda **given: rows(attention.to_dataframe(**given)),
        "head_scores": lambda **given: rows(attention.head_scores("previous", **given)),
        "head_labels": lambda **given: rows(attention.head_labels(**given)),
        "find": lambda **given: rows(attention.find("it", "cat", **given)),
        "rollout": lambda **given: attention.rollout(**given).tolist(),
        "difference": lambda **given: comparison.difference(**given).tolist(),
        "changed": lambda **given: rows(comparison.changed(**given)),
        "view": lambda **given: aw.view(attention, **given).layer,
        "Attention.view": lambda **given: attention.view(**given).layer,
        "Comparison.view": lambda **given: comparison.view(**given).layer,
        "figure": lambda **given: repr(attention.figure("head", **given)),
        "Comparison.figure": lambda **given: repr(comparison.figure(**given)),
    }


LAYER_CALLS = tuple(layer_calls(None, None))  # type: ignore[arg-type]  # only their names
HEAD_CALLS = tuple(name for name in LAYER_CALLS if name != "rollout")


@pytest.mark.parametrize("name", LAYER_CALLS)
def test_a_layer_has_two_names_and_counts_from_the_end(
    name: str, attention: aw.Attention, comparison: aw.Comparison
) -> None:
    call = layer_calls(attention, comparison)[name]
    last = call(layer=2)
    assert last != call(layer=1) or name == "head_labels"  # even attention has none
    assert all(call(**{each: -1}) == last for each in ("layer", "layers"))
    assert call(layers=np.int64(2)) == last
    with pytest.raises(TypeError, match="layer and layers are one argument, got both"):
        call(layer=1, layers=2)
    with pytest.raises(
        (IndexError, ValueError), match=r"layer must be one of (0..2|\[0, 1, 2\]).*got 7"
    ):
        call(layer=7)
    with pytest.raises((IndexError, ValueError), match=r"layer must be one of .*got -4"):
        call(layer=-4)


@pytest.mark.parametrize("name", HEAD_CALLS)
def test_a_head_has_two_names_and_counts_from_the_end(
    name: str, attention: aw.Attention, comparison: aw.Comparison
) -> None:
    call = layer_calls(attention, comparison)[name]
    if name.endswith("view"):
        shown = aw.view if name == "view" else None
        result = comparison if name.startswith("Comparison") else attention

        def call(**given: Any) -> Any:
            return (shown(result, **given) if shown else result.view(**given)).heads

    whole = {"layer": 1} if name == "difference" else {}
    last = call(head=3, **whole)
    assert last != call(head=1, **whole) or name == "head_labels"
    assert all(call(**{each: -1}, **whole) == last for each in ("head", "heads"))
    with pytest.raises(TypeError, match="are one argument, got both"):
        call(head=1, heads=2, **whole)
    for wrong in (4, -5):
        with pytest.raises(ValueError, match=rf"heads must be integers in 0\.\.3, got \[{wrong}\]"):
            call(head=wrong, **whole)


@pytest.mark.parametrize("method", ["weights", "measure", "scores", "bias_block", "output"])
def test_a_layers_methods_take_either_name(method: str) -> None:
    model, tokenizer = aw.pocket()
    layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][-1]
    call = getattr(layer, method)
    first = ("weights",) if method == "measure" else ()
    np.testing.assert_array_equal(call(*first, heads=-1), call(*first, 3))
    with pytest.raises(
        TypeError, match="head and heads are one argument, got both: head=1, heads=2"
    ):
        call(*first, 1, heads=2)
    if method != "output":
        named = call(*first, heads=1, query="cat", key=-1)
        np.testing.assert_array_equal(named, call(*first, 1, 2, 3))
        with pytest.raises(TypeError, match="queries and query are one argument"):
            call(*first, 1, queries="cat", query=2)


def test_tables_keep_only_the_layers_and_heads_asked_for(
    attention: aw.Attention, comparison: aw.Comparison, survey: aw.Survey
) -> None:
    asked = {"layers": [0, -1], "heads": [1, -1]}
    for table, last in (
        (attention.head_scores("previous", **asked), 2),
        (attention.find("it", "cat", top=None, **asked), 2),
        (attention.to_dataframe(**asked), 2),
        (comparison.changed(None, **asked), 2),
        (survey.head_scores("previous", **asked), 3),
    ):
        found = {(row["layer"], row["head"]) for row in rows(table)}
        assert found == set(itertools.product((0, last), (1, 3)))


def test_labels_of_some_layers_and_heads() -> None:
    model, tokenizer = aw.pocket()
    found = aw.capture(model, "the cat sat on the mat because it was tired", tokenizer)
    whole = rows(found.head_labels())
    assert rows(found.head_labels(layer=-1)) == [row for row in whole if row["layer"] == 3]
    assert rows(found.head_labels(head=-2)) == [row for row in whole if row["head"] == 2]
    assert len({row["layer"] for row in whole}) > 1


def test_a_rollout_above_one_layer_is_that_of_the_whole(attention: aw.Attention) -> None:
    whole = attention.rollout()
    np.testing.assert_array_equal(attention.rollout(layer=1), whole[1])
    np.testing.assert_array_equal(attention.rollout(layers=[2, 0]), whole[[2, 0]])


def test_a_survey_counts_from_the_end(survey: aw.Survey) -> None:
    last = rows(survey.examples(3, 3, "previous"))
    assert rows(survey.examples(layers=-1, heads=[-1], score="previous")) == last
    assert survey.view(layers=-1, head=-1).layer == 3
    with pytest.raises(ValueError, match=r"layer must be one of 0\.\.3 in stream 'decoder', got 9"):
        survey.head_labels(layer=9)
    with pytest.raises(ValueError, match=r"examples are of one layer, got \[0, 1\]: pass layer=0"):
        survey.examples(layers=[0, 1], head=0)


def test_capture_and_survey_record_the_layers_by_either_name() -> None:
    model, tokenizer = aw.pocket()
    for name, chosen in (("layer", -1), ("layers", [-1])):
        found = aw.capture(model, "the cat", tokenizer, **{name: chosen})
        assert [layer.layer for layer in found["decoder"]] == [3]
        assert (
            aw.view(
                model, "the cat", tokenizer, layers=[1, 3], layer=chosen if name == "layer" else 3
            ).layer
            == 3
        )
    with pytest.raises(TypeError, match="layer and layers are one argument"):
        aw.capture(model, "the cat", tokenizer, layer=1, layers=[2])
    with pytest.raises(TypeError, match="a recording holds every head of a layer, got heads="):
        aw.capture(model, "the cat", tokenizer, heads=[1])
    read = aw.survey(model, ["the cat"], tokenizer, progress=False, layer=2)
    assert {row["layer"] for row in rows(read.head_scores("first"))} == {2}


def test_layers_of_a_hybrid_count_from_the_end_by_their_numbers() -> None:
    view = aw.view(record())  # its layers are 0 and 2
    view.layer = -1
    assert view.layer == 2
    view.show_layers = [-1]
    assert view.show_layers == [2]
    view.compare = [(-1, -1), (0, -1)]
    assert view.compare == [[2, 3], [0, 3]]
    view.query, view.key = -1, [-1, 0]
    assert (view.query, view.key) == (4, [6, 0])


def test_several_layers_where_one_is_shown_are_refused_with_what_to_do(
    attention: aw.Attention, comparison: aw.Comparison
) -> None:
    assert aw.view(attention, layers=[2]).layer == 2
    with pytest.raises(ValueError, match=r"show one layer, got \[0, 2\].*show_layers=\[0, 2\]"):
        aw.view(attention, layers=[0, 2])
    with pytest.raises(ValueError, match=r"show one layer, got \[0, 2\]"):
        attention.figure("head", layers=[0, 2])
    with pytest.raises(ValueError, match=r"difference is of one layer, got \[0, 2\]"):
        comparison.difference(layers=[0, 2])


def test_heads_that_differ_from_layer_to_layer_are_no_one_array() -> None:
    even = [np.full((heads, 3, 3), 1 / 3, np.float32) for heads in (4, 2)]
    uneven = aw.from_weights(even, TOKENS[:3])
    assert uneven.numpy(heads=[0, 1]).shape == (2, 2, 3, 3)
    with pytest.raises(ValueError, match=r"have \[2, 4\] heads: choose layers=\[1\]"):
        uneven.numpy(heads=-1)
    assert {(row["layer"], row["head"]) for row in rows(uneven.to_dataframe(head=-1))} == {
        (0, 3),
        (1, 1),
    }


def test_text_is_a_position_wherever_positions_are_named(attention: aw.Attention) -> None:
    layer = attention["self"][1]
    view = aw.view(attention, query="it", key=["cat", 0])
    assert (view.query, view.key) == (3, [1, 0])
    view.ranking = {"queries": ["it"], "keys": "cat"}
    assert view.ranking == {"queries": [3], "keys": [1]}
    view.rank(query="sat", key="the")
    assert view.ranking == {"queries": [2], "keys": [0]}
    assert layer.weights(1, "it", "cat") == layer.weights(1, 3, 1)
    by_text, by_number = (attention.head_scores("sink", sink=sink) for sink in ("cat", 1))
    assert rows(by_text) == rows(by_number)
    assert rows(attention.find("it", "cat")) == rows(attention.find(-1, -3))
    with pytest.raises(
        ValueError, match="sink='dog' is no token of this input; there are the, cat"
    ):
        attention.head_scores("sink", sink="dog")
