"""Hidden states that a record keeps, and what the model's last steps make of them: as `attnwidget.logit_lens`."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import lm_heads, zoo

import attnwidget as aw

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "the cat sat on the mat because it"


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def assert_same(found: aw.LogitLens, expected: aw.LogitLens) -> None:
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    for name in ("layers", "stream", "positions", "tokens", "labels"):
        assert getattr(found, name) == getattr(expected, name), name


def test_the_lens_of_a_record_is_that_of_the_model(pocket: Any) -> None:
    model, tokenizer = pocket
    attention = aw.capture(model, TEXT, tokenizer, hidden_states=True)
    expected = aw.logit_lens(model, TEXT, tokenizer, top=3)
    lens = attention.logit_lens(top=3)
    assert_same(lens, expected)
    for one, other in zip(lens.of("purred"), expected.of("purred"), strict=True):
        np.testing.assert_array_equal(one, other)
    with torch.no_grad():
        ids = tokenizer(TEXT, return_tensors="pt")
        states = model(**ids, output_hidden_states=True).hidden_states
    assert attention.hidden_states is not None
    kept = attention.hidden_states.states
    # The last one of the model's own is behind the final norm.
    assert len(kept) == len(states) - 1
    for one, other in zip(kept[:-1], states[1:-1], strict=True):
        assert torch.equal(one, other)
    assert repr(attention.hidden_states) == "HiddenStates(4 layers, [1, 9, 128])"
    assert attention.logit_lens().ids.shape[-1] == 5


def test_it_is_of_the_edited_run_and_stands_beside_gradients(pocket: Any) -> None:
    model, tokenizer = pocket
    edits = aw.ablate(heads=[(2, 1)]) + aw.replace("cat", "dog")
    attention = aw.capture(
        model, TEXT, tokenizer, metric="purred", interventions=edits, hidden_states=True
    )
    assert attention.metric == "log p(“purred”)"
    found = attention.logit_lens()
    assert_same(found, aw.logit_lens(model, TEXT, tokenizer, interventions=edits))
    assert (
        found.probabilities.tolist() != aw.logit_lens(model, TEXT, tokenizer).probabilities.tolist()
    )


@pytest.mark.parametrize("name", ["bert", "bart-4-2"])
def test_other_kinds_of_models(name: str) -> None:
    model, inputs = (
        lm_heads.build(name)
        if name in lm_heads.BUILDERS
        else (zoo.build(name), zoo.inputs_of(name))
    )
    attention = aw.capture(model, inputs, hidden_states=True)
    assert_same(attention.logit_lens(), aw.logit_lens(model, inputs))


def test_a_record_without_says_the_calls_that_work(pocket: Any, tmp_path: Path) -> None:
    model, tokenizer = pocket
    kept = aw.capture(model, TEXT, tokenizer, hidden_states=True)
    kept.save(tmp_path / "kept.safetensors")
    loaded = aw.load(tmp_path / "kept.safetensors")
    with aw.recording(model, tokenizer) as recorded:
        model(**tokenizer(TEXT, return_tensors="pt"))
    copies = [copy.copy(kept), pickle.loads(pickle.dumps(kept))]  # noqa: S301  of our own
    for without in (aw.capture(model, TEXT, tokenizer), loaded, recorded, *copies):
        assert without.hidden_states is None
        with pytest.raises(
            ValueError, match=r"hidden_states=True\)\.logit_lens\(\), or attnwidget\.logit_lens\("
        ):
            without.logit_lens()
    with pytest.raises(ValueError, match="top"):
        kept.logit_lens(top=0)


def test_a_model_without_logits_is_refused_when_it_is_captured() -> None:
    with pytest.raises(ValueError, match="returns no logits"):
        aw.capture(zoo.build("bert"), zoo.tokens(), hidden_states=True)
    with pytest.raises(ValueError, match="hidden_states must be True or False, got 3"):
        aw.capture(zoo.build("gpt2"), zoo.tokens(), hidden_states=3)


def test_what_a_model_calls_hidden_states_reaches_it() -> None:
    class Reads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, queries: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.attention(queries, hidden_states, hidden_states)[0]
            return found

    given = torch.randn(1, 5, 8)
    attention = aw.capture(Reads().eval(), {"queries": torch.randn(1, 3, 8)}, hidden_states=given)
    (stream,) = attention.streams.values()
    assert len(stream.key_positions) == 5
    assert attention.hidden_states is None


def test_a_view_that_keeps_them_runs_its_model_again(pocket: Any) -> None:
    view = aw.view(pocket[0], TEXT, pocket[1], lens=True, hidden_states=True, query=-1)
    assert view.attention.hidden_states is not None
    found = view.find_effects("purred", wait=True)
    expected = aw.effects(pocket[0], TEXT, pocket[1], metric="purred")
    np.testing.assert_allclose(found["decoder"], expected["decoder"], atol=1e-5)
    assert view.attention.logit_lens().tokens == aw.logit_lens(pocket[0], TEXT, pocket[1]).tokens
