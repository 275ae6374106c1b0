"""The probabilities of next tokens: the model's own softmax, whatever was sampled with."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support import zoo

import attnwidget as aw
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from pathlib import Path


def test_a_forward_pass_expects_what_its_softmax_says() -> None:
    model, ids = zoo.build("llama", "sdpa"), zoo.ids(7)
    with torch.no_grad():
        chance = model(ids).logits[0].float().softmax(-1)
    expected = capture(model, ids).next_tokens
    assert list(expected) == list(range(7))
    assert (expected.prompt, expected.stream) == (7, "decoder")
    for position, ranked in expected.items():
        top = chance[position].topk(8)
        assert [token.id for token in ranked[:8]] == top.indices.tolist()
        assert [token.probability for token in ranked[:8]] == pytest.approx(top.values.tolist())
        came = [token for token in ranked if token.chosen]
        if position == 6:
            assert came == []
            continue
        assert [token.id for token in came] == [int(ids[0, position + 1])]
        assert came[0].probability == pytest.approx(float(chance[position, came[0].id]))
        assert len(ranked) == (8 if came[0].id in top.indices else 9)


def test_temperature_and_the_like_do_not_count() -> None:
    model = zoo.build("gpt2")
    torch.manual_seed(1)
    with recording(model) as attention:
        output = model.generate(
            zoo.ids(5), do_sample=True, temperature=9.0, top_k=3, max_new_tokens=4, min_new_tokens=4
        )
    with torch.no_grad():
        chance = model(output).logits[0].softmax(-1)
    assert list(attention.next_tokens) == [4, 5, 6, 7]
    for position, ranked in attention.next_tokens.items():
        token = next(token for token in ranked if token.chosen)
        assert token.id == int(output[0, position + 1])
        assert token.probability == pytest.approx(float(chance[position, token.id]), rel=1e-4)


def test_padding_expects_nothing() -> None:
    model, ids = zoo.build("llama"), zoo.ids(7, rows=2)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7])
    given = {"input_ids": ids, "attention_mask": mask}
    expected = capture(model, given, batch=0).next_tokens
    assert list(expected) == list(range(5))
    assert next(t.id for t in expected[0] if t.chosen) == int(ids[0, 3])


@pytest.mark.parametrize("name", ["bert", "vit", "roberta"])
def test_others_expect_nothing(name: str) -> None:
    assert capture(zoo.build(name), zoo.inputs_of(name)).next_tokens is None


def test_labels_are_the_tokenizers() -> None:
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, "the cat sat on the mat because", tokenizer)
    assert attention.next_tokens[7][0].label == "it"
    assert attention.next_tokens[7][0].probability > 0.9


def test_a_position_that_is_not_there() -> None:
    model = zoo.build("gpt2")
    with recording(model) as attention:
        model.generate(zoo.ids(5), max_new_tokens=3, min_new_tokens=3)
    with pytest.raises(KeyError, match=r"positions 4\.\.6, got 2"):
        attention.next_tokens[2]


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = zoo.build("gpt2")
    with recording(model) as attention:
        model.generate(zoo.ids(5), max_new_tokens=3, min_new_tokens=3)
    attention.save(tmp_path / "run.safetensors")
    for again in (
        aw.load(tmp_path / "run.safetensors"),
        pickle.loads(pickle.dumps(attention.attention)),  # noqa: S301 - our own
        copy.deepcopy(attention.attention),
    ):
        expected = again.next_tokens
        assert dict(expected) == dict(attention.next_tokens)
        assert (expected.stream, expected.prompt) == ("decoder", 5)
        assert expected.probabilities.dtype == np.float32


def test_a_long_vocabulary_is_ranked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = zoo.build("llama"), zoo.ids(7)
    whole = capture(model, ids).next_tokens
    monkeypatch.setattr(sys.modules["attnwidget.capture.generation.next_tokens"], "_ELEMENTS", 130)
    assert dict(capture(model, ids).next_tokens) == dict(whole)
