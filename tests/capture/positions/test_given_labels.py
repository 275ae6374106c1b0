"""`tokens=`: labels that the user gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import zoo

from attnwidget.api import view
from attnwidget.pocket import pocket
from attnwidget.record.positions import Position
from attnwidget.recordings import capture, recording

SEVEN = list("abcdefg")


def labels(attention: Any, stream: str) -> tuple[list[str], list[str]]:
    found = attention[stream]
    return (
        [position.label for position in found.query_positions],
        [position.label for position in found.key_positions],
    )


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (["▁a", "##b", "c", "d"], ["a", "b", "c", "d"]),
        (["你".encode(), b" the", None, "d"], ["你", "the", "⟨?⟩", "d"]),
        ((Position("x"), "b", "c", "d"), ["x", "b", "c", "d"]),
        ({"decoder": list("wxyz")}, ["w", "x", "y", "z"]),
        ([list("wxyz")], ["w", "x", "y", "z"]),
    ],
)
def test_labels_win_over_the_tokenizer(tokens: Any, shown: list[str]) -> None:
    model, tokenizer = pocket()
    assert labels(capture(model, "The cat sat", tokenizer, tokens=tokens), "decoder")[1] == shown
    with torch.no_grad(), recording(model, tokenizer, tokens=tokens) as attention:
        model(**tokenizer("The cat sat", return_tensors="pt"))
    assert labels(attention, "decoder")[1] == shown
    widget = view(model, "The cat sat", tokenizer, tokens=tokens)
    assert labels(widget.attention, "decoder")[1] == shown


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["a"], r"tokens has 1 label, and there is decoder with 4 positions"),
        ({"decoder": ["a", "b"]}, r"tokens\['decoder'\] has 2 labels, and there is decoder with 4"),
        (
            {"encoder": list("abcd")},
            "names no stream of the record: encoder; there is decoder with 4",
        ),
        ("abcd", "must be a sequence of labels.* got 'abcd'"),
        ([1, 2, 3, 4], "must be strings, bytes or Position, got 1 at 0"),
        ([None] * 4, "got None at 0"),
        (5, "must be a sequence of labels.* got 5"),
        ([list("abcd"), list("abcd")], "holds 2 sequences"),
    ],
)
def test_what_does_not_fit_is_refused(tokens: Any, said: str) -> None:
    model, tokenizer = pocket()
    with pytest.raises(ValueError, match=said):
        capture(model, "The cat sat", tokenizer, tokens=tokens)


def test_several_streams() -> None:
    model = zoo.build("t5-2-4")
    attention = capture(model, zoo.ids(7), target=[1, 2], tokens=SEVEN)
    assert labels(attention, "encoder")[1] == SEVEN
    assert labels(attention, "cross") == (["0", "1", "2"], SEVEN)
    both = {"encoder": SEVEN, "decoder": ["x", "y", "z"]}
    attention = capture(model, zoo.ids(7), target=[1, 2], tokens=both)
    assert labels(attention, "decoder")[0] == ["x", "y", "z"]
    assert labels(attention, "cross") == (["x", "y", "z"], SEVEN)
    with pytest.raises(ValueError, match="3 labels, which fit encoder and decoder: say for which"):
        capture(model, zoo.ids(3), target=[1, 2], tokens=["x", "y", "z"])


def test_with_and_without_padding() -> None:
    inputs = {"input_ids": zoo.ids(5), "attention_mask": torch.tensor([[1, 1, 1, 0, 0]])}
    for tokens in (list("abcde"), list("abc")):
        attention = capture(zoo.build("bert"), inputs, tokens=tokens)
        assert labels(attention, "encoder")[1] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="encoder with 5 positions, 3 without padding"):
        capture(zoo.build("bert"), inputs, tokens=["a", "b"])


def test_queries_of_a_part_and_keys_of_a_cache() -> None:
    model = zoo.build("gpt2")
    attention = capture(model, zoo.ids(7), tokens=SEVEN, positions=slice(2, 4))
    assert labels(attention, "decoder") == (["c", "d"], SEVEN)
    with torch.no_grad():
        cache = model(zoo.ids(5), use_cache=True).past_key_values
        with recording(model, tokens=["x", "y"]) as attention:
            model(zoo.ids(2, seed=1), past_key_values=cache)
    expected = ["#0", "#1", "#2", "#3", "#4", "x", "y"]
    assert labels(attention, "decoder") == (["x", "y"], expected)


def test_patches_keep_their_places() -> None:
    model = zoo.build("vit")
    names = [f"part {index}" for index in range(17)]
    attention = capture(model, zoo.pixels(), tokens=names)
    assert labels(attention, "vision")[1] == names
    last = attention["vision"].key_positions[-1]
    assert (last.kind, last.row, last.column, last.medium) == ("patch", 3, 3, 0)
