"""A survey in the widget: what it describes, its blocks, its examples, its page."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.test_protocol import validate
from support.copies import array_of, snapshot_of

import attnwidget as aw
from attnwidget.protocol import codec
from attnwidget.serve.survey import example_texts

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget.surveys.survey import Survey
    from attnwidget.widget.survey import SurveyWidget

NAMES = list(aw.SCORES)
TEXTS = [
    "tom bought tea , rice and milk . he loved tea , rice and milk .",
    "the keys near the box are small .",
    "the cat sat on the mat because it was tired .",
    "rice deep he two tea milk cat dog rice deep he two tea milk cat dog",
]


@pytest.fixture(scope="module")
def found() -> Survey:
    model, tokenizer = aw.pocket()
    return aw.survey(model, TEXTS, tokenizer, progress=False, examples=2)


def block(view: SurveyWidget, **request: Any) -> np.ndarray:
    reply, buffers = view.blocks({"requests": [{"stream": "decoder", **request}]}, [])
    (answer,) = reply["replies"]
    assert answer["ok"], answer
    return codec.decode(answer["block"], buffers[0])


def test_it_opens_on_the_mean_scores(found: Survey) -> None:
    view = aw.view(found, layer=2, heads=[1])
    assert repr(view) == "SurveyWidget(GPT2LMHeadModel, decoder: 16 heads, 4 inputs)"
    assert (view.score, view.layer, view.heads, view.example) == ("induction", 2, [1], None)
    validate("Meta", view.meta)
    assert [axis["labels"] for axis in view.meta["positions"]] == [[]]
    about = view.meta["survey"]
    assert (about["inputs"], about["can_open"]) == (4, False)
    assert about["texts"] == {str(index): TEXTS[index] for index in map(int, about["texts"])}
    with pytest.raises(ValueError, match="layer must be one of"):
        view.layer = 4


def test_a_survey_takes_no_inputs(found: Survey) -> None:
    with pytest.raises(TypeError, match=r"call survey.view\(model, tokenizer\)"):
        aw.view(found, "some text")
    with pytest.raises(TypeError, match="Unknown option 'target'"):
        aw.view(found, target="model")


def test_numbers_are_those_of_the_survey(found: Survey) -> None:
    view = found.view()
    moments = found.streams["decoder"].moments
    place = NAMES.index("induction")
    rows = _records(found.head_scores("induction"))
    scores, spreads = block(view, what="head_scores"), block(view, what="head_spreads")
    assert scores.shape == spreads.shape == (2, 16, len(NAMES))
    np.testing.assert_allclose(scores[0, :, place], [row["mean"] for row in rows], rtol=1e-6)
    np.testing.assert_allclose(spreads[1, :, place], moments.spread[1, :, place], rtol=1e-6)
    index, value = block(view, what="typical", score="induction")
    examples = _records(found.examples(2, 1, "induction"))
    assert index[9].tolist() == [row["index"] for row in examples]
    np.testing.assert_allclose(value[9], [row["value"] for row in examples], rtol=1e-6)
    reply, _ = view.blocks(
        {
            "requests": [
                {
                    "what": "ranking",
                    "stream": "decoder",
                    "ranking": {"queries": None, "keys": [0]},
                }
            ]
        },
        [],
    )
    assert "open one of its examples" in reply["replies"][0]["error"]


def _records(table: Any) -> list[dict[str, Any]]:
    return table if isinstance(table, list) else table.to_dict("records")


@pytest.fixture(scope="module")
def with_contexts() -> Survey:
    model, tokenizer = aw.pocket()
    return aw.survey(model, TEXTS, tokenizer, progress=False, contexts=6)


def contexts_in(units: np.ndarray) -> list[dict[str, Any]]:
    found = json.loads(units.astype("<u2").tobytes().decode("utf-16-le"))
    assert isinstance(found, list)
    return found


def test_contexts_come_as_text(found: Survey, with_contexts: Survey) -> None:
    view = with_contexts.view()
    validate("Meta", view.meta)
    assert view.meta["survey"]["contexts"] == 6
    assert "contexts" not in found.view().meta["survey"]
    request = {"what": "contexts", "score": "induction", "of": [2, 1]}
    validate("Request", {**request, "stream": "decoder"})
    rows = contexts_in(block(view, **request))
    expected = with_contexts.contexts(2, 1, "induction")
    for row, one in zip(rows, expected, strict=True):
        assert (row["input"], row["query"], row["key"]) == (one.input, one.query, one.key)
        assert (
            "".join(
                (" …" if flags & 8 else "") + ("" if flags & 1 else " ") + label
                for label, flags in row["tokens"]
            ).strip()
            == one.plain_text
        )
        assert [label for label, flags in row["tokens"] if flags & 2] == [one.query_token]
        assert [label for label, flags in row["tokens"] if flags & 4] == [one.key_token]
        assert "closed" not in row
    links = contexts_in(block(view, what="contexts", score="link", of=[3, 3]))
    assert links[0]["value"] == with_contexts.contexts(3, 3)[0].value
    for wrong, message in (
        ({"score": "nope", "of": [2, 1]}, "scores must be among"),
        ({"score": "link", "of": [2, 4]}, "there is no head 4 in layer 2"),
    ):
        asked = {"what": "contexts", "stream": "decoder", **wrong}
        reply, _ = view.blocks({"requests": [asked]}, [])
        assert message in reply["replies"][0]["error"]


def test_inputs_that_cannot_be_recorded_again_say_why(with_contexts: Survey) -> None:
    texts = {**with_contexts.texts, 0: "x" * 2000}
    view = replace(with_contexts, texts={index: texts[index] for index in (0, 1)}).view()
    rows = [
        row
        for layer, head in ((0, 2), (2, 1))
        for row in contexts_in(block(view, what="contexts", score="previous", of=[layer, head]))
    ]
    why = {row["input"]: row.get("closed") for row in rows}
    assert why.pop(0, "first 2,000").endswith(("2,000", "characters of this input"))
    assert why.pop(1, None) is None
    assert set(why.values()) == {"the survey has no text of this input"}


def test_a_page_carries_contexts_of_the_heads(with_contexts: Survey, tmp_path: Path) -> None:
    view = with_contexts.view(layer=2, heads=[1])
    snapshot = snapshot_of(view.save(tmp_path / "s.html").read_text(encoding="utf-8"))
    carried = {
        (stored["request"]["score"], *stored["request"]["of"]): contexts_in(array_of(stored))
        for stored in snapshot["blocks"]
        if stored["request"]["what"] == "contexts"
    }
    heads = {(layer, head) for layer in range(4) for head in range(4)}
    assert set(carried) == {(rule, *one) for rule in ("induction", "link") for one in heads}
    assert (
        carried["induction", 2, 1][0]["input"] == with_contexts.contexts(2, 1, "induction")[0].input
    )


def test_a_context_opens_its_input_at_the_link(with_contexts: Survey) -> None:
    view = with_contexts.view(*aw.pocket(), layer=2, heads=[1])
    one = with_contexts.contexts(2, 1, "induction")[0]
    message = {"example": one.input, "query": one.query, "key": one.key}
    command = {"id": "1", "kind": "anywidget-command", "name": "open_example", "msg": message}
    validate("Command", command)
    assert view.open_example(message, []) == ({}, [])
    assert (view.example, view.query, view.key) == (one.input, one.query, one.key)
    labels = [position.label for position in view.attention["decoder"].key_positions]
    assert (labels[one.query], labels[one.key]) == (one.query_token, one.key_token)
    view.show_example(one.input)
    assert (view.query, view.key) == (None, None)


def test_an_example_is_recorded_and_shown(found: Survey) -> None:
    view = found.view(*aw.pocket(), layer=2, heads=[1])
    assert view.open_example({"example": 3}, []) == ({}, [])
    assert view.example == 3
    assert view.attention.text == TEXTS[3]
    validate("Meta", view.meta)
    assert view.meta["survey"]["example"] == 3
    assert view.meta["positions"][0]["labels"][1:3] == ["rice", "deep"]
    assert (view.layer, view.heads, view.score) == (2, [1], "induction")
    # The scores stay those of the survey; links are the example's.
    place = NAMES.index("induction")
    moments = found.streams["decoder"].moments
    scores = block(view, what="head_scores")
    np.testing.assert_allclose(scores[0, :, place], moments.mean[0, :, place], rtol=1e-6)
    view.rank(query=9, key=2)
    model, tokenizer = aw.pocket()
    own = aw.capture(model, TEXTS[3], tokenizer)
    weights = block(view, what="ranking", ranking=view.ranking)
    np.testing.assert_allclose(weights[9], own["decoder"][2].weights(1)[9, 2], rtol=1e-6)
    view.query = 12
    view.show_example(1)
    assert (view.query, view.ranking, view.score) == (None, None, None)


def test_groups_of_one_example_are_not_those_of_the_next(found: Survey) -> None:
    view = found.view(*aw.pocket())
    view.show_example(0)
    view.grouping, view.aside = "sentence", [2]
    view.from_group, view.to_group = "sentence 2", "sentence 1"
    view.show_example(1)
    assert (view.grouping, view.from_group, view.to_group) == (None, None, None)
    assert view.aside is None
    view.show_example(0)
    view.grouping, view.from_group = "sentence", "sentence 2"
    view.aside = "special"
    view.show_example(0)
    assert (view.grouping, view.from_group, view.aside) == ("sentence", "sentence 2", "special")


def test_what_cannot_be_opened_says_why(found: Survey) -> None:
    alone = found.view()
    with pytest.raises(ValueError, match=r"no model .* call survey.view\(model, tokenizer\)"):
        alone.show_example(3)
    assert "there is no model" in alone.open_example({"example": 3}, [])[0]["error"]
    view = found.view(*aw.pocket())
    with pytest.raises(ValueError, match="keeps no text of input 99"):
        view.show_example(99)
    assert view.example is None


def test_texts_are_kept_within_a_budget(found: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.serve.survey.TEXT_LENGTH", 10)
    monkeypatch.setattr("attnwidget.serve.survey.ALL_TEXTS", 25)
    kept = example_texts(found)
    assert len(kept) == 2
    assert all(len(text) == 11 and text.endswith("…") for text in kept.values())


def test_a_page_opens_no_example_as_it_has_no_model(found: Survey, tmp_path: Path) -> None:
    view = found.view(*aw.pocket())
    assert view.meta["survey"]["can_open"]
    snapshot = snapshot_of(view.save(tmp_path / "closed.html").read_text("utf-8"))
    assert not snapshot["meta"]["survey"]["can_open"]
    assert view.meta["survey"]["can_open"]


def test_a_page_holds_the_scores_and_the_examples(found: Survey, tmp_path: Path) -> None:
    view = found.view(score="duplicate")
    snapshot = snapshot_of(view.save(tmp_path / "survey.html").read_text("utf-8"))
    validate("Snapshot", snapshot)
    requests = [entry["request"] for entry in snapshot["blocks"]]
    assert {request["what"] for request in requests} == {
        "head_scores",
        "head_labels",
        "head_spreads",
        "typical",
    }
    typical = [one for one in requests if one["what"] == "typical"]
    assert typical[0]["score"] == "duplicate"
    assert {one["score"] for one in typical} == set(NAMES)
    np.testing.assert_array_equal(
        array_of(snapshot["blocks"][requests.index(typical[0])]),
        block(view, what="typical", score="duplicate"),
    )


def test_a_figure_shows_heads_and_examples(found: Survey, tmp_path: Path) -> None:
    view = found.view(layer=2, heads=[1])
    svg = view.save(tmp_path / "survey.svg").read_text("utf-8")
    assert "mean over 4 inputs" in svg
    assert TEXTS[3] in svg
    assert 'id="head-view"' not in svg
    opened = found.view(*aw.pocket(), layer=2, heads=[1])
    opened.show_example(3)
    assert 'id="head-view"' in opened.save(tmp_path / "open.svg").read_text("utf-8")


@pytest.fixture(scope="module")
def with_links() -> Survey:
    model, tokenizer = aw.pocket()
    texts = [
        "the cat sat on the mat because it was tired",
        "the dog ran because it was happy",
        "the nurse sat because it was tired .",
    ]
    links = [
        [(9, 2, "pronoun"), (3, 2, "subject")],
        [(5, 2, "pronoun"), (3, 2, "subject")],
        [(5, 2, "pronoun"), (2, 3, "subject")],
    ]
    return aw.survey(model, texts, tokenizer, links=links, progress=False, contexts=5)


PRONOUN = "precision of pronoun (forward)"


def test_gold_links_are_scores_of_the_heads(with_links: Survey, found: Survey) -> None:
    view = with_links.view(score=PRONOUN)
    validate("Meta", view.meta)
    names = [score["name"] for score in view.meta["scores"]]
    # Of links to a later key a causal model has none: forward for all but "subject", which has one such.
    assert names[len(NAMES) :] == [
        f"{kind} of {label}"
        for kind in ("precision", "recall", "mean weight")
        for label in ("pronoun (forward)", "subject (forward)", "subject (backward)")
    ]
    scores, spreads = block(view, what="head_scores"), block(view, what="head_spreads")
    assert scores.shape == spreads.shape == (2, 16, len(names))
    assert np.isnan(spreads[:, :, len(NAMES) :]).all()
    columns = {"precision": "precision", "recall": "recall", "mean weight": "weight"}
    for name in names[len(NAMES) :]:
        kind, rest = name.split(" of ")
        label, direction = rest[:-1].split(" (")
        rows = _records(with_links.link_scores(label, direction))
        for of in scores:
            expected = [row[columns[kind]] for row in rows]
            np.testing.assert_allclose(of[:, names.index(name)], expected, rtol=1e-6)
    assert "links" not in found.view().meta["survey"]
    with pytest.raises(ValueError, match=r"precision of pronoun \(forward\), .* got 'pronoun'"):
        with_links.view(score="pronoun")


def test_what_is_said_of_gold_links_is_that_of_their_table(with_links: Survey) -> None:
    view = with_links.view(score=PRONOUN)
    best = with_links.links.best("pronoun")
    assert (view.layer, view.heads) == (best["layer"], [best["head"]])
    assert view.chosen["why"] == f"the head with the highest {PRONOUN}, {best['precision']:.3f}"
    told = view.meta["survey"]["links"]["decoder"]
    rows = [row for row in with_links.links if row["label"] == "pronoun"]
    heads = ", ".join(f"{row['layer']}·{row['head']} {row['precision']:.3f}" for row in rows)
    offset = f"{best['offset']:+d} tokens".replace("-", "−")
    assert told[PRONOUN] == [
        "3 links of 3 queries · special tokens and the query itself left out",
        f"best heads: {heads}",
        f"best fixed offset, {offset}: {best['baseline']:.3f}",
    ]
    assert len(told["mean weight of pronoun (forward)"]) == 2


def test_figures_and_pages_have_gold_links(with_links: Survey, tmp_path: Path) -> None:
    figure = with_links.figure(score=PRONOUN)
    assert "best fixed offset" in figure.svg
    assert "mean over" not in figure.svg
    table = _records(figure.data)
    expected = [row["precision"] for row in _records(with_links.link_scores("pronoun"))]
    np.testing.assert_allclose([row[PRONOUN] for row in table], expected, rtol=1e-6)
    view = with_links.view(score=PRONOUN)
    snapshot = snapshot_of(view.save(tmp_path / "survey.html").read_text("utf-8"))
    validate("Snapshot", snapshot)
    assert snapshot["state"]["score"] == PRONOUN
    asked = [one["request"] for one in snapshot["blocks"]]
    # Contexts and typical inputs are of other scores.
    assert PRONOUN not in {one.get("score") for one in asked}
    assert {one["score"] for one in asked if one["what"] == "contexts"} == {"link"}
    drawn = view.save(tmp_path / "survey.svg").read_text("utf-8")
    assert "none is typical" in drawn


def test_an_input_opens_with_gold_links_as_the_score(with_links: Survey) -> None:
    view = with_links.view(*aw.pocket(), score=PRONOUN)
    view.show_example(0)
    assert (view.example, view.score) == (0, PRONOUN)
    validate("Meta", view.meta)
    assert block(view, what="head_scores").shape == (2, 16, len(view.meta["scores"]))


def test_an_example_that_was_left_is_not_kept(found: Survey) -> None:
    model, tokenizer = aw.pocket()
    view = found.view(model, tokenizer)
    view.show_example(0)
    where = {"layer": 1, "head": 0, "measure": "rollout"}
    assert block(view, what="rollout", **where, queries=[0, 3]).shape[1] == 3
    assert view.figure(positions=[0, 1, 2]).data is not None
    left = weakref.ref(view.attention["decoder"][1].query)
    view.show_example(1)
    gc.collect()
    assert left() is None
    assert view.example == 1


def test_a_view_of_means_has_no_numbers_of_weights(found: Survey) -> None:
    drawn = found.view(compare=[(0, 1)]).figure(view="compare")
    with pytest.raises(ValueError, match="view='compare' is drawn from weights"):
        _ = drawn.data


def test_an_example_that_cannot_be_described_leaves_the_one_before(
    found: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = found.view(*aw.pocket())
    view.show_example(0)
    kept = (view.source, view.meta, view.example, view._jobs, view._chooses, view._state())

    def fails(_: object) -> None:
        message = "no memory, say"
        raise RuntimeError(message)

    monkeypatch.setattr(type(view), "described", fails)
    with pytest.raises(RuntimeError, match="no memory, say"):
        view.show_example(1)
    assert (view.source, view.meta, view.example, view._jobs, view._chooses, view._state()) == kept
    monkeypatch.undo()
    view.show_example(1)
    assert view.example == 1
