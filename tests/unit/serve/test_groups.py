"""Groups of positions on the wire: what the page is told of them, shares, rankings, copies without a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract.test_protocol import validate
from support.copies import array_of, snapshot_of

import attnwidget as aw
from attnwidget.figures.crop import crop_of, crop_snapshot, cropped_answer
from attnwidget.protocol import codec
from attnwidget.record.positions import positions_from_tokens

PAIR = ["[CLS]", "the", "cat", "##s", "sat", "[SEP]", "who", "sat", "?", "[SEP]"]


def pair(seed: int = 0, tokens: Any = PAIR) -> aw.Attention:
    count = len(tokens)
    weights = np.random.default_rng(seed).dirichlet(np.ones(count), (2, 3, count))
    return aw.from_weights(weights.astype(np.float32), tokens, sentence_b_start=6)


def asked(view: Any, **request: Any) -> Any:
    where = {"what": "group_shares", "stream": "self", "layer": 1, "head": 0, **request}
    validate("Request", where)
    # As the page does, which asks again for what took longer than a slice.
    while True:
        reply, buffers = view.blocks({"requests": [where]}, [])
        validate("Reply", reply["replies"][0])
        (answer,) = reply["replies"]
        if "part" not in answer:
            break
    return codec.decode(answer["block"], buffers[0]) if answer["ok"] else answer["error"]


def groupings(view: Any) -> dict[str, dict[str, Any]]:
    (stream,) = view.meta["streams"]
    for grouping in stream.get("groupings", ()):
        validate("Grouping", grouping)
    return {
        one["name"]: {group["name"]: group for group in one["groups"]}
        for one in stream.get("groupings", ())
    }


def shares(table: Any, names: list[str]) -> Any:
    rows = table.to_dict("records") if hasattr(table, "to_dict") else table
    found = {(row["head"], row["from"], row["to"]): row["share"] for row in rows}
    heads = range(1 + max(head for head, _, _ in found))
    return [[[found[head, a, b] for b in names] for a in names] for head in heads]


def test_the_page_knows_the_groupings_of_at_least_two_groups() -> None:
    view = pair().view(groups={"cats": "cats", "who": 6})
    found = groupings(view)
    assert list(found) == ["own", "segment", "special", "sentence"]
    assert found["segment"]["B"] == {
        "name": "B", "label": "B", "queries": [[6, 10]], "keys": [[6, 10]]
    }  # fmt: skip
    assert found["own"]["cats"]["keys"] == [[2, 4]]
    assert found["own"]["rest"]["keys"] == [[0, 2], [4, 6], [7, 10]]
    assert found["special"]["special"]["queries"] == [[0, 1], [5, 6], [9, 10]]


def test_a_grouping_of_very_many_groups_is_left_to_python() -> None:
    record = pair(tokens=["a", "."] * 65)
    assert "sentence" not in groupings(record.view())
    assert len(record.groups("sentence")["self"]["key"]) == 65


def test_a_name_puts_a_grouping_first() -> None:
    assert next(iter(groupings(pair().view(groups="special")))) == "special"
    with pytest.raises(ValueError, match="its input is not known to be a chat"):
        pair().view(groups="role")


def test_shares_of_a_layer() -> None:
    record = pair()
    view = record.view(groups={"who": 6})
    for by, names in (("segment", ["A", "B"]), ("own", ["who", "rest"])):
        wanted: Any = by if by == "segment" else {"who": 6}
        expected = shares(record.group_shares(wanted, layer=1), names)
        np.testing.assert_allclose(asked(view, grouping=by), expected, atol=1e-6)
    assert "has no groups by 'turn' to show; there are own" in asked(view, grouping="turn")


def test_shares_between_words_are_those_of_the_words() -> None:
    record = pair()
    expected = shares(record.words().group_shares("segment", layer=1), ["A", "B"])
    found = asked(record.view(), grouping="segment", positions="words")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - asked(record.view(), grouping="segment")).max() > 1e-3


def test_heads_are_ranked_by_a_share() -> None:
    record = pair()
    view = record.view(groups={"who": 6})
    view.rank(from_group="A", to_group="B", by="segment")
    assert view.ranking == {"grouping": "segment", "from": "A", "to": "B"}
    validate("Ranking", view.ranking)
    assert (view.score, view.arrange) == ("ranking", "rank")
    request = {"what": "ranking", "stream": "self", "ranking": view.ranking}
    found = codec.decode(*view.source.answer(request))
    weights = np.concatenate([layer.weights() for layer in record["self"]])
    np.testing.assert_allclose(found, weights[:, :6, 6:].sum(-1).mean(-1), atol=1e-6)
    view.rank(to_group="who")
    assert view.ranking == {"grouping": "own", "from": None, "to": "who"}
    request["ranking"] = view.ranking
    found = codec.decode(*view.source.answer(request))
    np.testing.assert_allclose(found, weights[..., 6].mean(-1), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"from_group": "C", "to_group": "A"},
            "from_group must be a group by segment, one of A, B, got 'C'",
        ),
        ({"from_group": "A", "by": "turn"}, "has no groups by 'turn' to show"),
        ({"from_group": "A", "query": 0}, "rank takes from_group and to_group, or query, got both"),
    ],
)
def test_a_ranking_by_what_is_no_group_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pair().view().rank(**given)


def test_a_share_that_the_mask_forbids_ranks_nothing() -> None:
    model, tokenizer = aw.pocket()
    view = aw.capture(model, "the cat sat . it was tired .", tokenizer).view()
    with pytest.raises(ValueError, match="swap from and to"):
        view.rank(from_group="sentence 1", to_group="sentence 2", by="sentence")


def test_a_ranking_by_groups_is_a_trait() -> None:
    view = pair().view(ranking={"grouping": "segment", "from": "B", "to": None}, score="ranking")
    assert view.ranking["from"] == "B"
    with pytest.raises(ValueError, match="must be a group by segment"):
        view.ranking = {"grouping": "segment", "from": "C", "to": None}
    with pytest.raises(ValueError, match="ranking must be"):
        view.ranking = {"grouping": "segment", "from": 3, "to": None}


def test_a_copy_without_a_kernel_has_the_shares() -> None:
    view = pair().view()
    snapshot = snapshot_of(view.page())
    found = [one for one in snapshot["blocks"] if one["request"]["what"] == "group_shares"]
    asked_for = {(one["request"]["grouping"], one["request"]["layer"]) for one in found}
    assert asked_for == {(by, layer) for by in groupings(view) for layer in (0, 1)}
    (stored,) = [
        one
        for one in found
        if (one["request"]["grouping"], one["request"]["layer"]) == ("segment", 1)
    ]
    np.testing.assert_array_equal(array_of(stored), asked(view, grouping="segment"))


def test_two_records_have_the_groups_of_their_common_axis() -> None:
    second = pair(
        1, ["[CLS]", "the", "old", "cat", "##s", "sat", "[SEP]", "who", "sat", "?", "[SEP]"]
    )
    first = pair()
    view = aw.compare(first, second).view()
    names = ["special", "content"]
    assert list(groupings(view)["special"]) == names
    both = [shares(record.group_shares("special", layer=1), names) for record in (first, second)]
    for side, expected in zip("ab", both, strict=True):
        found = asked(view, grouping="special", side=side)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    changed = np.array(both[1]) - np.array(both[0])
    np.testing.assert_allclose(asked(view, grouping="special"), changed, atol=1e-6)
    named = aw.compare(first, second).view(groups={"who": "who"})
    assert next(iter(groupings(named))) == "own"


def test_a_figure_of_some_positions_has_their_groups() -> None:
    view = pair().view(choose=False)
    crop = crop_of(view.source.streams["self"], positions=[1, 2, 6, 7])
    assert crop is not None
    cropped, _ = crop_snapshot(view.snapshot(), view.source, crop)
    (stream,) = cropped["meta"]["streams"]
    by = {
        one["name"]: {group["name"]: group for group in one["groups"]}
        for one in stream["groupings"]
    }
    assert by["segment"]["A"]["queries"] == [[0, 2]]
    assert by["segment"]["B"]["keys"] == [[2, 4]]
    assert by["special"]["special"]["keys"] == []
    where = {"what": "group_shares", "stream": "self", "layer": 1, "head": 0}
    request = {**where, "grouping": "segment"}
    found = cropped_answer(view.source, crop, request, view.source.answer)
    # Of the whole groups, as weights are those over all positions.
    assert found == view.source.answer(request)


def test_groups_of_a_survey_are_refused_where_it_is_shown() -> None:
    model, tokenizer = aw.pocket()
    survey = aw.survey(model, ["the cat sat .", "it was tired ."], tokenizer, progress=False)
    with pytest.raises(TypeError, match="a survey has no positions to group"):
        survey.view(groups="special")


def test_positions_of_words_are_kept_in_one_group() -> None:
    tokens = positions_from_tokens(PAIR)
    found = groupings(pair(tokens=list(tokens)).view(groups={"cat": 2}))
    assert found["own"]["cat"]["keys"] == [[2, 3]]


def test_the_call_that_is_copied_names_the_groups() -> None:
    assert pair().view(groups={"who": 6}).code().startswith("aw.view(attention, groups=groups")
    assert pair().view(groups="special").code().startswith('aw.view(attention, groups="special"')
    model, tokenizer = aw.pocket()
    view = aw.view(model, "the cat", tokenizer, groups={"cat": "cat"})
    assert view.code().startswith('aw.view(model, "the cat", tokenizer=tokenizer, groups=groups')
    assert "groups" not in pair().view().code()


@pytest.fixture(scope="module")
def generated() -> aw.Attention:
    model, tokenizer = aw.pocket()
    with aw.recording(model, tokenizer=tokenizer) as found:
        inputs = tokenizer("the cat sat on the mat because", return_tensors="pt")
        model.generate(**inputs, max_new_tokens=5, do_sample=False, pad_token_id=0)
    return found.attention


def of_first(attention: aw.Attention, layer: int, count: int, parts: list[range]) -> Any:
    """Return the shares of the first queries, as a dense mean."""
    weights = attention["decoder"][layer].weights()[:, :count]
    rows = [[weights[:, [at for at in one if at < count]][..., list(other)].sum(-1).mean(-1) for other in parts] for one in parts]  # fmt: skip
    return np.moveaxis(np.array(rows), -1, 0)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("step", [0, 2, None])
def test_at_a_step_of_a_generation_groups_are_of_what_there_was(
    generated: aw.Attention, step: int | None
) -> None:
    pytest.importorskip("py_mini_racer")
    size = len(generated["decoder"].query_positions)
    prompt = size - 4
    parts = [range(prompt), range(prompt, size)]
    count = size if step is None else prompt + step
    view = generated.view(grouping="part", step=step, layer=2, form="groups", view="head")
    where = {} if step is None else {"queries": [0, count]}
    found = asked(view, stream="decoder", layer=2, grouping="part", **where)
    expected = of_first(generated, 2, count, parts)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The figure draws them, and its table has a row for each group that there was.
    table = view.figure().data
    names = ["prompt"] if step == 0 else ["prompt", "answer"]
    assert table[["from", "to"]].to_numpy().tolist() == [[a, b] for a in names for b in names]
    drawn = expected[0, :1, :1] if step == 0 else expected[0]
    np.testing.assert_allclose(table["share"], drawn.ravel(), atol=1e-6)
    assert ("answer" in view.figure().svg) is (step != 0)
    profile = view.figure(form="profile", from_group="answer").data
    assert profile["mean"].isna().all() == (step == 0)
    # So does a copy without a kernel, at any step.
    stored = [entry["request"] for entry in snapshot_of(view.page())["blocks"]]
    whole = {"what": "group_shares", "stream": "decoder", "layer": 2, "head": 0, "grouping": "part"}
    assert {**whole, **where} in stored


def test_other_queries_than_the_first_are_refused(generated: aw.Attention) -> None:
    view = generated.view(layer=0)
    message = asked(view, stream="decoder", layer=0, grouping="part", queries=[1, 4])
    assert message == "queries of group_shares are the first ones, such as [0, 12], got [1, 4]."
