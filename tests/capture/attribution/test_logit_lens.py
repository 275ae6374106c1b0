"""The logit lens: what follows the last block, on the stream after each; at the last layer the model's own logits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from support import lm_heads, seeing

import attnwidget as aw

TEXT = "the cat sat on the mat because it"


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def lens(pocket: Any) -> aw.LogitLens:
    return aw.logit_lens(pocket[0], TEXT, pocket[1])


@pytest.mark.parametrize("name", [name for name in lm_heads.BUILDERS if name != "xlm"])
def test_the_last_layer_is_the_model(name: str) -> None:
    model, inputs = lm_heads.build(name)
    found = aw.logit_lens(model, inputs, top=3)
    with torch.no_grad():
        logits = model(**inputs).logits[0]
        wanted = (logits if logits.ndim == 2 else logits[None]).log_softmax(-1).topk(3)
    assert np.array_equal(found.probabilities[-1], wanted.values.exp().numpy())
    assert np.array_equal(found.ids[-1], wanted.indices.numpy())
    assert found.layers == (0, 1)
    assert not np.array_equal(found.probabilities[0], found.probabilities[1])
    assert found.stream == (None if logits.ndim == 1 else ("encoder" if name in {"bert", "albert"} else "decoder"))  # fmt: skip


def test_a_layer_before_is_norm_and_unembedding_of_its_state(
    pocket: Any, lens: aw.LogitLens
) -> None:
    model, tokenizer = pocket
    with torch.no_grad():
        ids = tokenizer(TEXT, return_tensors="pt")
        states = model(**ids, output_hidden_states=True).hidden_states
        wanted = model.lm_head(model.transformer.ln_f(states[2][0])).softmax(-1)
    best = wanted.topk(5)
    assert np.array_equal(lens.ids[1], best.indices.numpy())
    np.testing.assert_allclose(lens.probabilities[1], best.values.numpy(), rtol=1e-5)
    own = wanted[:, tokenizer.convert_tokens_to_ids("purred")]
    found = lens.of("purred")
    np.testing.assert_allclose(found.probability[1], own.numpy(), rtol=1e-4)
    assert found.rank[1].tolist() == (1 + (wanted > own[:, None]).sum(-1)).tolist()


def test_a_masked_model_reads_each_state_through_its_whole_head() -> None:
    model, inputs = lm_heads.build("bert")
    found = aw.logit_lens(model, inputs)
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
        wanted = model.cls(states[1])[0].softmax(-1).topk(5)
    assert np.array_equal(found.ids[0], wanted.indices.numpy())
    np.testing.assert_allclose(found.probabilities[0], wanted.values.numpy(), rtol=1e-5)


def test_what_is_asked_of_it(pocket: Any, lens: aw.LogitLens) -> None:
    assert lens.tokens == tuple(
        each.label for each in aw.capture(*pocket[:1], TEXT, pocket[1])["decoder"].query_positions
    )
    assert lens.predicted[-1, -1] == "was"
    assert next(iter(lens[-1, -1])) == "was"
    assert lens[3, 8]["purred"] == pytest.approx(0.478, abs=1e-3)
    table = lens.to_dataframe()
    assert list(table) == ["layer", "position", "token", "rank", "predicted", "probability"]
    assert len(table) == 4 * 9 * 5
    assert "4 layers × 9 positions" in repr(lens)
    assert "3 'was' 0.48" in repr(lens)


def test_padding_has_no_row(pocket: Any) -> None:
    model, tokenizer = pocket
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    padded = torch.cat([ids, ids.new_zeros(1, 3)], dim=1)
    mask = (torch.arange(padded.shape[1]) < ids.shape[1]).long()[None]
    found = aw.logit_lens(model, {"input_ids": padded, "attention_mask": mask}, tokenizer)
    alone = aw.logit_lens(model, TEXT, tokenizer)
    assert found.tokens == alone.tokens
    np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-5)


def test_fewer_logits_are_of_the_last_positions(pocket: Any, lens: aw.LogitLens) -> None:
    found = aw.logit_lens(*pocket[:1], TEXT, pocket[1], logits_to_keep=2)
    assert found.positions == (7, 8)
    assert found.tokens == lens.tokens[-2:]
    np.testing.assert_allclose(found.probabilities, lens.probabilities[:, -2:], rtol=1e-4)


def test_the_second_text_of_a_batch(pocket: Any, lens: aw.LogitLens) -> None:
    model, tokenizer = pocket
    texts = ["the dog sat on the mat because it", TEXT]
    found = aw.logit_lens(model, texts, tokenizer, batch=1)
    assert np.array_equal(found.ids, lens.ids)
    np.testing.assert_allclose(found.of("purred").probability, lens.of("purred").probability, rtol=1e-4)  # fmt: skip


@pytest.mark.parametrize("name", ["gpt2", "bloom", "t5"])
def test_under_an_edit_the_last_layer_is_the_edited_model(name: str) -> None:
    model, inputs = lm_heads.build(name)
    edit = aw.ablate(heads=[(0, 1)], stream="decoder")
    found = aw.logit_lens(model, inputs, interventions=edit)
    clean = aw.logit_lens(model, inputs)
    with torch.no_grad(), aw.intervening(model, edit):
        wanted = model(**inputs).logits[0].log_softmax(-1).topk(5)
    assert np.array_equal(found.probabilities[-1], wanted.values.exp().numpy())
    assert not np.allclose(found.probabilities[0], clean.probabilities[0])
    best = int(found.ids[-1, -1, 0])
    asked = found.of(best).probability[-1, -1]
    assert asked == pytest.approx(float(found.probabilities[-1, -1, 0]), rel=1e-5)


def test_the_model_is_as_before() -> None:
    model, tokenizer = aw.pocket()
    ids = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        before = model(**ids).logits
    found = aw.logit_lens(model, TEXT, tokenizer)
    found.of("purred")
    assert not any(module._forward_hooks for module in model.modules())
    assert not any("forward" in vars(module) for module in model.modules())
    with torch.no_grad():
        assert torch.equal(model(**ids).logits, before)


def test_a_copy_has_its_numbers_and_says_what_it_lacks(lens: aw.LogitLens) -> None:
    other = copy.deepcopy(lens)
    assert np.array_equal(other.ids, lens.ids)
    assert other[3, -1] == lens[3, -1]
    with pytest.raises(ValueError, match=r"attnwidget\.logit_lens"):
        other.of("purred")


def test_what_cannot_be_read_is_refused_by_name(pocket: Any, lens: aw.LogitLens) -> None:
    model, tokenizer = pocket
    with pytest.raises(ValueError, match="GPT2Model returns no logits"):
        aw.logit_lens(model.transformer, TEXT, tokenizer)
    xlm, inputs = lm_heads.build("xlm")
    with pytest.raises(ValueError, match=r"XLMWithLMHeadModel .*tried transformer\.attentions"):
        aw.logit_lens(xlm, inputs)
    with pytest.raises(ValueError, match="top must be"):
        aw.logit_lens(model, TEXT, tokenizer, top=0)
    with pytest.raises(IndexError, match="no layer 9: there are 4"):
        lens[9, 0]
    with pytest.raises(TypeError, match="a layer and a position"):
        lens[2]  # type: ignore[index]
    with pytest.raises(ValueError, match="is 2 tokens"):
        lens.of("purred barked")


def test_logits_made_of_more_than_the_stream_are_refused() -> None:
    class Skipping(type(aw.pocket()[0])):  # type: ignore[misc]
        """Adds to its logits what the stream was after its first block."""

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            kept: list[Any] = []
            hook = self.transformer.h[0].attn.register_forward_hook(lambda *given: kept.append(given[2][0]))  # fmt: skip
            try:
                output = super().forward(*args, **kwargs)
            finally:
                hook.remove()
            if kept:
                output.logits = output.logits + self.lm_head(kept[0])
            return output

    model, tokenizer = aw.pocket()
    model.__class__ = Skipping
    with pytest.raises(ValueError, match="are made of more than what its last block"):
        aw.logit_lens(model, TEXT, tokenizer)


def test_a_model_that_collects_hidden_states_by_hooks_is_read() -> None:
    # Transformers hangs a hook on each block of the vision tower, and one of these states becomes the image tokens.
    model, ids = seeing.llava(), torch.tensor([[1, *[seeing.IMAGE_TOKEN] * 16, 7, 8]])
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "pixel_values": pixels}
    found = aw.logit_lens(model, inputs, top=3)
    with torch.no_grad():
        wanted = model(**inputs).logits[0].log_softmax(-1).topk(3)
    assert np.array_equal(found.ids[-1], wanted.indices.numpy())
    assert not np.array_equal(found.probabilities[0], found.probabilities[-1])


def test_what_a_hook_makes_of_a_block_is_made_once(pocket: Any) -> None:
    model, tokenizer = pocket
    told: list[Any] = []

    def steer(_module: Any, _args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        told.append(kwargs)
        states = output if isinstance(output, torch.Tensor) else output[0]
        steered = states + torch.linspace(-3, 3, states.shape[-1])
        return steered if isinstance(output, torch.Tensor) else (steered, *output[1:])

    handle = model.transformer.h[-1].register_forward_hook(steer, with_kwargs=True)
    try:
        found = aw.logit_lens(model, TEXT, tokenizer)
        with torch.no_grad():
            wanted = model(**tokenizer(TEXT, return_tensors="pt")).logits[0].softmax(-1).topk(5)
    finally:
        handle.remove()
    assert np.array_equal(found.ids[-1], wanted.indices.numpy())
    np.testing.assert_allclose(found.probabilities[-1], wanted.values.numpy(), rtol=1e-5)
    # Two passes that run the blocks, one that checks the last layer, one a layer, and the model's own.
    assert len(told) == 2 + 1 + len(found.layers) + 1
