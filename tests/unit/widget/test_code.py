"""`AttentionWidget.code`: the call that is copied opens a view at the same selection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import attnwidget as aw
from attnwidget.serve.python_call import call_of_model, literal, view_call
from attnwidget.serve.selection_parts import DEFAULTS, STATE
from attnwidget.serve.source import RecordSource

if TYPE_CHECKING:
    from attnwidget import AttentionWidget

TEXT = "The cat sat on the mat"
# The front end writes the same text from the same parts: js/tests/unit/state/python-call.test.ts.
CASES = json.loads(
    (Path(__file__).parents[2] / "contract/fixtures/python_calls.json").read_text("utf-8")
)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What a caller has: a model, its tokenizer, a record, a comparison, a survey."""
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, TEXT, tokenizer)
    other = aw.capture(model, "The dog sat on the mat", tokenizer)
    survey = aw.survey(model, [TEXT, "the dog sat"], tokenizer=tokenizer, progress=False)
    compared = {"comparison": aw.compare(attention, other), "survey": survey}
    return {"aw": aw, "model": model, "tokenizer": tokenizer, "attention": attention, **compared}


def state_of(view: AttentionWidget) -> dict[str, Any]:
    return {name: getattr(view, name) for name in STATE}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer": 3, "heads": [1, 3], "query": "cat"},
        {"layer": 0, "heads": [0]},
        {"query": [2, 4], "key": 1, "form": "matrix", "theme": "dark", "view": "head"},
        {"score": "previous", "arrange": "rank", "threshold": 0.00003, "below_threshold": "hidden"},
        {"score": "previous", "arrange": "scatter", "other_score": "self", "without_sink": True},
        {"compare": [(0, 1), (3, 2)], "measure": "value", "positions": "words"},
        {"heads": [1, 3], "together": "mean", "together_layers": [0, 2]},
        {"positions": "words"},
        {"measure": "rollout"},
        {"show_layers": [0, 2], "ranking": {"queries": None, "keys": [2]}, "score": "ranking"},
    ],
)
@pytest.mark.parametrize("of", ["model", "attention"])
def test_the_call_opens_a_view_at_the_same_selection(
    names: dict[str, Any], of: str, options: dict[str, Any]
) -> None:
    view = (
        aw.view(names["model"], TEXT, names["tokenizer"], **options)
        if of == "model"
        else aw.view(names["attention"], **options)
    )
    code = view.code()
    assert code.startswith(f"aw.view({of}")
    again = eval(code, dict(names))  # noqa: S307 - what it returns is a call to be run
    expected = state_of(view)
    if of == "model" and "layer=" in code and not {"layer", "heads", "query"} & set(options):
        # The query that a view of a model opened on by itself is not named: it would be measured there.
        expected |= {"query": None, "key": None}
    assert state_of(again) == expected
    assert again.code() == code


@pytest.mark.parametrize(("name", "value"), [("measure", "rollout"), ("positions", "words")])
def test_what_decides_where_a_view_opens_is_told_with_the_place(
    names: dict[str, Any], name: str, value: str
) -> None:
    view = aw.view(names["attention"])
    assert view.chosen is not None
    setattr(view, name, value)
    again = eval(view.code(), dict(names))  # noqa: S307 - what it returns is a call to be run
    assert state_of(again) == state_of(view)


def test_only_what_is_not_as_in_a_new_view_is_said(names: dict[str, Any]) -> None:
    view = aw.view(names["model"], TEXT, names["tokenizer"])
    assert view.code() == f'aw.view(model, "{TEXT}", tokenizer=tokenizer)'
    view.form = "matrix"
    assert view.code() == f'aw.view(model, "{TEXT}", tokenizer=tokenizer, form="matrix")'


