"""Generation behind a learned prompt: its virtual tokens, the prompt and the output make one record."""

from __future__ import annotations

from typing import Any

import numpy as np
import peft
import pytest
import torch
from support import zoo
from support.model_checks import GREEDY, own

from attnwidget.recordings import capture, recording

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated",
    "ignore:Position ids are not supported for parameter efficient tuning",
    "ignore:You are trying to modify a model with PEFT for a second time",
)

CAUSAL = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 3}
LEARNED: dict[str, Any] = {
    "prefix": lambda: peft.PrefixTuningConfig(**CAUSAL),
    "prompt": lambda: peft.PromptTuningConfig(**CAUSAL),
    "p-tuning": lambda: peft.PromptEncoderConfig(**CAUSAL, encoder_hidden_size=16),
    "multitask": lambda: peft.MultitaskPromptTuningConfig(**CAUSAL, num_tasks=2),
}
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampling": {"do_sample": True},
    "beams": {"num_beams": 3},
    "no-cache": {"use_cache": False},
    "one-of-two": {"do_sample": True, "num_return_sequences": 2},
}
VIRTUAL = ["virtual 0", "virtual 1", "virtual 2"]


def learned(kind: str, base: Any) -> Any:
    torch.manual_seed(0)
    model: Any = peft.get_peft_model(base, LEARNED[kind]())
    return model.eval()


def names(ids: torch.Tensor) -> list[str]:
    return [str(number) for number in ids.tolist()]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_virtual_tokens_prompt_and_output_are_one_record(name: str, kind: str, way: str) -> None:
    if (name, kind, way) == ("llama", "prefix", "no-cache"):
        return  # peft's own generation fails: its mask counts the prefix twice
    model, row = learned(kind, zoo.build(name)), int(way == "one-of-two")
    inputs = zoo.tokens(5) | ({"task_ids": torch.tensor([1])} if kind == "multitask" else {})
    options = {**GREEDY, **WAYS[way]}
    torch.manual_seed(1)
    expected = model.generate(**inputs, **options)
    torch.manual_seed(1)
    with recording(model, batch=row) as attention:
        output = model.generate(**inputs, **options)
    assert torch.equal(output, expected)
    read = {**inputs, "input_ids": output[row : row + 1, :-1]}
    read.pop("attention_mask", None)
    stream = attention["decoder"]
    assert [p.label for p in stream.key_positions] == VIRTUAL + names(output[row, :-1])
    assert [p.kind for p in stream.key_positions] == ["latent"] * 3 + ["token"] * 10
    assert len(stream.query_positions) == (10 if kind == "prefix" else 13)
    assert attention.next_tokens.prompt == len(stream.query_positions) - 5
    for layer, weights in zip(stream, own(model, read), strict=True):
        np.testing.assert_allclose(layer.weights(), weights, rtol=0, atol=1e-5)


def test_beams_over_vectors_that_are_read_anew_are_refused() -> None:
    """Neither ids nor a cache say which beam a row is."""
    model = learned("prompt", zoo.build("llama"))
    with pytest.raises(ValueError, match="it cannot be told which beam"), recording(model):
        model.generate(**zoo.tokens(5), **GREEDY, num_beams=3, use_cache=False)


def test_a_padded_row_behind_a_learned_prompt() -> None:
    model, inputs = learned("prompt", zoo.build("llama")), zoo.tokens(5)
    inputs["attention_mask"][0, :2] = 0
    with recording(model) as attention:
        output = model.generate(**inputs, **GREEDY)
    assert [p.label for p in attention["decoder"].key_positions] == VIRTUAL + names(output[0, 2:-1])


def test_a_learned_prompt_beside_low_rank_adapters() -> None:
    low_rank = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False, r=2)
    torch.manual_seed(0)
    base = peft.inject_adapter_in_model(low_rank, zoo.build("llama"))
    model = learned("prompt", base)
    with recording(model) as attention:
        output = model.generate(**zoo.tokens(5), **GREEDY)
    stream = attention["decoder"]
    assert [p.label for p in stream.key_positions] == VIRTUAL + names(output[0, :-1])
    for layer, weights in zip(stream, own(model, {"input_ids": output[:, :-1]}), strict=True):
        np.testing.assert_allclose(layer.weights(), weights, rtol=0, atol=1e-5)


def test_a_learned_prompt_of_a_translation() -> None:
    """It is put before what the encoder reads, by vectors; the decoder goes on as always."""
    config = peft.PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM", num_virtual_tokens=3, num_transformer_submodules=1
    )
    torch.manual_seed(0)
    model: Any = peft.get_peft_model(zoo.build("t5-4-2"), config).eval()
    inputs = zoo.tokens(5)
    with recording(model) as attention:
        output = model.generate(**inputs, **GREEDY)
    whole = capture(model, {**inputs, "decoder_input_ids": output[:, :-1]})
    assert [p.label for p in whole["cross"].key_positions][:4] == [*VIRTUAL, "9"]
    assert [p.label for p in attention["decoder"].key_positions] == names(output[0, :-1])
    for name in attention.streams:
        for layer, expected in zip(attention[name], whole[name], strict=True):
            np.testing.assert_allclose(layer.weights(), expected.weights(), rtol=0, atol=1e-5)
