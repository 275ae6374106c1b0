"""Which groups positions belong to, and tables of how much weight they give each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.record.positions import Position, positions_from_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

PAIR = ("[CLS]", "it", "sat", ".", "[SEP]", "who", "sat", "?", "[SEP]")


def positions(names: Sequence[Position | str]) -> tuple[Position, ...]:
    return tuple(Position(one, text=one) if isinstance(one, str) else one for one in names)


def record_of(axis: Sequence[Any], layers: int = 2, **options: Any) -> aw.Attention:
    """A record of random weights over these positions."""
    weights = np.random.default_rng(0).dirichlet(np.ones(len(axis)), (layers, 3, len(axis)))
    return aw.from_weights(weights.astype(np.float32), list(axis), **options)


def named(record: aw.Attention, by: Any) -> dict[str, list[int]]:
    (stream,) = record.groups(by).values()
    assert stream["query"] == stream["key"]
    return stream["key"]


def rows(table: Any) -> list[dict[str, Any]]:
    return table.to_dict("records") if hasattr(table, "to_dict") else list(table)


@pytest.fixture(scope="module")
def pair() -> aw.Attention:
    return record_of(PAIR, sentence_b_start=5)


def test_the_texts_of_a_pair(pair: aw.Attention) -> None:
    assert named(pair, "segment") == {"A": [0, 1, 2, 3, 4], "B": [5, 6, 7, 8]}


def test_special_tokens_and_content(pair: aw.Attention) -> None:
    assert named(pair, "special") == {"special": [0, 4, 8], "content": [1, 2, 3, 5, 6, 7]}


def test_sentences_end_with_a_stop_and_with_their_text(pair: aw.Attention) -> None:
    found = {"sentence 1": [1, 2, 3], "sentence 2": [5, 6, 7], "rest": [0, 4, 8]}
    assert named(pair, "sentence") == found
    closed = positions(["a", ".", '"', " b", "c", "\n", "d"])
    assert named(record_of(closed), "sentence") == {
        "sentence 1": [0, 1, 2], "sentence 2": [3, 4, 5], "sentence 3": [6],
    }  # fmt: skip
    texts = [Position(text, text=text, segment=segment) for segment, text in ((0, "a"), (1, "b"))]
    assert named(record_of(texts), "sentence") == {"sentence 1": [0], "sentence 2": [1]}


def test_roles_and_turns() -> None:
    roles = [None, "user", "user", "assistant", None, "assistant", "user"]
    axis = [Position(str(at), text=str(at), role=role) for at, role in enumerate(roles)]
    record = record_of(axis)
    assert named(record, "role") == {"user": [1, 2, 6], "assistant": [3, 5], "rest": [0, 4]}
    assert named(record, "turn") == {
        "1 user": [1, 2], "2 assistant": [3, 5], "3 user": [6], "rest": [0, 4],
    }  # fmt: skip


def test_pictures_and_sound() -> None:
    axis = [
        Position("a", text="a"), Position("0,0", "patch", row=0, column=0), Position("1.0 s", "frame", time=1.0),
        Position("#3", "latent"),
    ]  # fmt: skip
    found = {"text": [0], "picture 1": [1], "sound": [2], "rest": [3]}
    assert named(record_of(axis), "modality") == found


def test_a_special_token_before_a_picture_is_no_text() -> None:
    axis = [Position("[CLS]", "special"), Position("0,0", "patch", row=0, column=0)]
    assert named(record_of(axis), "modality") == {"special": [0], "picture 1": [1]}


def test_prompt_and_answer() -> None:
    import torch

    model, tokenizer = aw.pocket()
    inputs = tokenizer("the cat sat on", return_tensors="pt")
    with aw.recording(model, tokenizer=tokenizer) as record, torch.no_grad():
        model.generate(**inputs, max_new_tokens=4, do_sample=False, pad_token_id=0)
    groups = record.groups("part")["decoder"]
    count = inputs["input_ids"].shape[1]
    assert groups["key"]["prompt"] == list(range(count))
    assert groups["key"]["answer"][0] == count
    with pytest.raises(ValueError, match="nothing was generated"):
        record_of("abc").groups("part")


def test_your_own_groups(pair: aw.Attention) -> None:
    own = {"it": "it", "texts": [range(5, 8)[0], 6, 7]}
    assert named(pair, own) == {"it": [1], "texts": [5, 6, 7], "rest": [0, 2, 3, 4, 8]}
    found = named(pair, lambda position: "stop" if position.text in (".", "?") else None)
    assert found == {"stop": [3, 7], "rest": [0, 1, 2, 4, 5, 6, 8]}


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("sentences", "by must be 'segment', .* got 'sentences': for instance by='segment'"),
        (None, "by must be"),
        ({}, "got nothing"),
        ({"rest": 0}, "'rest' already"),
        ({1: 0}, "must map names"),
        ({"a": 0, "b": [0, 1]}, r"position 0 \(\[CLS\]\) is in the groups 'a' and 'b'"),
        ({"a": 99}, r"by\['a'\] must be integers in 0..8"),
        (lambda _: 3, "must return a name, or None for the rest, got 3"),
        (lambda _: None, "puts no position"),
        (lambda: "a", "takes a Position and returns a name or None, got .* which raised TypeError"),
        ("role", "there are no groups by role in self: its input is not known to be a chat"),
    ],
)
def test_what_is_no_grouping_is_refused(pair: aw.Attention, by: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pair.group_shares(by)


def dense(weights: Any, groups: dict[str, dict[str, list[int]]], first: str, second: str) -> float:
    block = weights[np.ix_(groups["query"][first], groups["key"][second])]
    return float(block.astype(np.float64).sum(1).mean())


@pytest.mark.parametrize("by", ["segment", "sentence", {"question": range(5, 8)}])
def test_the_table_has_the_dense_shares(pair: aw.Attention, by: Any) -> None:
    found = rows(pair.group_shares(by))
    groups = pair.groups(by)["self"]
    assert len(found) == 2 * 3 * len(groups["query"]) * len(groups["key"])
    assert list(found[0]) == ["stream", "layer", "head", "from", "to", "share"]
    for row in found:
        weights = pair["self"][row["layer"]].weights(row["head"])
        expected = dense(weights, groups, row["from"], row["to"])
        assert row["share"] == pytest.approx(expected, abs=1e-6)


def test_words_have_the_groups_of_their_pieces() -> None:
    axis = positions_from_tokens(["the", "cat", "##s", "sat", ".", "dog", "##s", "ran"])
    words = record_of(axis).words()
    found = rows(words.group_shares("sentence", layer=1, head=2))
    groups = words.groups("sentence")["self"]
    assert groups["key"] == {"sentence 1": [0, 1, 2, 3], "sentence 2": [4, 5]}
    for row in found:
        expected = dense(words["self"][1].weights(2), groups, row["from"], row["to"])
        assert row["share"] == pytest.approx(expected, abs=1e-6)


def test_queries_and_keys_of_two_sequences() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(5), (1, 2, 3)).astype(np.float32)
    record = aw.from_weights(
        cross_attention=weights, encoder_tokens=["a", ".", "b", "c", "."], decoder_tokens=["x", ".", "y"]
    )  # fmt: skip
    groups = record.groups("sentence")["cross"]
    assert groups["query"] == {"sentence 1": [0, 1], "sentence 2": [2]}
    assert groups["key"] == {"sentence 1": [0, 1], "sentence 2": [2, 3, 4]}
    (row,) = [
        row
        for row in rows(record.group_shares("sentence", head=1))
        if (row["from"], row["to"]) == ("sentence 2", "sentence 1")
    ]
    assert row["share"] == pytest.approx(weights[0, 1, 2, :2].sum(), abs=1e-6)
    # Positions are those of the keys: no query is in any group, and gives from none.
    own = rows(record.group_shares({"end": [3, 4]}))
    assert {row["from"] for row in own} == {"rest"}


def test_several_streams_and_their_positions() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(3), (1, 2, 3)).astype(np.float32)
    record = aw.from_weights(encoder_attention=weights, decoder_attention=weights)
    with pytest.raises(ValueError, match=r"names positions of one stream.*pass stream='encoder'"):
        record.groups({"a": 0})
    assert list(record.groups({"a": 0}, stream="decoder")) == ["decoder"]
    found = rows(record.group_shares({"a": 0}, stream="decoder", head=0))
    assert {row["stream"] for row in found} == {"decoder"}


def test_a_profile_is_the_mean_over_heads(pair: aw.Attention) -> None:
    shares = rows(pair.group_shares("segment"))
    for row in rows(pair.group_profile("segment")):
        values = [
            each["share"]
            for each in shares
            if all(each[name] == row[name] for name in ("layer", "from", "to"))
        ]
        expected = np.mean(values), np.std(values), min(values), max(values), 3
        found = [row[name] for name in ("mean", "spread", "least", "most", "heads")]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_heads_that_are_not_numbers_are_named_and_left_out_of_the_profile() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(4), (1, 3, 4)).astype(np.float32)
    record = aw.from_weights(weights, ["a", "b", "c", "d"])
    recorded = record["self"][0].recorded
    assert recorded is not None
    recorded[1, 2] = torch.nan
    with pytest.warns(UserWarning, match="so are their shares"):
        found = rows(record.group_shares({"x": [0, 1]}))
    broken = {(row["head"], row["from"]) for row in found if np.isnan(row["share"])}
    assert broken == {(1, "rest")}
    with pytest.warns(UserWarning, match="so are their shares"):
        assert {row["heads"] for row in rows(record.group_profile({"x": [0, 1]}))} == {2}


def test_tables_of_too_many_rows_are_refused(
    pair: aw.Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.analysis.group_shares.MOST_ROWS", 20)
    with pytest.raises(
        ValueError, match=r"2 × 2 groups by segment for each head .* would have 24 rows"
    ):
        pair.group_shares("segment")
    # What counts is what there will be: rows of the heads that are asked for, and none of single heads in a profile.
    assert len(pair.group_shares("segment", head=[0, -1])) == 16
    assert len(pair.group_profile("segment")) == 8
    monkeypatch.setattr("attnwidget.analysis.group_shares.MOST_ROWS", 7)
    with pytest.raises(ValueError, match="for each layer of stream 'self' would have 8 rows"):
        pair.group_profile("segment")
    assert len(pair.group_profile("segment", layer=1)) == 4


def test_heads_are_found_by_a_share(pair: aw.Attention) -> None:
    found = rows(pair.find(from_group="B", to_group="A", by="segment", top=None))
    expected = {
        (row["layer"], row["head"]): row["share"]
        for row in rows(pair.group_shares("segment"))
        if (row["from"], row["to"]) == ("B", "A")
    }
    assert {(row["layer"], row["head"]): row["weight"] for row in found} == expected
    weights = [row["weight"] for row in found]
    assert weights == sorted(weights, reverse=True)
    (first,) = rows(pair.find(to_group="it", by={"it": 1}, layer=1, top=1))
    assert first["weight"] == pytest.approx(pair["self"][1].weights(keys=1).mean(1).max(), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"from_group": "A"}, "with by, got no by: for instance find"),
        ({"by": "segment"}, "got no group"),
        ({"from_group": "A", "by": "segment", "key": 0}, "got key besides"),
        (
            {"from_group": "C", "by": "segment"},
            "from_group must be a group by segment, one of A, B, got 'C'",
        ),
    ],
)
def test_a_search_by_what_is_no_group_is_refused(
    pair: aw.Attention, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        pair.find(**given)