@pytest.mark.parametrize("of", ["comparison", "survey"])
def test_other_results_have_names_of_their_own(names: dict[str, Any], of: str) -> None:
    for options in ({}, {"layer": 2, "heads": [1]}, {"score": None}):
        if of == "survey" and "score" in options:
            continue
        view = aw.view(names[of], **options)
        again = eval(view.code(), dict(names))  # noqa: S307 - what it returns is a call to be run
        assert view.code().startswith(f"aw.view({of}")
        assert state_of(again) == state_of(view)


def test_a_pattern_of_ones_own_is_named_in_a_comment(names: dict[str, Any]) -> None:
    view = aw.view(names["attention"])
    positions = len(names["attention"]["decoder"].query_positions)
    before = [[int(k + 1 == q) for k in range(positions)] for q in range(positions)]
    view.rank(pattern=before, name='the "one" before')
    assert view.code().endswith('  # then view.rank(pattern=pattern, name="the \\"one\\" before")')
    again = eval(view.code(), dict(names))  # noqa: S307 - what it returns is a call to be run
    again.rank(pattern=before, name='the "one" before')
    assert state_of(again)["ranking"]["pattern"] == 'the "one" before'


@pytest.mark.parametrize(
    ("inputs", "options", "call"),
    [
        ('He said "no"\n', {}, 'aw.view(model, "He said \\"no\\"\\n", tokenizer=tokenizer'),
        (("a", "b"), {"layers": [0, 1]}, 'aw.view(model, ("a", "b"), tokenizer=tokenizer, layers=[0, 1]'),
        (
            [{"role": "user", "content": "hi"}],
            {"exact": "model"},
            'aw.view(model, [{"role": "user", "content": "hi"}], tokenizer=tokenizer, exact="model"',
        ),
        (object(), {"target": object()}, "aw.view(model, inputs, tokenizer=tokenizer, target=target"),
        ("word " * 1000, {}, "aw.view(model, inputs, tokenizer=tokenizer"),
        ([], {}, "aw.view(model, inputs, tokenizer=tokenizer"),
    ],
)  # fmt: skip
def test_the_input_is_written_down_where_it_is_words(
    inputs: object, options: dict[str, Any], call: str
) -> None:
    assert call_of_model(inputs, object(), options) == call


@pytest.mark.parametrize("text", ['"', "\\", "\n\t\x00\x7f", "é ← 😀", "\u2028", "\ud800x"])
def test_text_is_read_again_as_it_was(text: str) -> None:
    assert eval(literal(text)) == text  # noqa: S307 - a literal


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][-40:])
def test_kernel_and_page_write_the_same(case: dict[str, Any]) -> None:
    # A part of the selection that came later is as it always is.
    whole = "opened" if "opened" in case["python"] else "placed"
    told = {**case["python"], whole: {**DEFAULTS, **case["python"][whole]}}
    assert view_call(told, {**DEFAULTS, **case["state"]}) == case["text"]


def test_the_page_is_given_a_pdf_of_what_is_shown(names: dict[str, Any]) -> None:
    pytest.importorskip("vl_convert")
    answer, (pdf,) = aw.view(names["attention"]).draw_pdf({}, [])
    assert answer == {}
    assert pdf.startswith(b"%PDF")


def test_a_page_that_asks_for_a_pdf_in_vain_is_told_why(
    names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> str:
        message = "Figures without a browser need the embedded V8"
        raise ImportError(message)

    monkeypatch.setattr("attnwidget.figures.renderer.draw", missing)
    answer, buffers = aw.view(names["attention"]).draw_pdf({}, [])
    assert "need the embedded V8" in answer["error"]
    assert not buffers


@pytest.mark.parametrize("options", [{"layer": 0}, {"choose": False}, {"query": 2}])
def test_where_the_caller_says_where_nothing_is_chosen_for_the_call(
    names: dict[str, Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(RecordSource, "choose", lambda _self, given: asked.append(given))
    view = aw.view(names["attention"], **options)
    assert asked == []
    view.layer, view.heads = 3, [2]
    query = "".join(f", query={view.query}" for _ in options if view.query is not None)
    assert view.code() == f"aw.view(attention, layer=3, heads=[2]{query})"
